package fileid

import (
	"fmt"
	"syscall"
)

// Of returns the ID of the file that has a path.
func Of(path string) (ID, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return ID{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return ID{device: uint64(st.Dev), number: st.Ino, born: st.Birthtimespec.Nano()}, nil
}
