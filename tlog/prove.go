package tlog

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ProveInclusion returns the proof that the leaf at index is in the tree over
// the first size leaves: RFC 6962, section 2.1.1.
func ProveInclusion(size, index uint64, r HashReader) ([]Hash, error) {
	if size > MaxSize || index >= size {
		return nil, fmt.Errorf("prove inclusion of leaf %d: the tree has %d leaves", index, size)
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), r)
	if err != nil {
		return nil, fmt.Errorf("prove inclusion of leaf %d in a tree of %d: %w", index, size, err)
	}
	return p, nil
}

// CheckInclusion checks that p proves the leaf hash at index to be in the tree
// of that size and root.
func CheckInclusion(p []Hash, size uint64, root Hash, index uint64, leaf Hash) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("%w: leaf %d is not in a tree of %d", ErrProof, index, size)
	}
	if tlog.CheckRecord(p, int64(size), root, int64(index), leaf) != nil {
		return fmt.Errorf("%w: leaf %d differs from the one in the tree of %d", ErrProof, index, size)
	}
	return nil
}

// ProveConsistency returns the proof that the tree over the first size leaves
// begins with the tree over the first old: RFC 6962, section 2.1.2. The empty
// tree needs no proof.
func ProveConsistency(size, old uint64, r HashReader) ([]Hash, error) {
	if size > MaxSize || old > size {
		return nil, fmt.Errorf("prove consistency with %d leaves: the tree has %d leaves", old, size)
	}
	if old == 0 {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(size), int64(old), r)
	if err != nil {
		return nil, fmt.Errorf("prove consistency of a tree of %d leaves with one of %d: %w", size, old, err)
	}
	return p, nil
}

// CheckConsistency checks that p proves the tree of that size and root to begin with
// the tree of size old and root oldRoot.
func CheckConsistency(p []Hash, size uint64, root Hash, old uint64, oldRoot Hash) error {
	if size > MaxSize || old > size {
		return fmt.Errorf("%w: a tree of %d does not begin with one of %d", ErrProof, size, old)
	}
	if old == 0 {
		if len(p) != 0 || oldRoot != emptyRoot || size == 0 && root != emptyRoot {
			return fmt.Errorf("%w: the old root is not that of the empty tree", ErrProof)
		}
		return nil
	}
	if tlog.CheckTree(p, int64(size), root, int64(old), oldRoot) != nil {
		return fmt.Errorf("%w: the tree of %d does not begin with that of %d", ErrProof, size, old)
	}
	return nil
}
