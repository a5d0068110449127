package vfs

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sector is the number of bytes that a disk writes atomically: no disk promises
// more.
const sector = 512

// Clone returns a copy of the file system, including which data is synced and
// which is not. Locks, open files, faults and the count of operations are not
// copied.
func (m *Mem) Clone() *Mem {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := cloner{nodes: make(map[*node]*node), ops: make(map[*entryOp]*entryOp)}
	to := NewMem()
	to.capacity = m.capacity
	to.root = c.node(m.root)
	return to
}

// KillOnly returns the file system as the next process finds it after this one
// was killed: all written data is there. Unsynced data remains unsynced, so a
// later power loss may lose it.
func (m *Mem) KillOnly() *Mem {
	return m.Clone()
}

// A cloner copies nodes, each of them once, so that references to the same node
// stay references to the same copy.
type cloner struct {
	nodes map[*node]*node
	ops   map[*entryOp]*entryOp
}

func (c *cloner) node(n *node) *node {
	if n == nil {
		return nil
	}
	if to := c.nodes[n]; to != nil {
		return to
	}
	to := &node{
		mode:    n.mode,
		modTime: n.modTime,
		data:    slices.Clone(n.data),
		synced:  slices.Clone(n.synced),
		fileOps: slices.Clone(n.fileOps), // the bytes of a write never change
	}
	c.nodes[n] = to
	to.entries = c.entries(n.entries)
	to.syncedEntries = c.entries(n.syncedEntries)
	for _, op := range n.entryOps {
		to.entryOps = append(to.entryOps, c.op(op))
	}
	return to
}

func (c *cloner) entries(entries map[string]*node) map[string]*node {
	if entries == nil {
		return nil
	}
	to := make(map[string]*node, len(entries))
	for name, n := range entries {
		to[name] = c.node(n)
	}
	return to
}

func (c *cloner) op(op *entryOp) *entryOp {
	to := c.ops[op]
	if to == nil {
		to = &entryOp{removed: op.removed, added: op.added}
		c.ops[op] = to
		to.from, to.to = c.node(op.from), c.node(op.to)
		to.n, to.gone = c.node(op.n), c.node(op.gone)
	}
	return to
}

// Crash returns the file system as the disk shows it after a power loss now:
//
//   - What was synced is there.
//   - Each write that was not is lost, there, or torn: cut at any byte, or with
//     some of its sectors written and others zero or as before.
//   - The size of a file that was not synced is one that it had since, or one
//     on the way there. Bytes that no write reached are zero.
//   - Of the changes of names in a folder that were not synced, all up to some
//     point are there. A rename happened or did not, under both names alike.
//
// The same state and random numbers give the same result. Without random
// numbers (rng is nil), all unsynced data is lost. The file system itself
// continues as if nothing had happened, and may crash again with another
// result.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	disk := m.Clone()
	c := crasher{rng: rng, kept: make(map[*node]int)}
	c.visit(disk.root)
	c.settle()
	for _, n := range c.order {
		if n.isDir() {
			n.crashEntries(c.kept[n])
		} else {
			n.crashData(rng)
		}
	}
	return disk
}

// A crasher decides which unsynced changes of names survive.
type crasher struct {
	rng   *rand.Rand
	order []*node       // all nodes that may be on the disk
	kept  map[*node]int // how many of the changes of a folder survive; all of order are in here
}

// visit collects n and the nodes that are or may be below it. Each node in turn
// takes numbers of rng, so the order must be the same each time.
func (c *crasher) visit(n *node) {
	if _, ok := c.kept[n]; ok {
		return
	}
	c.order = append(c.order, n)
	c.kept[n] = some(c.rng, len(n.entryOps))
	for _, name := range slices.Sorted(maps.Keys(n.syncedEntries)) {
		c.visit(n.syncedEntries[name])
	}
	for _, op := range n.entryOps {
		if op.to == n {
			c.visit(op.n)
		}
	}
}

// settle undoes changes that survived in one of their folders, but not in the
// other, and removals of folders from which not everything was moved before.
func (c *crasher) settle() {
	for again := true; again; {
		again = false
		for _, n := range c.order {
			for i, op := range n.entryOps[:c.kept[n]] {
				if !c.keptEverywhere(op) {
					c.kept[n], again = i, true
					break
				}
			}
		}
	}
}

func (c *crasher) keptEverywhere(op *entryOp) bool {
	for _, dir := range op.folders() {
		// A folder that does not list the change has committed it.
		if slices.Index(dir.entryOps, op) >= c.kept[dir] {
			return false
		}
	}
	return op.gone == nil || c.kept[op.gone] == len(op.gone.entryOps)
}

// some returns how many of n ordered changes survive: often none or all, since
// most mistakes show in these states.
func some(rng *rand.Rand, n int) int {
	if rng == nil || n == 0 {
		return 0
	}
	switch rng.IntN(4) {
	case 0:
		return 0
	case 1:
		return n
	default:
		return rng.IntN(n + 1)
	}
}

// crashEntries leaves a folder with its synced names and the first kept changes.
func (n *node) crashEntries(kept int) {
	n.entryOps = n.entryOps[:kept]
	for _, op := range n.entryOps {
		op.apply(n, n.syncedEntries)
	}
	n.entryOps = nil
	n.entries = maps.Clone(n.syncedEntries)
}

// crashData leaves a file with its synced bytes and some of the unsynced ones.
func (n *node) crashData(rng *rand.Rand) {
	// The size is metadata, which is written in order: it and the truncations
	// are as after the first kept operations, and perhaps some of the next.
	kept := some(rng, len(n.fileOps))
	size, longest := int64(len(n.synced)), int64(len(n.synced))
	final := size
	for i := range n.fileOps {
		next := n.fileOps[i].sizeAfter(size)
		if i == kept && n.fileOps[i].data != nil && next > size && rng != nil {
			final = size + rng.Int64N(next-size+1)
		} else if i < kept {
			final = next
		}
		size, longest = next, max(longest, next)
	}
	all := 2 // writes: 0 none, 1 all, else each by itself
	if rng == nil {
		all = 0
	} else if len(n.fileOps) > 0 {
		all = rng.IntN(4)
	}
	disk := resize(n.synced, longest)
	for i, op := range n.fileOps {
		switch {
		case op.data == nil && i < kept:
			clear(disk[op.off:])
		case op.data == nil || op.lost || all == 0:
		case all == 1:
			copy(disk[op.off:], op.data)
		default:
			tear(rng, disk[op.off:op.off+int64(len(op.data))], op.data, op.off)
		}
	}
	n.synced = disk[:final]
	n.data = slices.Clone(n.synced)
	n.fileOps = nil
}

// tear lets a write to an offset of the file reach the disk, or not, or in part.
func tear(rng *rand.Rand, disk, data []byte, off int64) {
	switch rng.IntN(4) {
	case 0: // lost
		return
	case 1: // there
		copy(disk, data)
		return
	case 2: // cut
		data = data[:rng.IntN(len(data)+1)]
	}
	scattered := rng.IntN(2) == 0
	for len(data) > 0 {
		// The sectors are those of the file, not of the write.
		n := min(sector-int(off%sector), len(data))
		switch {
		case !scattered:
			copy(disk, data[:n])
		default:
			switch rng.IntN(3) {
			case 0:
				copy(disk, data[:n])
			case 1:
				clear(disk[:n])
			}
		}
		disk, data, off = disk[n:], data[n:], off+int64(n)
	}
}
