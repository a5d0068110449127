package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a file system in memory that keeps track of which data would survive a
// power loss. Its working directory is its root, which exists. It does not
// enforce permissions; Inject can.
//
// It behaves as the file systems that the log runs on do at worst without
// breaking their promises: see Crash.
type Mem struct {
	mu        sync.RWMutex // guards the fields below, and all nodes
	root      *node
	ops       int // mutating operations begun
	failAfter int // number of the operation that crashes, or -1
	crashed   bool
	capacity  int64 // or -1
	inject    func(Op) error
}

// ErrCrashed is the error of every mutating operation after the crash that
// FailAfter set.
var ErrCrashed = errors.New("crashed")

// NewMem returns an empty file system of unlimited capacity.
func NewMem() *Mem {
	m := &Mem{failAfter: -1, capacity: -1}
	m.root = m.newNode(fs.ModeDir | 0o755)
	return m
}

// Ops returns how many mutating operations were begun.
func (m *Mem) Ops() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.ops
}

// FailAfter lets n mutating operations succeed, counted from the beginning as
// Ops does. The next one and all later ones fail with ErrCrashed and without
// effect, except that part of the next one may be written if it is a write. A
// negative n undoes the request, and the crash.
func (m *Mem) FailAfter(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failAfter = max(n, -1)
	m.crashed = false
}

// Inject has f consulted before each operation, in the goroutine that does it.
// If f returns an error, the operation fails with that error and without
// effect, unless the error is a *Fault. A failed Sync permanently loses the
// bytes that it should have made durable: they remain readable, but do not
// survive a Crash, even if a later Sync succeeds. If the error is ErrCrashed,
// all later mutating operations fail with it too. A nil f undoes the request.
//
// f may block, and may call methods of m. A Sync that f delays covers only data
// that was written before it began.
func (m *Mem) Inject(f func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inject = f
}

// Capacity sets how many bytes all files together may hold. Writes beyond that
// fail with syscall.ENOSPC, after they have written the bytes that fit. A
// negative number removes the limit.
func (m *Mem) Capacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = max(bytes, -1)
}

// begin counts an operation and asks whether it may happen: not if there is a
// Fault, or only as far as that says.
func (m *Mem) begin(op Op) *Fault {
	// The lock is not held here: f may block, and other goroutines must be able
	// to continue.
	f, fault := m.number(&op)
	if fault != nil || f == nil {
		return fault
	}
	op.Name = filepath.Clean(op.Name)
	err := f(op)
	if err == nil {
		return nil
	}
	if op.Kind.mutates() && errors.Is(err, ErrCrashed) {
		m.mu.Lock()
		m.crashed = true
		m.mu.Unlock()
	}
	if errors.As(err, &fault) {
		return fault
	}
	return &Fault{Err: err}
}

func (m *Mem) number(op *Op) (func(Op) error, *Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	op.N = m.ops
	if op.Kind.mutates() {
		m.ops++
	} else if op.Kind != OpLock {
		return m.inject, nil
	}
	if m.crashed {
		return nil, &Fault{Err: ErrCrashed}
	}
	if m.failAfter < 0 || op.N < m.failAfter {
		return m.inject, nil
	}
	m.crashed = true
	fault := &Fault{Err: ErrCrashed}
	if op.Kind == OpWrite {
		// Any length, but the same one in each run.
		fault.Done = int(uint64(op.N) * 2654435761 % uint64(op.Len+1))
	}
	return nil, fault
}

// do carries out an operation, and gives its errors a name.
func (m *Mem) do(op Op, f func() error) error {
	var err error
	fault := m.begin(op)
	if fault == nil || fault.Done != 0 {
		m.mu.Lock()
		err = f()
		m.mu.Unlock()
	}
	if err == nil && fault != nil {
		err = fault.Err
	}
	return opError(op, err)
}

func opError(op Op, err error) error {
	other := (*FileTypeError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &other):
		return err
	case op.Kind == OpRename:
		return &os.LinkError{Op: op.Kind.String(), Old: op.Name, New: op.To, Err: err}
	default:
		return &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: err}
	}
}

// split returns the elements of a name, from the root on.
func split(name string) []string {
	name = filepath.ToSlash(name[len(filepath.VolumeName(name)):])
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// walk returns the node that elems lead to.
func (m *Mem) walk(elems []string) (*node, error) {
	n := m.root
	for i, e := range elems {
		if err := n.mustBeDir(elems[:i]); err != nil {
			return nil, err
		}
		if n = n.entries[e]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

func (m *Mem) find(name string) (*node, error) {
	if name == "" {
		return nil, fs.ErrNotExist
	}
	return m.walk(split(name))
}

// findParent returns the folder that contains a name, and the name within it.
func (m *Mem) findParent(name string) (*node, string, error) {
	elems := split(name)
	if name == "" {
		return nil, "", fs.ErrNotExist
	}
	if len(elems) == 0 {
		return nil, "", fs.ErrInvalid // the root is in no folder
	}
	dir, err := m.walk(elems[:len(elems)-1])
	if err != nil {
		return nil, "", err
	}
	if err := dir.mustBeDir(elems[:len(elems)-1]); err != nil {
		return nil, "", err
	}
	return dir, elems[len(elems)-1], nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	return m.OpenFile(name, os.O_RDONLY, 0)
}

// OpenFile implements FS.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	for {
		m.mu.RLock()
		n, _ := m.find(name)
		m.mu.RUnlock()
		op := Op{Kind: OpOpen, Name: name}
		if n == nil && flag&os.O_CREATE != 0 || n != nil && flag&os.O_TRUNC != 0 {
			op.Kind = OpCreate
		}
		raced := false
		err := m.do(op, func() (err error) {
			again, _ := m.find(name)
			if raced = (again == nil) != (n == nil); raced {
				return nil // another goroutine was faster: the operation is of another kind now
			}
			n, err = m.open(name, flag, perm)
			return err
		})
		if err != nil {
			return nil, err
		}
		if !raced {
			return &memFile{m: m, n: n, name: name, writable: flag&(os.O_RDWR|os.O_WRONLY) != 0}, nil
		}
	}
}

func (m *Mem) open(name string, flag int, perm fs.FileMode) (*node, error) {
	n, err := m.find(name)
	switch {
	case err == nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case err == nil && n.isDir():
		return nil, syscall.EISDIR
	case err == nil && !n.mode.IsRegular():
		return nil, &FileTypeError{Name: name, Found: n.mode.Type()}
	case err == nil:
		if flag&os.O_TRUNC != 0 {
			n.truncate(0, m.now())
		}
		return n, nil
	case flag&os.O_CREATE == 0 || !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	dir, base, err := m.findParent(name)
	if err != nil {
		return nil, err
	}
	n = m.newNode(perm.Perm())
	change(&entryOp{to: dir, added: base, n: n})
	return n, nil
}

// Plant creates an entry of a type that is neither file nor folder, such as
// fs.ModeSymlink, as somebody else with access to the folder could. It is
// durable, and does not count as an operation.
func (m *Mem) Plant(name string, mode fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.findParent(name)
	if err != nil {
		return &fs.PathError{Op: "plant", Path: name, Err: err}
	}
	n := m.newNode(mode)
	change(&entryOp{to: dir, added: base, n: n})
	dir.commit(len(dir.entryOps))
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(oldname, newname string) error {
	op := Op{Kind: OpRename, Name: oldname, To: filepath.Clean(newname)}
	return m.do(op, func() error { return m.rename(oldname, newname) })
}

func (m *Mem) rename(oldname, newname string) error {
	from, oldbase, err := m.findParent(oldname)
	if err != nil {
		return err
	}
	to, newbase, err := m.findParent(newname)
	if err != nil {
		return err
	}
	n, there := from.entries[oldbase], to.entries[newbase]
	switch {
	case n == nil:
		return fs.ErrNotExist
	case n == there:
		return nil
	case there != nil && there.isDir():
		return fs.ErrExist
	case there != nil && n.isDir():
		return syscall.ENOTDIR
	case n.isDir() && slices.Contains(n.below(nil), to):
		return syscall.EINVAL
	}
	change(&entryOp{from: from, removed: oldbase, to: to, added: newbase, n: n})
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	return m.do(Op{Kind: OpRemove, Name: name}, func() error {
		dir, base, err := m.findParent(name)
		if err != nil {
			return err
		}
		n := dir.entries[base]
		if n == nil {
			return fs.ErrNotExist
		}
		if len(n.entries) != 0 {
			return syscall.ENOTEMPTY
		}
		change(&entryOp{from: dir, removed: base, gone: n})
		return nil
	})
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(name string, perm fs.FileMode) error {
	return m.do(Op{Kind: OpMkdir, Name: name}, func() error {
		if name == "" {
			return fs.ErrNotExist
		}
		dir := m.root
		for _, e := range split(name) {
			n := dir.entries[e]
			if n == nil {
				n = m.newNode(fs.ModeDir | perm.Perm())
				change(&entryOp{to: dir, added: e, n: n})
			}
			if err := n.mustBeDir([]string{name}); err != nil {
				return err
			}
			dir = n
		}
		return nil
	})
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	return m.do(Op{Kind: OpSyncDir, Name: name}, func() error {
		dir, err := m.find(name)
		if err != nil {
			return err
		}
		if err := dir.mustBeDir([]string{name}); err != nil {
			return err
		}
		dir.commit(len(dir.entryOps))
		return nil
	})
}

// ReadDir implements FS.
func (m *Mem) ReadDir(name string) (names []string, err error) {
	err = m.do(Op{Kind: OpReadDir, Name: name}, func() error {
		dir, err := m.find(name)
		if err != nil {
			return err
		}
		if err := dir.mustBeDir([]string{name}); err != nil {
			return err
		}
		names = dir.names()
		return nil
	})
	return names, err
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fi fs.FileInfo, err error) {
	err = m.do(Op{Kind: OpStat, Name: name}, func() error {
		n, err := m.find(name)
		if err != nil {
			return err
		}
		base := "/"
		if elems := split(name); len(elems) > 0 {
			base = elems[len(elems)-1]
		}
		fi = fileInfo{name: base, size: int64(len(n.data)), mode: n.mode, modTime: n.modTime}
		return nil
	})
	return fi, err
}

// Free implements FS.
func (m *Mem) Free(dir string) (free uint64, err error) {
	err = m.do(Op{Kind: OpFree, Name: dir}, func() error {
		_, err := m.find(dir)
		free = uint64(m.room())
		return err
	})
	return free, err
}

// unlimited is the free space of a Mem without a capacity.
const unlimited = 1 << 50

// room returns how many bytes the files may still grow.
func (m *Mem) room() int64 {
	if m.capacity < 0 {
		return unlimited
	}
	used := int64(0)
	for _, n := range m.root.below(nil) {
		used += int64(len(n.data))
	}
	return max(0, m.capacity-used)
}

// Lock implements FS. The lock exists in this Mem alone, not in its copies.
func (m *Mem) Lock(name, holder string) (c Lock, err error) {
	var taken *LockedError
	err = m.do(Op{Kind: OpLock, Name: name}, func() error {
		n, err := m.open(name, os.O_RDWR|os.O_CREATE, lockPerm)
		if err != nil {
			return err
		}
		if n.lock != nil {
			taken = &LockedError{Name: name, Holder: n.lock.holder}
			return nil
		}
		n.lock = &memLock{m: m, n: n, name: name, holder: holderLine(holder)}
		n.truncate(0, m.now())
		n.write([]byte(holderText(holder)), 0, m.now())
		c = n.lock
		return nil
	})
	if err == nil && taken != nil {
		err = taken
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Locked implements FS.
func (m *Mem) Locked(name string) (locked bool, err error) {
	err = m.do(Op{Kind: OpLocked, Name: name}, func() error {
		n, err := m.find(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !n.mode.IsRegular() {
			err = &FileTypeError{Name: name, Found: n.mode.Type()}
		}
		locked = err == nil && n.lock != nil
		return err
	})
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrLockUnknown, err)
	}
	return locked, nil
}

// now returns the time of this file system without a clock: each operation
// takes one second.
func (m *Mem) now() time.Time {
	return time.Unix(int64(m.ops), 0).UTC()
}
