package audittrail_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// states gets every record, none of which may have left, and counts the states
// by user.
func states(t *testing.T, log *audittrail.Log, acked []audittrail.Receipt) map[string]map[record.State]int {
	t.Helper()
	users := []string{"user 0", "user 1", "user 2"}
	counts := map[string]map[record.State]int{}
	for i, want := range acked {
		r, err := log.Get(t.Context(), want.Seq)
		if err != nil {
			t.Fatalf("Get(%d): %v", want.Seq, err)
		}
		u := users[i%3]
		if counts[u] == nil {
			counts[u] = map[record.State]int{}
		}
		counts[u][r.State]++
		if r.State == record.Readable && r.Event.UserID != u {
			t.Errorf("record %d is of %q, want %q", want.Seq, r.Event.UserID, u)
		}
	}
	return counts
}

// TestHoldsReachArchives holds people whose records are in archives while their
// month expires, and releases one of them.
func TestHoldsReachArchives(t *testing.T) {
	disk := vfs.NewMem()
	acked := filled(t, disk)
	later := time.Now().AddDate(0, 2, 0)
	log, err := audittrail.Open("dir", audittrail.Options{LockWait: -1}.With(audittrail.Seams{
		FS: disk, Roll: 6000, Now: func() time.Time { later = later.Add(time.Millisecond); return later },
	}))
	if err != nil {
		t.Fatal(err)
	}
	first, err := log.Get(t.Context(), acked[0].Seq)
	if err != nil {
		t.Fatal(err)
	}
	firsts := whole(t, log, 3)
	held := []governance.Hold{hold(t, log, governance.Hold{User: "user 1"}), hold(t, log, governance.Hold{User: "user 2"})}
	if err := log.ArchiveSegments(t.Context(), firsts, place, "old"); err != nil {
		t.Fatal(err)
	}

	// Holds apply to records in archives, which are not dropped.
	on, err := log.HoldsOn(t.Context(), firsts[1])
	if err != nil || len(on) != 2 || on[0].ID != held[0].ID || on[1].ID != held[1].ID {
		t.Errorf("HoldsOn(%d) = %+v, %v, want %+v", firsts[1], on, err, held)
	}
	n := size(t, log)
	err = log.DropSegments(t.Context(), firsts[1:2], "older")
	var refused *audittrail.SegmentHeldError
	if !errors.As(err, &refused) || refused.First != firsts[1] || !strings.Contains(err.Error(), held[0].ID+", "+held[1].ID) {
		t.Errorf("drop a segment that is held: %v, want a SegmentHeldError of %v", err, held)
	}
	if size(t, log) != n || segments(t, log)[1].State != audittrail.SegmentArchived {
		t.Error("a drop that was refused has done something")
	}

	// The keys of records under a hold go to an escrow, for which the archives
	// are read.
	if _, err := log.Expire(t.Context(), []string{first.Class}, "over"); err != nil {
		t.Fatal(err)
	}
	if _, err := log.ReleaseHold(t.Context(), held[0].ID, "settled", ""); err != nil {
		t.Fatal(err)
	}
	if err := log.RestoreSegments(t.Context(), firsts); err != nil {
		t.Fatal(err)
	}
	got := states(t, log, acked)
	for u, want := range map[string]record.State{
		"user 0": record.Expired, "user 1": record.Expired, "user 2": record.Readable,
	} {
		if len(got[u]) != 1 || got[u][want] == 0 {
			t.Errorf("records of %s: %v, want all %s", u, got[u], want)
		}
	}
	counts, err := log.CountClasses(t.Context(), firsts[1])
	if err != nil || counts[first.Class].Records == 0 {
		t.Errorf("CountClasses(%d) = %v, %v, want some of %s", firsts[1], counts, err, first.Class)
	}
	logtest.Close(t, log)
	if v := intact(t, disk, "held in archives"); v.Held != uint64(got["user 2"][record.Readable]) {
		t.Errorf("verify: %d are held, want %d", v.Held, got["user 2"][record.Readable])
	}
}

// TestHoldsOnArchivesThatAreAway places holds on records whose archives cannot
// be read: operations that depend on them are refused with an error that names
// the archives.
func TestHoldsOnArchivesThatAreAway(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	firsts := whole(t, log, 1)
	if err := log.ArchiveSegments(t.Context(), firsts, place, "old"); err != nil {
		t.Fatal(err)
	}
	hold(t, log, governance.Hold{Model: "a model"})
	names, err := disk.ReadDir(place)
	if err != nil || len(names) == 0 {
		t.Fatalf("%v in the archive, %v", names, err)
	}
	for _, name := range names {
		if err := disk.Remove(place + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	n := size(t, log)
	for what, do := range map[string]func() error{
		"HoldsOn":      func() error { _, err := log.HoldsOn(t.Context(), firsts[0]); return err },
		"DropSegments": func() error { return log.DropSegments(t.Context(), firsts, "older") },
		"Erase": func() error {
			_, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user 1"}, Reason: "asked"})
			return err
		},
	} {
		var archived *audittrail.ArchivedError
		if err := do(); !errors.As(err, &archived) || archived.Archive != place || archived.First != firsts[0] {
			t.Errorf("%s: %v, want an ArchivedError that names %s", what, err, place)
		}
	}
	if size(t, log) != n {
		t.Error("what was refused was recorded")
	}
	if _, err := log.Append(t.Context(), event.Event{Type: event.Prompt, UserID: "user 1", Prompt: "after"}); err != nil {
		t.Errorf("append after an erasure that was refused: %v", err)
	}
	logtest.Close(t, log)
}
