// Package vfs is the file system of the log: an interface of the few operations
// that durable storage needs, so that tests can let each of them fail.
//
// [OS] is the real one. [Mem] is one in memory that counts its operations,
// fails them on request, and shows what a disk would contain after a power
// loss.
//
// Names are those of the operating system, absolute or relative to the working
// directory. Errors keep their identity: errors.Is finds fs.ErrNotExist or
// syscall.ENOSPC in them, whichever implementation they come from.
//
// The files of a log are regular files in real folders. A file system opens
// nothing else: a symbolic link is not followed, a named pipe does not make it
// wait, and a device or socket is not touched; the error is a *FileTypeError.
// [OS] checks only the last part of a name. [Below] checks every part below the
// folders that a user named. [Named] is for the files that a user names, which
// may be links and pipes. A hard link cannot be distinguished from the file
// itself, and is not refused.
//
// The process that holds the writer's lock writes through [Guard], which
// refuses every change once the lock's name leads to another file than the
// locked one.
//
// What is durable when:
//   - a file's bytes and its size, after [File] Sync;
//   - that a name exists, was renamed or was removed, after SyncDir of the
//     folder that holds the name.
//
// A file whose Sync failed is beyond repair: the operating system may have
// dropped the bytes already, and a second Sync that succeeds does not restore
// them.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is a file system. Its methods may be called from many goroutines.
type FS interface {
	// Open opens a file for reading only.
	Open(name string) (File, error)

	// OpenFile opens a regular file with the flags of package os: os.O_RDONLY
	// or os.O_RDWR, with os.O_CREATE, os.O_EXCL and os.O_TRUNC. A name that it
	// creates is durable after SyncDir of the folder.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)

	// Rename moves a file, replacing a file that has the new name. It is
	// durable after SyncDir of the folders of both names.
	Rename(oldname, newname string) error

	// Remove removes a file or an empty folder.
	Remove(name string) error

	// MkdirAll creates a folder, with the folders above it that are missing.
	MkdirAll(name string, perm fs.FileMode) error

	// ReadDir returns the names in a folder, sorted by bytes.
	ReadDir(name string) ([]string, error)

	// Stat describes a file or folder; of a symbolic link, the link.
	Stat(name string) (fs.FileInfo, error)

	// SyncDir makes what happened to the names in a folder durable. Where the
	// system has no such operation (Windows), it does nothing.
	SyncDir(name string) error

	// Lock takes an exclusive lock on the file of this name, which is created
	// if it is missing, and writes holder into it. It does not wait: if the
	// lock is taken, the error is a *LockedError. The lock ends with Close, or
	// with the process. The file remains. Only its owner may open it, since a
	// user who may open a file may lock it, and keep writers out.
	Lock(name, holder string) (Lock, error)

	// Locked reports whether a process holds the lock, without taking it.
	// Without the file there is no lock. If the state cannot be determined, the
	// error wraps ErrLockUnknown.
	Locked(name string) (bool, error)

	// Free returns the bytes that can still be written below a folder.
	Free(dir string) (uint64, error)
}

// File is an open file. ReadAt may be called together with everything else;
// the other methods are for one goroutine at a time.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer

	// Size returns the length of the file, in bytes.
	Size() (int64, error)

	// Sync makes the bytes and the length of the file durable. After a Sync
	// that failed, the content of the file is unknown.
	Sync() error

	// Truncate cuts the file to size, or extends it with zeros.
	Truncate(size int64) error
}

// Lock is a lock that is held.
type Lock interface {
	io.Closer

	// Held returns nil while the lock's name leads to the locked file. Once it
	// does not, since the file was removed or the folder exchanged, another
	// process may hold a lock of that name, and the error is a *LockLostError
	// from then on.
	Held() error
}

var (
	// ErrLocked reports that another process holds a lock.
	ErrLocked = errors.New("locked")

	// ErrLockUnknown reports that the state of a lock cannot be determined: the
	// file system has no locks, or the file cannot be opened.
	ErrLockUnknown = errors.New("lock state unknown")

	// ErrLockLost reports that the name of a lock now leads to another file,
	// which another process may have locked.
	ErrLockLost = errors.New("lock lost")

	// ErrTooLarge reports that a file is larger than its reader accepts.
	ErrTooLarge = errors.New("file too large")
)

// A LockedError names the holder of a lock that another process holds. It is
// ErrLocked.
type LockedError struct {
	Name   string // of the lock file
	Holder string // as given to Lock, in one line; empty if it cannot be read
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("lock %s: held by another process", e.Name)
	}
	return fmt.Sprintf("lock %s: held by %s", e.Name, e.Holder)
}

// Is makes the error match ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// A LockLostError names the lock file that is no longer the one that was
// locked. It is ErrLockLost.
type LockLostError struct {
	Name string
}

func (e *LockLostError) Error() string {
	return fmt.Sprintf("the lock %s was removed, or its folder exchanged, while this process held it: another process may be writing now, so this one writes no more; end this process, and start it again in the right folder", e.Name)
}

// Is makes the error match ErrLockLost.
func (e *LockLostError) Is(target error) bool { return target == ErrLockLost }

// A FileTypeError reports that a file of another type was found in the place of
// a regular file or of a folder.
type FileTypeError struct {
	Name   string
	Found  fs.FileMode // the type bits
	Folder bool        // a folder is required there, else a regular file
}

func (e *FileTypeError) Error() string {
	if e.Folder {
		return fmt.Sprintf("%s is a %s, where a folder is required: remove it, and move the folder itself there or mount it", e.Name, typeName(e.Found))
	}
	return fmt.Sprintf("%s is a %s, where a regular file is required: remove it, and put the file itself there", e.Name, typeName(e.Found))
}

// typeName returns the name of a type of file.
func typeName(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "regular file"
	case fs.ModeDir:
		return "folder"
	case fs.ModeSymlink:
		return "symbolic link"
	case fs.ModeNamedPipe:
		return "named pipe"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice, fs.ModeCharDevice:
		return "device"
	default:
		return "special file"
	}
}

// tmpSuffix names the file that WriteFile prepares. It is always the same, so
// that crashes leave at most one such file, which the next WriteFile of that
// name removes.
const tmpSuffix = ".tmp"

// WriteFile writes a file durably and atomically: after a crash, the name leads
// to the complete old file or the complete new one. It writes name+".tmp"
// first, so a name must have one writer at a time.
//
// After an error, the name may lead to either file.
func WriteFile(fsys FS, name string, data []byte, perm fs.FileMode) error {
	tmp := name + tmpSuffix
	if err := writeNew(fsys, tmp, data, perm); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fsys.Rename(tmp, name); err != nil {
		_ = fsys.Remove(tmp) // the rename's error is the one to report
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// CreateNew creates a new file for writing. A file that had the name before,
// such as a leftover of a crash, is removed and not reused, since it would keep
// its permissions, and may have another name through which other processes
// reach it.
func CreateNew(fsys FS, name string, perm fs.FileMode) (File, error) {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

// writeNew creates a file with data and syncs it, or leaves no file.
func writeNew(fsys FS, name string, data []byte, perm fs.FileMode) error {
	f, err := CreateNew(fsys, name, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = fsys.Remove(name) // the first error is the one to report
	}
	return err
}

// StatFile describes a regular file. For a file of another type, which has no
// size, the error is a *FileTypeError.
func StatFile(fsys FS, name string) (fs.FileInfo, error) {
	fi, err := fsys.Stat(name)
	if err == nil && !fi.Mode().IsRegular() {
		return nil, &FileTypeError{Name: name, Found: fi.Mode().Type()}
	}
	return fi, err
}

// ReadFile returns the content of a file. A file of more than limit bytes is
// refused with ErrTooLarge before memory is allocated for it.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := readAll(f, limit)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

func readAll(f File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, size, limit)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if n == len(data) || err == io.EOF {
		// Fewer bytes than the size: the file was cut in between.
		return data[:n], nil
	}
	return nil, err
}
