package vfs_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"audittrail/internal/vfs"
)

// TestWriteFileCrash crashes a replacement at each of its operations.
func TestWriteFileCrash(t *testing.T) {
	old, replacement := strings.Repeat("old", 300), strings.Repeat("NEW", 400)
	seen := make(map[string]bool)
	for n := 0; ; n++ {
		m := vfs.NewMem()
		mkdir(t, m, "d")
		syncDir(t, m, "/")
		mustWriteFile(t, m, "d/f", old)
		m.FailAfter(m.Ops() + n)
		err := vfs.WriteFile(m, "d/f", []byte(replacement), 0o600)
		crashes(m, func(disk *vfs.Mem) {
			got, rerr := vfs.ReadFile(disk, "d/f", 1<<20)
			if rerr != nil || string(got) != old && string(got) != replacement {
				t.Fatalf("crash at operation %d: %q, %v", n, got, rerr)
			}
			if err == nil && string(got) != replacement {
				t.Fatal("WriteFile succeeded, the crash brought the old file back")
			}
			seen[fmt.Sprint(err == nil, string(got) == replacement)] = true
			// The next process can write, whatever the crash left.
			mustWriteFile(t, disk, "d/f", "next")
			wantNames(t, disk, "d", "f")
		})
		if err == nil {
			break
		}
		if !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("crash at operation %d: %v, want ErrCrashed", n, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("saw %v, want failures with the old and the new file, and success with the new one", seen)
	}
}

// TestWriteFileFails fails a replacement at each of its operations.
func TestWriteFileFails(t *testing.T) {
	for n := 0; ; n++ {
		m := vfs.NewMem()
		mustWriteFile(t, m, "f", "old")
		failAt := m.Ops() + n
		var failed vfs.OpKind
		m.Inject(func(op vfs.Op) error {
			if op.Kind <= vfs.OpSyncDir && op.N == failAt {
				failed = op.Kind
				return syscall.EIO
			}
			return nil
		})
		err := vfs.WriteFile(m, "f", []byte("new"), 0o600)
		if failed == 0 {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if !errors.Is(err, syscall.EIO) || !strings.HasPrefix(err.Error(), "write f: ") {
			t.Errorf("%v fails: error %v, want EIO", failed, err)
		}
		want := "old"
		if failed == vfs.OpSyncDir {
			want = "new"
		}
		wantContent(t, m, "f", want)
		wantNames(t, m, "/", "f")
	}
}

func TestReadFileFails(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpOpen, vfs.OpSize, vfs.OpRead} {
		m := vfs.NewMem()
		mustWriteFile(t, m, "f", "x")
		m.Inject(func(op vfs.Op) error {
			if op.Kind == kind {
				return syscall.EIO
			}
			return nil
		})
		if got, err := vfs.ReadFile(m, "f", 10); got != nil || !errors.Is(err, syscall.EIO) {
			t.Errorf("%v fails: ReadFile = %q, %v; want EIO", kind, got, err)
		}
	}
}
