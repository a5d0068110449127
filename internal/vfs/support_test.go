package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/vfs"
)

func create(t *testing.T, fsys vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, f)
	return f
}

func closeLater(t *testing.T, c io.Closer) {
	t.Helper()
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
}

func writeAt(t *testing.T, f vfs.File, s string, off int64) {
	t.Helper()
	if n, err := f.WriteAt([]byte(s), off); n != len(s) || err != nil {
		t.Fatalf("WriteAt(%d bytes, %d) = %d, %v", len(s), off, n, err)
	}
}

func mustWriteFile(t *testing.T, fsys vfs.FS, name, content string) {
	t.Helper()
	if err := vfs.WriteFile(fsys, name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, fsys vfs.FS, name, want string) {
	t.Helper()
	got, err := vfs.ReadFile(fsys, name, 1<<20)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

func wantSize(t *testing.T, f vfs.File, want int64) {
	t.Helper()
	if got, err := f.Size(); got != want || err != nil {
		t.Errorf("Size = %d, %v; want %d", got, err, want)
	}
}

func wantNames(t *testing.T, fsys vfs.FS, dir string, want ...string) {
	t.Helper()
	got, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{}, want...), append([]string{}, got...)); diff != "" {
		t.Errorf("names in %s (-want +got):\n%s", dir, diff)
	}
}

func wantLocked(t *testing.T, fsys vfs.FS, name string, want bool) {
	t.Helper()
	if got, err := fsys.Locked(name); got != want || err != nil {
		t.Errorf("Locked = %v, %v; want %v", got, err, want)
	}
}

func syncFile(t *testing.T, f vfs.File) {
	t.Helper()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

func syncDir(t *testing.T, fsys vfs.FS, name string) {
	t.Helper()
	if err := fsys.SyncDir(name); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, fsys vfs.FS, oldname, newname string) {
	t.Helper()
	if err := fsys.Rename(oldname, newname); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, fsys vfs.FS, name string) {
	t.Helper()
	if err := fsys.MkdirAll(name, 0o755); err != nil {
		t.Fatal(err)
	}
}

// newFile returns an open file that is durable, with its name and content.
func newFile(t *testing.T, m *vfs.Mem, name, content string) vfs.File {
	t.Helper()
	f := create(t, m, name)
	writeAt(t, f, content, 0)
	syncFile(t, f)
	syncDir(t, m, path.Dir(name))
	return f
}

func remove(t *testing.T, fsys vfs.FS, name string) {
	t.Helper()
	if err := fsys.Remove(name); err != nil {
		t.Fatal(err)
	}
}
