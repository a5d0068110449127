package vfs

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// syncData uses fdatasync: it leaves out the times of the file, which saves a
// write to the file system's journal, and includes the length.
func syncData(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = c.Control(func(fd uintptr) {
		for {
			serr = unix.Fdatasync(int(fd))
			if serr != unix.EINTR {
				return
			}
		}
	})
	if err == nil {
		err = serr
	} else {
		err = fs.ErrClosed // the only error of Control, which is unexported
	}
	if err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
