package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"audittrail/internal/vfs"
)

func testLock(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "LOCK")
	wantLocked(t, fsys, name, false)
	wantNames(t, fsys, dir)
	for range 2 {
		l, err := fsys.Lock(name, "first")
		if err != nil {
			t.Fatal(err)
		}
		wantLocked(t, fsys, name, true)
		_, err = fsys.Lock(name, "second")
		if !errors.Is(err, vfs.ErrLocked) {
			t.Fatalf("second Lock: %v, want ErrLocked", err)
		}
		want := &vfs.LockedError{Name: name, Holder: "first"}
		var got *vfs.LockedError
		if !errors.As(err, &got) || *got != *want {
			t.Errorf("second Lock: %#v, want %#v", got, want)
		}
		for range 2 {
			if err := l.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		wantLocked(t, fsys, name, false)
		wantNames(t, fsys, dir, "LOCK")
		if runtime.GOOS != "windows" { // where one byte stays
			wantContent(t, fsys, name, "")
		}
	}
	// Closing a lock that ended does not end the next one.
	old, err := fsys.Lock(name, "old")
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := fsys.Lock(name, "new")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, l)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	wantLocked(t, fsys, name, true)
	// Another name is another lock.
	other, err := fsys.Lock(name+"2", "other")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, other)
}

func testLockHolder(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "LOCK")
	for _, tt := range []struct{ holder, want string }{
		{"pid 123 on host", "lock " + name + ": held by pid 123 on host"},
		{"", "lock " + name + ": held by another process"},
		{"two\nlines \x1b[1m", "lock " + name + ": held by two lines  [1m"},
		{strings.Repeat("é", 200), "lock " + name + ": held by " + strings.Repeat("é", 128)},
		{"short again", "lock " + name + ": held by short again"},
	} {
		l, err := fsys.Lock(name, tt.holder)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = fsys.Lock(name, "me"); err == nil || err.Error() != tt.want {
			t.Errorf("error is %q, want %q", err, tt.want)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// testLockedDoesNotDisturb calls Locked all the time, while another goroutine
// locks and unlocks: as the only one that locks, it must get the lock each
// time.
func testLockedDoesNotDisturb(t *testing.T, fsys vfs.FS, dir string) {
	name := filepath.Join(dir, "LOCK")
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := fsys.Locked(name); err != nil {
					t.Errorf("Locked: %v", err)
					return
				}
			}
		})
	}
	for range 300 {
		l, err := fsys.Lock(name, "me")
		if err != nil {
			t.Errorf("Lock: %v", err)
			break
		}
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	close(stop)
	asking.Wait()
}

func TestLocksEndWithTheProcess(t *testing.T) {
	m := vfs.NewMem()
	l, err := m.Lock("LOCK", "me")
	if err != nil {
		t.Fatal(err)
	}
	syncDir(t, m, "/")
	for what, disk := range map[string]*vfs.Mem{"Crash": m.Crash(nil), "KillOnly": m.KillOnly(), "Clone": m.Clone()} {
		wantLocked(t, disk, "LOCK", false)
		next, err := disk.Lock("LOCK", "next")
		if err != nil {
			t.Errorf("Lock after %s: %v", what, err)
			continue
		}
		closeLater(t, next)
	}
	wantLocked(t, m, "LOCK", true)
	m.FailAfter(0)
	mustFailCreate(t, m)
	if err := l.Close(); err != nil {
		t.Errorf("Close after the crash: %v", err)
	}
	if _, err := m.Lock("LOCK", "again"); !errors.Is(err, vfs.ErrCrashed) {
		t.Errorf("Lock after the crash: %v, want ErrCrashed", err)
	}
}

func mustFailCreate(t *testing.T, m *vfs.Mem) {
	t.Helper()
	if _, err := m.OpenFile("new", os.O_RDWR|os.O_CREATE, 0o644); !errors.Is(err, vfs.ErrCrashed) {
		t.Fatalf("create: %v, want ErrCrashed", err)
	}
	if _, err := m.Stat("new"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Stat of what was not created: %v", err)
	}
}
