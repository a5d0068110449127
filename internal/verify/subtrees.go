package verify

import (
	"math/bits"
	"slices"

	"audittrail/internal/tree"
	"audittrail/tlog"
)

// A node is the root of a complete subtree of 1<<level leaves.
type node struct {
	level int
	hash  tlog.Hash
}

// subtrees folds a run of leaves, which may begin anywhere in the tree, into
// the largest subtrees that lie within the run. They end at cuts, so that the
// tree's root can be computed at these sizes.
type subtrees struct {
	hash  *tlog.Hasher
	cuts  []uint64    // ascending
	files *tree.Pages // to compare with; nil if there is none
	size  uint64      // of the tree, up to and with the last leaf
	floor int         // nodes before this index are not merged
	nodes []node
}

// start begins a run with the leaf at index first.
func (t *subtrees) start(first uint64) {
	t.size = first
	for len(t.cuts) > 0 && t.cuts[0] <= first {
		t.cuts = t.cuts[1:]
	}
}

func (t *subtrees) add(entry [32]byte) {
	t.size++
	n := node{0, t.hash.Leaf(entry)}
	if t.files != nil {
		t.files.Entry(t.size-1, entry, n.hash)
	}
	// As many subtrees end here as the size has zeros at its end; subtrees that
	// began before the run are completed elsewhere.
	for range bits.TrailingZeros64(t.size) {
		last := len(t.nodes) - 1
		if last < t.floor || t.nodes[last].level != n.level {
			break
		}
		n.hash = t.hash.Node(t.nodes[last].hash, n.hash)
		n.level++
		if t.files != nil {
			t.files.Subtree(n.level, t.size, n.hash)
		}
		t.nodes = t.nodes[:last]
	}
	t.nodes = append(t.nodes, n)
	if len(t.cuts) > 0 && t.cuts[0] == t.size {
		t.floor = len(t.nodes)
		next := slices.IndexFunc(t.cuts, func(c uint64) bool { return c > t.size })
		if next < 0 {
			next = len(t.cuts)
		}
		t.cuts = t.cuts[next:]
	}
}
