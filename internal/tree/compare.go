package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// A Comparison compares the files of a tree with the hashes that they should
// contain, which the caller computes. It records the first difference in each
// file.
type Comparison struct {
	files [numFiles]compared
}

// A compared is one file of a Comparison.
type compared struct {
	file   vfs.File // nil if it cannot be opened
	err    error    // why it cannot be opened
	length int64

	mu     sync.Mutex
	damage *DamageError // the first, by its place
}

// Compare opens the files of the tree in a folder. A file that is missing, or
// cannot be read, differs. The caller must close the Comparison.
func Compare(fsys vfs.FS, dir string) *Comparison {
	c := new(Comparison)
	for i := range c.files {
		f := &c.files[i]
		if f.file, f.err = fsys.Open(filepath.Join(dir, fileName(i))); f.err != nil {
			f.file = nil
		} else if f.length, f.err = f.file.Size(); f.err != nil {
			_ = f.file.Close() // only read from: nothing to lose
			f.file = nil
		}
	}
	return c
}

// Close closes the files.
func (c *Comparison) Close() {
	for i := range c.files {
		if f := c.files[i].file; f != nil {
			_ = f.Close() // only read from: nothing to lose
		}
	}
}

// Longest records the files that are longer than those of a tree of size
// leaves.
func (c *Comparison) Longest(size uint64) {
	for i := range c.files {
		if end := length(i, size); c.files[i].length > end {
			c.files[i].note(&DamageError{File: fileName(i), Offset: end, Detail: "it is longer than the log"})
		}
	}
}

// Damage returns where the files differ: the first place in each.
func (c *Comparison) Damage() []*DamageError {
	var all []*DamageError
	for i := range c.files {
		f := &c.files[i]
		f.mu.Lock()
		if f.damage != nil {
			all = append(all, f.damage)
		}
		f.mu.Unlock()
	}
	return all
}

func (f *compared) note(d *DamageError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.damage == nil || d.Offset < f.damage.Offset {
		f.damage = d
	}
}

// Pages returns a Pages for one goroutine.
func (c *Comparison) Pages() *Pages { return &Pages{of: c} }

// Pages are parts of the files of a Comparison, read by one goroutine.
type Pages struct {
	of    *Comparison
	pages [numFiles]page
}

// A page is a part of a file.
type page struct {
	first uint64 // index of the first hash in it
	buf   []byte
	data  []byte // the part of buf that was read
}

// pageHashes is the number of hashes that are read at once.
const pageHashes = 2048

// Entry compares the entry at index i, and its leaf hash.
func (p *Pages) Entry(i uint64, entry [32]byte, leaf tlog.Hash) {
	p.compare(entriesFile, i, tlog.Hash(entry))
	p.compare(firstLevel, i, leaf)
}

// Leaf compares the leaf hash at index i, and that of the entry there.
func (p *Pages) Leaf(i uint64, leaf tlog.Hash) {
	if entry, ok := p.at(entriesFile, i); ok && tlog.LeafHash(entry) != leaf {
		p.differ(entriesFile, i)
	}
	p.compare(firstLevel, i, leaf)
}

// Subtree compares the hash of the complete subtree of 1<<level leaves at the
// end of the tree over the first size leaves, if a file contains hashes of that
// level.
func (p *Pages) Subtree(level int, size uint64, h tlog.Hash) {
	if level > 0 && level%tileShift == 0 && level/tileShift < numLevels {
		p.compare(firstLevel+level/tileShift, size>>level-1, h)
	}
}

func (p *Pages) compare(i int, index uint64, want tlog.Hash) {
	if got, ok := p.at(i, index); ok && got != want {
		p.differ(i, index)
	}
}

func (p *Pages) differ(i int, index uint64) {
	p.of.files[i].note(&DamageError{
		File: fileName(i), Offset: int64(index) * hashSize,
		Detail: "the hash is not that of the records",
	})
}

// at returns a hash of file i. If it cannot be read, that is recorded as
// damage.
func (p *Pages) at(i int, index uint64) (tlog.Hash, bool) {
	x := &p.pages[i]
	if n := uint64(len(x.data) / hashSize); index < x.first || index-x.first >= n {
		if d := p.load(i, index); d != nil {
			p.of.files[i].note(d)
			return tlog.Hash{}, false
		}
	}
	return tlog.Hash(x.data[(index-x.first)*hashSize:][:hashSize]), true
}

// load reads the page from a hash on. A read that fails is tried once more,
// since the failure may be temporary.
func (p *Pages) load(i int, index uint64) *DamageError {
	f, x := &p.of.files[i], &p.pages[i]
	offset := int64(index) * hashSize
	damage := &DamageError{File: fileName(i), Offset: offset}
	x.data = nil
	switch {
	case errors.Is(f.err, fs.ErrNotExist):
		damage.Detail = "the file is missing"
		return damage
	case f.err != nil:
		damage.Detail = fmt.Sprintf("it cannot be read: %v", f.err)
		return damage
	}
	if x.buf == nil {
		x.buf = make([]byte, pageHashes*hashSize)
	}
	n, err := f.file.ReadAt(x.buf, offset)
	if n < hashSize && err != nil && !errors.Is(err, io.EOF) {
		// Read only the hash itself: the read may fail because of the bytes
		// after it.
		n, err = f.file.ReadAt(x.buf[:hashSize], offset)
	}
	if n < hashSize {
		damage.Detail = "the file ends"
		if err != nil && !errors.Is(err, io.EOF) {
			damage.Detail = fmt.Sprintf("it cannot be read: %v", err)
		}
		return damage
	}
	x.first, x.data = index, x.buf[:n]
	return nil
}
