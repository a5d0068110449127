package segment_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail/internal/segment"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// derivedNames returns the files of a folder that are derived from the lines.
func derivedNames(t testing.TB, disk vfs.FS) (names []string) {
	t.Helper()
	all, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, ".side") || strings.HasSuffix(name, ".tab") {
			names = append(names, filepath.Join(dir, name))
		}
	}
	return names
}

func read(t testing.TB, disk vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(disk, name, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t testing.TB, disk vfs.FS, name string, b []byte) {
	t.Helper()
	if err := vfs.WriteFile(disk, name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// written returns a log of three segments and an id table, without a writer.
func written(t testing.TB) (*vfs.Mem, *writer) {
	t.Helper()
	disk := vfs.NewMem()
	w := create(t, disk, dir, 8_000)
	for range 12 {
		w.must(3)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(derivedNames(t, disk)); n < 4 {
		t.Fatalf("%d derived files, want three side files and a table", n)
	}
	return disk, w
}

// entryCheck makes the check of a side file's entry right, as anybody can
// without a key.
func entryCheck(b []byte, seq uint64) {
	sum := binary.BigEndian.AppendUint64(nil, seq)
	sum = append(append(sum, b[:5]...), b[8:16]...)
	c := crc32.Checksum(sum, crc32.MakeTable(crc32.Castagnoli))
	b[5], b[6], b[7] = byte(c>>16), byte(c>>8), byte(c)
}

// decisions checks what must not depend on derived files: which records are
// governance records, and which ids exist.
func (w *writer) decisions(s *segment.Store) {
	w.t.Helper()
	var admin []uint64
	for i := range w.lines {
		if i%10 == 3 {
			admin = append(admin, uint64(i))
		}
	}
	if got, err := s.Administrative(0); err != nil || !slices.Equal(got, admin) {
		w.t.Fatalf("Administrative(0) = %v, %v, want %v", got, err, admin)
	}
	for _, seq := range []uint64{0, min(3, uint64(len(w.lines))-1), uint64(len(w.lines)) / 2, uint64(len(w.lines)) - 1} {
		if got, err := s.FindID(context.Background(), idOf(seq)); err != nil || !slices.Equal(got, []uint64{seq}) {
			w.t.Fatalf("FindID(%d) = %v, %v", seq, got, err)
		}
	}
	if got, err := s.FindID(context.Background(), idOf(1<<40)); err != nil || len(got) != 0 {
		w.t.Fatalf("FindID of no record = %v, %v", got, err)
	}
}

// everyReader checks the decisions with the key and without it, with and
// without a concurrent writer, and as the writer, which leaves the files as
// they were.
func (w *writer) everyReader(disk *vfs.Mem, want map[string][]byte) {
	w.t.Helper()
	w.decisions(w.reader(disk, false))
	bare, err := segment.Open(disk, dir, 0)
	if err == nil {
		err = bare.Refresh(context.Background(), false, 0)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.decisions(bare)
	live := w.reader(disk, true)
	if err := live.Refresh(context.Background(), true, uint64(len(w.lines))); err != nil {
		w.t.Fatal(err)
	}
	w.decisions(live)
	s := w.goOn(disk)
	w.decisions(s)
	if err := s.Close(); err != nil {
		w.t.Fatal(err)
	}
	for name, b := range want {
		if got := read(w.t, disk, name); !bytes.Equal(got, b) {
			w.t.Fatalf("the writer left %s as\n%x, want\n%x", name, got, b)
		}
	}
}

// goOn opens a store for writing where another process ended.
func (w *writer) goOn(disk vfs.FS) *segment.Store {
	w.t.Helper()
	s, err := segment.Open(disk, dir, 8_000)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Authenticate(key)
	s.Claim()
	size := uint64(len(w.lines))
	end, err := s.End(context.Background(), size-1)
	if err == nil {
		err = s.OpenTail(context.Background(), end, size)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TestDerivedDecidesNothing changes derived files as somebody without keys can:
// flips every bit, alters an entry and makes its check right, and puts another
// file, an older one, one of another log, or part of the file in its place.
func TestDerivedDecidesNothing(t *testing.T) {
	disk, w := written(t)
	names := derivedNames(t, disk)
	want := make(map[string][]byte)
	for _, name := range names {
		want[name] = read(t, disk, name)
	}
	older := func() map[string][]byte { // of the same lines, when there were fewer
		disk := vfs.NewMem()
		w := create(t, disk, dir, 8_000)
		for range 10 {
			w.must(3)
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		out := make(map[string][]byte)
		for _, name := range derivedNames(t, disk) {
			out[name] = read(t, disk, name)
		}
		return out
	}()
	foreign := func(k segment.Key) map[string][]byte { // of another log, with the same lines
		disk := vfs.NewMem()
		defer func(own segment.Key) { key = own }(key)
		key = k
		w := create(t, disk, dir, 8_000)
		for range 12 {
			w.must(3)
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		out := make(map[string][]byte)
		for _, name := range derivedNames(t, disk) {
			b := read(t, disk, name)
			if strings.HasSuffix(name, ".side") { // what it would have decided
				for i := range 3 {
					b[32+16*i+4] ^= 1
					entryCheck(b[32+16*i:], uint64(i))
				}
			}
			out[name] = b
		}
		return out
	}(segment.Key{9})
	attack := func(what string, f func(disk *vfs.Mem)) {
		t.Helper()
		t.Run(what, func(t *testing.T) {
			own := *w
			own.t = t
			changed := disk.Clone()
			f(changed)
			own.everyReader(changed, nil)
		})
	}
	for _, name := range names {
		b := want[name]
		base := filepath.Base(name)
		for at := range b {
			if strings.HasSuffix(name, ".tab") && at%7 != 0 {
				continue // there are many, and all alike
			}
			own := *w
			own.t = t
			changed := disk.Clone()
			bad := bytes.Clone(b)
			bad[at] ^= 1 << (at % 8)
			put(t, changed, name, bad)
			own.decisions(own.reader(changed, false))
			if at%5 == 0 {
				own.everyReader(changed, nil)
			}
		}
		if first, err := firstOf(base); err == nil {
			for n := range uint64(len(b)-144) / 16 {
				attack(fmt.Sprintf("%s entry %d", base, n), func(disk *vfs.Mem) {
					bad := bytes.Clone(b)
					e := bad[32+16*n:][:16]
					e[4] ^= 1
					e[15] ^= 1
					entryCheck(e, first+n)
					put(t, disk, name, bad)
				})
			}
		}
		for _, n := range []int{0, 1, 31, 32, 47, 48, len(b) - 112, len(b) - 16, len(b) - 1} {
			attack(fmt.Sprintf("%s cut to %d", base, n), func(disk *vfs.Mem) { put(t, disk, name, b[:max(n, 0)]) })
		}
		attack(base+" extended", func(disk *vfs.Mem) { put(t, disk, name, append(bytes.Clone(b), make([]byte, 16)...)) })
		attack(base+" gone", func(disk *vfs.Mem) {
			if err := disk.Remove(name); err != nil {
				t.Fatal(err)
			}
		})
		for other, o := range want {
			if other != name {
				attack(base+" replaced by "+filepath.Base(other), func(disk *vfs.Mem) { put(t, disk, name, o) })
			}
		}
		if o, ok := older[name]; ok {
			attack(base+" older", func(disk *vfs.Mem) { put(t, disk, name, o) })
		}
		attack(base+" of another log", func(disk *vfs.Mem) { put(t, disk, name, foreign[name]) })
	}
	attack("all older", func(disk *vfs.Mem) {
		for name, b := range older {
			put(t, disk, name, b)
		}
	})
	attack("all gone", func(disk *vfs.Mem) {
		for _, name := range names {
			if err := disk.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	})
	attack("all of another log", func(disk *vfs.Mem) {
		for name, b := range foreign {
			put(t, disk, name, b)
		}
	})
}

func firstOf(name string) (first uint64, err error) {
	_, err = fmt.Sscanf(name, "%d.side", &first)
	return first, err
}

// TestWriterMakesDerivedAgain damages derived files where a writer reads them
// when it opens the log, and finds them as they were afterwards.
func TestWriterMakesDerivedAgain(t *testing.T) {
	disk, w := written(t)
	names := derivedNames(t, disk)
	want := make(map[string][]byte)
	for _, name := range names {
		want[name] = read(t, disk, name)
	}
	for _, name := range names {
		changed := disk.Clone()
		if err := changed.Remove(name); err != nil {
			t.Fatal(err)
		}
		w.everyReader(changed, want)
		changed = disk.Clone()
		b := bytes.Clone(want[name])
		b[len(b)-1] ^= 1
		put(t, changed, name, b)
		w.everyReader(changed, nil)
	}
}

// vectors copies kept files into a folder, and returns a writer that has
// written their lines. derived says whether to copy the derived files too.
func vectors(t *testing.T, form string, derived bool) (*vfs.Mem, *writer) {
	t.Helper()
	disk, w := vfs.NewMem(), &writer{t: t}
	if err := vfs.MakeDir(disk, dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range vectorFiles(t, form) {
		if derived || strings.HasSuffix(name, ".jsonl") {
			put(t, disk, filepath.Join(dir, name), b)
		}
	}
	for _, first := range []string{"00000000000000000000", "00000000000000000012", "00000000000000000024"} {
		for line := range bytes.Lines(read(t, disk, filepath.Join(dir, first+".jsonl"))) {
			w.lines = append(w.lines, bytes.TrimSuffix(line, []byte("\n")))
		}
	}
	return disk, w
}

// vectorFiles are the files of a form.
func vectorFiles(t *testing.T, form string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../../testdata/vectors/segment", form, "*"))
	if err != nil || len(names) != 7 {
		t.Fatalf("%d vectors of %s, %v", len(names), form, err)
	}
	out := make(map[string][]byte)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = b
	}
	return out
}

// TestEarlierForm opens what version 1 has left: lines with side files and
// tables that are not authenticated. A writer replaces these.
func TestEarlierForm(t *testing.T) {
	disk, w := vectors(t, "v1", true)
	for seq, line := range w.lines {
		if got, err := w.reader(disk, false).Line(uint64(seq)); err != nil || !bytes.Equal(got, line) {
			t.Fatalf("Line(%d) = %q, %v", seq, got, err)
		}
	}
	want := make(map[string][]byte)
	for name, b := range vectorFiles(t, "v2") {
		want[filepath.Join(dir, name)] = b
	}
	w.everyReader(disk, want)
}

// TestVectors lets a writer derive files from kept lines, and compares them
// with the kept ones. With these, a reader reads no more than a line of each
// segment.
func TestVectors(t *testing.T) {
	disk, w := vectors(t, "v2", false)
	s := w.goOn(disk)
	w.decisions(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range vectorFiles(t, "v2") {
		if got := read(t, disk, filepath.Join(dir, name)); !bytes.Equal(got, want) {
			t.Errorf("%s is\n%x, want\n%x", name, got, want)
		}
	}
	disk, w = vectors(t, "v2", true)
	opened := 0
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen && strings.HasSuffix(op.Name, ".jsonl") {
			opened++
		}
		return nil
	})
	w.decisions(w.reader(disk, false))
	if opened > 3 {
		t.Errorf("lines were opened %d times, want once for each segment", opened)
	}
}

// hashes are the signed hashes of some lines.
type hashes []record.Hash

func (h hashes) Size() uint64 { return uint64(len(h)) }

func (h hashes) Agrees(_ context.Context, seq uint64, got record.Hash) (bool, record.Hash, error) {
	return h[seq] == got, h[seq], nil
}

func (h hashes) Proves(ctx context.Context, seq uint64, got record.Hash) (bool, record.Hash, error) {
	return h.Agrees(ctx, seq, got)
}

// TestAlteredLinesDecideNothing alters the type of the governance record in the
// lines themselves, and removes the side file, so that the lines are used.
func TestAlteredLinesDecideNothing(t *testing.T) {
	disk, w := written(t)
	var tree hashes
	for _, line := range w.lines {
		end, _ := record.ParseChainLink(line)
		tree = append(tree, end.Hash)
	}
	const segmentName = dir + "/00000000000000000012.jsonl"
	for _, chained := range []bool{false, true} {
		changed := disk.Clone()
		if err := changed.Remove(dir + "/00000000000000000012.side"); err != nil {
			t.Fatal(err)
		}
		l := bytes.SplitAfter(read(t, changed, segmentName), []byte("\n"))
		l = l[:len(l)-1]
		l[1] = relink(bytes.Replace(l[1], []byte(`"type":"log_repaired"`), []byte(`"type":"tool_calling"`), 1), nil)
		for i := 2; i < len(l) && chained; i++ {
			l[i] = relink(l[i], l[i-1])
		}
		put(t, changed, segmentName, bytes.Join(l, nil))
		s := w.reader(changed, false)
		s.Hold(tree)
		_, err := s.Administrative(0)
		var altered *record.TamperError
		if !errors.As(err, &altered) {
			t.Errorf("chained %t: Administrative() = %v, want an AlteredError", chained, err)
		}
		if _, err := s.Checked(context.Background(), 13); !errors.As(err, &altered) {
			t.Errorf("chained %t: Checked(13) = %v, want an AlteredError", chained, err)
		}
		if same, err := s.HasID(context.Background(), 13, idOf(99)); err == nil {
			t.Errorf("chained %t: HasID of an altered line = %t, want an error", chained, same)
		}
	}
}

// agreeing is a tree whose file of hashes was altered like the lines.
type agreeing struct{ hashes }

func (agreeing) Agrees(_ context.Context, _ uint64, got record.Hash) (bool, record.Hash, error) {
	return true, got, nil
}

// TestSealedHashDecides alters a governance record, and the id of a record, in
// the lines and in the tree's file of hashes alike: the seal, or the signed
// root, gives the alteration away.
func TestSealedHashDecides(t *testing.T) {
	disk, w := written(t)
	var tree hashes
	for _, line := range w.lines {
		end, _ := record.ParseChainLink(line)
		tree = append(tree, end.Hash)
	}
	for _, first := range []uint64{12, 24} { // a full segment, and the newest
		seq := first + 1
		if first == 24 {
			seq = 33
		}
		name := fmt.Sprintf("%s/%020d.jsonl", dir, first)
		for _, sealed := range []bool{true, false} {
			changed := disk.Clone()
			l := bytes.SplitAfter(read(t, changed, name), []byte("\n"))
			n := seq - first
			l[n] = relink(bytes.Replace(l[n], []byte(`"type":"log_repaired"`), []byte(`"type":"tool_calling"`), 1), nil)
			put(t, changed, name, bytes.Join(l, nil))
			if !sealed {
				if err := changed.Remove(strings.TrimSuffix(name, ".jsonl") + ".side"); err != nil {
					t.Fatal(err)
				}
			}
			s := w.reader(changed, false)
			s.Hold(agreeing{tree})
			_, err := s.Administrative(0)
			if err == nil {
				_, err = s.Checked(context.Background(), seq)
			}
			var altered *record.TamperError
			if !errors.As(err, &altered) || altered.Seq != seq || altered.Want != tree[seq] {
				t.Errorf("record %d, sealed %t: %v, want that it was altered", seq, sealed, err)
			}
		}
	}
	changed := disk.Clone()
	const name = dir + "/00000000000000000000.jsonl"
	l := bytes.SplitAfter(read(t, changed, name), []byte("\n"))
	l[5] = relink(bytes.Replace(l[5], []byte(idOf(5).String()), []byte(idOf(99).String()), 1), nil)
	put(t, changed, name, bytes.Join(l, nil))
	s := w.reader(changed, false)
	s.Hold(agreeing{tree})
	if seqs, err := s.FindID(context.Background(), idOf(5)); err != nil || !slices.Equal(seqs, []uint64{5}) {
		t.Errorf("FindID(5) = %v, %v", seqs, err)
	}
	var altered *record.TamperError
	if same, err := s.HasID(context.Background(), 5, idOf(5)); !errors.As(err, &altered) || altered.Seq != 5 {
		t.Errorf("HasID(5) = %t, %v, want that it was altered", same, err)
	}
}

// relink gives a line the hash of its content, and the hash of the line before.
func relink(line, before []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if before != nil {
		old, _ := record.ParseChainLink(line)
		now, _ := record.ParseChainLink(bytes.TrimSuffix(before, []byte("\n")))
		line = bytes.Replace(line, []byte(old.Prev.String()), []byte(now.Hash.String()), 1)
	}
	covered, _ := record.HashedBytes(line)
	sum := sha256.Sum256(covered)
	return append(bytes.Clone(covered), `,"hash":"`+hex.EncodeToString(sum[:])+"\"}\n"...)
}

// TestBesideWriter follows a writer through many batches and segments, with and
// without seals.
func TestBesideWriter(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk, dir, 8_000)
	keyed, err := segment.Open(disk, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	keyed.Authenticate(key)
	bare, err := segment.Open(disk, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		w.must(1 + i%3)
		signed := uint64(0)
		if i > 30 { // from here on the side file is cut again and again
			signed = uint64(len(w.lines))
		}
		if i > 30 && i%5 == 0 {
			truncate(t, disk, w.sides()[0], 32)
		}
		for _, s := range []*segment.Store{keyed, bare} {
			if err := s.Refresh(context.Background(), true, signed); err != nil {
				t.Fatal(err)
			}
			w.decisions(s)
		}
	}
	w.decisions(w.store)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// sides returns the names of the side files, the newest first.
func (w *writer) sides() (names []string) {
	w.t.Helper()
	infos, err := w.store.Segments()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range slices.Backward(infos) {
		names = append(names, strings.TrimSuffix(g.File, ".jsonl")+".side")
	}
	return names
}

// TestKeyHidesItself prints a key in every way.
func TestKeyHidesItself(t *testing.T) {
	k := segment.Key{0xab, 0xcd}
	text, err := k.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%x %v %+v %#v %d", k, k, k, k, k), k.String(), string(text), k.LogValue().String()} {
		if strings.Contains(s, "ab") || strings.Contains(s, "171") || !strings.Contains(s, "redacted") {
			t.Errorf("a key prints as %q", s)
		}
	}
}
