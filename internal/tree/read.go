package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// read fills buf from file i at offset. If the file ends before, it is damaged:
// callers ask only for hashes that the tree has.
func (v *view) read(i int, buf []byte, offset int64) error {
	if len(buf) == 0 {
		return nil
	}
	f := v.files[i]
	switch {
	case f == nil && v.bad[i] != nil:
		return fmt.Errorf("read %s: %w", fileName(i), v.bad[i])
	case f == nil:
		return &DamageError{File: fileName(i), Detail: "the file is missing"}
	}
	return readFull(f, fileName(i), buf, offset)
}

func readFull(f vfs.File, name string, buf []byte, offset int64) error {
	n, err := f.ReadAt(buf, offset)
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return &DamageError{File: name, Offset: offset + int64(n), Detail: "the file ends"}
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// A tileBuffer is a buffer for the bytes of a tile that are read from a file. A
// caller that reads many tiles reuses one, since it is allocated on the heap.
type tileBuffer [tileWidth * hashSize]byte

// hashes appends n hashes of level k, from the one at index on, to dst.
func (v *view) hashes(dst []tlog.Hash, k int, index uint64, n int, tb *tileBuffer) ([]tlog.Hash, error) {
	buf := tb[:n*hashSize]
	if err := v.read(firstLevel+k, buf, int64(index)*hashSize); err != nil {
		return nil, err
	}
	for i := range n {
		dst = append(dst, tlog.Hash(buf[i*hashSize:]))
	}
	return dst, nil
}

// rangeAt returns the range over the first size leaves. Of each level it reads
// the last tile, which may be a partial one, and folds what is in there. With
// an error it returns the index of the file that the error is about.
func (v *view) rangeAt(size uint64) (*tlog.Range, int, error) {
	var roots, tile []tlog.Hash
	var tb tileBuffer
	for k := numLevels - 1; k >= 0; k-- {
		n := count(k, size)
		partial := int(n % tileWidth)
		var err error
		if tile, err = v.hashes(tile[:0], k, n-uint64(partial), partial, &tb); err != nil {
			return nil, firstLevel + k, err
		}
		rest := tile
		for bit := tileWidth / 2; bit > 0; bit /= 2 {
			if partial&bit != 0 {
				roots = append(roots, tlog.RootOf(rest[:bit]))
				rest = rest[bit:]
			}
		}
	}
	rng, err := tlog.NewRange(size, roots)
	return rng, firstLevel, err
}

// Root returns the root of the tree over the first size leaves. The root of the
// whole tree is in memory.
func (t *Tree) Root(size uint64) (tlog.Hash, error) {
	v := t.now.Load()
	if size == v.rng.Size() {
		return v.rng.Root(), nil
	}
	if size > v.rng.Size() {
		return tlog.Hash{}, fmt.Errorf("root of %d leaves: %w, which has %d", size, ErrBeyond, v.rng.Size())
	}
	r, _, err := v.rangeAt(size)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of %d leaves: %w", size, err)
	}
	return r.Root(), nil
}

// HashReader returns a reader of the tree's hashes at its present size, for
// [tlog.ProveInclusion] and the like.
func (t *Tree) HashReader() tlog.HashReader { return t.now.Load() }

// ReadHashes implements [tlog.HashReader].
func (v *view) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	var stored []tlog.Hash
	var tb tileBuffer
	for i, x := range indexes {
		if x < 0 || x >= 2*tlog.MaxSize {
			return nil, fmt.Errorf("read hash %d: %w", x, ErrBeyond)
		}
		level, n := xtlog.SplitStoredHashIndex(x)
		if uint64(n) >= v.rng.Size()>>level {
			return nil, fmt.Errorf("read hash %d of level %d: %w", n, level, ErrBeyond)
		}
		k, fold := level/tileShift, level%tileShift
		var err error
		if stored, err = v.hashes(stored[:0], k, uint64(n)<<fold, 1<<fold, &tb); err != nil {
			return nil, fmt.Errorf("read hash %d of level %d: %w", n, level, err)
		}
		hashes[i] = tlog.RootOf(stored)
	}
	return hashes, nil
}

// Entry returns the entry at index i.
func (t *Tree) Entry(i uint64) ([32]byte, error) {
	var dst [1][32]byte
	err := t.ReadEntries(i, dst[:])
	return dst[0], err
}

// ReadEntries fills dst with the entries from the one at index from on.
func (t *Tree) ReadEntries(from uint64, dst [][32]byte) error {
	return t.readHashes(entriesFile, from, dst)
}

// Entries yields the first size entries.
func (t *Tree) Entries(size uint64) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		buf := make([][32]byte, min(size, 1<<12))
		for from := uint64(0); from < size; from += uint64(len(buf)) {
			part := buf[:min(uint64(len(buf)), size-from)]
			if err := t.ReadEntries(from, part); err != nil {
				yield([32]byte{}, err)
				return
			}
			for _, entry := range part {
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

// ReadLeaves fills dst with the leaf hashes from the one at index from on.
func (t *Tree) ReadLeaves(from uint64, dst [][32]byte) error {
	return t.readHashes(firstLevel, from, dst)
}

func (t *Tree) readHashes(file int, from uint64, dst [][32]byte) error {
	v := t.now.Load()
	size := v.rng.Size()
	if from > size || uint64(len(dst)) > size-from {
		return fmt.Errorf("read %d entries from %d: %w, which has %d", len(dst), from, ErrBeyond, size)
	}
	buf := make([]byte, hashSize*min(len(dst), maxBatch))
	for len(dst) > 0 {
		n := min(len(dst), maxBatch)
		if err := v.read(file, buf[:n*hashSize], int64(from)*hashSize); err != nil {
			return fmt.Errorf("read %d entries from %d: %w", n, from, err)
		}
		for i := range n {
			dst[i] = [32]byte(buf[i*hashSize:])
		}
		dst, from = dst[n:], from+uint64(n)
	}
	return nil
}

// Tile returns the first width hashes of a tile, as c2sp.org/tlog-tiles has it
// at tile/<level>/<index>, or with .p/<width> for less than 256.
func (t *Tree) Tile(level int, index uint64, width int) ([]byte, error) {
	v := t.now.Load()
	if level < 0 || level >= numLevels || !within(count(level, v.rng.Size()), index, width) {
		return nil, fmt.Errorf("tile %d of level %d, %d wide: %w", index, level, width, ErrBeyond)
	}
	return v.tile(nil, firstLevel+level, index, width, new(tileBuffer))
}

// EntryBundle returns the first width entries of a bundle, as c2sp.org/tlog-tiles
// has it at tile/entries/<index>, or with .p/<width> for less than 256.
func (t *Tree) EntryBundle(index uint64, width int) ([]byte, error) {
	v := t.now.Load()
	if !within(v.rng.Size(), index, width) {
		return nil, fmt.Errorf("entry bundle %d, %d wide: %w", index, width, ErrBeyond)
	}
	return v.tile(nil, entriesFile, index, width, new(tileBuffer))
}

// within reports whether the index'th tile of n hashes has at least width
// hashes.
func within(n, index uint64, width int) bool {
	if width < 1 || width > tileWidth || index > n/tileWidth {
		return false
	}
	return n-index*tileWidth >= uint64(width)
}

// tile appends to dst the bytes of the index'th tile of file i in tlog-tiles:
// hashes without separators, and entries each after its length as a uint16.
func (v *view) tile(dst []byte, i int, index uint64, width int, tb *tileBuffer) ([]byte, error) {
	buf := tb[:width*hashSize]
	if err := v.read(i, buf, int64(index)*tileWidth*hashSize); err != nil {
		return nil, fmt.Errorf("tile %d of %s: %w", index, fileName(i), err)
	}
	return appendTile(dst, i, buf), nil
}

// appendTile appends to dst some hashes of file i in the encoding of
// tlog-tiles.
func appendTile(dst []byte, i int, hashes []byte) []byte {
	if i != entriesFile {
		return append(dst, hashes...)
	}
	for ; len(hashes) > 0; hashes = hashes[hashSize:] {
		dst = binary.BigEndian.AppendUint16(dst, hashSize)
		dst = append(dst, hashes[:hashSize]...)
	}
	return dst
}
