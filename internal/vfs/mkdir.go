package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// MakeDir creates a folder, with those above it that are missing, and makes
// the names of all that it created durable.
func MakeDir(fsys FS, dir string, perm fs.FileMode) error {
	var parents []string // of what is missing, the lowest first
	for at := filepath.Clean(dir); ; {
		_, err := fsys.Stat(at)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make folder %s: %w", dir, err)
		}
		parent := filepath.Dir(at)
		parents = append(parents, parent)
		if parent == at {
			break
		}
		at = parent
	}
	if len(parents) == 0 {
		// A crash may have come between making it and syncing its name. Who may
		// not read the folder above did not make it.
		err := fsys.SyncDir(filepath.Dir(filepath.Clean(dir)))
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("make folder %s: %w", dir, err)
		}
		return nil
	}
	if err := fsys.MkdirAll(dir, perm); err != nil {
		return fmt.Errorf("make folder %s: %w", dir, err)
	}
	for _, parent := range parents {
		if err := fsys.SyncDir(parent); err != nil {
			return fmt.Errorf("make folder %s: %w", dir, err)
		}
	}
	return nil
}
