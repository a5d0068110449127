package vfs_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"audittrail/internal/vfs"
)

// lockEnv makes the test binary a process that locks the file named there, says
// so, and waits until it is killed.
const lockEnv = "VFS_TEST_LOCK"

func TestMain(m *testing.M) {
	if name := os.Getenv(lockEnv); name != "" {
		if _, err := vfs.OS.Lock(name, fmt.Sprintf("pid %d", os.Getpid())); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestOSLockEndsWithTheProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), lockEnv+"="+name)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // open as long as the process is to run
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, stdin)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}

	wantLocked(t, vfs.OS, name, true)
	want := fmt.Sprintf("pid %d", cmd.Process.Pid)
	var locked *vfs.LockedError
	if _, err := vfs.OS.Lock(name, "me"); !errors.As(err, &locked) || locked.Holder != want {
		t.Errorf("Lock: %v, want a LockedError with holder %q", err, want)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the killed process succeeded")
	}
	wantLocked(t, vfs.OS, name, false)
	l, err := vfs.OS.Lock(name, "me")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, l)
}

func TestOSLockedNeedsNoWriteAccess(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "LOCK")
	if err := os.WriteFile(name, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	wantLocked(t, vfs.OS, name, false)
	after, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if before.ModTime() != after.ModTime() || before.Mode() != after.Mode() {
		t.Errorf("asking changed the file: %v %v, then %v %v", before.Mode(), before.ModTime(), after.Mode(), after.ModTime())
	}
}

// TestOSLockUnreadable has a lock file that others may not open.
func TestOSLockUnreadable(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("permissions do not matter here")
	}
	name := filepath.Join(t.TempDir(), "LOCK")
	if err := os.WriteFile(name, nil, 0); err != nil {
		t.Fatal(err)
	}
	if locked, err := vfs.OS.Locked(name); locked || !errors.Is(err, vfs.ErrLockUnknown) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Locked = %v, %v; want false, ErrLockUnknown and ErrPermission", locked, err)
	}
	if _, err := vfs.OS.Lock(name, "me"); !errors.Is(err, fs.ErrPermission) || errors.Is(err, vfs.ErrLocked) {
		t.Errorf("Lock: %v, want ErrPermission", err)
	}
}

// TestOSLockFile has a lock file with text that others wrote.
func TestOSLockFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "LOCK")
	if err := os.WriteFile(name, []byte(strings.Repeat("left over ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := vfs.OS.Lock(name, "pid 1")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, l)
	if runtime.GOOS != "windows" {
		wantContent(t, vfs.OS, name, " pid 1\n")
		// The state depends on the lock, not on the text.
		if err := os.WriteFile(name, []byte("\xff\x00"+strings.Repeat("é", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var locked *vfs.LockedError
	if _, err := vfs.OS.Lock(name, "me"); !errors.As(err, &locked) || len(locked.Holder) > 256 {
		t.Errorf("Lock: %v, want a LockedError with a short holder", err)
	}
	wantLocked(t, vfs.OS, name, true)
}

func TestOSRelativeNames(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	mustWriteFile(t, vfs.OS, "f", "x")
	wantContent(t, vfs.OS, filepath.Join(dir, "f"), "x")
	wantNames(t, vfs.OS, ".", "f")
	if _, err := vfs.OS.Free("."); err != nil {
		t.Error(err)
	}
}

func TestOSErrorsKeepTheirIdentity(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skipf("no %s: %v", full, err)
	}
	f, err := vfs.Named.OpenFile(full, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, f)
	if n, err := f.WriteAt([]byte("x"), 0); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteAt on a full device = %d, %v; want 0, ENOSPC", n, err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), full) {
		t.Errorf("Sync of a device: %v, want EINVAL and its name", err)
	}
	if err := vfs.OS.SyncDir(full); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("SyncDir of a device: %v, want ENOTDIR", err)
	}
}
