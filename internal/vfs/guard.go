package vfs

import (
	"io/fs"
	"os"
)

// Guard returns a file system that changes files only while all locks are held:
// it checks the locks before each change, and after each Sync of a file, so
// that no write is acknowledged that was made concurrently with another holder
// of a lock. The error is then a *LockLostError. Reading remains possible.
//
// It cannot check and change in one step: a change that is in progress while a
// lock is lost is still made.
func Guard(fsys FS, locks ...Lock) FS { return &guardFS{fsys, locks} }

// GuardAs returns fsys guarded by the same locks as another file system, if
// that is guarded.
func GuardAs(guarded, fsys FS) FS {
	g, ok := guarded.(*guardFS)
	if !ok {
		return fsys
	}
	return Guard(GuardAs(g.FS, fsys), g.locks...)
}

type guardFS struct {
	FS
	locks []Lock
}

func (g *guardFS) held() error {
	for _, l := range g.locks {
		if err := l.Held(); err != nil {
			return err
		}
	}
	return nil
}

func (g *guardFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		if err := g.held(); err != nil {
			return nil, err
		}
	}
	f, err := g.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &guardFile{f, g}, nil
}

func (g *guardFS) Rename(oldname, newname string) error {
	if err := g.held(); err != nil {
		return err
	}
	return g.FS.Rename(oldname, newname)
}

func (g *guardFS) Remove(name string) error {
	if err := g.held(); err != nil {
		return err
	}
	return g.FS.Remove(name)
}

func (g *guardFS) MkdirAll(name string, perm fs.FileMode) error {
	if err := g.held(); err != nil {
		return err
	}
	return g.FS.MkdirAll(name, perm)
}

// A guardFile is a file that is written only while all locks are held.
type guardFile struct {
	File
	g *guardFS
}

func (f *guardFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.g.held(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *guardFile) Truncate(size int64) error {
	if err := f.g.held(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *guardFile) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	return f.g.held()
}
