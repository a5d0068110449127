package audittrail_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

func onDisk(disk vfs.FS) audittrail.Options {
	return audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk})
}

func TestFailedSync(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	kept := logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "kept"})
	broken := errors.New("medium error")
	syncs := 0
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".jsonl") {
			syncs++
			return broken
		}
		return nil
	})
	if _, err := log.Append(t.Context(), event.Event{Type: event.Prompt, Prompt: "refused"}); !errors.Is(err, broken) {
		t.Fatalf("Append() = %v, want the disk's error", err)
	}
	if _, err := log.Append(t.Context(), event.Event{Type: event.Prompt, Prompt: "refused, too"}); err == nil {
		t.Error("an append succeeded after a failed sync")
	}
	if syncs != 1 {
		t.Errorf("the file was synced %d times after a failure, want never again", syncs-1)
	}
	if _, err := log.Get(t.Context(), kept.Seq); err != nil {
		t.Errorf("reading what was kept: %v", err)
	}
	_ = log.Close() // what it can say is about the disk
	check(t, disk.Crash(nil), []audittrail.Receipt{}, "after a failed sync")
}

// TestFullDisk fills the disk at every point of an append, and makes room.
func TestFullDisk(t *testing.T) {
	for room := int64(0); room < 4000; room += 97 {
		disk := vfs.NewMem()
		log := logtest.Open(t, "dir", onDisk(disk))
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "first", Prompt: "kept"})
		free, err := disk.Free("dir")
		if err == nil {
			disk.Capacity(used(t, disk) + room)
		}
		_ = free
		var refused error
		acked := 1
		for i := 0; i < 20 && refused == nil; i++ {
			if _, refused = log.Append(t.Context(), event.Event{Type: event.Prompt, UserID: strings.Repeat("u", i+1), Prompt: "p"}); refused == nil {
				acked++
			}
		}
		if !errors.Is(refused, syscall.ENOSPC) {
			t.Fatalf("room %d: Append() = %v, want no space left", room, refused)
		}
		disk.Capacity(1 << 30)
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "again", Prompt: "p"})
		if n := size(t, log); n != uint64(acked)+1 {
			t.Errorf("room %d: %d records, want %d: a refused one is in the log, or one is lost", room, n, acked+1)
		}
		if err := log.Close(); err != nil {
			t.Errorf("room %d: Close() = %v", room, err)
		}
		check(t, disk.Crash(nil), nil, "after a full disk")
	}
}

// used returns the bytes in the files on a disk, by finding the capacity at
// which nothing is free.
func used(t *testing.T, disk *vfs.Mem) int64 {
	t.Helper()
	const huge = 1 << 30
	disk.Capacity(huge)
	free, err := disk.Free(".")
	if err != nil {
		t.Fatal(err)
	}
	return huge - int64(free)
}

func TestShortWrite(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "kept"})
	broken := errors.New("short write")
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".jsonl") {
			return &vfs.Fault{Done: op.Len / 2, Err: broken}
		}
		return nil
	})
	if _, err := log.Append(t.Context(), event.Event{Type: event.Prompt, Prompt: "refused"}); !errors.Is(err, broken) {
		t.Fatalf("Append() = %v, want the disk's error", err)
	}
	disk.Inject(nil)
	r := logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "in its place"})
	if r.Seq != 1 {
		t.Errorf("record %d, want 1", r.Seq)
	}
	logtest.Close(t, log)
	check(t, disk.Crash(nil), nil, "after a short write")
}

func TestReadOnlyFolder(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	r := logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "p"})
	logtest.Close(t, log)
	disk.Inject(func(op vfs.Op) error {
		if op.Kind <= vfs.OpSyncDir || op.Kind == vfs.OpLock {
			return syscall.EROFS
		}
		return nil
	})
	if _, err := audittrail.Open("dir", onDisk(disk)); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Open() = %v, want a read-only file system", err)
	}
	reader, err := audittrail.Open("dir", audittrail.Options{ReadOnly: true}.With(audittrail.Seams{FS: disk}))
	if err != nil {
		t.Fatalf("to read: %v", err)
	}
	if got, err := reader.Get(t.Context(), r.Seq); err != nil || got.Event.Prompt != "p" {
		t.Errorf("Get() = %+v, %v", got, err)
	}
	logtest.Close(t, reader)
}

func TestTooManyOpenFiles(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "p"})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen || op.Kind == vfs.OpCreate {
			return syscall.EMFILE
		}
		return nil
	})
	var tampered *record.TamperError
	if _, err := log.Get(t.Context(), 0); err != nil && (errors.As(err, &tampered) || !errors.Is(err, syscall.EMFILE)) {
		t.Errorf("Get() = %v, want too many open files or the record", err)
	}
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "appends need no new file"})
	disk.Inject(nil)
	if _, err := log.Get(t.Context(), 1); err != nil {
		t.Errorf("Get() = %v when there are files again", err)
	}
	logtest.Close(t, log)
}
