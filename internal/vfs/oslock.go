package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lockPerm  = 0o600 // whatever user may open the file may lock it
	maxHolder = 256   // bytes of the holder's text that are written and read

	// Locked in another process takes the lock for an instant, and Lock tries
	// again until that is over. The limit is for processes that hold the lock
	// for longer.
	probeWait  = time.Second
	probePause = 100 * time.Microsecond
)

func (o *osFS) Lock(name, holder string) (Lock, error) {
	for start := time.Now(); ; time.Sleep(probePause) {
		l, probed, err := o.tryLock(name)
		if err != nil {
			return nil, err
		}
		if l != nil {
			l.write(holder)
			return l, nil
		}
		if !probed || time.Since(start) > probeWait {
			return nil, &LockedError{Name: name, Holder: o.readHolder(name)}
		}
	}
}

// tryLock takes the lock. If it cannot because of another process's Locked, or
// because the file was exchanged, again is true.
func (o *osFS) tryLock(name string) (l *osLock, again bool, err error) {
	f, err := o.open(name, os.O_RDWR|os.O_CREATE, lockPerm)
	if err != nil {
		return nil, false, err
	}
	ok, err := lockFile(f, true)
	if err == nil && !ok {
		// A shared lock is refused as well if another process holds the lock.
		again, err = lockFile(f, false)
	}
	if err == nil && ok {
		l = &osLock{file: f, name: name}
		if l.id, err = idOfFile(f); err == nil {
			err = l.Held()
			// If the file was removed after it was opened, the lock is that of
			// the next file.
			again = errors.Is(err, ErrLockLost)
		}
		if err == nil {
			l.tighten()
			return l, false, nil
		}
		if again {
			err = nil
		}
	}
	_ = f.Close() // which releases the lock; nothing was written
	if err != nil {
		return nil, false, lockError(name, err)
	}
	return nil, again, nil
}

func (o *osFS) Locked(name string) (bool, error) {
	// Without O_CREATE and for reading only, so that it works on media that
	// cannot be written to.
	f, err := o.open(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	ok := false
	if err == nil {
		ok, err = lockFile(f, false)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrLockUnknown, lockError(name, err))
	}
	return !ok, nil
}

// lockError names the file in an error that is a bare errno.
func lockError(name string, err error) error {
	pe, fe := (*fs.PathError)(nil), (*FileTypeError)(nil)
	if errors.As(err, &pe) || errors.As(err, &fe) {
		return err
	}
	return &fs.PathError{Op: "lock", Path: name, Err: err}
}

// An osLock is a lock on an open file, which ends when that is closed.
type osLock struct {
	name string
	id   fileID // of the locked file
	lost atomic.Bool

	mu   sync.Mutex // guards file
	file *os.File   // nil after Close
}

func (l *osLock) Held() error {
	if l.lost.Load() {
		return &LockLostError{Name: l.name}
	}
	id, err := idOfName(l.name)
	if err == nil && id.same(l.id) {
		return nil
	}
	if err != nil && !isGone(err) {
		return fmt.Errorf("check that the lock %s is still held: %w", l.name, err)
	}
	l.lost.Store(true)
	return &LockLostError{Name: l.name}
}

// tighten removes all permissions but the owner's from a lock file of an
// earlier version. Only the owner can do so, and only the owner needs to.
func (l *osLock) tighten() {
	if fi, err := l.file.Stat(); err == nil && fi.Mode().Perm()&^lockPerm != 0 {
		_ = l.file.Chmod(lockPerm)
	}
}

func (l *osLock) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	l.write("")
	err := l.file.Close()
	l.file = nil
	return err
}

// write writes the holder's text to the lock file, for people and processes
// that find the file locked. The lock is valid without the text, such as on a
// full disk, so errors are ignored. The text starts with a blank, at the one
// byte that the lock may cover; see lockedBytes.
func (l *osLock) write(holder string) {
	text := holderText(holder)
	if len(text) > lockedBytes {
		_, _ = l.file.WriteAt([]byte(text[lockedBytes:]), lockedBytes)
	}
	_ = l.file.Truncate(int64(max(len(text), lockedBytes)))
}

// holderText returns the content of a lock file: nothing while the lock is
// free.
func holderText(holder string) string {
	if holder = holderLine(holder); holder == "" {
		return ""
	}
	return " " + holder + "\n"
}

// readHolder returns the holder's text from the lock file, or nothing if that
// cannot be read.
func (o *osFS) readHolder(name string) string {
	f, err := o.open(name, os.O_RDONLY, 0)
	if err != nil {
		return ""
	}
	buf := make([]byte, maxHolder+2)
	n, err := f.ReadAt(buf, lockedBytes)
	_ = f.Close() // only read from: nothing to lose
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
