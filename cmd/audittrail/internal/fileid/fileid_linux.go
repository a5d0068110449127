package fileid

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Of returns the ID of the file that has a path.
func Of(path string) (ID, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return ID{}, fmt.Errorf("look at %s: %w", path, err)
	}
	id := ID{device: unix.Mkdev(st.Dev_major, st.Dev_minor), number: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return id, nil
}
