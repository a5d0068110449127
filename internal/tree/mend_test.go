package tree_test

import (
	"errors"
	"iter"
	"slices"
	"testing"

	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// given yields the first n entries.
func given(n int) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		for _, e := range entries(0, n) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// TestMend interrupts the mending of a damaged tree at every operation, and does it
// again.
func TestMend(t *testing.T) {
	const n = 700
	root := newModel(t, n).roots[n]
	start := newFS(t)
	fill(t, open(t, start), n)
	for _, file := range []string{"entries", "0", "1"} {
		for k := 0; ; k++ {
			disk := start.Clone()
			resize(t, disk, file, 40)
			disk.FailAfter(disk.Ops() + k)
			damage, err := mend(t, disk, n, root)
			if err == nil && (len(damage) != 1 || damage[0].File != file || damage[0].Offset > 64) {
				t.Errorf("%s: Mend() = %v, want where it ends", file, damage)
			}
			after := disk.KillOnly()
			if _, err := mend(t, after, n, root); err != nil {
				t.Fatalf("%s, after operation %d: %v", file, k, err)
			}
			checkTree(t, open(t, after), n)
			if err == nil {
				break
			}
		}
	}
}

func mend(t *testing.T, disk vfs.FS, n int, root tlog.Hash) ([]*tree.DamageError, error) {
	t.Helper()
	tr, err := tree.Open(disk, dir, false)
	if err != nil {
		return nil, err
	}
	damage, err := tr.Mend(t.Context(), uint64(n), root, given(n))
	return damage, errors.Join(err, tr.Close())
}

// TestMendRefuses gives entries that are not those of the root: nothing is written.
func TestMendRefuses(t *testing.T) {
	fsys := newFS(t)
	tr := open(t, fsys)
	fill(t, tr, 300)
	ops := fsys.Ops()
	other := func(yield func([32]byte, error) bool) {
		all := slices.Clone(entries(0, 300))
		all[7][0] ^= 1
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
	root := newModel(t, 300).roots[300]
	if _, err := tr.Mend(t.Context(), 300, root, other); !errors.Is(err, tree.ErrRoot) {
		t.Errorf("Mend() = %v, want ErrRoot", err)
	}
	if _, err := tr.Mend(t.Context(), 300, root, given(299)); !errors.Is(err, tree.ErrBeyond) {
		t.Errorf("Mend() with too few = %v, want ErrBeyond", err)
	}
	if fsys.Ops() != ops {
		t.Error("a refused mending wrote")
	}
	checkTree(t, tr, 300)
}
