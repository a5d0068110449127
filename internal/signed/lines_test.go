package signed_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"audittrail/internal/signed"
	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/record"
)

const altered = 40 // a record of the first tile

// flippedAt flips a bit of a file of hashes at each of some places.
func flippedAt(seqs ...int) func([]byte) []byte {
	return func(b []byte) []byte {
		for _, seq := range seqs {
			b[seq*len(record.Hash{})] ^= 1
		}
		return b
	}
}

// alterLines changes lines of a log, whose hashes do not fit them any longer.
func alterLines(t *testing.T, dir string, seqs ...int) {
	t.Helper()
	all := lines(t, dir)
	for _, seq := range seqs {
		all[seq] = bytes.Replace(all[seq], []byte(`"type":"prompt"`), []byte(`"type":"x.mine"`), 1)
	}
	edit(t, segmentOf(dir), func([]byte) []byte { return append(bytes.Join(all, []byte("\n")), '\n') })
}

// TestReadEntriesBeyond asks for hashes of more records than were signed.
func TestReadEntriesBeyond(t *testing.T) {
	dir, hashes := made(t)
	tr := opened(t, dir)
	for _, from := range []uint64{0, records - 1, records, records + 1} {
		dst := make([][32]byte, records+1-min(from, records))
		if err := tr.ReadEntries(t.Context(), from, dst); !errors.Is(err, tree.ErrBeyond) {
			t.Errorf("ReadEntries(%d) of %d = %v, want ErrBeyond", from, len(dst), err)
		}
	}
	var last [1][32]byte
	if err := tr.ReadEntries(t.Context(), records-1, last[:]); err != nil || last[0] != hashes[records-1] {
		t.Errorf("ReadEntries of the last = %x, %v; want %v", last[0], err, hashes[records-1])
	}
	// From the lines, it fills only the given length.
	edit(t, filepath.Join(dir, "tree", "entries"), zeros)
	var first [2][32]byte
	if err := opened(t, dir).ReadEntries(t.Context(), 0, first[:]); err != nil || first[0] != hashes[0] || first[1] != hashes[1] {
		t.Errorf("ReadEntries of the first two = %x, %v; want %v", first, err, hashes[:2])
	}
}

// TestOneFileIsRight has two lines altered, so that the first has no hash left, and
// one file of the tree damaged in the same places. The other gives what was signed,
// and if that is the one of the leaves, the hash of the record stays unknown.
func TestOneFileIsRight(t *testing.T) {
	plain, hashes := made(t)
	for file, known := range map[string]bool{"0": true, "entries": false} {
		t.Run(file, func(t *testing.T) {
			dir := copied(t, plain)
			alterLines(t, dir, altered, altered+1)
			edit(t, filepath.Join(dir, "tree", file), flippedAt(altered, altered+1))
			tr := opened(t, dir)
			if ok, _, err := tr.Proves(t.Context(), altered, hashes[altered]); !ok || err != nil {
				t.Errorf("Proves = %t, %v; want that it does", ok, err)
			}
			if ok, err := tr.Known(t.Context(), tr.Head()); !ok || err != nil {
				t.Errorf("Known = %t, %v; want that the root is found", ok, err)
			}
			var got [1][32]byte
			err := tr.ReadEntries(t.Context(), altered, got[:])
			if known && (err != nil || got[0] != hashes[altered]) {
				t.Errorf("ReadEntries = %x, %v; want %v", got[0], err, hashes[altered])
			}
			if !known && !errors.Is(err, signed.ErrRoot) {
				t.Errorf("ReadEntries = %x, %v; want ErrRoot", got[0], err)
			}
		})
	}
}

// forgeLine replaces a line of a log by a forged one, whole in itself, and
// returns its hash.
func forgeLine(t *testing.T, dir string, seq int, had record.Hash) record.Hash {
	t.Helper()
	alterLines(t, dir, seq)
	all := lines(t, dir)
	covered, ok := record.HashedBytes(all[seq])
	if !ok {
		t.Fatalf("not a record: %s", all[seq])
	}
	fake := record.HashOf(covered)
	all[seq] = bytes.Replace(all[seq], []byte(had.String()), []byte(fake.String()), 1)
	edit(t, segmentOf(dir), func([]byte) []byte { return append(bytes.Join(all, []byte("\n")), '\n') })
	return fake
}

// TestForgedLine forges a line and damages its leaf: the line does not have the
// signed hash, which is in the file of the entries.
func TestForgedLine(t *testing.T) {
	dir, hashes := made(t)
	fake := forgeLine(t, dir, altered, hashes[altered])
	edit(t, filepath.Join(dir, "tree", "0"), flippedAt(altered, altered+1))
	tr := opened(t, dir)
	if ok, want, err := tr.Agrees(t.Context(), altered, fake); ok || want != hashes[altered] || err != nil {
		t.Errorf("Agrees with the hash of the forged line = %t, %v, %v; want %v", ok, want, err, hashes[altered])
	}
	if ok, _, err := tr.Proves(t.Context(), altered, hashes[altered]); !ok || err != nil {
		t.Errorf("Proves = %t, %v; want that it does", ok, err)
	}
}

// TestForgedLineUnderDamage forges a line and damages the tree so that the
// lines do not give the signed root: one file of the tree that gives it is
// enough.
func TestForgedLineUnderDamage(t *testing.T) {
	plain, hashes := made(t)
	forgeLine(t, plain, altered, hashes[altered])
	edit(t, filepath.Join(plain, "tree", "1"), flippedAt(0))

	dir := copied(t, plain)
	edit(t, filepath.Join(dir, "tree", "entries"), flippedAt(altered))
	if ok, _, err := opened(t, dir).Check(t.Context(), altered, hashes[altered], nil); !ok || err != nil {
		t.Errorf("by the leaves, Check = %t, %v; want that it does", ok, err)
	}

	dir = copied(t, plain)
	edit(t, filepath.Join(dir, "tree", "0"), flippedAt(altered))
	tr := opened(t, dir)
	var got [1][32]byte
	if err := tr.ReadEntries(t.Context(), altered, got[:]); err != nil || got[0] != hashes[altered] {
		t.Errorf("by the entries, ReadEntries = %x, %v; want %v", got[0], err, hashes[altered])
	}
	if ok, err := tr.Known(t.Context(), tr.Head()); !ok || err != nil {
		t.Errorf("by the entries, Known = %t, %v; want that the root is found", ok, err)
	}
	all, err := tr.AllEntries(t.Context(), tr.Head())
	if err != nil {
		t.Fatalf("by the entries, AllEntries = %v", err)
	}
	seq := 0
	for entry, err := range all {
		if err != nil || entry != hashes[seq] {
			t.Fatalf("by the entries, AllEntries yields %x, %v of record %d; want %v", entry, err, seq, hashes[seq])
		}
		seq++
	}
	if seq != records {
		t.Errorf("by the entries, AllEntries yields %d, want %d", seq, records)
	}
}

// TestReadErrorBesideAlteredLine has reads of the lines fail, all from one on, or those
// of one line by itself, where a line was altered and the files of the tree give
// nothing: the answer is that of the disk, or the one that the next line gives,
// and never that the log may have been altered.
func TestReadErrorBesideAlteredLine(t *testing.T) {
	dir, hashes := made(t)
	alterLines(t, dir, altered)
	for _, file := range []string{"entries", "0", "1"} {
		edit(t, filepath.Join(dir, "tree", file), zeros)
	}
	disk := onMem(t, dir)
	proves := func(fails func(op vfs.Op) bool) error {
		tr := openedOn(t, disk, "dir")
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasPrefix(op.Name, "dir/log/") && fails(op) {
				return syscall.EIO
			}
			return nil
		})
		defer disk.Inject(nil)
		ok, _, err := tr.Proves(t.Context(), altered, hashes[altered])
		if err != nil && !errors.Is(err, syscall.EIO) || err == nil && !ok {
			t.Errorf("Proves = %t, %v; want that it does, or the error of the disk", ok, err)
		}
		return err
	}
	for n := 1; ; n++ {
		reads := 0
		err := proves(func(vfs.Op) bool { reads++; return reads >= n })
		if reads < n {
			break
		}
		if err == nil && n == 1 {
			t.Error("no read is needed")
		}
	}
	next := len(lines(t, dir)[altered+1]) + len("\n")
	if err := proves(func(op vfs.Op) bool { return op.Len <= next }); err == nil {
		t.Error("the next line is not needed")
	}
}

// onMem returns a disk with the lines and the tree of a log in the folder "dir".
func onMem(t *testing.T, dir string) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	for _, name := range []string{"log", "tree"} {
		if err := disk.MkdirAll(path.Join("dir", name), 0o700); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, name, f.Name()))
			if err == nil {
				err = vfs.WriteFile(disk, path.Join("dir", name, f.Name()), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return disk
}

// TestToldOnce answers for each record without the damaged files: the damage is
// logged once, and again when they are damaged after they were mended.
func TestToldOnce(t *testing.T) {
	dir, hashes := made(t)
	edit(t, filepath.Join(dir, "tree", "entries"), zeros)
	tr := opened(t, dir)
	var out bytes.Buffer
	tr.Logger = slog.New(slog.NewTextHandler(&out, nil))
	for want := 1; want <= 2; want++ {
		for seq, h := range hashes[:10] {
			if ok, _, err := tr.Agrees(t.Context(), uint64(seq), h); !ok || err != nil {
				t.Fatalf("Agrees(%d) = %t, %v; want that it does", seq, ok, err)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != want {
			t.Errorf("the log was told %d times, want %d:\n%s", n, want, out.String())
		}
		tr.Mended()
	}
}
