//go:build !linux

package vfs

import "os"

// syncData calls os.File.Sync: F_FULLFSYNC on darwin, where fsync alone does
// not reach the disk, and FlushFileBuffers on Windows.
func syncData(f *os.File) error { return f.Sync() }
