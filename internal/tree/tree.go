// Package tree keeps the Merkle tree of a log in flat files of 32-byte hashes:
//
//	entries     entry i at byte 32*i
//	0           the hash of leaf i at byte 32*i
//	1, 2, ...   level k: the hash of the i'th complete subtree of 256^k leaves
//	            at byte 32*i
//	checkpoint  the newest signed checkpoint
//	signers     the signed notes by which keys replaced keys
//
// File k contains the tiles of level k of c2sp.org/tlog-tiles without
// separators, so that these can be cut out of it: tile n is bytes 8192*n to
// 8192*(n+1). Hashes between the levels are folded from at most 128 stored
// ones.
//
// All files but the last two are appended to at exact offsets and not synced
// until [Tree.Sync]; a crash leaves them with different lengths, and their
// unsynced ends in any state. The size of the tree is the largest size for
// which all of them have the hashes. Hashes past the last checkpoint may be
// wrong: after a crash, cut the tree to the size of the checkpoint, and append
// again from the log. The levels can be computed again from the entries.
//
// One process writes; any number of others read at the same time.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"audittrail/internal/vfs"
	"audittrail/tlog"
)

const (
	hashSize  = tlog.HashSize
	tileWidth = 256 // hashes in a full tile
	tileShift = 8   // log2 of tileWidth

	// numLevels suffices for tlog.MaxSize: 256^7 is more than that.
	numLevels = 7

	// Files are numbered: the entries, and then the levels.
	entriesFile = 0
	firstLevel  = 1
	numFiles    = firstLevel + numLevels

	dirPerm  = 0o755
	filePerm = 0o644
)

var (
	// ErrFailed reports that a sync or a cut failed: the contents of the files
	// are no longer known, and they are not written to again. Open the tree
	// again.
	ErrFailed = errors.New("the tree's files are in an unknown state")

	// ErrBeyond reports that a hash past the size of the tree was requested.
	ErrBeyond = errors.New("beyond the end of the tree")

	// ErrReadOnly reports that the tree was opened for reading only.
	ErrReadOnly = errors.New("tree is open for reading only")
)

// DamageError reports the place at which a file does not contain the right
// hash.
type DamageError struct {
	File   string // name in the tree's folder
	Offset int64
	Detail string
}

// First returns the first leaf below the hash at the place of the damage.
func (e *DamageError) First() uint64 {
	for i := firstLevel; i < numFiles; i++ {
		if fileName(i) == e.File {
			return uint64(e.Offset/hashSize) << (tileShift * (i - firstLevel))
		}
	}
	return uint64(e.Offset / hashSize)
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("tree file %s is damaged at byte %d: %s", e.File, e.Offset, e.Detail)
}

// A Tree is an open tree. Reads may happen at any time; they see the tree as it
// was when the last append returned.
type Tree struct {
	fs       vfs.FS
	dir      string
	readOnly bool

	now atomic.Pointer[view] // what readers see; replaced whole, never edited

	mu      sync.Mutex     // held while files change; guards what follows
	batch   batch          // reused from append to append
	dirty   [numFiles]bool // written to since the last sync
	newName bool           // a name may have been created since the last sync
	long    bool           // a file may be longer than the tree
	synced  uint64         // the size up to which everything is on the disk
	failed  error          // why nothing is written any more
	closed  bool

	replaced [numFiles]bool // while mending: files that were not readable
	old      []vfs.File     // the files before, which may still be read from
}

// A view is the tree at one size.
type view struct {
	rng   tlog.Range
	files [numFiles]vfs.File // nil if the file does not exist yet
	bad   [numFiles]error    // why an existing file cannot be used
	held  uint64             // whole entries that were found in the entries file
}

// Open opens the tree in the folder dir. Opened for writing, it creates missing
// files; read-only, missing files count as empty. Files that cannot be opened
// or read count as empty too, since all files are derived from the log:
// [Tree.Mend] replaces them. A link or a pipe in the place of a file is
// refused. Files longer than the tree are not cut before the first write, since
// [Tree.Rebuild] may need their entries.
func Open(fsys vfs.FS, dir string, readOnly bool) (*Tree, error) {
	t := &Tree{fs: fsys, dir: dir, readOnly: readOnly}
	if err := t.openDir(); err != nil {
		return nil, fmt.Errorf("open tree: %w", err)
	}
	v := t.open()
	t.now.Store(v)
	for i := range v.bad {
		// Somebody replaced the file by a link or a pipe: its target is neither
		// replaced nor read.
		if other := (*vfs.FileTypeError)(nil); errors.As(v.bad[i], &other) {
			return nil, fmt.Errorf("open tree: %w", errors.Join(v.bad[i], t.Close()))
		}
	}
	// A process that was killed may have left any of these files unsynced.
	for i := range v.files {
		t.dirty[i] = v.files[i] != nil
	}
	t.long, t.newName = true, true
	return t, nil
}

// openDir makes sure that the folder exists. Read-only, a missing folder counts
// as empty, like a missing file: the tree is derived.
func (t *Tree) openDir() error {
	_, err := t.fs.Stat(t.dir)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case t.readOnly:
		return nil
	}
	return t.fs.MkdirAll(t.dir, dirPerm)
}

// open opens the files, and finds out how large the tree is.
func (t *Tree) open() *view {
	v := new(view)
	for i := range v.files {
		create := !t.readOnly && i <= firstLevel // other files are created when they are needed
		v.bad[i] = t.openFile(v, i, create)
	}
	t.measure(v)
	return v
}

// openFile opens file i of v, unless it is missing and not to be created.
func (t *Tree) openFile(v *view, i int, create bool) error {
	name := filepath.Join(t.dir, fileName(i))
	flag := os.O_RDWR
	switch {
	case t.readOnly:
		flag = os.O_RDONLY
	case create:
		flag |= os.O_CREATE
		t.newName = true
	}
	f, err := t.fs.OpenFile(name, flag, filePerm)
	if errors.Is(err, fs.ErrNotExist) && !create {
		return nil
	}
	if err != nil {
		return err
	}
	v.files[i] = f
	return nil
}

// measure sets v to the size that all its files agree on: as many entries and
// leaf hashes, and in each level at least the subtrees that these complete. If
// a file cannot be read, the tree is empty.
func (t *Tree) measure(v *view) {
	var have [numFiles]uint64
	for i, f := range v.files {
		if f == nil {
			continue
		}
		n, err := f.Size()
		if err != nil {
			v.bad[i] = err
			continue
		}
		have[i] = uint64(n) / hashSize
	}
	v.held = min(have[entriesFile], tlog.MaxSize)
	size := v.held
	for k := range numLevels {
		if n := have[firstLevel+k]; n < count(k, size) {
			size = (n+1)<<(tileShift*k) - 1
		}
	}
	if i, err := v.load(size); err != nil {
		v.bad[i] = err
		v.rng = tlog.Range{}
	}
}

// load sets v's range to that of the first size leaves, as the files have it.
// With an error it returns the index of the file that the error is about.
func (v *view) load(size uint64) (int, error) {
	rng, i, err := v.rangeAt(size)
	if err != nil {
		return i, err
	}
	v.rng = *rng
	return 0, nil
}

// count returns how many hashes level k has in a tree of that size.
func count(k int, size uint64) uint64 { return size >> (tileShift * k) }

// length returns how many bytes file i has in a tree of that size.
func length(i int, size uint64) int64 {
	return int64(count(max(i-firstLevel, 0), size)) * hashSize
}

// fileName returns the name of file i in the tree's folder.
func fileName(i int) string {
	if i == entriesFile {
		return "entries"
	}
	return strconv.Itoa(i - firstLevel)
}

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return t.now.Load().rng.Size() }

// Bad returns why existing files cannot be opened or read; nil if all can.
func (t *Tree) Bad() error { return errors.Join(t.now.Load().bad[:]...) }

// Held returns the number of entries in the tree's files: more than Size if,
// when the tree was opened, hashes of levels were missing that [Tree.Rebuild]
// can compute again.
func (t *Tree) Held() uint64 {
	v := t.now.Load()
	return max(v.held, v.rng.Size())
}

// Refresh makes the leaves that the writer has appended, or cut, visible in a
// tree that is open for reading only.
func (t *Tree) Refresh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.readOnly || t.closed {
		return
	}
	old := t.now.Load()
	v := &view{files: old.files}
	for i := range v.files {
		if v.files[i] == nil {
			v.bad[i] = t.openFile(v, i, false)
		}
	}
	t.measure(v)
	t.now.Store(v)
}

// Close closes the files. It does not sync them.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	t.failed = fs.ErrClosed
	errs := []error{t.now.Load().close()}
	for _, f := range t.old {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func (v *view) close() error {
	var errs []error
	for _, f := range v.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
