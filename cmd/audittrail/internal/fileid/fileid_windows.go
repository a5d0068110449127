package fileid

import (
	"fmt"
	"os"
	"syscall"
)

// Of returns the ID of the file that has a path.
func Of(path string) (ID, error) {
	f, err := os.Open(path)
	if err != nil {
		return ID{}, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	var info syscall.ByHandleFileInformation
	if err := syscall.GetFileInformationByHandle(syscall.Handle(f.Fd()), &info); err != nil {
		return ID{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return ID{
		device: uint64(info.VolumeSerialNumber),
		number: uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
		born:   info.CreationTime.Nanoseconds(),
	}, nil
}
