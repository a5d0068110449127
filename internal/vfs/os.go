package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// OS is the file system of the operating system. The last part of a name must
// be a regular file or a folder; the folders above it may be links.
var OS FS = &osFS{}

// Below returns the file system of the operating system, restricted below some
// folders: there, no part of a name may be a link. Only the given folders, and
// the folders above them, may be links, except that a given folder which is
// below an earlier one must be real too. Other names are as for OS.
func Below(dirs ...string) FS {
	o := new(osFS)
	for _, dir := range dirs {
		dir = filepath.Clean(dir)
		inside := func(root string) bool { _, ok := below(root, dir); return ok }
		if !slices.ContainsFunc(o.roots, inside) {
			o.roots = append(o.roots, dir)
		}
	}
	return o
}

// Named is the file system of the operating system for files that a user named:
// they may be links, as secrets in containers are, and what is opened for
// reading may be a pipe or a device. Of these, at most 1 MiB is read, at once.
var Named FS = namedFS{OS}

// An osFS opens only regular files and folders.
type osFS struct {
	roots []string // cleaned
}

func (o *osFS) Open(name string) (File, error) {
	return o.OpenFile(name, os.O_RDONLY, 0)
}

func (o *osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := o.open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// open opens a regular file. It is truncated only when it is known to be one.
func (o *osFS) open(name string, flag int, perm fs.FileMode) (*os.File, error) {
	if name == "" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := o.openReal(name, flag&^os.O_TRUNC, perm)
	if err != nil {
		return nil, knownError(err)
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = &FileTypeError{Name: name, Found: fi.Mode().Type()}
	}
	if err == nil && flag&os.O_TRUNC != 0 {
		err = knownError(f.Truncate(0))
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// split returns the folder of a name that may be a link, and the parts of the
// name below it, which must be real. There are none if the name is that of a
// given folder.
func (o *osFS) split(name string) (base string, parts []string) {
	name = filepath.Clean(name)
	for _, root := range o.roots {
		rel, ok := below(root, name)
		if ok && len(root) >= len(base) {
			base, parts = root, nil
			if rel != "." {
				parts = strings.Split(rel, string(filepath.Separator))
			}
		}
	}
	if base == "" {
		base, parts = filepath.Dir(name), []string{filepath.Base(name)}
	}
	return base, parts
}

// below returns the part of a name below the folder root.
func below(root, name string) (string, bool) {
	const sep = string(filepath.Separator)
	switch {
	case name == root:
		return ".", true
	case root == ".":
		return name, !filepath.IsAbs(name) && name != ".." && !strings.HasPrefix(name, ".."+sep)
	case strings.HasSuffix(root, sep): // the system's root
		return strings.CutPrefix(name, root)
	default:
		return strings.CutPrefix(name, root+sep)
	}
}

// rooted reports whether a folder was given to Below.
func (o *osFS) rooted(base string) bool { return slices.Contains(o.roots, base) }

// real reports whether a folder of this name must not be a link, since it is
// below a given one.
func (o *osFS) real(name string) bool {
	base, parts := o.split(name)
	return len(parts) > 0 && o.rooted(base)
}

func (o *osFS) ReadDir(name string) ([]string, error) {
	d, err := o.openDir(name)
	if err != nil {
		return nil, err
	}
	entries, err := d.ReadDir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names, nil
}

func (o *osFS) Free(dir string) (uint64, error) {
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

// A namedFS opens files of any type that a user named.
type namedFS struct{ FS }

// maxStream bounds how much is read from a pipe or a device.
const maxStream = 1 << 20

func (n namedFS) Open(name string) (File, error) { return n.OpenFile(name, os.O_RDONLY, 0) }

func (namedFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, knownError(err)
	}
	const access = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
	fi, err := f.Stat()
	if err == nil && (flag&access != os.O_RDONLY || fi.Mode().IsRegular() || fi.IsDir()) {
		return osFile{f}, nil
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, maxStream+1))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(text) > maxStream {
		return nil, fmt.Errorf("read %s: %w: of a file that is not a regular file, at most %d bytes are read", name, ErrTooLarge, maxStream)
	}
	return stream{bytes.NewReader(text), name}, nil
}

// Stat describes the file that a name leads to.
func (namedFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// A stream is what was read from a file that has no offsets, such as a pipe.
type stream struct {
	*bytes.Reader
	name string
}

func (s stream) Size() (int64, error)               { return s.Reader.Size(), nil }
func (s stream) WriteAt([]byte, int64) (int, error) { return 0, s.readOnly("write") }
func (s stream) Sync() error                        { return nil }
func (s stream) Truncate(int64) error               { return s.readOnly("truncate") }
func (s stream) Close() error                       { return nil }

func (s stream) readOnly(op string) error {
	return &fs.PathError{Op: op, Path: s.name, Err: fs.ErrPermission}
}
