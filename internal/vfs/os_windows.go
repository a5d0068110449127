package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// lockedBytes is the number of bytes at the start of a lock file that other
// processes cannot read or write while it is locked. Here locks are mandatory,
// and cover one byte.
const lockedBytes = 1

// A diskFullError is the system's error, and syscall.ENOSPC, which on Windows
// is a number of Go's own that the system never returns.
type diskFullError struct{ error }

func (e diskFullError) Unwrap() error { return e.error }

func (diskFullError) Is(target error) bool { return target == syscall.ENOSPC }

// knownError wraps err so that errors.Is finds the codes that callers check
// for.
func knownError(err error) error {
	if errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) {
		return diskFullError{err}
	}
	return err
}

// A reader, an indexer or a virus scanner that has a file open for a moment
// keeps it from being replaced or removed for that moment, so both try again
// before they give up.
const (
	retryFor   = time.Second
	retryPause = 5 * time.Millisecond
)

func (o *osFS) Rename(oldname, newname string) error {
	if err := errors.Join(o.check(oldname), o.check(newname)); err != nil {
		return err
	}
	return retry(func() error { return os.Rename(oldname, newname) })
}

func (o *osFS) Remove(name string) error {
	if err := o.check(name); err != nil {
		return err
	}
	return retry(func() error { return os.Remove(name) })
}

func retry(op func() error) error {
	for start := time.Now(); ; time.Sleep(retryPause) {
		err := op()
		inUse := errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
		if !inUse || time.Since(start) > retryFor {
			return err
		}
	}
}

// SyncDir does nothing: NTFS journals its names in order, and there is no call
// that would flush a folder.
func (o *osFS) SyncDir(string) error { return nil }

// isGone reports whether an error says that a name leads nowhere.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// check refuses a name if a folder on the way there is a link that must be
// real. The system has no call that checks and opens in one step, so somebody
// who may write to a folder can exchange it in between.
func (o *osFS) check(name string) error {
	base, parts := o.split(name)
	at := base
	for _, part := range parts[:max(len(parts)-1, 0)] {
		at = filepath.Join(at, part)
		if err := checkFolder(at); err != nil {
			return err
		}
	}
	return nil
}

// checkFolder refuses a link in the place of a folder. If the folder is missing
// or cannot be read, the operation itself returns the error.
func checkFolder(name string) error {
	fi, err := os.Lstat(name)
	if err != nil || fi.IsDir() || fi.Mode().IsRegular() {
		return nil
	}
	return &FileTypeError{Name: name, Found: fi.Mode().Type(), Folder: true}
}

// openReal opens a file without following a link.
func (o *osFS) openReal(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	return os.OpenFile(name, flag|windows.FILE_FLAG_OPEN_REPARSE_POINT, perm)
}

// openDir opens a folder for reading.
func (o *osFS) openDir(name string) (*os.File, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	if o.real(name) {
		if err := checkFolder(name); err != nil {
			return nil, err
		}
	}
	return os.Open(name)
}

func (o *osFS) MkdirAll(name string, perm fs.FileMode) error {
	if err := o.check(name); err != nil {
		return err
	}
	if o.real(name) {
		if err := checkFolder(name); err != nil {
			return err
		}
	}
	return os.MkdirAll(name, perm)
}

func (o *osFS) Stat(name string) (fs.FileInfo, error) {
	if err := o.check(name); err != nil {
		return nil, err
	}
	if base, parts := o.split(name); len(parts) == 0 {
		return os.Stat(base) // a folder that a user named
	}
	return os.Lstat(name)
}

// A fileID identifies a file among all that exist at the same time.
type fileID struct{ info fs.FileInfo }

func (id fileID) same(other fileID) bool { return os.SameFile(id.info, other.info) }

func idOfFile(f *os.File) (fileID, error) {
	fi, err := f.Stat()
	return fileID{fi}, err
}

func idOfName(name string) (fileID, error) {
	fi, err := os.Lstat(name)
	return fileID{fi}, err
}

// lockFile takes a lock on an open file, and reports whether it could.
func lockFile(f *os.File, exclusive bool) (bool, error) {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, lockedBytes, 0, new(windows.Overlapped))
	runtime.KeepAlive(f)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return false, nil
	}
	return err == nil, err
}

func free(dir string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var n uint64
	if err := windows.GetDiskFreeSpaceEx(p, &n, nil, nil); err != nil {
		return 0, err
	}
	return n, nil
}
