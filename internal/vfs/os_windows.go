package vfs

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// lockedBytes is how many bytes at the start of a lock file others cannot read
// or write while it is locked. Here locks are mandatory, and cover one byte.
const lockedBytes = 1

// A diskFullError is the system's error, and syscall.ENOSPC, which on Windows
// is a number of Go's own that the system never returns.
type diskFullError struct{ error }

func (e diskFullError) Unwrap() error { return e.error }

func (diskFullError) Is(target error) bool { return target == syscall.ENOSPC }

// knownError returns err such that errors.Is finds the codes in it that callers
// ask for.
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

func rename(oldname, newname string) error {
	return retry(func() error { return os.Rename(oldname, newname) })
}

func remove(name string) error {
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

// syncDir does nothing: NTFS journals its names in order, and there is no call
// that would flush a folder.
func syncDir(string) error { return nil }

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
