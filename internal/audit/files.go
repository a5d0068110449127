package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"audittrail/internal/vfs"
)

// Files lists the segments in a folder, by their names alone. A folder that is
// missing has none.
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
		first, err := strconv.ParseUint(digits, 10, 64)
		if !ok || len(digits) != 20 || err != nil {
			continue
		}
		f := File{First: first, Path: filepath.Join(dir, name), Name: path.Join(filepath.Base(dir), name)}
		info, err := fsys.Stat(f.Path)
		if err != nil {
			f.Err = err
		} else {
			f.Size = info.Size()
		}
		files = append(files, f)
	}
	return files, nil
}
