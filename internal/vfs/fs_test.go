package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"audittrail/internal/vfs"
)

// TestFS checks both file systems by the same rules.
func TestFS(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, fsys vfs.FS, dir string)
	}{
		{"write and read", testWriteRead},
		{"holes", testHoles},
		{"truncate", testTruncate},
		{"open flags", testOpenFlags},
		{"permissions", testPermissions},
		{"read only file", testReadOnlyFile},
		{"closed file", testClosedFile},
		{"bad arguments", testBadArguments},
		{"missing", testMissing},
		{"not a folder", testNotAFolder},
		{"folders", testFolders},
		{"rename", testRename},
		{"rename refused", testRenameRefused},
		{"remove", testRemove},
		{"names", testNames},
		{"write file", testWriteFile},
		{"read file", testReadFile},
		{"lock", testLock},
		{"lock holder", testLockHolder},
		{"locked does not disturb", testLockedDoesNotDisturb},
		{"free", testFree},
		{"many goroutines", testManyGoroutines},
	}
	for _, tt := range tests {
		t.Run("OS/"+tt.name, func(t *testing.T) {
			tt.run(t, vfs.OS, t.TempDir())
		})
		t.Run("Mem/"+tt.name, func(t *testing.T) {
			m := vfs.NewMem()
			dir := filepath.FromSlash("/some/where")
			if err := m.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			tt.run(t, m, dir)
		})
	}
}

func testWriteRead(t *testing.T, fsys vfs.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "f"))
	writeAt(t, f, "hello world", 0)
	writeAt(t, f, "W", 6)
	wantContent(t, fsys, filepath.Join(dir, "f"), "hello World")
	if err := f.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}

	buf := make([]byte, 5)
	if n, err := f.ReadAt(buf, 6); n != 5 || err != nil || string(buf) != "World" {
		t.Errorf("ReadAt(5 bytes, 6) = %d, %v, %q; want 5, nil, World", n, err, buf)
	}
	if n, err := f.ReadAt(buf, 9); n != 2 || err != io.EOF {
		t.Errorf("ReadAt(5 bytes, 9) = %d, %v; want 2, EOF", n, err)
	}
	if n, err := f.ReadAt(buf, 11); n != 0 || err != io.EOF {
		t.Errorf("ReadAt(5 bytes, 11) = %d, %v; want 0, EOF", n, err)
	}
	if n, err := f.ReadAt(buf, 1000); n != 0 || err != io.EOF {
		t.Errorf("ReadAt(5 bytes, 1000) = %d, %v; want 0, EOF", n, err)
	}
	if n, err := f.ReadAt(nil, 1000); n != 0 || err != nil {
		t.Errorf("ReadAt(nothing, 1000) = %d, %v; want 0, nil", n, err)
	}
	if n, err := f.WriteAt(nil, 1000); n != 0 || err != nil {
		t.Errorf("WriteAt(nothing, 1000) = %d, %v; want 0, nil", n, err)
	}
	wantSize(t, f, 11)

	// The caller may change its buffer after a write.
	b := []byte("abc")
	writeAt(t, f, "", 0)
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	b[0] = 'X'
	wantContent(t, fsys, filepath.Join(dir, "f"), "abclo World")
}

func testHoles(t *testing.T, fsys vfs.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "f"))
	writeAt(t, f, "abc", 0)
	writeAt(t, f, "x", 5)
	wantContent(t, fsys, filepath.Join(dir, "f"), "abc\x00\x00x")
	wantSize(t, f, 6)
}

func testTruncate(t *testing.T, fsys vfs.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "f"))
	writeAt(t, f, "abcdef", 0)
	for _, step := range []struct {
		size int64
		want string
	}{{3, "abc"}, {6, "abc\x00\x00\x00"}, {0, ""}, {2, "\x00\x00"}} {
		if err := f.Truncate(step.size); err != nil {
			t.Fatalf("Truncate(%d): %v", step.size, err)
		}
		wantSize(t, f, step.size)
		wantContent(t, fsys, filepath.Join(dir, "f"), step.want)
	}
}

func testOpenFlags(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "f")
	if _, err := fsys.OpenFile(name, os.O_RDWR, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open without O_CREATE: %v, want ErrNotExist", err)
	}
	writeAt(t, create(t, fsys, name), "abc", 0)
	if _, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("open with O_EXCL: %v, want ErrExist", err)
	}
	writeAt(t, create(t, fsys, name), "X", 1)
	wantContent(t, fsys, name, "aXc")

	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, f)
	wantContent(t, fsys, name, "")
}

func testPermissions(t *testing.T, fsys vfs.FS, dir string) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	f, err := fsys.OpenFile(filepath.Join(dir, "f"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, f)
	if err := fsys.MkdirAll(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"f": 0o600, "d": fs.ModeDir | 0o700} {
		fi, err := fsys.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode() != want || fi.Name() != name || fi.IsDir() != want.IsDir() {
			t.Errorf("Stat(%s) = %s %v, want %v", name, fi.Name(), fi.Mode(), want)
		}
	}
}

func testReadOnlyFile(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "f")
	writeAt(t, create(t, fsys, name), "abc", 0)
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, f)
	if n, err := f.WriteAt([]byte("x"), 0); n != 0 || err == nil {
		t.Errorf("WriteAt = %d, %v; want an error", n, err)
	}
	if err := f.Truncate(0); err == nil {
		t.Error("Truncate succeeded")
	}
	wantContent(t, fsys, name, "abc")
}

func testClosedFile(t *testing.T, fsys vfs.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "f"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, readErr := f.ReadAt(b, 0)
	_, writeErr := f.WriteAt(b, 0)
	_, sizeErr := f.Size()
	for op, err := range map[string]error{
		"ReadAt": readErr, "WriteAt": writeErr, "Size": sizeErr,
		"Sync": f.Sync(), "Truncate": f.Truncate(0), "Close": f.Close(),
	} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", op, err)
		}
	}
}

func testBadArguments(t *testing.T, fsys vfs.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "f"))
	b := make([]byte, 1)
	_, readErr := f.ReadAt(b, -1)
	_, writeErr := f.WriteAt(b, -1)
	_, openErr := fsys.Open("")
	_, createErr := fsys.OpenFile("", os.O_RDWR|os.O_CREATE, 0o600)
	for op, err := range map[string]error{
		"ReadAt": readErr, "WriteAt": writeErr, "Truncate": f.Truncate(-1),
		"Open": openErr, "OpenFile": createErr, "MkdirAll": fsys.MkdirAll("", 0o700), "Remove": fsys.Remove(""),
	} {
		if err == nil {
			t.Errorf("%s succeeded", op)
		}
	}
}

func testMissing(t *testing.T, fsys vfs.FS, dir string) {
	create(t, fsys, filepath.Join(dir, "f"))
	for _, name := range []string{filepath.Join(dir, "no"), filepath.Join(dir, "no", "f")} {
		_, openErr := fsys.Open(name)
		_, statErr := fsys.Stat(name)
		_, readDirErr := fsys.ReadDir(name)
		_, readErr := vfs.ReadFile(fsys, name, 10)
		_, freeErr := fsys.Free(name)
		errs := map[string]error{
			"Open": openErr, "Stat": statErr, "ReadDir": readDirErr, "ReadFile": readErr, "Free": freeErr,
			"Remove": fsys.Remove(name), "Rename": fsys.Rename(name, filepath.Join(dir, "g")),
		}
		if runtime.GOOS != "windows" {
			errs["SyncDir"] = fsys.SyncDir(name)
		}
		if filepath.Dir(name) != dir {
			_, errs["OpenFile"] = fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
			_, errs["Lock"] = fsys.Lock(name, "me")
			errs["WriteFile"] = vfs.WriteFile(fsys, name, nil, 0o600)
			errs["Rename to"] = fsys.Rename(filepath.Join(dir, "f"), name)
		}
		for op, err := range errs {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s(%s): %v, want ErrNotExist", op, name, err)
			}
			if err != nil && !strings.Contains(err.Error(), name) {
				t.Errorf("%s: error %q does not name %s", op, err, name)
			}
		}
		if locked, err := fsys.Locked(name); locked || err != nil {
			t.Errorf("Locked(%s) = %v, %v; want false, nil", name, locked, err)
		}
	}
	wantNames(t, fsys, dir, "f")
}

func testNotAFolder(t *testing.T, fsys vfs.FS, dir string) {
	file := filepath.Join(dir, "f")
	create(t, fsys, file)
	name := filepath.Join(file, "g")
	_, openErr := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	_, statErr := fsys.Stat(name)
	_, readDirErr := fsys.ReadDir(file)
	_, dirErr := fsys.OpenFile(dir, os.O_RDWR, 0)
	_, readErr := vfs.ReadFile(fsys, dir, 1<<20)
	for op, err := range map[string]error{
		"OpenFile": openErr, "Stat": statErr, "ReadDir": readDirErr, "MkdirAll": fsys.MkdirAll(name, 0o700),
		"Remove": fsys.Remove(name), "OpenFile of a folder": dirErr, "ReadFile of a folder": readErr,
	} {
		if err == nil {
			t.Errorf("%s succeeded", op)
		}
	}
	if runtime.GOOS != "windows" {
		if locked, err := fsys.Locked(name); locked || !errors.Is(err, vfs.ErrLockUnknown) {
			t.Errorf("Locked = %v, %v; want false, ErrLockUnknown", locked, err)
		}
	}
}

func testFolders(t *testing.T, fsys vfs.FS, dir string) {
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := fsys.MkdirAll(deep, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	create(t, fsys, filepath.Join(deep, "f"))
	wantNames(t, fsys, filepath.Join(dir, "a"), "b")
	wantNames(t, fsys, deep, "f")
	if err := fsys.SyncDir(deep); err != nil {
		t.Errorf("SyncDir: %v", err)
	}
	fi, err := fsys.Stat(deep)
	if err != nil || !fi.IsDir() {
		t.Errorf("Stat(%s) = %v, %v; want a folder", deep, fi, err)
	}
}

func testRename(t *testing.T, fsys vfs.FS, dir string) {
	a, b, sub := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "sub")
	mustWriteFile(t, fsys, a, "A")
	mustWriteFile(t, fsys, b, "B")
	if err := fsys.Rename(a, a); err != nil {
		t.Errorf("Rename to itself: %v", err)
	}
	if err := fsys.Rename(a, b); err != nil {
		t.Fatal(err)
	}
	wantNames(t, fsys, dir, "b")
	wantContent(t, fsys, b, "A")

	if err := fsys.MkdirAll(filepath.Join(sub, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Rename(b, filepath.Join(sub, "c")); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Rename(sub, filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, fsys, dir, "moved")
	wantNames(t, fsys, filepath.Join(dir, "moved"), "c", "x")
	wantContent(t, fsys, filepath.Join(dir, "moved", "c"), "A")
}

func testRenameRefused(t *testing.T, fsys vfs.FS, dir string) {
	file, sub := filepath.Join(dir, "f"), filepath.Join(dir, "sub")
	mustWriteFile(t, fsys, file, "F")
	if err := fsys.MkdirAll(filepath.Join(sub, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"file onto folder":   {file, sub},
		"folder onto file":   {sub, file},
		"folder into itself": {sub, filepath.Join(sub, "x", "y")},
	} {
		if runtime.GOOS == "windows" && what == "folder onto file" {
			continue // which MoveFileEx may allow
		}
		if err := fsys.Rename(pair[0], pair[1]); err == nil {
			t.Errorf("%s succeeded", what)
		}
	}
	wantNames(t, fsys, dir, "f", "sub")
	wantNames(t, fsys, sub, "x")
	wantContent(t, fsys, file, "F")
}

func testRemove(t *testing.T, fsys vfs.FS, dir string) {
	sub := filepath.Join(dir, "sub")
	if err := fsys.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	mustWriteFile(t, fsys, filepath.Join(sub, "f"), "F")
	if err := fsys.Remove(sub); err == nil {
		t.Error("Remove of a folder with a file in it succeeded")
	}
	if err := fsys.Remove(filepath.Join(sub, "f")); err != nil {
		t.Error(err)
	}
	wantNames(t, fsys, sub)
	if err := fsys.Remove(sub); err != nil {
		t.Error(err)
	}
	wantNames(t, fsys, dir)
}

func testNames(t *testing.T, fsys vfs.FS, dir string) {
	mustWriteFile(t, fsys, filepath.Join(dir, "b"), "")
	mustWriteFile(t, fsys, filepath.Join(dir, "é"), "")
	mustWriteFile(t, fsys, filepath.Join(dir, "a b"), "")
	mustWriteFile(t, fsys, dir+string(filepath.Separator)+"."+string(filepath.Separator)+"Z", "")
	if err := fsys.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	wantNames(t, fsys, dir, "Z", "a", "a b", "b", "é")
	wantNames(t, fsys, filepath.Join(dir, "a")+string(filepath.Separator)+"..", "Z", "a", "a b", "b", "é")
}

func testWriteFile(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "f")
	// A leftover of a crash, with other permissions.
	leftover, err := fsys.OpenFile(name+".tmp", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	writeAt(t, leftover, "something longer", 0)
	if err := leftover.Close(); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"one", "", "three"} {
		if err := vfs.WriteFile(fsys, name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		wantContent(t, fsys, name, content)
		wantNames(t, fsys, dir, "f")
	}
	fi, err := fsys.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && fi.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", fi.Mode())
	}
	// A folder has the name: after the error no file is left.
	sub := filepath.Join(dir, "sub")
	if err := fsys.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fsys, sub, []byte("x"), 0o600); err == nil {
		t.Error("WriteFile onto a folder succeeded")
	}
	wantNames(t, fsys, dir, "f", "sub")
}

func testReadFile(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "f")
	mustWriteFile(t, fsys, name, "12345")
	if got, err := vfs.ReadFile(fsys, name, 5); string(got) != "12345" || err != nil {
		t.Errorf("ReadFile, limit 5 = %q, %v; want 12345, nil", got, err)
	}
	_, err := vfs.ReadFile(fsys, name, 4)
	if !errors.Is(err, vfs.ErrTooLarge) {
		t.Errorf("ReadFile, limit 4: %v, want ErrTooLarge", err)
	}
	if want := "read " + name + ": file too large: 5 bytes, the limit is 4"; err != nil && err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
	mustWriteFile(t, fsys, name, "")
	if got, err := vfs.ReadFile(fsys, name, 0); len(got) != 0 || err != nil {
		t.Errorf("ReadFile of an empty file, limit 0 = %q, %v; want nothing", got, err)
	}
}

func testFree(t *testing.T, fsys vfs.FS, dir string) {
	if n, err := fsys.Free(dir); err != nil || n == 0 || n > 1<<60 {
		t.Errorf("Free = %d, %v", n, err)
	}
}

func testManyGoroutines(t *testing.T, fsys vfs.FS, dir string) {
	f := create(t, fsys, filepath.Join(dir, "shared"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own := filepath.Join(dir, string(rune('a'+i)))
			for j := range 20 {
				content := bytes.Repeat([]byte{byte('a' + i)}, j)
				if err := vfs.WriteFile(fsys, own, content, 0o600); err != nil {
					t.Errorf("WriteFile: %v", err)
				}
				got, err := vfs.ReadFile(fsys, own, 100)
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("ReadFile = %q, %v; want %q", got, err, content)
				}
				if _, err := f.ReadAt(make([]byte, 10), 0); err != nil && err != io.EOF {
					t.Errorf("ReadAt: %v", err)
				}
				if i == 0 {
					if _, err := f.WriteAt(content, int64(j)); err != nil {
						t.Errorf("WriteAt: %v", err)
					}
				}
				if _, err := fsys.ReadDir(dir); err != nil {
					t.Errorf("ReadDir: %v", err)
				}
			}
		})
	}
	wg.Wait()
}
