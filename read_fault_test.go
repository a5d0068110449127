package audittrail_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// failNth fails the nth operation that reads a log's lines or tree, once. It
// reports whether there was one.
func failNth(disk *vfs.Mem, n int) (failed func() bool) {
	var mu sync.Mutex // the signer reads concurrently with the test
	seen := 0
	disk.Inject(func(op vfs.Op) error {
		ours := strings.HasPrefix(op.Name, "dir/log") || strings.HasPrefix(op.Name, "dir/tree")
		if !ours || op.Kind < vfs.OpOpen || op.Kind > vfs.OpStat {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == n+1 {
			return syscall.EIO
		}
		return nil
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen > n
	}
}

// rolled creates a log of several segments, with the given number of records.
func rolled(t *testing.T, records int) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", rolling(disk))
	for i := range records {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), Prompt: fmt.Sprint(i)})
	}
	logtest.Close(t, log)
	return disk
}

// TestVerifyReadError fails each read operation of verify, once: a record that
// cannot be read is never called altered.
func TestVerifyReadError(t *testing.T) {
	start := rolled(t, 15)
	for _, from := range []uint64{0, 8} {
		for n := 0; ; n++ {
			disk := start.Clone()
			failed := failNth(disk, n)
			v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{From: from})
			switch {
			case err != nil && !errors.Is(err, syscall.EIO):
				t.Errorf("operation %d: %v, want that of the disk", n, err)
			case err == nil && (v.Altered() || v.FindingCount != v.Count(finding.Unreadable)+v.Count(finding.Derived)):
				t.Errorf("operation %d: %+v", n, v.Findings)
			}
			if !failed() {
				break
			}
		}
	}
}

// TestReaderReadError fails each read operation of a reader, once: it returns
// the right records, or the error of the disk.
func TestReaderReadError(t *testing.T) {
	start := rolled(t, 15)
	for n := 0; ; n++ {
		disk := start.Clone()
		failed := failNth(disk, n)
		o := rolling(disk)
		o.ReadOnly, o.Create = true, false
		check := func(what string, err error) {
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("operation %d: %s: %v, want that of the disk", n, what, err)
			}
		}
		log, err := audittrail.Open("dir", o)
		check("open", err)
		if err == nil {
			for _, seq := range []uint64{0, 8, 14} {
				_, err := log.Get(t.Context(), seq)
				check("get", err)
				_, err = log.Prove(t.Context(), seq)
				check("prove", err)
			}
			seen := 0
			for _, rerr := range log.Records(t.Context(), 0, 1<<40) {
				if err = rerr; rerr == nil {
					seen++
				}
			}
			check("records", err)
			if err == nil && seen != 15 {
				t.Errorf("operation %d: %d records, want 15", n, seen)
			}
			logtest.Close(t, log)
		}
		if !failed() {
			return
		}
	}
}

// TestWriterReadError fails each read operation of opening a log and erasing,
// once: either the erasure is complete, with everything for its certificate, or
// the error is that of the disk; and the log is never called altered.
func TestWriterReadError(t *testing.T) {
	start := rolled(t, 15)
	for n := 0; ; n++ {
		disk := start.Clone()
		failed := failNth(disk, n)
		check := func(what string, err error) {
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("operation %d: %s: %v, want that of the disk", n, what, err)
			}
		}
		log, err := audittrail.Open("dir", rolling(disk))
		check("open", err)
		if err == nil {
			done, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user 1"}, Reason: "asked", Basis: "GDPR 17"})
			check("erase", err)
			if err == nil {
				_, err = log.Disclose(t.Context(), done.Receipt.Seq)
				check("disclose", err)
				_, err = log.Prove(t.Context(), done.Receipt.Seq)
				check("prove", err)
				_, err = log.ProveConsistency(t.Context(), done.Before)
				check("consistency", err)
			}
			check("close", log.Close())
		}
		disk.Inject(nil)
		logtest.Close(t, openLog(t, disk))
		v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
		if err != nil || !v.Valid() {
			t.Errorf("operation %d: verify: %+v, %v", n, v, err)
		}
		if !failed() {
			return
		}
	}
}

// TestMoveReadError fails each read operation of moving segments, once: no
// segment is called altered, and no damage is recorded.
func TestMoveReadError(t *testing.T) {
	start := rolled(t, 36)
	if err := start.MkdirAll(place, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		disk := start.Clone()
		log := openLog(t, disk)
		firsts := whole(t, log, 2)
		failed := failNth(disk, n)
		check := func(what string, err error) bool {
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("operation %d: %s: %v, want that of the disk", n, what, err)
			}
			return err == nil
		}
		check("drop", log.DropSegments(t.Context(), firsts[1:], "old"))
		if check("archive", log.ArchiveSegments(t.Context(), firsts[:1], place, "old")) {
			check("check", log.CheckArchive(t.Context(), firsts[0]))
			check("restore", log.RestoreSegments(t.Context(), firsts[:1]))
		}
		disk.Inject(nil)
		logtest.Close(t, log)
		logtest.Close(t, openLog(t, disk))
		intact(t, disk, fmt.Sprintf("operation %d", n))
		if !failed() {
			return
		}
	}
}
