package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/vfs"
)

// everything does each mutating operation once, and reports the first error.
func everything(m *vfs.Mem) error {
	if err := m.MkdirAll("d/e", 0o755); err != nil {
		return err
	}
	f, err := m.OpenFile("d/f", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte("content"), 0); err != nil {
		return err
	}
	if err := f.Truncate(3); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := m.Rename("d/f", "d/g"); err != nil {
		return err
	}
	if err := m.SyncDir("d"); err != nil {
		return err
	}
	return m.Remove("d/e")
}

// states are the states of the disk after each operation of everything.
var states = []string{
	"", "d{e{}}", "d{e{} f=}", "d{e{} f=content}", "d{e{} f=con}", "d{e{} f=con}",
	"d{e{} g=con}", "d{e{} g=con}", "d{g=con}",
}

func TestFailAfter(t *testing.T) {
	for n, want := range states {
		m := vfs.NewMem()
		m.FailAfter(n)
		err := everything(m)
		if n == len(states)-1 {
			if err != nil {
				t.Errorf("FailAfter(%d): %v, want nothing to fail", n, err)
			}
		} else if !errors.Is(err, vfs.ErrCrashed) {
			t.Errorf("FailAfter(%d): %v, want ErrCrashed", n, err)
		}
		got := tree(t, m, "/")
		if n == 2 && strings.HasPrefix("d{e{} f=content", got[:len(got)-1]) {
			got = want // a write may get anywhere
		}
		if got != want {
			t.Errorf("FailAfter(%d): left %q, want %q", n, got, want)
		}
		if wantOps := min(n+1, len(states)-1); m.Ops() != wantOps {
			t.Errorf("FailAfter(%d): Ops = %d, want %d", n, m.Ops(), wantOps)
		}
	}
}

func TestFailAfterStaysFailed(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "old")
	lock, err := m.Lock("LOCK", "me")
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, lock)
	mkdir(t, m, "d")
	before := tree(t, m, "/")
	m.FailAfter(m.Ops())
	mustFailCreate(t, m) // and with it the crash is over, so that no write gets half in
	_, writeErr := f.WriteAt([]byte("new"), 0)
	_, truncErr := m.OpenFile("f", os.O_RDWR|os.O_TRUNC, 0)
	for op, err := range map[string]error{
		"WriteAt": writeErr, "OpenFile": truncErr, "Truncate": f.Truncate(0), "Sync": f.Sync(),
		"Rename": m.Rename("f", "g"), "Remove": m.Remove("f"), "MkdirAll": m.MkdirAll("x", 0o755),
		"SyncDir": m.SyncDir("d"), "WriteFile": vfs.WriteFile(m, "g", nil, 0o600),
	} {
		if !errors.Is(err, vfs.ErrCrashed) {
			t.Errorf("%s after the crash: %v, want ErrCrashed", op, err)
		}
	}
	if got := tree(t, m, "/"); got != before { // reading still works
		t.Errorf("after the crash: %q, want %q", got, before)
	}
	m.FailAfter(-1)
	writeAt(t, f, "new", 0)
	wantContent(t, m, "f", "new")
}

func TestFailAfterPartialWrites(t *testing.T) {
	lengths := make(map[int]bool)
	for n := range 100 {
		m := vfs.NewMem()
		f := create(t, m, "f")
		for range n {
			writeAt(t, f, "0123456789", 0)
		}
		m.FailAfter(m.Ops())
		wrote, err := f.WriteAt([]byte("abcdefghij"), 0)
		if !errors.Is(err, vfs.ErrCrashed) {
			t.Fatal(err)
		}
		lengths[wrote] = true
		want := "abcdefghij"[:wrote]
		if n > 0 {
			want += "0123456789"[wrote:]
		}
		wantContent(t, m, "f", want)
		if wrote, err := f.WriteAt([]byte("x"), 0); wrote != 0 || !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("WriteAt after the crash = %d, %v", wrote, err)
		}
	}
	if len(lengths) != 11 {
		t.Errorf("partial writes of %v bytes, want each from 0 to 10", lengths)
	}
}

func TestInjectSeesOperations(t *testing.T) {
	m := vfs.NewMem()
	var got []vfs.Op
	m.Inject(func(op vfs.Op) error {
		got = append(got, op)
		return nil
	})
	if err := everything(m); err != nil {
		t.Fatal(err)
	}
	wantContent(t, m, "./d/g", "con")
	want := []vfs.Op{
		{Kind: vfs.OpMkdir, Name: "d/e", N: 0},
		{Kind: vfs.OpCreate, Name: "d/f", N: 1},
		{Kind: vfs.OpWrite, Name: "d/f", N: 2, Len: 7},
		{Kind: vfs.OpTruncate, Name: "d/f", N: 3, Off: 3},
		{Kind: vfs.OpSync, Name: "d/f", N: 4},
		{Kind: vfs.OpRename, Name: "d/f", To: "d/g", N: 5},
		{Kind: vfs.OpSyncDir, Name: "d", N: 6},
		{Kind: vfs.OpRemove, Name: "d/e", N: 7},
		{Kind: vfs.OpOpen, Name: "d/g", N: 8},
		{Kind: vfs.OpSize, Name: "d/g", N: 8},
		{Kind: vfs.OpRead, Name: "d/g", N: 8, Len: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if m.Ops() != 8 {
		t.Errorf("Ops = %d, want 8", m.Ops())
	}
}

func TestInjectFails(t *testing.T) {
	m := vfs.NewMem()
	mustWriteFile(t, m, "f", "x")
	var kind vfs.OpKind
	m.Inject(func(op vfs.Op) error {
		if op.Kind == kind {
			return syscall.EMFILE
		}
		return nil
	})
	for k, run := range map[vfs.OpKind]func() error{
		vfs.OpOpen:    func() error { _, err := m.Open("f"); return err },
		vfs.OpCreate:  func() error { _, err := m.OpenFile("g", os.O_CREATE|os.O_RDWR, 0o644); return err },
		vfs.OpReadDir: func() error { _, err := m.ReadDir("/"); return err },
		vfs.OpStat:    func() error { _, err := m.Stat("f"); return err },
		vfs.OpLock:    func() error { _, err := m.Lock("LOCK", "me"); return err },
		vfs.OpFree:    func() error { _, err := m.Free("/"); return err },
		vfs.OpLocked:  func() error { _, err := m.Locked("f"); return err },
		vfs.OpRename:  func() error { return m.Rename("f", "g") },
		vfs.OpRemove:  func() error { return m.Remove("f") },
		vfs.OpMkdir:   func() error { return m.MkdirAll("d", 0o755) },
		vfs.OpSyncDir: func() error { return m.SyncDir("/") },
	} {
		kind = k
		err := run()
		if !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), k.String()) {
			t.Errorf("%v: %v, want EMFILE and what was attempted", k, err)
		}
		if (k == vfs.OpLocked) != errors.Is(err, vfs.ErrLockUnknown) {
			t.Errorf("%v: %v, ErrLockUnknown where it should not be, or not where it should", k, err)
		}
	}
	m.Inject(nil)
	if got := tree(t, m, "/"); got != "f=x" {
		t.Errorf("operations that failed left %q", got)
	}
}

func TestInjectFault(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "")
	var fault error
	m.Inject(func(vfs.Op) error { return fault })

	fault = &vfs.Fault{Done: 2, Err: syscall.EIO}
	if n, err := f.WriteAt([]byte("abc"), 0); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Errorf("WriteAt = %d, %v; want 2, EIO", n, err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync: %v, want EIO", err)
	}
	if err := m.Rename("f", "g"); !errors.Is(err, syscall.EIO) {
		t.Errorf("Rename: %v, want EIO", err)
	}
	if _, err := m.OpenFile("h", os.O_RDWR|os.O_CREATE, 0o644); !errors.Is(err, syscall.EIO) {
		t.Errorf("OpenFile: %v, want EIO", err)
	}
	if err := m.SyncDir("/"); !errors.Is(err, syscall.EIO) {
		t.Errorf("SyncDir: %v, want EIO", err)
	}
	fault = nil
	if got, want := tree(t, m.Crash(nil), "/"), "g=ab h="; got != want {
		t.Errorf("the disk has %q, want all that was carried out: %q", got, want)
	}
	fault = &vfs.Fault{Done: 1000, Err: syscall.EIO}
	if n, err := f.WriteAt([]byte("abc"), 0); n != 3 || !errors.Is(err, syscall.EIO) {
		t.Errorf("WriteAt = %d, %v; want 3, EIO", n, err)
	}
}

func TestInjectCrashes(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "old")
	writeAt(t, f, "new", 0)
	m.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return vfs.ErrCrashed
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, vfs.ErrCrashed) {
		t.Errorf("Sync: %v, want ErrCrashed", err)
	}
	mustFailCreate(t, m)
	// Unlike a Sync that fails, one that never ended may have saved anything.
	seen := outcomes(m, func(disk *vfs.Mem) string { return tree(t, disk, "/") })
	if seen["f=old"] == 0 || seen["f=new"] == 0 {
		t.Errorf("saw %v, want the old and the new file", seen)
	}
}

// TestInjectMayBlock holds up a sync while others write, which the sync does not
// cover, and looks at the disk from inside.
func TestInjectMayBlock(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "")
	writeAt(t, f, "a", 0)
	syncing, resume := make(chan struct{}), make(chan struct{})
	m.Inject(func(op vfs.Op) error {
		if op.Kind != vfs.OpSync {
			return nil
		}
		close(syncing)
		<-resume
		if m.Ops() <= op.N {
			t.Errorf("Ops = %d in operation %d", m.Ops(), op.N)
		}
		wantContent(t, m, "f", "ab")
		wantContent(t, m.Crash(nil), "f", "")
		return nil
	})
	done := make(chan error)
	go func() { done <- f.Sync() }()
	<-syncing
	writeAt(t, create(t, m, "f"), "b", 1)
	close(resume)
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantContent(t, m.Crash(nil), "f", "a")
	m.Inject(nil)
	syncFile(t, f)
	wantContent(t, m.Crash(nil), "f", "ab")
}

// TestConcurrentSyncs has a sync that fails, and one that overtakes it.
func TestConcurrentSyncs(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "")
	writeAt(t, f, "a", 0)
	first := true
	m.Inject(func(op vfs.Op) error {
		if op.Kind != vfs.OpSync || !first {
			return nil
		}
		first = false
		writeAt(t, f, "b", 1)
		syncFile(t, f)
		writeAt(t, f, "c", 2)
		return syscall.EIO
	})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync: %v, want EIO", err)
	}
	wantContent(t, m.Crash(nil), "f", "ab")
	syncFile(t, f)
	wantContent(t, m.Crash(nil), "f", "abc")
}

func TestCapacity(t *testing.T) {
	m := vfs.NewMem()
	m.Capacity(10)
	f := create(t, m, "f")
	g := create(t, m, "g")
	writeAt(t, g, "123", 0)
	wantFree(t, m, 7)
	if n, err := f.WriteAt([]byte("abcdefghij"), 0); n != 7 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteAt = %d, %v; want 7, ENOSPC", n, err)
	}
	wantContent(t, m, "f", "abcdefg")
	wantFree(t, m, 0)
	if n, err := f.WriteAt([]byte("h"), 7); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteAt on a full disk = %d, %v; want 0, ENOSPC", n, err)
	}
	if n, err := f.WriteAt([]byte("h"), 20); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteAt past the end of a full disk = %d, %v; want 0, ENOSPC", n, err)
	}
	if err := f.Truncate(8); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Truncate on a full disk: %v, want ENOSPC", err)
	}
	wantSize(t, f, 7)
	writeAt(t, f, "ABCDEFG", 0) // no more than there was
	syncFile(t, f)
	if err := vfs.WriteFile(m, "h", []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("WriteFile on a full disk: %v, want ENOSPC", err)
	}
	wantNames(t, m, "/", "f", "g")

	remove(t, m, "g")
	wantFree(t, m, 3)
	writeAt(t, f, "xyz", 7)
	if err := f.Truncate(5); err != nil {
		t.Fatal(err)
	}
	wantFree(t, m, 5)
	wantFree(t, m.Clone(), 5)
	m.Capacity(2)
	wantFree(t, m, 0)
	m.Capacity(-1)
	writeAt(t, f, strings.Repeat("x", 1000), 0)
}

func wantFree(t *testing.T, m *vfs.Mem, want uint64) {
	t.Helper()
	if got, err := m.Free("/"); got != want || err != nil {
		t.Errorf("Free = %d, %v; want %d", got, err, want)
	}
}

func TestCloneIsIndependent(t *testing.T) {
	m := vfs.NewMem()
	mkdir(t, m, "d")
	f := newFile(t, m, "d/f", "one")
	c := m.Clone()
	writeAt(t, f, "two", 0)
	writeAt(t, create(t, c, "d/f"), "three", 0)
	remove(t, c, "d/f")
	mustWriteFile(t, c, "d/g", "four")
	if got := tree(t, m, "/"); got != "d{f=two}" {
		t.Errorf("the original has %q", got)
	}
	if got := tree(t, c, "/"); got != "d{g=four}" {
		t.Errorf("the copy has %q", got)
	}
}

func TestCloneFailsAlone(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "old")
	writeAt(t, f, "new", 0)
	c := m.Clone()
	c.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return syscall.EIO
		}
		return nil
	})
	if err := create(t, c, "f").Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Sync: %v, want EIO", err)
	}
	syncFile(t, f)
	wantContent(t, c.Crash(nil), "f", "old")
	wantContent(t, m.Crash(nil), "f", "new")
}

func TestMemOpenFilesOutliveTheirNames(t *testing.T) {
	m := vfs.NewMem()
	f := newFile(t, m, "f", "one")
	mustWriteFile(t, m, "f", "two")
	writeAt(t, f, "O", 0)
	buf := make([]byte, 3)
	if _, err := f.ReadAt(buf, 0); err != nil || string(buf) != "One" {
		t.Errorf("the replaced file has %q, %v; want One", buf, err)
	}
	wantContent(t, m, "f", "two")
}

func TestMemNames(t *testing.T) {
	m := vfs.NewMem()
	mustWriteFile(t, m, "f", "x")
	for _, name := range []string{"/f", "./f", "../f", "x/../f"} {
		wantContent(t, m, name, "x")
	}
	for _, root := range []string{"/", "."} {
		wantNames(t, m, root, "f")
		if fi, err := m.Stat(root); err != nil || !fi.IsDir() || fi.Name() != "/" {
			t.Errorf("Stat(%q) = %v, %v", root, fi, err)
		}
		if err := m.Remove(root); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Remove(%q): %v, want ErrInvalid", root, err)
		}
	}
}

func TestMemTimes(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f")
	first, err := m.Stat("f")
	if err != nil {
		t.Fatal(err)
	}
	writeAt(t, f, "x", 0)
	second, err := m.Stat("f")
	if err != nil {
		t.Fatal(err)
	}
	if !second.ModTime().After(first.ModTime()) {
		t.Errorf("a write did not change the time: %v, then %v", first.ModTime(), second.ModTime())
	}
	if second.Sys() != nil || second.Size() != 1 {
		t.Errorf("Stat = size %d, sys %v", second.Size(), second.Sys())
	}
}

func TestMemRefusesHugeFiles(t *testing.T) {
	m := vfs.NewMem()
	f := create(t, m, "f")
	if n, err := f.WriteAt([]byte("x"), 1<<62); n != 0 || !errors.Is(err, syscall.EFBIG) {
		t.Errorf("WriteAt = %d, %v; want 0, EFBIG", n, err)
	}
	if err := f.Truncate(1 << 62); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("Truncate: %v, want EFBIG", err)
	}
	wantSize(t, f, 0)
}
