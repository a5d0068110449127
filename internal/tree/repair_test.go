package tree_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// flip changes one bit of a file of the tree.
func flip(t *testing.T, fsys vfs.FS, name string, offset int64) {
	t.Helper()
	f, err := fsys.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], offset)
	b[0] ^= 4
	_, err2 := f.WriteAt(b[:], offset)
	if err := errors.Join(err, err2, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A damaged hash is found by Check, and named; by the root, if the root depends
// on it directly; by a proof that needs it; and is gone after Rebuild.
func TestDamagedHash(t *testing.T) {
	const n = 700
	m := newModel(t, n)
	for _, tt := range []struct {
		file   string
		index  int64
		inRoot bool
	}{
		{"0", 0, false},
		{"0", 511, false},
		{"0", 512, true},
		{"0", 699, true},
		{"1", 0, true},
		{"1", 1, true},
	} {
		fsys := newFS(t)
		fill(t, open(t, fsys), n)
		flip(t, fsys, tt.file, tt.index*32+5)
		tr := open(t, fsys)
		root, err := tr.Root(n)
		if err != nil || (root != m.roots[n]) != tt.inRoot {
			t.Errorf("%s, hash %d damaged: Root = %v, %v", tt.file, tt.index, root, err)
		}
		var damage *tree.DamageError
		if err := checkAll(t.Context(), tr); !errors.As(err, &damage) || damage.File != tt.file || damage.Offset != tt.index*32 {
			t.Errorf("%s, hash %d damaged: Check says %v", tt.file, tt.index, err)
		}
		neighbour := uint64(tt.index) ^ 1
		if tt.file == "0" {
			p, err := tlog.ProveInclusion(n, neighbour, tr.HashReader())
			if err != nil {
				t.Fatal(err)
			}
			leaf := tlog.LeafHash(entries(int(neighbour), int(neighbour)+1)[0])
			if err := tlog.CheckInclusion(p, n, m.roots[n], neighbour, leaf); err == nil {
				t.Errorf("%s, hash %d damaged: the proof for %d holds", tt.file, tt.index, neighbour)
			}
		}
		if err := tr.Rebuild(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		checkTree(t, tr, n)
		checkTree(t, open(t, fsys), n)
	}
}

// A damaged entry disagrees with its leaf hash; computed again from it, the
// tree has another root than the signed one, and is right again once it was cut
// and appended to from the log.
func TestDamagedEntry(t *testing.T) {
	const n = 700
	fsys := newFS(t)
	fill(t, open(t, fsys), n)
	flip(t, fsys, "entries", 100*32)
	tr := open(t, fsys)
	var damage *tree.DamageError
	if err := checkAll(t.Context(), tr); !errors.As(err, &damage) || damage.File != "0" || damage.Offset != 100*32 {
		t.Errorf("Check says %v", err)
	}
	if err := tr.Rebuild(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if err := checkAll(t.Context(), tr); err != nil {
		t.Errorf("Check after Rebuild says %v", err)
	}
	if root, err := tr.Root(n); err != nil || root == newModel(t, n).roots[n] {
		t.Errorf("Root after Rebuild = %v, %v; want another than before", root, err)
	}
	if err := tr.Cut(100); err != nil {
		t.Fatal(err)
	}
	fill(t, tr, n)
	checkTree(t, tr, n)
}

// A file that is cut while it is open is damaged, which is not an I/O error.
func TestShortFile(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 700)
	resize(t, fsys, "0", 690*32)
	resize(t, fsys, "entries", 690*32)
	_, rootErr := tr.Root(695)
	_, entryErr := tr.Entry(699)
	_, tileErr := tr.Tile(0, 2, 188)
	for name, err := range map[string]error{
		"Root": rootErr, "Entry": entryErr, "Tile": tileErr, "Check": checkAll(t.Context(), tr),
	} {
		var damage *tree.DamageError
		if !errors.As(err, &damage) {
			t.Errorf("%s: error is %v, want a DamageError", name, err)
		}
	}
}

// checkAll checks a tree as large as it is.
func checkAll(ctx context.Context, tr *tree.Tree) error {
	_, err := tr.Check(ctx, tr.Size())
	return err
}

func TestReadError(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 700)
	broken := errors.New("broken disk")
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			return broken
		}
		return nil
	})
	_, rootErr := tr.Root(695)
	_, entryErr := tr.Entry(699)
	for name, err := range map[string]error{"Root": rootErr, "Entry": entryErr, "Check": checkAll(t.Context(), tr)} {
		var damage *tree.DamageError
		if !errors.Is(err, broken) || errors.As(err, &damage) {
			t.Errorf("%s: error is %v, want that of the disk", name, err)
		}
	}
	// An unreadable file counts as missing: all files are derived.
	r, err := tree.Open(fsys, dir, true)
	if err != nil || r.Size() != 0 {
		t.Fatalf("Open: %v, want an empty tree", err)
	}
	if err := r.ReadEntries(0, make([][32]byte, 1)); !errors.Is(err, tree.ErrBeyond) {
		t.Errorf("ReadEntries: error is %v, want ErrBeyond", err)
	}
	fsys.Inject(nil)
	if r.Refresh(); r.Size() != 700 {
		t.Errorf("%d leaves when the disk works again, want 700", r.Size())
	}
}

func TestCut(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	for _, n := range []int{0, 1, 255, 256, 257, 511, 512, 600} {
		fill(t, tr, 700)
		if err := tr.Cut(uint64(n)); err != nil {
			t.Fatal(err)
		}
		checkTree(t, tr, n)
		checkTree(t, open(t, fsys), n)
	}
}

// A repair that is interrupted leaves the tree as large as before, and can be
// begun again.
func TestRebuildInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys := newFS(t)
	fill(t, open(t, fsys), 700)
	resize(t, fsys, "0", 32*300)
	tr := open(t, fsys)
	if err := tr.Rebuild(ctx, 700); !errors.Is(err, context.Canceled) {
		t.Errorf("Rebuild: error is %v, want context.Canceled", err)
	}
	checkTree(t, tr, 300)
	for n := fsys.Ops(); ; n++ {
		disk := fsys.Clone()
		tr := open(t, disk)
		disk.FailAfter(n)
		err := tr.Rebuild(t.Context(), 700)
		after := disk.KillOnly()
		again := open(t, after)
		if again.Held() != 700 {
			t.Fatalf("Rebuild failed at operation %d: %d entries held", n, again.Held())
		}
		if err := again.Rebuild(t.Context(), 700); err != nil {
			t.Fatal(err)
		}
		checkTree(t, again, 700)
		if err == nil {
			return
		}
		checkTree(t, tr, 300)
	}
}
