package vfs

import (
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A node is a file or a folder of a Mem, whatever its name is. It keeps the
// state that readers see, and separately the state that is certain to be on the
// disk.
type node struct {
	mode    fs.FileMode
	modTime time.Time
	lock    *memLock // nil: not locked

	data    []byte   // what readers see
	synced  []byte   // what is certain to be on the disk
	fileOps []fileOp // what leads from synced to data
	dropped int      // number of operations before fileOps

	entries       map[string]*node // what readers see; nil for a file
	syncedEntries map[string]*node // what is certain to be on the disk
	entryOps      []*entryOp       // what leads from syncedEntries to entries
}

// A fileOp is a write or a truncation that is not synced yet.
type fileOp struct {
	data []byte // nil: a truncation
	off  int64  // where data goes; the new size, of a truncation
	lost bool   // a Sync failed with it: the size may reach the disk, data never will
}

// An entryOp is a change of names that is not synced yet: a name added, one
// removed, or both at once. If it concerns two folders, it is listed in both,
// and is synced in both together.
type entryOp struct {
	from    *node // nil if nothing is removed
	removed string
	to      *node // nil if nothing is added
	added   string
	n       *node // the node that is added
	gone    *node // the node that was removed, unless it was moved
}

func (m *Mem) newNode(mode fs.FileMode) *node {
	n := &node{mode: mode, modTime: m.now()}
	if mode.IsDir() {
		n.entries = make(map[string]*node)
		n.syncedEntries = make(map[string]*node)
	}
	return n
}

func (n *node) isDir() bool { return n.mode.IsDir() }

// mustBeDir returns an error if the node, which a path leads to, is not a
// folder.
func (n *node) mustBeDir(path []string) error {
	switch {
	case n.isDir():
		return nil
	case n.mode.IsRegular():
		return syscall.ENOTDIR
	default:
		return &FileTypeError{Name: strings.Join(path, "/"), Found: n.mode.Type(), Folder: true}
	}
}

func (n *node) names() []string {
	return slices.Sorted(maps.Keys(n.entries))
}

// below appends n and all that is in it, as readers see it.
func (n *node) below(to []*node) []*node {
	to = append(to, n)
	for _, sub := range n.entries {
		to = sub.below(to)
	}
	return to
}

// change makes the change op for readers, and lists it to be synced.
func change(op *entryOp) {
	for _, dir := range op.folders() {
		op.apply(dir, dir.entries)
		dir.entryOps = append(dir.entryOps, op)
	}
}

// folders returns the folders that the change concerns: one, or two.
func (op *entryOp) folders() []*node {
	switch {
	case op.from == nil || op.from == op.to:
		return []*node{op.to}
	case op.to == nil:
		return []*node{op.from}
	default:
		return []*node{op.from, op.to}
	}
}

// apply makes the part of the change op that concerns one folder, whose entries
// are given.
func (op *entryOp) apply(dir *node, entries map[string]*node) {
	if op.from == dir {
		delete(entries, op.removed)
	}
	if op.to == dir {
		entries[op.added] = op.n
	}
}

// commit makes the first count changes of a folder durable. If one of them
// concerns another folder too, all earlier changes of that folder are committed
// as well, and if a folder is removed all changes in it, as by a journal.
func (n *node) commit(count int) {
	ops := n.entryOps[:count]
	n.entryOps = n.entryOps[count:]
	for _, op := range ops {
		op.apply(n, n.syncedEntries)
		if op.gone != nil {
			op.gone.commit(len(op.gone.entryOps))
		}
		for _, dir := range op.folders() {
			if i := slices.Index(dir.entryOps, op); dir != n && i >= 0 {
				dir.commit(i + 1)
			}
		}
	}
}

func (n *node) write(p []byte, off int64, now time.Time) {
	if len(p) == 0 {
		return
	}
	p = slices.Clone(p)
	n.data = resize(n.data, max(int64(len(n.data)), off+int64(len(p))))
	copy(n.data[off:], p)
	n.modTime = now
	n.fileOps = append(n.fileOps, fileOp{data: p, off: off})
}

func (n *node) truncate(size int64, now time.Time) {
	n.data = resize(n.data, size)
	n.modTime = now
	n.fileOps = append(n.fileOps, fileOp{off: size})
}

// opCount returns how many operations the file has seen.
func (n *node) opCount() int { return n.dropped + len(n.fileOps) }

// sync makes the first count operations durable, except for bytes that an
// earlier failed sync has lost.
func (n *node) sync(count int) {
	for _, op := range n.upTo(count) {
		if op.data == nil {
			n.synced = resize(n.synced, op.off)
			continue
		}
		n.synced = resize(n.synced, op.sizeAfter(int64(len(n.synced))))
		if !op.lost {
			copy(n.synced[op.off:], op.data)
		}
	}
	done := len(n.upTo(count))
	n.fileOps = n.fileOps[done:]
	n.dropped += done
}

// failSync drops the data that should have been synced, as a kernel does that
// marks pages clean after it could not write them.
func (n *node) failSync(count int) {
	ops := n.upTo(count)
	for i := range ops {
		ops[i].lost = true
	}
}

// upTo returns those of the first count operations that are not synced yet.
func (n *node) upTo(count int) []fileOp {
	return n.fileOps[:max(0, count-n.dropped)]
}

// sizeAfter returns the size of a file of the given size after the operation.
func (op *fileOp) sizeAfter(size int64) int64 {
	if op.data == nil {
		return op.off
	}
	return max(size, op.off+int64(len(op.data)))
}

// resize cuts b, or extends it with zeros.
func resize(b []byte, size int64) []byte {
	old := int64(len(b))
	if size > old {
		b = slices.Grow(b, int(size-old))
	}
	b = b[:size]
	if size > old {
		clear(b[old:])
	}
	return b
}

// maxFile is the largest size of a file of a Mem, including holes, so that a
// wrong offset gives an error instead of exhausting the memory.
const maxFile = 1 << 30

// A memFile is an open node.
type memFile struct {
	m        *Mem
	n        *node
	name     string
	writable bool
	closed   bool // guarded by m.mu
}

// check returns an error if the operation is not possible.
func (f *memFile) check(writes bool, off int64) error {
	switch {
	case f.closed:
		return fs.ErrClosed
	case writes && !f.writable:
		return syscall.EBADF
	case off < 0:
		return syscall.EINVAL
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpRead, Name: f.name, Off: off, Len: len(p)}
	if fault := f.m.begin(op); fault != nil {
		return 0, opError(op, fault.Err)
	}
	f.m.mu.RLock()
	defer f.m.mu.RUnlock()
	if err := f.check(false, off); err != nil {
		return 0, opError(op, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	if off < int64(len(f.n.data)) {
		n = copy(p, f.n.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Name: f.name, Off: off, Len: len(p)}
	fault := f.m.begin(op)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check(true, off); err != nil {
		return 0, opError(op, err)
	}
	var err error
	if fault != nil {
		err = fault.Err
		p = p[:min(max(fault.Done, 0), len(p))]
	}
	if off > maxFile-int64(len(p)) {
		return 0, opError(op, syscall.EFBIG)
	}
	size := int64(len(f.n.data))
	if end, room := off+int64(len(p)), f.m.room(); end > size && end-size > room {
		err = syscall.ENOSPC
		p = p[:max(0, size+room-off)]
	}
	f.n.write(p, off, f.m.now())
	return len(p), opError(op, err)
}

func (f *memFile) Truncate(size int64) error {
	return f.m.do(Op{Kind: OpTruncate, Name: f.name, Off: size}, func() error {
		if err := f.check(true, size); err != nil {
			return err
		}
		if size > maxFile {
			return syscall.EFBIG
		}
		if size-int64(len(f.n.data)) > f.m.room() {
			return syscall.ENOSPC
		}
		f.n.truncate(size, f.m.now())
		return nil
	})
}

func (f *memFile) Sync() error {
	op := Op{Kind: OpSync, Name: f.name}
	// Data that is written from now on is not covered, even if Inject delays
	// the Sync.
	f.m.mu.RLock()
	count := f.n.opCount()
	f.m.mu.RUnlock()
	fault := f.m.begin(op)
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check(false, 0); err != nil {
		return opError(op, err)
	}
	if fault == nil {
		f.n.sync(count)
		return nil
	}
	switch {
	case fault.Done != 0:
		f.n.sync(count)
	case !f.m.crashed:
		// After a power loss, Crash decides what happens to the bytes.
		f.n.failSync(count)
	}
	return opError(op, fault.Err)
}

func (f *memFile) Size() (size int64, err error) {
	err = f.m.do(Op{Kind: OpSize, Name: f.name}, func() error {
		size = int64(len(f.n.data))
		return f.check(false, 0)
	})
	return size, err
}

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	return nil
}

// A memLock is a lock that is held.
type memLock struct {
	m      *Mem
	n      *node
	name   string
	holder string
	lost   atomic.Bool
}

// Held checks whether the lock's name still leads to the locked file.
func (l *memLock) Held() error {
	l.m.mu.RLock()
	defer l.m.mu.RUnlock()
	if n, err := l.m.find(l.name); err != nil || n != l.n {
		l.lost.Store(true)
	}
	if l.lost.Load() {
		return &LockLostError{Name: l.name}
	}
	return nil
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.n.lock == l {
		l.n.lock = nil
		if !l.m.crashed {
			l.n.truncate(0, l.m.now())
		}
	}
	return nil
}
