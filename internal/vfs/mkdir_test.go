package vfs_test

import (
	"testing"

	"audittrail/internal/vfs"
)

func TestMakeDirIsDurable(t *testing.T) {
	disk := vfs.NewMem()
	if err := vfs.MakeDir(disk, "a/b/c", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Crash(nil).Stat("a/b/c"); err != nil {
		t.Errorf("after a crash: Stat(a/b/c) = %v, want a folder", err)
	}
	// A folder that was created and not synced becomes durable, too.
	if err := disk.MkdirAll("a/d", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := vfs.MakeDir(disk, "a/d", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Crash(nil).Stat("a/d"); err != nil {
		t.Errorf("after a crash: Stat(a/d) = %v, want a folder", err)
	}
}
