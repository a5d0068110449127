package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"audittrail/internal/vfs"
)

// eachFS runs a test on the real file system and on the one in memory.
func eachFS(t *testing.T, test func(t *testing.T, fsys vfs.FS, dir string)) {
	t.Run("OS", func(t *testing.T) { test(t, vfs.OS, t.TempDir()) })
	t.Run("Below", func(t *testing.T) {
		dir := t.TempDir()
		test(t, vfs.Below(dir), dir)
	})
	t.Run("Mem", func(t *testing.T) { test(t, vfs.NewMem(), "/") })
}

// A guarded file system changes nothing once its lock's name leads to another
// file, for whatever reason.
func TestGuard(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open there cannot be moved or removed")
	}
	ways := map[string]func(t *testing.T, fsys vfs.FS, dir string){
		"lock removed": func(t *testing.T, fsys vfs.FS, dir string) {
			remove(t, fsys, filepath.Join(dir, "LOCK"))
		},
		"another lock": func(t *testing.T, fsys vfs.FS, dir string) {
			remove(t, fsys, filepath.Join(dir, "LOCK"))
			l, err := fsys.Lock(filepath.Join(dir, "LOCK"), "other")
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, l)
		},
		"folder moved": func(t *testing.T, fsys vfs.FS, dir string) {
			rename(t, fsys, dir, dir+"-moved")
		},
		"folder exchanged": func(t *testing.T, fsys vfs.FS, dir string) {
			rename(t, fsys, dir, dir+"-moved")
			mkdir(t, fsys, dir)
			for _, name := range []string{"LOCK", "f", "g"} {
				mustWriteFile(t, fsys, filepath.Join(dir, name), "copy")
			}
		},
		"folder is a file": func(t *testing.T, fsys vfs.FS, dir string) {
			rename(t, fsys, dir, dir+"-moved")
			mustWriteFile(t, fsys, dir, "file")
		},
	}
	for what, exchange := range ways {
		t.Run(what, func(t *testing.T) {
			eachFS(t, func(t *testing.T, plain vfs.FS, parent string) {
				testGuard(t, plain, filepath.Join(parent, "dir"), exchange)
			})
		})
	}
}

func testGuard(t *testing.T, plain vfs.FS, dir string, exchange func(*testing.T, vfs.FS, string)) {
	mkdir(t, plain, dir)
	lock, err := plain.Lock(filepath.Join(dir, "LOCK"), "me")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, lock)
	guarded := vfs.Guard(plain, lock)
	name := filepath.Join(dir, "f")
	mustWriteFile(t, guarded, filepath.Join(dir, "g"), "g")
	f := create(t, guarded, name)
	writeAt(t, f, "before", 0)
	if err := f.Sync(); err != nil {
		t.Fatalf("Sync while the lock is held: %v", err)
	}

	exchange(t, plain, dir)
	_, writeErr := f.WriteAt([]byte("after"), 0)
	_, createErr := guarded.OpenFile(filepath.Join(dir, "new"), os.O_RDWR|os.O_CREATE, 0o600)
	_, truncErr := guarded.OpenFile(name, os.O_RDWR|os.O_TRUNC, 0)
	for op, err := range map[string]error{
		"WriteAt": writeErr, "Sync": f.Sync(), "Truncate": f.Truncate(0), "create": createErr, "truncate": truncErr,
		"Rename": guarded.Rename(filepath.Join(dir, "g"), name), "Remove": guarded.Remove(name),
		"MkdirAll":  guarded.MkdirAll(filepath.Join(dir, "sub"), 0o700),
		"WriteFile": vfs.WriteFile(guarded, name, []byte("x"), 0o600), "Held": lock.Held(),
	} {
		var lost *vfs.LockLostError
		if !errors.Is(err, vfs.ErrLockLost) || !errors.As(err, &lost) || lost.Name != filepath.Join(dir, "LOCK") {
			t.Errorf("%s: %v, want a LockLostError", op, err)
		}
	}
	// The file was neither written nor cut, and can still be read.
	text := make([]byte, len("before"))
	if _, err := f.ReadAt(text, 0); err != nil || string(text) != "before" {
		t.Errorf("the file holds %q, %v; want %q", text, err, "before")
	}
	if names, err := plain.ReadDir(dir); err == nil && len(names) > 3 {
		t.Errorf("names are %q", names)
	}
}

// A lost lock remains lost, since another process may have written meanwhile.
func TestLostLockStaysLost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what is open there cannot be moved or removed")
	}
	eachFS(t, func(t *testing.T, fsys vfs.FS, parent string) {
		dir := filepath.Join(parent, "dir")
		mkdir(t, fsys, dir)
		lock, err := fsys.Lock(filepath.Join(dir, "LOCK"), "me")
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, lock)
		rename(t, fsys, dir, dir+"2")
		if err := lock.Held(); !errors.Is(err, vfs.ErrLockLost) {
			t.Fatalf("Held after the folder was moved: %v", err)
		}
		rename(t, fsys, dir+"2", dir)
		if err := lock.Held(); !errors.Is(err, vfs.ErrLockLost) {
			t.Errorf("Held after the folder was moved back: %v, want ErrLockLost", err)
		}
	})
}

// All locks of a guard count.
func TestGuardOfTwoLocks(t *testing.T) {
	m := vfs.NewMem()
	var locks []vfs.Lock
	for _, name := range []string{"/one", "/two"} {
		l, err := m.Lock(name, "me")
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, l)
		locks = append(locks, l)
	}
	guarded := vfs.Guard(m, locks...)
	mustWriteFile(t, guarded, "/f", "x")
	remove(t, m, "/two")
	if err := vfs.WriteFile(guarded, "/f", []byte("y"), 0o600); !errors.Is(err, vfs.ErrLockLost) {
		t.Errorf("WriteFile without the second lock: %v, want ErrLockLost", err)
	}
	wantContent(t, m, "/f", "x")
}

// Others may not open the lock: they could hold it.
func TestLockIsItsOwners(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys vfs.FS, dir string) {
		name := filepath.Join(dir, "LOCK")
		l, err := fsys.Lock(name, "me")
		if err != nil {
			t.Fatal(err)
		}
		closeLater(t, l)
		wantMode(t, fsys, name, 0o600)
	})
}

func TestOldLockIsTightened(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wantLocked(t, vfs.OS, name, false)
	l, err := vfs.OS.Lock(name, "me")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, l)
	wantMode(t, vfs.OS, name, 0o600)
	wantLocked(t, vfs.OS, name, true)
}

func wantMode(t *testing.T, fsys vfs.FS, name string, want fs.FileMode) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // which has no such bits
	}
	fi, err := fsys.Stat(name)
	if err != nil || fi.Mode() != want {
		t.Errorf("%s has %v, %v; want %v", name, fi, err, want)
	}
}

func BenchmarkLockHeld(b *testing.B) {
	l, err := vfs.OS.Lock(filepath.Join(b.TempDir(), "LOCK"), "me")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := l.Held(); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Error(err)
	}
}
