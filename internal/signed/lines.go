package signed

import (
	"context"
	"errors"
	"fmt"
	"iter"

	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/segment"
	"audittrail/internal/tree"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

const (
	tileShift = 8
	tileWidth = 1 << tileShift // leaves
	numLevels = 7

	// maxBroken bounds the time for a log that is altered in many places: to
	// find the line after an altered one, the whole segment may have to be
	// read.
	maxBroken = 1000
)

// A leafHash is a candidate for a leaf and its entry.
type leafHash struct {
	leaf  tlog.Hash
	entry record.Hash
	known bool
}

// fromLines is the tree over a log's records that is computed from its lines,
// and, for altered lines, from other sources of their hashes. It keeps the
// hashes of complete subtrees of 256 leaves and more in memory: an eighth of a
// byte for each record.
type fromLines struct {
	tree   *Tree
	head   Head
	levels [numLevels][]tlog.Hash // levels from 1 on
	tail   []leafHash             // of the last tile, if it is not complete
	index  uint64                 // index of tile
	tile   []leafHash             // the tile that was read last
}

// fromLines returns the tree for a head, and caches it.
func (t *Tree) fromLines(ctx context.Context, head Head) (*fromLines, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines != nil && t.lines.head == head {
		return t.lines, nil
	}
	if t.failed != nil && *t.failed == head {
		return nil, ErrRoot
	}
	t.lines = nil
	if t.Store.Size() < head.Size {
		// Signed records are durable, and count.
		found, err := t.Store.Look(ctx, true, head.Size)
		if err != nil {
			return nil, err
		}
		t.Store.Show(min(found, head.Size))
	}
	for _, mixed := range []bool{false, true} {
		f := &fromLines{tree: t, head: head}
		ok, err := f.build(ctx, mixed)
		if err != nil {
			return nil, err
		}
		if ok {
			t.lines = f
			return f, nil
		}
	}
	t.failed = &head
	return nil, ErrRoot
}

// anyLines is fromLines for a head, or for an older one that covers a record,
// if one is available.
func (t *Tree) anyLines(ctx context.Context, head Head, seq uint64) (*fromLines, error) {
	t.mu.Lock()
	lines := t.lines
	t.mu.Unlock()
	if lines != nil && lines.head.Size > seq {
		return lines, nil
	}
	return t.fromLines(ctx, head)
}

// build reads all records, and reports whether they give the signed root. If
// mixed is true, it takes hashes that the lines do not give from the tree's
// files.
func (f *fromLines) build(ctx context.Context, mixed bool) (bool, error) {
	var rng tlog.Range
	var tile []leafHash
	flush := func() {
		if mixed {
			f.choose(rng.Size()/tileWidth, tile, nil)
		}
		for _, l := range tile {
			rng.Append(l.leaf, func(level int, h tlog.Hash) {
				if level%tileShift == 0 && level/tileShift < numLevels {
					f.levels[level/tileShift] = append(f.levels[level/tileShift], h)
				}
			})
		}
	}
	for l, err := range f.tree.hashes(ctx, 0, f.head.Size) {
		if errors.Is(err, ErrRoot) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !l.known && !mixed {
			return false, nil
		}
		if tile = append(tile, l); len(tile) == tileWidth {
			flush()
			tile = tile[:0]
		}
	}
	flush()
	f.tail = tile
	return rng.Size() == f.head.Size && rng.Root() == f.head.Root, nil
}

// choose replaces leaves of a tile by those of the tree's files where these are
// more likely: all leaves, if they give the hash above them, which is either
// given or in a file; or the leaves on which both files agree.
func (f *fromLines) choose(index uint64, tile []leafHash, above *tlog.Hash) bool {
	files := f.tree.Files
	if above == nil && len(tile) == tileWidth {
		if b, err := files.Tile(1, index, 1); err == nil {
			h := tlog.Hash(b)
			above = &h
		}
	}
	if above != nil && rootOf(tile) == *above {
		return true
	}
	entries := f.fileLeaves(index, len(tile), func(from uint64, dst [][32]byte) error { return files.ReadEntries(from, dst) }, true)
	leaves := f.fileLeaves(index, len(tile), files.ReadLeaves, false)
	for i := range tile {
		if !tile[i].known && entries[i].known {
			tile[i] = entries[i]
		}
	}
	if above != nil {
		for _, other := range [][]leafHash{tile, entries, leaves} {
			if rootOf(other) == *above {
				copy(tile, other)
				return true
			}
		}
	}
	for i := range tile {
		if entries[i].known && leaves[i].known && entries[i].leaf == leaves[i].leaf {
			tile[i] = entries[i]
		}
	}
	return above != nil && rootOf(tile) == *above
}

func rootOf(tile []leafHash) tlog.Hash {
	leaves := make([]tlog.Hash, len(tile))
	for i, l := range tile {
		leaves[i] = l.leaf
	}
	return tlog.RootOf(leaves)
}

// fileLeaves returns the leaves of a tile in a file of the tree.
func (f *fromLines) fileLeaves(index uint64, n int, read func(uint64, [][32]byte) error, entries bool) []leafHash {
	out := make([]leafHash, n)
	got := make([][32]byte, n)
	if read(index*tileWidth, got) != nil {
		return out // the file has none of them
	}
	for i, h := range got {
		out[i] = leafHash{leaf: tlog.Hash(h), known: true}
		if entries {
			out[i] = leafHash{leaf: tlog.LeafHash(h), entry: record.Hash(h), known: true}
		}
	}
	return out
}

// tileAt returns the leaves of a tile.
func (f *fromLines) tileAt(ctx context.Context, index uint64) ([]leafHash, error) {
	if index == f.head.Size/tileWidth {
		return f.tail, nil
	}
	f.tree.mu.Lock()
	defer f.tree.mu.Unlock()
	if f.tile != nil && f.index == index {
		return f.tile, nil
	}
	tile := make([]leafHash, 0, tileWidth)
	for l, err := range f.tree.hashes(ctx, index*tileWidth, (index+1)*tileWidth) {
		if err != nil {
			return nil, err
		}
		tile = append(tile, l)
	}
	if !f.choose(index, tile, &f.levels[1][index]) {
		return nil, fmt.Errorf("read the leaves from %d on: %w", index*tileWidth, ErrRoot)
	}
	f.index, f.tile = index, tile
	return tile, nil
}

// leaf returns the leaf hash of a record, and the record's hash if it is known.
func (f *fromLines) leaf(ctx context.Context, seq uint64) (tlog.Hash, record.Hash, error) {
	tile, err := f.tileAt(ctx, seq/tileWidth)
	if err != nil {
		return tlog.Hash{}, record.Hash{}, err
	}
	l := tile[seq%tileWidth]
	return l.leaf, l.entry, nil
}

// reader returns a reader of the tree's hashes.
func (f *fromLines) reader(ctx context.Context) tlog.HashReader { return &linesReader{ctx, f} }

type linesReader struct {
	ctx context.Context
	*fromLines
}

// ReadHashes implements [tlog.HashReader].
func (r *linesReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, n := xtlog.SplitStoredHashIndex(x)
		if uint64(n) >= r.head.Size>>level {
			return nil, fmt.Errorf("read hash %d of level %d: %w", n, level, tree.ErrBeyond)
		}
		k, fold := level/tileShift, level%tileShift
		first := uint64(n) << fold
		if k > 0 {
			hashes[i] = tlog.RootOf(r.levels[k][first : first+1<<fold])
			continue
		}
		tile, err := r.tileAt(r.ctx, first/tileWidth)
		if err != nil {
			return nil, err
		}
		hashes[i] = rootOf(tile[first%tileWidth:][:1<<fold])
	}
	return hashes, nil
}

// Known reports whether the signed hashes of the records up to a head are
// known, from the tree's files or from the lines.
func (t *Tree) Known(ctx context.Context, head Head) (bool, error) {
	if good, err := t.goodEntries(ctx, head.Size); err != nil || good {
		return good, err
	}
	switch _, err := t.fromLines(ctx, head); {
	case errors.Is(err, ErrRoot):
		return false, nil
	case err != nil:
		return false, err
	}
	t.tell()
	return true, nil
}

// ReadEntries fills dst with the signed hashes of records from one on.
func (t *Tree) ReadEntries(ctx context.Context, from uint64, dst [][32]byte) error {
	good, err := t.goodEntries(ctx, from+uint64(len(dst)))
	if err == nil && good && t.Files.ReadEntries(from, dst) == nil {
		return nil
	}
	if err != nil {
		return err
	}
	n := 0
	for entry, err := range t.Entries(ctx, t.Head(), from) {
		if err != nil {
			return err
		}
		if n == len(dst) {
			return nil
		}
		dst[n] = entry
		n++
	}
	if n < len(dst) {
		return fmt.Errorf("read the hash of record %d: %w", from+uint64(n), tree.ErrBeyond)
	}
	return nil
}

// goodEntries reports whether the file of the entries gives a signed root of at
// least size records.
func (t *Tree) goodEntries(ctx context.Context, size uint64) (bool, error) {
	head := t.Head()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries >= size {
		return true, nil
	}
	if t.bad == head {
		return false, nil
	}
	if t.Files.Size() < head.Size {
		t.Files.Refresh()
	}
	root, err := t.Files.RootOfEntries(ctx, head.Size)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil || root != head.Root {
		t.bad = head
		return false, nil
	}
	t.entries = head.Size
	return t.entries >= size, nil
}

// AllEntries returns the signed hashes of the records up to a head.
func (t *Tree) AllEntries(ctx context.Context, head Head) (iter.Seq2[[32]byte, error], error) {
	if t.Files.Size() < head.Size {
		t.Files.Refresh()
	}
	root, err := t.Files.RootOfEntries(ctx, head.Size)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil && root == head.Root {
		return t.Files.Entries(head.Size), nil
	}
	t.tell()
	if _, err := t.fromLines(ctx, head); err != nil {
		return nil, err
	}
	return t.Entries(ctx, head, 0), nil
}

// Entries yields the signed hashes of the records from one on up to a head,
// from the lines.
func (t *Tree) Entries(ctx context.Context, head Head, from uint64) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		f, err := t.fromLines(ctx, head)
		for seq := from; seq < head.Size && err == nil; seq++ {
			var tile []leafHash
			if tile, err = f.tileAt(ctx, seq/tileWidth); err != nil {
				break
			}
			entry := tile[seq%tileWidth].entry
			if entry == (record.Hash{}) {
				err = fmt.Errorf("the hash of record %d: %w", seq, ErrRoot)
				break
			}
			if !yield(entry, nil) {
				return
			}
		}
		if err != nil {
			yield([32]byte{}, err)
		}
	}
}

// hashes yields the hashes of some records from their lines and from
// tombstones; for an altered line, the hash in the next line. An error of the
// file system ends it.
func (t *Tree) hashes(ctx context.Context, from, to uint64) iter.Seq2[leafHash, error] {
	return func(yield func(leafHash, error) bool) {
		from := from // the sequence can be iterated again
		for broken := 0; from < to; broken++ {
			if broken > maxBroken {
				yield(leafHash{}, ErrRoot)
				return
			}
			var failed error
			for h, err := range t.Store.Hashes(ctx, from, to) {
				if failed = err; err != nil {
					break
				}
				if !yield(leafHash{tlog.LeafHash(h), h, true}, nil) {
					return
				}
				from++
			}
			if failed == nil {
				return
			}
			if !segment.Altered(failed) {
				yield(leafHash{}, failed)
				return
			}
			own, next, err := t.claims(from)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(leafHash{}, err)
				return
			}
			if own.known {
				next = own
			}
			if !yield(next, nil) {
				return
			}
			from++
		}
	}
}

// claims returns the hash of a record according to its own line, and to the
// next one.
func (t *Tree) claims(seq uint64) (own, next leafHash, err error) {
	for i, out := range []*leafHash{&own, &next} {
		line, err := t.Store.Peek(seq + uint64(i))
		if err != nil {
			if !segment.Altered(err) {
				return own, next, err
			}
			continue
		}
		tail, _ := record.ParseChainLink(line) // Peek has checked it
		if !record.VerifyHash(line, &tail) {
			continue
		}
		h := tail.Hash
		if i == 1 {
			h = tail.Prev
		}
		*out = leafHash{tlog.LeafHash(h), h, true}
	}
	return own, next, nil
}

// Damage returns the places at which the files of the tree, in a folder,
// disagree with the signed records. Unless live is true, a file that is longer
// than the log is damaged.
func (t *Tree) Damage(ctx context.Context, fsys vfs.FS, dir string, live bool) ([]*tree.DamageError, error) {
	head := t.Head()
	files := tree.Compare(fsys, dir)
	defer files.Close()
	if !live {
		files.Longest(max(head.Size, t.Store.Size()))
	}
	if t.Files.Size() < head.Size {
		t.Files.Refresh()
	}
	root, err := t.Files.Check(ctx, head.Size)
	if err == nil && root == head.Root || ctx.Err() != nil {
		return files.Damage(), ctx.Err()
	}
	pages := files.Pages()
	var rng tlog.Range
	for entry, err := range t.Entries(ctx, head, 0) {
		if err != nil {
			return files.Damage(), err
		}
		leaf := tlog.LeafHash(entry)
		pages.Entry(rng.Size(), entry, leaf)
		size := rng.Size() + 1
		rng.Append(leaf, func(level int, h tlog.Hash) { pages.Subtree(level, size, h) })
	}
	return files.Damage(), nil
}
