package tlog

import (
	"fmt"
	"math/bits"
)

// maxLevel is the level of the largest subtree that a tree can complete.
const maxLevel = 52

// A Range is a compact range: the roots of the complete subtrees that cover the
// first Size leaves of a tree, one for each bit that is set in Size. It
// suffices to append leaves and to compute the root after each of them. The
// zero Range is the empty tree; copying a Range takes a snapshot.
//
// See https://github.com/transparency-dev/merkle/blob/main/docs/compact_ranges.md.
type Range struct {
	size  uint64
	nodes [maxLevel + 1]Hash // nodes[l] is used only if bit l of size is set
}

// NewRange returns the range over the first size leaves. The hashes are those of
// its complete subtrees from left to right, so the largest comes first.
func NewRange(size uint64, hashes []Hash) (*Range, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("tree of %d leaves: more than %d", size, uint64(MaxSize))
	}
	if want := bits.OnesCount64(size); len(hashes) != want {
		return nil, fmt.Errorf("range over %d leaves: %d hashes given, want %d", size, len(hashes), want)
	}
	r := &Range{size: size}
	for l := maxLevel; l >= 0; l-- {
		if size>>l&1 == 1 {
			r.nodes[l], hashes = hashes[0], hashes[1:]
		}
	}
	return r, nil
}

// Size returns the number of leaves.
func (r *Range) Size() uint64 { return r.size }

// Hashes returns the roots of the complete subtrees from left to right, as
// [NewRange] takes them.
func (r *Range) Hashes() []Hash {
	hashes := make([]Hash, 0, bits.OnesCount64(r.size))
	for l := maxLevel; l >= 0; l-- {
		if r.size>>l&1 == 1 {
			hashes = append(hashes, r.nodes[l])
		}
	}
	return hashes
}

// Append adds a leaf. It calls emit, unless that is nil, for each interior node
// that the leaf completes, from the lowest (level 1) up; the node is the
// (Size>>level)-1'th of its level once Append returns.
func (r *Range) Append(leaf Hash, emit func(level int, h Hash)) {
	r.AppendSubtree(0, leaf, emit)
}

// AppendSubtree adds the 1<<level leaves of a complete subtree by its root,
// which may have been computed elsewhere and in parallel. The range's size must
// be a multiple of 1<<level. Of the nodes completed, emit sees those above level.
func (r *Range) AppendSubtree(level int, h Hash, emit func(level int, h Hash)) {
	if level < 0 || level > maxLevel || r.size&((1<<level)-1) != 0 {
		panic(fmt.Sprintf("tlog: subtree of level %d does not fit after %d leaves", level, r.size))
	}
	if r.size+(1<<level) > MaxSize {
		panic(fmt.Sprintf("tlog: tree of more than %d leaves", uint64(MaxSize)))
	}
	l := level
	for ; r.size>>l&1 == 1; l++ {
		h = NodeHash(r.nodes[l], h)
		if emit != nil {
			emit(l+1, h)
		}
	}
	r.nodes[l] = h
	r.size += 1 << level
}

// Root returns the root of the tree over the range's leaves.
func (r *Range) Root() Hash {
	if r.size == 0 {
		return emptyRoot
	}
	l := bits.TrailingZeros64(r.size)
	h := r.nodes[l]
	for l++; l <= maxLevel; l++ {
		if r.size>>l&1 == 1 {
			h = NodeHash(r.nodes[l], h)
		}
	}
	return h
}

// RootOf returns the root of the tree with exactly these leaf hashes. Over a
// run of 1<<k leaves that starts at a multiple of 1<<k it is the root of that
// subtree, for [Range.AppendSubtree] at level k: runs can be computed in
// parallel, and then be put together in order.
func RootOf(leaves []Hash) Hash {
	var r Range
	for _, h := range leaves {
		r.Append(h, nil)
	}
	return r.Root()
}
