package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// MakeDir creates a folder, with the missing folders above it, and makes the
// names of all created folders durable.
func MakeDir(fsys FS, dir string, perm fs.FileMode) error {
	var parents []string // the missing folders and the one above them, the lowest first
	for at := filepath.Clean(dir); ; {
		_, err := fsys.Stat(at)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("create folder %s: %w", dir, err)
		}
		parent := filepath.Dir(at)
		parents = append(parents, parent)
		if parent == at {
			break
		}
		at = parent
	}
	if len(parents) == 0 {
		// A crash may have happened after the folder was created and before its
		// name was synced. A process that may not read the folder above cannot
		// have created it.
		err := fsys.SyncDir(filepath.Dir(filepath.Clean(dir)))
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("create folder %s: %w", dir, err)
		}
		return nil
	}
	if err := fsys.MkdirAll(dir, perm); err != nil {
		return fmt.Errorf("create folder %s: %w", dir, err)
	}
	for _, parent := range parents {
		if err := fsys.SyncDir(parent); err != nil {
			return fmt.Errorf("create folder %s: %w", dir, err)
		}
	}
	return nil
}
