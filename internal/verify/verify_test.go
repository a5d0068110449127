package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audittrail/finding"
	"audittrail/internal/tree"
	"audittrail/internal/verify"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// A sample is a log of artificial lines, which look like records only at their
// end.
type sample struct {
	disk  *vfs.Mem
	log   verify.Log
	lines [][]byte
	roots []tlog.Hash // by size
}

// newSample makes a log of n records, some to a file.
func newSample(t *testing.T, n, perFile int, rng *rand.Rand) *sample {
	t.Helper()
	s := &sample{disk: vfs.NewMem(), roots: []tlog.Hash{verify.EmptyRoot}}
	if err := s.disk.MkdirAll("log", 0o755); err != nil {
		t.Fatal(err)
	}
	tr, err := tree.Open(s.disk, "tree", false)
	if err != nil {
		t.Fatal(err)
	}
	var prev record.Hash
	var file []byte
	var rg tlog.Range
	for i := range n {
		line := madeUp(i, rng.IntN(300), prev)
		s.lines = append(s.lines, line)
		file = append(file, line...)
		tail, _ := record.ParseChainLink(line[:len(line)-1])
		prev = tail.Hash
		if err := tr.Append([][32]byte{prev}); err != nil {
			t.Fatal(err)
		}
		rg.Append(tlog.LeafHash(prev), nil)
		s.roots = append(s.roots, rg.Root())
		if i%perFile == perFile-1 || i == n-1 {
			name := filepath.Join("log", fmt.Sprintf("%020d.jsonl", i-i%perFile))
			if err := vfs.WriteFile(s.disk, name, file, 0o644); err != nil {
				t.Fatal(err)
			}
			file = nil
		}
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := verify.Files(s.disk, "log")
	if err != nil {
		t.Fatal(err)
	}
	s.log = verify.Log{FS: s.disk, Files: files, Tree: "tree"}
	return s
}

func madeUp(seq, pad int, prev record.Hash) []byte {
	logged := time.Unix(1e9+int64(seq), int64(seq)).UTC().Format("2006-01-02T15:04:05.000000000Z")
	covered := fmt.Appendf(nil, `{"v":1,"pad":"%s","seq":%d,"logged":%q,"prev":%q`, strings.Repeat("x", pad), seq, logged, prev)
	return fmt.Appendf(covered, `,"hash":"%x"}`+"\n", sha256.Sum256(covered))
}

func (s *sample) head(size int) verify.Head {
	return verify.Head{Size: uint64(size), Root: s.roots[size], Name: fmt.Sprintf("head %d", size)}
}

func check(t *testing.T, l *verify.Log) (verify.Result, []finding.Finding) {
	t.Helper()
	found := verify.Findings{Max: 100}
	r, err := l.Check(context.Background(), &found)
	if err != nil {
		t.Fatalf("Check() = %v", err)
	}
	return r, found.Kept()
}

// TestPieces reads logs in pieces of all lengths, on one and many goroutines,
// from anywhere.
func TestPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 50
	s := newSample(t, n, 11, rng)
	for _, part := range []int64{1, 2, 7, 100, 333, 1000, 1 << 20} {
		for _, block := range []int64{1, 3, 64, 1000, 1 << 20} {
			for _, workers := range []int{1, 4} {
				l := s.log
				l.Tune(part, block)
				l.Workers, l.From = workers, rng.Uint64N(n+1)
				l.Heads = []verify.Head{s.head(n), s.head(rng.IntN(n + 1)), s.head(rng.IntN(n + 1))}
				r, problems := check(t, &l)
				if len(problems) > 0 || r.Records != n-l.From {
					t.Errorf("part %d, block %d, from %d: %+v, problems %+v", part, block, l.From, r, problems)
				}
			}
		}
	}
}

// TestPiecesTampered changes one byte at a time, and reads in pieces.
func TestPiecesTampered(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 20
	s := newSample(t, n, 7, rng)
	offset := 0
	for seq, line := range s.lines {
		if seq%7 == 0 {
			offset = 0
		}
		for at := range line {
			disk := s.disk.Clone()
			l := s.log
			l.FS = disk
			l.Tune(1+rng.Int64N(400), 1+rng.Int64N(400))
			l.Heads = []verify.Head{s.head(n)}
			flip(t, disk, l.Files[seq/7].Path, offset+at)
			r, problems := check(t, &l)
			if len(problems) == 0 || problems[0].Seq != uint64(seq) || problems[0].Kind != finding.Modified || len(problems) > 1 {
				t.Fatalf("byte %d of record %d: %+v, problems %+v", at, seq, r, problems)
			}
			if problems[0].Offset != int64(offset) || problems[0].File != l.Files[seq/7].Name {
				t.Errorf("byte %d of record %d: %+v, want byte %d", at, seq, problems[0], offset)
			}
		}
		offset += len(line)
	}
}

func flip(t *testing.T, disk *vfs.Mem, name string, at int) {
	t.Helper()
	b, err := vfs.ReadFile(disk, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 4
	if err := vfs.WriteFile(disk, name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSignedBreak verifies a broken chain that was signed: the tree and the
// lines agree, but the lines do not form a log.
func TestSignedBreak(t *testing.T) {
	disk := vfs.NewMem()
	for _, dir := range []string{"log", "tree"} {
		if err := disk.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var prev record.Hash
	var rng tlog.Range
	var file, entries, leaves []byte
	for seq := range 9 {
		if seq == 5 {
			prev[0]++
		}
		line := madeUp(seq, 10, prev)
		file = append(file, line...)
		tail, _ := record.ParseChainLink(line[:len(line)-1])
		prev = tail.Hash
		leaf := tlog.LeafHash(prev)
		rng.Append(leaf, nil)
		entries, leaves = append(entries, prev[:]...), append(leaves, leaf[:]...)
	}
	for name, b := range map[string][]byte{"log/00000000000000000000.jsonl": file, "tree/entries": entries, "tree/0": leaves} {
		if err := vfs.WriteFile(disk, name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := verify.Files(disk, "log")
	if err != nil {
		t.Fatal(err)
	}
	l := verify.Log{FS: disk, Files: files, Tree: "tree", Heads: []verify.Head{{Size: 9, Root: rng.Root(), Name: "head"}}}
	r, problems := check(t, &l)
	if len(problems) != 1 || problems[0].Kind != finding.Rewritten || problems[0].Seq != 5 || r.Records != 9 {
		t.Errorf("%+v, problems %+v, want record 5 rewritten", r, problems)
	}
}

// TestManyAlterations finds more alterations than are kept, and checks that all
// are counted.
func TestManyAlterations(t *testing.T) {
	s := newSample(t, 300, 100, rand.New(rand.NewPCG(5, 6)))
	l := s.log
	l.Heads = []verify.Head{s.head(300)}
	disk := s.disk.Clone()
	l.FS = disk
	for i := range l.Files {
		// Every second line is taken out, and every third is changed.
		lines := slices.Clone(s.lines[100*i : 100*i+100])
		for j := range lines {
			switch {
			case j%2 == 1:
				lines[j] = nil
			case j%3 == 0:
				lines[j] = append([]byte("y"), lines[j]...)
			}
		}
		if err := vfs.WriteFile(disk, l.Files[i].Path, bytes.Join(lines, nil), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.Files, _ = verify.Files(disk, "log")
	found := verify.Findings{Max: 10}
	r, err := l.Check(context.Background(), &found)
	if err != nil {
		t.Fatal(err)
	}
	changed := uint64(3 * 17)
	if found.Kinds[finding.Missing]+found.Kinds[finding.Truncated] != 150 || found.Kinds[finding.Modified] != changed || found.Count != 150+changed {
		t.Errorf("counted %v, want 150 missing and %d modified", found.Kinds, changed)
	}
	if kept := found.Kept(); len(kept) != 10 || kept[0].Seq != 0 || r.Records != 150 {
		t.Errorf("kept %+v, %d records, want 10 and 150", kept, r.Records)
	}
}

// TestUnreadableHash fails each read of the tree's hashes once, while a record that was
// altered is looked for among more than are read at once: no other is called altered
// for that, and no segment unreadable.
func TestUnreadableHash(t *testing.T) {
	const n, altered = 2100, 1000
	s := newSample(t, n, n, rand.New(rand.NewPCG(9, 10)))
	l := s.log
	l.Heads = []verify.Head{s.head(n)}
	flip(t, s.disk, l.Files[0].Path, bytes.Index(bytes.Join(s.lines, nil), s.lines[altered])+10)
	refused := 0
	for _, name := range []string{"entries", "0"} {
		for at := int64(1); ; at++ {
			var reads atomic.Int64
			s.disk.Inject(func(op vfs.Op) error {
				if op.Kind == vfs.OpRead && op.Name == filepath.Join("tree", name) && reads.Add(1) == at {
					return syscall.EIO
				}
				return nil
			})
			found := verify.Findings{Max: 10}
			_, err := l.Check(t.Context(), &found)
			s.disk.Inject(nil)
			switch {
			case errors.Is(err, syscall.EIO):
				refused++
			case err != nil || found.Count-found.Kinds[finding.Derived] != 1 || found.Kept()[0].Seq != altered || found.Kept()[0].Kind != finding.Modified:
				t.Errorf("%s, read %d: %+v, %v, want record %d modified, or the disk's error", name, at, found.Kept(), err, altered)
			}
			if reads.Load() < at {
				break
			}
		}
	}
	if refused == 0 {
		t.Error("no read was one that a verdict needs")
	}
}

// TestAlign compares with the best of all choices.
func TestAlign(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		runs := make([]verify.Run, 1+rng.IntN(10))
		for i := range runs {
			runs[i] = verify.Run{Seq: rng.Uint64N(30), N: 1 + rng.Uint64N(5)}
		}
		var best uint64
		for choice := range 1 << len(runs) {
			if n, ok := weigh(runs, func(i int) bool { return choice>>i&1 == 1 }); ok {
				best = max(best, n)
			}
		}
		chosen := verify.Align(runs)
		got, ok := weigh(runs, func(i int) bool { return chosen[i] })
		if !ok || got != best {
			t.Fatalf("Align(%v) = %v with %d lines, in order %t; want %d", runs, chosen, got, ok, best)
		}
	}
}

// TestCut reads a run of lines again, which have changed meanwhile or cannot be
// read any more: then it stays one.
func TestCut(t *testing.T) {
	s := newSample(t, 12, 12, rand.New(rand.NewPCG(1, 2)))
	whole := []verify.Run{{Seq: 0, N: 12}}
	for name, test := range map[string]struct {
		cuts []uint64
		fail bool
		want []verify.Run
	}{
		"two":                    {cuts: []uint64{5, 9}, want: []verify.Run{{Seq: 0, N: 5}, {Seq: 5, N: 4}, {Seq: 9, N: 3}}},
		"one that is not it":     {cuts: []uint64{5, 40}, want: whole},
		"cannot be read":         {cuts: []uint64{5}, fail: true, want: whole},
		"no cut, cannot be read": {fail: true, want: whole},
	} {
		s.disk.Inject(func(op vfs.Op) error {
			if test.fail && op.Kind == vfs.OpRead {
				return syscall.EIO
			}
			return nil
		})
		if got, err := s.log.Cut(t.Context(), 0, 0, 12, test.cuts); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: Cut = %v, %v, want %v", name, got, err, test.want)
		}
	}
}

// keyError is a keyring that answers with an error.
type keyError struct{ err error }

func (k keyError) DecryptionKey(record.Subject, string) (record.PRK, error) {
	return record.PRK{}, k.err
}

// TestStateOfKeys distinguishes an absent key from an error of the keyring.
func TestStateOfKeys(t *testing.T) {
	line := fmt.Appendf(nil, `{"v":1,"class":"standard/2026-11","subject":"%032x","key":"%064x"`, 1, 2)
	for _, c := range []struct {
		err  error
		want record.State
	}{
		{nil, record.Readable},
		{&keyring.StateError{State: record.Erased}, record.Erased},
		{&keyring.StateError{State: record.Expired}, record.Expired},
		{&keyring.StateError{State: record.Lost}, record.Lost},
	} {
		if got, err := verify.StateOf(keyError{c.err}, line); got != c.want || err != nil {
			t.Errorf("%v: state %v, %v, want %v", c.err, got, err, c.want)
		}
	}
	if _, err := verify.StateOf(keyError{syscall.EIO}, line); !errors.Is(err, syscall.EIO) {
		t.Errorf("keys that cannot be read: %v, want the disk's error", err)
	}
}

// weigh counts the lines of the chosen runs, if these are in order.
func weigh(runs []verify.Run, chosen func(i int) bool) (n uint64, ok bool) {
	next := uint64(0)
	for i, r := range runs {
		if !chosen(i) {
			continue
		}
		if r.Seq < next {
			return 0, false
		}
		next = r.Seq + r.N
		n += r.N
	}
	return n, true
}

// TestFold puts trees together from runs of any place and length.
func TestFold(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	entries := make([][32]byte, 200)
	roots := []tlog.Hash{verify.EmptyRoot}
	var all tlog.Range
	for i := range entries {
		entries[i][0] = byte(i)
		all.Append(tlog.LeafHash(entries[i]), nil)
		roots = append(roots, all.Root())
	}
	for range 500 {
		cuts := []uint64{rng.Uint64N(201), rng.Uint64N(201), rng.Uint64N(201)}
		slices.Sort(cuts)
		seen := make(map[uint64]bool)
		var got tlog.Range
		for got.Size() < uint64(len(entries)) {
			from := got.Size()
			to := min(from+1+rng.Uint64N(100), uint64(len(entries)))
			verify.Fold(&got, entries, from, to, cuts, func(size uint64) {
				seen[size] = true
				if got.Root() != roots[size] {
					t.Fatalf("root of size %d is wrong, with a run from %d to %d and cuts at %d", size, from, to, cuts)
				}
			})
		}
		for _, c := range cuts {
			if c > 0 && !seen[c] {
				t.Fatalf("no root of size %d was to be had, cuts are %d", c, cuts)
			}
		}
	}
}

// TestSpans compares with sets of numbers.
func TestSpans(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	const limit = 40
	some := func() (list [][2]uint64, set [limit]bool) {
		for range rng.IntN(6) {
			x := [2]uint64{rng.Uint64N(limit), rng.Uint64N(limit)}
			list = append(list, x)
			for n := x[0]; n < x[1]; n++ {
				set[n] = true
			}
		}
		return list, set
	}
	for range 3000 {
		in, inSet := some()
		less, lessSet := some()
		from, to := rng.Uint64N(limit), rng.Uint64N(limit)
		got := verify.Covered(in, less, from, to, limit)
		for n := range uint64(limit) {
			want := inSet[n] && !lessSet[n] && from <= n && n < to
			if got[n] != want {
				t.Fatalf("%v less %v within [%d,%d): %d is in it: %t, want %t", in, less, from, to, n, got[n], want)
			}
		}
	}
}

// TestUnreadablePart has each read of the lines fail, in parts that begin within
// lines: a record that could not be read is named as such, and none as altered.
func TestUnreadablePart(t *testing.T) {
	const n = 40
	s := newSample(t, n, n, rand.New(rand.NewPCG(11, 12)))
	l := s.log
	l.Tune(700, 100)
	l.Workers = 1
	l.Heads = []verify.Head{s.head(n)}
	for at := int64(1); ; at++ {
		var reads atomic.Int64
		s.disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && op.Name == l.Files[0].Path && reads.Add(1) == at {
				return syscall.EIO
			}
			return nil
		})
		found := verify.Findings{Max: 10}
		r, err := l.Check(t.Context(), &found)
		s.disk.Inject(nil)
		if err != nil || found.Altered() {
			t.Errorf("read %d: %+v, %v", at, found.Kept(), err)
		}
		failed := reads.Load() >= at
		if whole := r.Records == n && found.Count == 0; !failed && !whole {
			t.Errorf("no read failed: %d records, %+v", r.Records, found.Kept())
		}
		if !failed {
			return
		}
	}
}
