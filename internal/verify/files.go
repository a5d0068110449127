package verify

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
)

// Files lists the segments in a folder, by their names, without empty files and
// without tombstones of records whose lines are in the folder. If the folder is
// missing, the list is empty.
func Files(fsys vfs.FS, dir string) ([]File, error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var files []File
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, ".jsonl")
		gone := false
		if !ok {
			digits, gone = strings.CutSuffix(name, tombstone.Ext)
			ok = gone
		}
		first, err := strconv.ParseUint(digits, 10, 64)
		if !ok || len(digits) != 20 || err != nil {
			continue
		}
		f := File{First: first, Path: filepath.Join(dir, name), Name: path.Join(filepath.Base(dir), name)}
		if gone {
			if n := len(files); n > 0 && files[n-1].First == first {
				continue // the segment's lines are in the folder
			}
			f.readGone(fsys)
			if n := len(files); n > 0 && files[n-1].covers(fsys, first) {
				continue // so are the lines of these records; side files are compared elsewhere
			}
			files = append(files, f)
			continue
		}
		info, err := vfs.StatFile(fsys, f.Path)
		if err != nil {
			f.Err = err
		} else {
			f.Size = info.Size()
		}
		if f.Err == nil && f.Size == 0 {
			continue // begun, or left by a begin that failed: it is empty, and its name proves nothing
		}
		files = append(files, f)
	}
	return files, nil
}

// readGone reads the head of a tombstone. A damaged tombstone counts as one
// without records.
func (f *File) readGone(fsys vfs.FS) {
	f.Gone = new(tombstone.Tombstone)
	file, err := fsys.Open(f.Path)
	if err != nil {
		f.Err = err
		return
	}
	defer func() { _ = file.Close() }() // only read from: nothing to lose
	if f.Size, f.Err = file.Size(); f.Err != nil {
		return
	}
	if m, err := tombstone.Read(file, f.Size); err == nil {
		f.Gone = m
	} else if !errors.Is(err, tombstone.ErrDamaged) {
		f.Err = err
	}
}

// covers reports whether a record that does not begin a segment is one of its
// records.
func (f *File) covers(fsys vfs.FS, seq uint64) bool {
	if f.Err != nil {
		return false
	}
	if f.Gone != nil {
		return f.Gone.First == f.First && f.Gone.Next() > seq
	}
	file, err := fsys.Open(f.Path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read from: nothing to lose
	return tombstone.Beside(file, f.Size, seq)
}
