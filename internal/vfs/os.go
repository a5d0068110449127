package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// OS is the file system of the operating system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) Open(name string) (File, error) {
	return osFS{}.OpenFile(name, os.O_RDONLY, 0)
}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, knownError(err)
	}
	return osFile{f}, nil
}

func (osFS) Rename(oldname, newname string) error {
	return rename(oldname, newname)
}

func (osFS) Remove(name string) error {
	return remove(name)
}

func (osFS) MkdirAll(name string, perm fs.FileMode) error {
	return os.MkdirAll(name, perm)
}

func (osFS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name) // sorted
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Stat(name string) (fs.FileInfo, error) {
	return os.Stat(name)
}

func (osFS) SyncDir(name string) error {
	return syncDir(name)
}

func (osFS) Free(dir string) (uint64, error) {
	n, err := free(dir)
	if err != nil {
		return 0, &fs.PathError{Op: "free space", Path: dir, Err: err}
	}
	return n, nil
}

// An osFile is an os.File with Size, and with the cheaper Sync where the
// system has one.
type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f osFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	return n, knownError(err)
}

func (f osFile) Truncate(size int64) error {
	return knownError(f.File.Truncate(size))
}

func (f osFile) Sync() error {
	return knownError(syncData(f.File))
}

const (
	lockPerm  = 0o644 // whoever may read the log may ask who writes it
	maxHolder = 256   // bytes of the holder's text that are written and read

	// A Locked elsewhere takes the lock for an instant, and Lock tries again
	// until it is over. The bound is for who takes it for longer.
	probeWait  = time.Second
	probePause = 100 * time.Microsecond
)

func (osFS) Lock(name, holder string) (io.Closer, error) {
	fl := flock.New(name, flock.SetFlag(os.O_RDWR|os.O_CREATE), flock.SetPermissions(lockPerm))
	for start := time.Now(); ; time.Sleep(probePause) {
		ok, err := fl.TryLock()
		if err != nil {
			return nil, lockError(name, err)
		}
		if ok {
			break
		}
		// A shared lock is refused as well if somebody holds the lock. If it
		// is granted, only somebody's Locked was in the way.
		ok, err = fl.TryRLock()
		if err != nil {
			return nil, lockError(name, err)
		}
		if !ok || time.Since(start) > probeWait {
			_ = fl.Close()
			return nil, &LockedError{Name: name, Holder: readHolder(name)}
		}
		if err := fl.Close(); err != nil {
			return nil, lockError(name, err)
		}
	}
	writeHolder(name, holder)
	return &osLock{fl}, nil
}

func (osFS) Locked(name string) (bool, error) {
	// Without O_CREATE and for reading only, so that it works on media that
	// cannot be written to.
	fl := flock.New(name, flock.SetFlag(os.O_RDONLY))
	ok, err := fl.TryRLock()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && ok {
		err = fl.Close()
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrLockUnknown, lockError(name, err))
	}
	return !ok, nil
}

// lockError names the file in an error that is a bare errno.
func lockError(name string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return err
	}
	return &fs.PathError{Op: "lock", Path: name, Err: err}
}

type osLock struct{ fl *flock.Flock }

func (l *osLock) Close() error {
	if !l.fl.Locked() {
		return nil
	}
	writeHolder(l.fl.Path(), "")
	if err := l.fl.Close(); err != nil {
		return lockError(l.fl.Path(), err)
	}
	return nil
}

// writeHolder leaves word in the lock file who holds it. It is for the eyes of
// whoever finds it locked; on a full disk the lock is as good without, so
// errors do not matter. The text starts with a blank, whose place is the one
// byte that the lock may cover; see lockedBytes.
func writeHolder(name, holder string) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	text := holderText(holder)
	if len(text) > lockedBytes {
		_, _ = f.WriteAt([]byte(text[lockedBytes:]), lockedBytes)
	}
	_ = f.Truncate(int64(max(len(text), lockedBytes)))
	_ = f.Close()
}

// holderText is what stands in a lock file: nothing while nobody holds it.
func holderText(holder string) string {
	if holder = holderLine(holder); holder == "" {
		return ""
	}
	return " " + holder + "\n"
}

// readHolder returns what writeHolder wrote, or nothing if it cannot.
func readHolder(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	buf := make([]byte, maxHolder+2)
	n, err := f.ReadAt(buf, lockedBytes)
	_ = f.Close()
	if err != nil && err != io.EOF {
		return ""
	}
	return holderLine(string(buf[:n]))
}

// holderLine makes one printable line of a text, which may come from anybody
// who can write to the lock file.
func holderLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	if len(s) > maxHolder {
		s = strings.ToValidUTF8(s[:maxHolder], "")
	}
	return s
}
