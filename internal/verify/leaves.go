package verify

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"audittrail/internal/verify/lines"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// leaves are the leaf hashes of the tree that a head signs: they decide about
// the lines below its size.
type leaves struct {
	head    Head
	source  leafSource // with size 0 if there is none
	refuted []Head     // that sign another tree of their size
	open    []Head     // that sign more leaves than could be found
}

// A leafSource says which leaves a tree had. It is trusted only as far as its
// root is signed.
type leafSource struct {
	size uint64
	leaf func(i uint64) (tlog.Hash, error)
	file vfs.File // to be closed; may be nil
}

func (s *leafSource) close() {
	if s.file != nil {
		_ = s.file.Close() // only read from: nothing to lose
	}
}

// is reports whether a hash is that of record i.
func (l *leaves) is(i uint64, h record.Hash) (bool, error) {
	leaf, err := l.source.leaf(i)
	return err == nil && leaf == tlog.LeafHash(h), err
}

// findLeaves looks for the leaves of the largest head for which they can be
// found: in the file of the entries, in that of the leaf hashes, and, if both
// are damaged, in the hashes that each line has of itself and of the line
// before it. If no leaves are found, the size is 0.
func (l *Log) findLeaves(ctx context.Context) (*leaves, error) {
	best := &leaves{open: slices.DeleteFunc(slices.Clone(l.Heads), func(h Head) bool { return h.Size == 0 })}
	signed := l.signed()
	for _, open := range []func() leafSource{
		func() leafSource { return l.hashFile("entries", true) },
		func() leafSource { return l.hashFile("0", false) },
		func() leafSource { return l.claims(ctx, 2, 1) },
		func() leafSource { return l.claims(ctx, 1, 2) },
	} {
		if best.head.Size == signed {
			break
		}
		source := open()
		found, err := l.agree(ctx, source)
		if err != nil {
			best.source.close()
			source.close()
			return nil, err
		}
		if found.head.Size > best.head.Size {
			best, found = found, best
		}
		found.source.close()
	}
	return best, nil
}

func bySize(a, b Head) int { return cmp.Compare(a.Size, b.Size) }

// agree finds the largest head whose root a source gives.
func (l *Log) agree(ctx context.Context, source leafSource) (*leaves, error) {
	heads := slices.Clone(l.Heads)
	slices.SortStableFunc(heads, bySize)
	roots := make([]tlog.Hash, 0, len(heads))
	var rng tlog.Range
	for _, h := range heads {
		for rng.Size() < h.Size && rng.Size() < source.size {
			if rng.Size()%lines.ReadBlock == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			leaf, err := source.leaf(rng.Size())
			if err != nil {
				break // it can be trusted up to here at most
			}
			rng.Append(leaf, nil)
		}
		if rng.Size() < h.Size {
			break
		}
		roots = append(roots, rng.Root())
	}
	found := &leaves{source: source}
	best := -1
	for i, root := range roots {
		if root == heads[i].Root {
			best = i
		}
	}
	if best >= 0 {
		found.head = heads[best]
	}
	for i, h := range heads {
		switch {
		case h.Size > found.head.Size:
			found.open = append(found.open, h)
		case h.Size > 0 && roots[i] != h.Root:
			found.refuted = append(found.refuted, h)
		}
	}
	return found, nil
}

// hashFile takes the leaves from a file of the tree, if there is one that can
// be read: one of the entries, or one of the leaf hashes.
func (l *Log) hashFile(name string, entries bool) leafSource {
	f, err := l.FS.Open(filepath.Join(l.Tree, name))
	if err != nil {
		return leafSource{}
	}
	size, err := f.Size()
	if err != nil {
		size = 0
	}
	const pageHashes = 2048
	buf := make([]byte, pageHashes*tlog.HashSize)
	var page []byte // of the file, from hash first on
	var first uint64
	leaf := func(i uint64) (tlog.Hash, error) {
		if n := uint64(len(page) / tlog.HashSize); i < first || i-first >= n {
			first = i - i%pageHashes
			n, err := f.ReadAt(buf, int64(first)*tlog.HashSize)
			page = buf[:n]
			if i-first >= uint64(n/tlog.HashSize) {
				return tlog.Hash{}, fmt.Errorf("read leaf %d: %w", i, cmp.Or(err, io.ErrUnexpectedEOF))
			}
		}
		h := tlog.Hash(page[(i-first)*tlog.HashSize:][:tlog.HashSize])
		if entries {
			h = tlog.LeafHash(h)
		}
		return h, nil
	}
	return leafSource{uint64(size) / tlog.HashSize, leaf, f}
}

// minLine is smaller than any line.
const minLine = 200

// claims collects the leaves from the lines. Every record's hash is in its own
// line and in the next one, so that one of the two can be missing or altered;
// the hash with more weight counts. It takes 33 bytes of memory for each
// record.
func (l *Log) claims(ctx context.Context, own, next byte) leafSource {
	size := l.signed()
	if size > l.total(0)/minLine+1 {
		return leafSource{} // the files are too small for so many lines
	}
	hashes := make([][32]byte, size)
	weights := make([]byte, size)
	claim := func(i uint64, h [32]byte, weight byte) {
		if i < size && weights[i] < weight {
			hashes[i], weights[i] = h, weight
		}
	}
	for n := range l.Files {
		if l.Files[n].Gone != nil {
			x, err := l.openGone(&l.Files[n])
			if err != nil {
				continue // it claims nothing
			}
			_ = x.eachHash(ctx, x.First, func(seq uint64, h [32]byte) error {
				claim(seq, h, own)
				return nil
			})
			x.close()
			continue
		}
		_ = l.eachLine(ctx, n, 0, func(raw rawLine) error { // a line that cannot be read claims nothing
			t, ok := record.ParseChainLink(raw.text)
			if !ok {
				return nil
			}
			if record.VerifyHash(raw.text, &t) {
				claim(t.Seq, t.Hash, own)
				claim(t.Seq-1, t.Prev, next) // the first record has no previous one
			}
			// A line that was altered may still end as it did.
			if t.Seq < size && weights[t.Seq] == 0 {
				hashes[t.Seq] = t.Hash
			}
			return nil
		})
	}
	leaf := func(i uint64) (tlog.Hash, error) { return tlog.LeafHash(hashes[i]), nil }
	return leafSource{size: size, leaf: leaf}
}
