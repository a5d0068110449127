//go:build darwin || freebsd

package vfs

import "golang.org/x/sys/unix"

// pathFlag opens a folder for going through it, which needs no permission to
// read it.
const pathFlag = unix.O_SEARCH
