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
	lockPerm  = 0o600 // who may open the file may lock it
	maxHolder = 256   // bytes of the holder's text that are written and read

	// A Locked elsewhere takes the lock for an instant, and Lock tries again
	// until it is over. The bound is for who takes it for longer.
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

// tryLock takes the lock, or tells whether only somebody's Locked, or a change
// of the file, was in the way.
func (o *osFS) tryLock(name string) (l *osLock, again bool, err error) {
	f, err := o.open(name, os.O_RDWR|os.O_CREATE, lockPerm)
	if err != nil {
		return nil, false, err
	}
	ok, err := lockFile(f, true)
	if err == nil && !ok {
		// A shared lock is refused as well if somebody holds the lock.
		again, err = lockFile(f, false)
	}
	if err == nil && ok {
		l = &osLock{file: f, name: name}
		if l.id, err = idOfFile(f); err == nil {
			err = l.Held()
			// Where it was removed after it was opened, the next one counts.
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
	_ = f.Close() // and with it the lock; nothing was written
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
		return fmt.Errorf("look whether the lock %s is still held: %w", l.name, err)
	}
	l.lost.Store(true)
	return &LockLostError{Name: l.name}
}

// tighten takes a lock file of an earlier version from everybody but its owner.
// Only the owner can, and only the owner needs to.
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

// write leaves word in the lock file who holds it. It is for the eyes of
// whoever finds it locked; on a full disk the lock is as good without, so
// errors do not matter. The text starts with a blank, whose place is the one
// byte that the lock may cover; see lockedBytes.
func (l *osLock) write(holder string) {
	text := holderText(holder)
	if len(text) > lockedBytes {
		_, _ = l.file.WriteAt([]byte(text[lockedBytes:]), lockedBytes)
	}
	_ = l.file.Truncate(int64(max(len(text), lockedBytes)))
}

// holderText is what stands in a lock file: nothing while nobody holds it.
func holderText(holder string) string {
	if holder = holderLine(holder); holder == "" {
		return ""
	}
	return " " + holder + "\n"
}

// readHolder returns what was written there, or nothing if it cannot.
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
