//go:build linux || darwin || freebsd

package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockedBytes is how many bytes at the start of a lock file others cannot read
// or write while it is locked. Here locks are advisory.
const lockedBytes = 0

// knownError returns err, whose codes are those that callers ask for.
func knownError(err error) error { return err }

func rename(oldname, newname string) error { return os.Rename(oldname, newname) }

func remove(name string) error { return os.Remove(name) }

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
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
	// FreeBSD counts below zero what only root may still take.
	return uint64(max(st.Bavail, 0)) * uint64(st.Bsize), nil
}
