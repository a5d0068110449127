//go:build linux || darwin || freebsd

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockedBytes is the number of bytes at the start of a lock file that other
// processes cannot read or write while it is locked. Here locks are advisory.
const lockedBytes = 0

// knownError returns err, which already has the codes that callers check for.
func knownError(err error) error { return err }

// isGone reports whether an error says that a name leads nowhere.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// A place is where the last part of a name is looked up: in an open folder, or
// under its whole name. All parts before it that must be real are.
type place struct {
	dir  int    // a folder's descriptor, or unix.AT_FDCWD
	last string // relative to dir
}

func (p place) close() {
	if p.dir != unix.AT_FDCWD {
		_ = unix.Close(p.dir)
	}
}

// at opens the place of a name, which must be closed.
func (o *osFS) at(op, name string) (place, error) {
	base, parts := o.split(name)
	if len(parts) <= 1 {
		return place{unix.AT_FDCWD, filepath.Join(base, strings.Join(parts, ""))}, nil
	}
	dir, err := openat(unix.AT_FDCWD, base, pathFlag|unix.O_DIRECTORY, 0)
	if err != nil {
		return place{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	for i, part := range parts[:len(parts)-1] {
		next, err := openat(dir, part, pathFlag|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			err = otherType(place{dir, part}, filepath.Join(base, filepath.Join(parts[:i+1]...)), true, err)
		}
		_ = unix.Close(dir)
		if err != nil {
			return place{}, pathError(op, name, err)
		}
		dir = next
	}
	return place{dir, parts[len(parts)-1]}, nil
}

// openat opens a file, and tries again when a signal interrupts it.
func openat(dir int, name string, flag int, perm uint32) (fd int, err error) {
	for {
		fd, err = unix.Openat(dir, name, flag|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// pathError gives an error a name, unless it has one.
func pathError(op, name string, err error) error {
	if fe := (*FileTypeError)(nil); err == nil || errors.As(err, &fe) {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// otherType returns err, or a *FileTypeError if the name could not be opened as
// a folder, or as a file, because it is of another type.
func otherType(p place, name string, folder bool, err error) error {
	var st unix.Stat_t
	if unix.Fstatat(p.dir, p.last, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return err
	}
	mode := fileMode(uint32(st.Mode))
	switch {
	case mode.IsDir(), mode.IsRegular() && !folder:
		return err
	case mode.IsRegular():
		return unix.ENOTDIR // as on other systems
	}
	return &FileTypeError{Name: name, Found: mode.Type(), Folder: folder}
}

// openReal opens a file that is not a symbolic link, without waiting for the
// other end of a pipe.
func (o *osFS) openReal(name string, flag int, perm fs.FileMode) (*os.File, error) {
	p, err := o.at("open", name)
	if err != nil {
		return nil, err
	}
	defer p.close()
	fd, err := openat(p.dir, p.last, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, uint32(perm.Perm()))
	if err == unix.EAGAIN {
		// Another process, such as a file server, has a lease on the file, and
		// is being asked to release it. Pipes have no leases.
		if err = otherType(p, name, false, nil); err == nil {
			fd, err = openat(p.dir, p.last, flag|unix.O_NOFOLLOW|unix.O_NOCTTY, uint32(perm.Perm()))
		}
	}
	if err == nil {
		if err = unix.SetNonblock(fd, false); err != nil {
			_ = unix.Close(fd)
		}
	} else if err != unix.EEXIST {
		err = otherType(p, name, false, err)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openDir opens a folder for reading.
func (o *osFS) openDir(name string) (*os.File, error) {
	p, err := o.at("open", name)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var fd int
	if o.real(name) {
		fd, err = openat(p.dir, p.last, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			err = otherType(p, name, true, err)
		}
	} else {
		fd, err = openat(p.dir, p.last, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (o *osFS) Rename(oldname, newname string) error {
	err := o.rename(oldname, newname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (o *osFS) rename(oldname, newname string) error {
	from, err := o.at("rename", oldname)
	if err != nil {
		return err
	}
	defer from.close()
	to, err := o.at("rename", newname)
	if err != nil {
		return err
	}
	defer to.close()
	if from.dir == unix.AT_FDCWD && to.dir == unix.AT_FDCWD {
		// It refuses to replace a folder, as the system does not.
		err := os.Rename(from.last, to.last)
		if le := (*os.LinkError)(nil); errors.As(err, &le) {
			return le.Err
		}
		return err
	}
	var st unix.Stat_t
	if unix.Fstatat(to.dir, to.last, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && fileMode(uint32(st.Mode)).IsDir() {
		return unix.EEXIST
	}
	for {
		err := unix.Renameat(from.dir, from.last, to.dir, to.last)
		if err != unix.EINTR {
			return err
		}
	}
}

func (o *osFS) Remove(name string) error {
	p, err := o.at("remove", name)
	if err != nil {
		return err
	}
	defer p.close()
	if p.dir == unix.AT_FDCWD {
		return os.Remove(name)
	}
	for {
		err := unix.Unlinkat(p.dir, p.last, 0)
		if err == unix.EINTR {
			continue
		}
		if err == nil {
			return nil
		}
		rerr := unix.Unlinkat(p.dir, p.last, unix.AT_REMOVEDIR)
		switch {
		case rerr == nil:
			return nil
		case rerr != unix.ENOTDIR:
			err = rerr
		}
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
}

func (o *osFS) MkdirAll(name string, perm fs.FileMode) error {
	base, parts := o.split(name)
	if name == "" || !o.rooted(base) || len(parts) == 0 {
		return os.MkdirAll(name, perm)
	}
	if err := os.MkdirAll(base, perm); err != nil {
		return err
	}
	for i := range parts {
		part := filepath.Join(base, filepath.Join(parts[:i+1]...))
		if err := o.mkdir(part, perm); err != nil {
			return err
		}
	}
	return nil
}

// mkdir creates a folder, unless it exists.
func (o *osFS) mkdir(name string, perm fs.FileMode) error {
	p, err := o.at("mkdir", name)
	if err != nil {
		return err
	}
	defer p.close()
	err = unix.Mkdirat(p.dir, p.last, uint32(perm.Perm()))
	if err == unix.EEXIST {
		var st unix.Stat_t
		if err = unix.Fstatat(p.dir, p.last, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && !fileMode(uint32(st.Mode)).IsDir() {
			err = otherType(p, name, true, unix.ENOTDIR)
		}
	}
	return pathError("mkdir", name, err)
}

func (o *osFS) Stat(name string) (fs.FileInfo, error) {
	base, parts := o.split(name)
	if len(parts) == 0 {
		return os.Stat(base) // a folder that a user named
	}
	p, err := o.at("stat", name)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if p.dir == unix.AT_FDCWD {
		return os.Lstat(name)
	}
	var st unix.Stat_t
	for {
		err := unix.Fstatat(p.dir, p.last, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
	}
	return fileInfo{
		name: p.last, size: st.Size, mode: fileMode(uint32(st.Mode)), modTime: time.Unix(st.Mtim.Unix()),
	}, nil
}

// fileMode returns the mode that package os has for a mode of the system.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	case unix.S_IFCHR:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	default:
		m |= fs.ModeIrregular
	}
	return m
}

func (o *osFS) SyncDir(name string) error {
	d, err := o.openDir(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// A fileID identifies a file among all that exist at the same time.
type fileID struct{ dev, ino uint64 }

func (id fileID) same(other fileID) bool { return id == other }

func idOfFile(f *os.File) (fileID, error) {
	id, err := stat(func(st *unix.Stat_t) error { return unix.Fstat(int(f.Fd()), st) })
	runtime.KeepAlive(f)
	return id, err
}

// idOfName is called several times for each appended batch, so it avoids the
// cost of os.Stat.
func idOfName(name string) (fileID, error) {
	return stat(func(st *unix.Stat_t) error { return unix.Lstat(name, st) })
}

func stat(f func(*unix.Stat_t) error) (fileID, error) {
	var st unix.Stat_t
	for {
		err := f(&st)
		if err != unix.EINTR {
			return fileID{uint64(st.Dev), st.Ino}, err
		}
	}
}

// lockFile takes a lock on an open file, and reports whether it could.
func lockFile(f *os.File, exclusive bool) (bool, error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		runtime.KeepAlive(f)
		switch err {
		case nil:
			return true, nil
		case unix.EWOULDBLOCK:
			return false, nil
		case unix.EINTR:
		default:
			return false, err
		}
	}
}

func free(dir string) (uint64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return 0, err
		}
	}
	// FreeBSD gives a negative number if only root can still write.
	return uint64(max(st.Bavail, 0)) * uint64(st.Bsize), nil
}
