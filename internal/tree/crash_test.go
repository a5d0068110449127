package tree_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// run grows a tree with a checkpoint now and then, until something fails. It
// returns the size of the last checkpoint that was acknowledged.
func run(t *testing.T, fsys vfs.FS) (acked int, err error) {
	t.Helper()
	tr, err := tree.Open(fsys, dir, false)
	if err != nil {
		return 0, err
	}
	defer closeTree(t, tr)
	for i, to := range []int{0, 1, 200, 255, 256, 300, 520, 521, 700} {
		if err := tr.Append(entries(int(tr.Size()), to)); err != nil {
			return acked, err
		}
		if i%2 == 1 {
			continue
		}
		if err := tr.SetCheckpoint(sign(t, to)); err != nil {
			return acked, err
		}
		acked = to
	}
	return acked, nil
}

// recoverTree brings a tree up to 700 entries as a log does that opens after a crash.
func recoverTree(t *testing.T, fsys vfs.FS, acked int) {
	t.Helper()
	tr := open(t, fsys)
	var c tlog.Checkpoint
	signed, err := tr.Checkpoint()
	switch {
	case err == nil:
		if c, err = tlog.ReadCheckpoint(signed); err != nil {
			t.Fatal(err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		t.Fatal(err)
	}
	if int(c.Size) < acked || tr.Size() < c.Size {
		t.Fatalf("checkpoint of size %d in a tree of %d; %d was acknowledged", c.Size, tr.Size(), acked)
	}
	if root, err := tr.Root(c.Size); err != nil || c.Size > 0 && root != c.Root {
		t.Fatalf("Root(%d) = %v, %v; the checkpoint says %v", c.Size, root, err, c.Root)
	}
	if err := tr.Cut(c.Size); err != nil {
		t.Fatal(err)
	}
	checkTree(t, tr, int(c.Size))
	fill(t, tr, 700)
	if err := tr.SetCheckpoint(sign(t, 700)); err != nil {
		t.Fatal(err)
	}
	checkTree(t, tr, 700)
	checkTree(t, open(t, fsys), 700)
}

func TestCrash(t *testing.T) {
	for n := 0; ; n++ {
		disk := newFS(t)
		if err := disk.SyncDir("."); err != nil {
			t.Fatal(err)
		}
		disk.FailAfter(disk.Ops() + n)
		acked, err := run(t, disk)
		if err != nil && !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("crash at operation %d: %v", n, err)
		}
		recoverTree(t, disk.KillOnly(), acked)
		for seed := range uint64(4) {
			recoverTree(t, disk.Crash(rand.New(rand.NewPCG(seed, uint64(n)))), acked)
		}
		if err == nil {
			return
		}
	}
}

// resize sets the length of a file of the tree, in bytes.
func resize(t *testing.T, fsys vfs.FS, name string, size int64) {
	t.Helper()
	f, err := fsys.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// For all lengths of the files, the tree has the size that all agree on, is the
// right tree at that size, and becomes whole by either way of repair.
func TestLengths(t *testing.T) {
	const n = 1100
	full := newFS(t)
	fill(t, open(t, full), n)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 80 {
		fsys := full.Clone()
		entriesLen, leavesLen, nodesLen := rng.Int64N(32*n+1), rng.Int64N(32*n+1), rng.Int64N(32*4+1)
		if rng.IntN(2) == 0 {
			entriesLen = 32 * n
		}
		resize(t, fsys, "entries", entriesLen)
		resize(t, fsys, "0", leavesLen)
		resize(t, fsys, "1", nodesLen)
		want := int(min(entriesLen/32, leavesLen/32))
		for int64(want/256) > nodesLen/32 {
			want--
		}
		tr := open(t, fsys)
		checkTree(t, tr, want)
		held := int(entriesLen / 32)
		if got := tr.Held(); got != uint64(held) {
			t.Fatalf("Held is %d, want %d", got, held)
		}
		other := fsys.Clone()
		if err := tr.Rebuild(t.Context(), uint64(held)); err != nil {
			t.Fatal(err)
		}
		checkTree(t, tr, held)
		again := open(t, other)
		for _, tr := range []*tree.Tree{tr, again} {
			fill(t, tr, n)
			checkTree(t, tr, n)
		}
		checkTree(t, open(t, fsys), n)
		checkTree(t, open(t, other), n)
	}
}

// Bytes past the tree's size are never taken for a part of it later.
func TestGarbagePastTheEnd(t *testing.T) {
	for _, name := range []string{"entries", "0", "1"} {
		fsys := newFS(t)
		fill(t, open(t, fsys), 300)
		resize(t, fsys, name, 32*1000+7)
		tr := open(t, fsys)
		checkTree(t, tr, 300)
		if err := tr.Append(entries(300, 301)); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]int64{"entries": 301 * 32, "0": 301 * 32, "1": 32} {
			info, err := fsys.Stat(filepath.Join(dir, file))
			if err != nil || info.Size() != want {
				t.Errorf("%s too long: %s has %v bytes, %v; want %d", name, file, info.Size(), err, want)
			}
		}
		checkTree(t, tr, 301)
	}
}

// A missing file that can be computed from the others loses nothing.
func TestMissingFiles(t *testing.T) {
	for _, name := range []string{"0", "1", "2"} {
		fsys := newFS(t)
		fill(t, open(t, fsys), 65800)
		if err := fsys.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		tr := open(t, fsys)
		if tr.Size() >= 65800 || tr.Held() != 65800 {
			t.Errorf("without %s: size is %d, held %d", name, tr.Size(), tr.Held())
		}
		if err := tr.Rebuild(t.Context(), 65800); err != nil {
			t.Fatal(err)
		}
		checkTree(t, tr, 65800)
		checkTree(t, open(t, fsys), 65800)
	}
}

// After any sequence of operations, Sync alone makes the tree durable, and
// SetCheckpoint the part that the checkpoint covers.
func TestDurable(t *testing.T) {
	grow := func(tr *tree.Tree, n int) error { return tr.Append(entries(int(tr.Size()), n)) }
	for name, step := range map[string]func(fsys vfs.FS, tr *tree.Tree) error{
		"append and sync": func(_ vfs.FS, tr *tree.Tree) error {
			return errors.Join(grow(tr, 600), tr.Sync())
		},
		"append by a process that was killed": func(fsys vfs.FS, tr *tree.Tree) error {
			return errors.Join(grow(tr, 600), open(t, fsys).SetCheckpoint(sign(t, 600)))
		},
		"sync, cut and append": func(_ vfs.FS, tr *tree.Tree) error {
			return errors.Join(grow(tr, 700), tr.Sync(), tr.Cut(200), grow(tr, 600), tr.SetCheckpoint(sign(t, 600)))
		},
		"sync and rebuild": func(fsys vfs.FS, tr *tree.Tree) error {
			err := errors.Join(grow(tr, 600), tr.Sync())
			flip(t, fsys, "0", 7)
			return errors.Join(err, tr.Rebuild(t.Context(), 600), tr.SetCheckpoint(sign(t, 600)))
		},
	} {
		disk := newFS(t)
		if err := disk.SyncDir("."); err != nil {
			t.Fatal(err)
		}
		if err := step(disk, open(t, disk)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for seed := range uint64(20) {
			after := open(t, disk.Crash(rand.New(rand.NewPCG(seed, 5))))
			root, err := after.Root(600)
			if err != nil || root != newModel(t, 600).roots[600] || checkAll(t.Context(), after) != nil {
				t.Fatalf("%s, then a crash: size is %d, root %v, %v", name, after.Size(), root, err)
			}
		}
	}
}

// The bytes of a failed append are removed after a smaller one succeeded.
func TestSmallerAppendAfterFailure(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 300)
	writes := 0
	fsys.Inject(func(op vfs.Op) error {
		if op.Kind != vfs.OpWrite {
			return nil
		}
		if writes++; writes < 3 {
			return nil
		}
		return errors.New("broken disk")
	})
	if err := tr.Append(entries(300, 900)); err == nil {
		t.Fatal("Append: no error")
	}
	fsys.Inject(nil)
	if err := tr.Append(entries(300, 310)); err != nil {
		t.Fatal(err)
	}
	checkTree(t, tr, 310)
	again := open(t, fsys)
	checkTree(t, again, 310)
	if again.Held() != 310 {
		t.Errorf("Held is %d, want 310", again.Held())
	}
}
