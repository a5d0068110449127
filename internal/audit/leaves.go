package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// leaves are the leaf hashes of the tree that a head vouches for: what decides
// about the lines below its size.
type leaves struct {
	head    Head
	source  leafSource
	refuted []Head // that vouch for another tree of their size
	open    []Head // that vouch for more than could be found
}

// A leafSource says which leaves a tree had. It is to be believed only as far
// as its root is signed.
type leafSource interface {
	size() uint64
	leaf(i uint64) (tlog.Hash, error)
	close()
}

func (l *leaves) close() {
	if l.source != nil {
		l.source.close()
	}
}

// is tells whether a hash is that of record i.
func (l *leaves) is(i uint64, h record.Hash) (bool, error) {
	leaf, err := l.source.leaf(i)
	return err == nil && leaf == tlog.LeafHash(h), err
}

// findLeaves looks for the leaves of the largest head for which they can be
// found: in the file of the entries, in that of the leaf hashes, and, if both
// are damaged, in what the lines say of themselves and of each other. Without
// any its size is 0.
func (l *Log) findLeaves(ctx context.Context) (*leaves, error) {
	best := &leaves{open: slices.Clone(l.Heads)}
	signed := l.signed()
	for _, open := range []func() leafSource{
		func() leafSource { return l.hashFile("entries", true) },
		func() leafSource { return l.hashFile("0", false) },
		func() leafSource { return l.claims(ctx, false) },
		func() leafSource { return l.claims(ctx, true) },
	} {
		if best.head.Size == signed {
			break
		}
		source := open()
		if err := ctx.Err(); err != nil {
			best.close()
			return nil, err
		}
		if source == nil {
			continue
		}
		found, err := l.agree(ctx, source)
		if err != nil {
			best.close()
			source.close()
			return nil, err
		}
		if found.head.Size > best.head.Size {
			best.close()
			best = found
		} else {
			source.close()
		}
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
		for rng.Size() < h.Size && rng.Size() < source.size() {
			if rng.Size()%readBlock == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			leaf, err := source.leaf(rng.Size())
			if err != nil {
				break // it can be believed up to here at most
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

// A hashFile is a file of 32-byte hashes of the tree, of entries or of leaves.
type hashFile struct {
	file    vfs.File
	entries bool
	n       uint64
	page    []byte // of the file, from hash pageAt on
	pageAt  uint64
}

// hashFile opens a file of the tree, if there is one that can be read.
func (l *Log) hashFile(name string, entries bool) leafSource {
	f, err := l.FS.Open(filepath.Join(l.Tree, name))
	if err != nil {
		return nil
	}
	size, err := f.Size()
	if err != nil || size < tlog.HashSize {
		_ = f.Close() // only read from: nothing to lose
		return nil
	}
	return &hashFile{file: f, entries: entries, n: uint64(size) / tlog.HashSize}
}

func (f *hashFile) size() uint64 { return f.n }
func (f *hashFile) close()       { _ = f.file.Close() } // only read from: nothing to lose

func (f *hashFile) leaf(i uint64) (tlog.Hash, error) {
	const pageHashes = 2048
	if i < f.pageAt || i-f.pageAt >= uint64(len(f.page)/tlog.HashSize) {
		if f.page == nil {
			f.page = make([]byte, pageHashes*tlog.HashSize)
		}
		f.pageAt = i - i%pageHashes
		n, err := f.file.ReadAt(f.page[:pageHashes*tlog.HashSize], int64(f.pageAt)*tlog.HashSize)
		f.page = f.page[:n]
		if i-f.pageAt >= uint64(n/tlog.HashSize) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return tlog.Hash{}, fmt.Errorf("read leaf %d: %w", i, err)
		}
	}
	h := f.page[(i-f.pageAt)*tlog.HashSize:][:tlog.HashSize]
	if f.entries {
		return tlog.LeafHash([32]byte(h)), nil
	}
	return tlog.Hash(h), nil
}

// claimed is what the lines say the hashes of the records are. Every record's
// hash stands in its own line and in the next one's, so that one of them can be
// gone or altered, and in a whole line both say the same.
type claimed [][32]byte

func (c claimed) size() uint64 { return uint64(len(c)) }
func (c claimed) close()       {}

func (c claimed) leaf(i uint64) (tlog.Hash, error) { return tlog.LeafHash(c[i]), nil }

// minLine is less than any line has.
const minLine = 200

// claims reads the lines for what they say; of what the next line says of a
// record and what its own does, the former counts if next is true. It takes 32
// bytes of memory for each record.
func (l *Log) claims(ctx context.Context, next bool) leafSource {
	size := l.signed()
	if size > l.total(0)/minLine+1 {
		return nil // so many lines were never read
	}
	// How much each claim counts.
	const (
		broken = 1 + iota
		weak
		strong
	)
	hashes := make(claimed, size)
	weight := make([]byte, size)
	claim := func(i uint64, h [32]byte, w byte) {
		if i < size && weight[i] < w {
			hashes[i], weight[i] = h, w
		}
	}
	own, other := byte(strong), byte(weak)
	if next {
		own, other = weak, strong
	}
	for i := range l.Files {
		_ = l.eachLine(ctx, i, 0, func(raw rawLine) error { // what cannot be read claims nothing
			t, ok := record.ParseTail(raw.text)
			switch {
			case !ok:
			case !record.Intact(raw.text, &t):
				claim(t.Seq, t.Hash, broken)
			default:
				claim(t.Seq, t.Hash, own)
				if t.Seq > 0 {
					claim(t.Seq-1, t.Prev, other)
				}
			}
			return nil
		})
	}
	return hashes
}
