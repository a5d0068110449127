//go:build unix && !linux && !darwin

package fileid

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Of returns the ID of the file that has a path.
func Of(path string) (ID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return ID{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return ID{device: uint64(st.Dev), number: uint64(st.Ino)}, nil
}
