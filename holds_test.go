package audittrail_test

import (
	"errors"
	"slices"
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

func hold(t *testing.T, log *audittrail.Log, h governance.Hold) governance.Hold {
	t.Helper()
	h.Reason = "case 17"
	placed, err := log.PlaceHold(t.Context(), h)
	if err != nil {
		t.Fatalf("PlaceHold: %v", err)
	}
	return placed
}

func release(t *testing.T, log *audittrail.Log, id string) audittrail.Receipt {
	t.Helper()
	receipt, err := log.ReleaseHold(t.Context(), id, "settled", "counsel")
	if err != nil {
		t.Fatalf("ReleaseHold: %v", err)
	}
	return receipt
}

func holdIDs(t *testing.T, log *audittrail.Log) []string {
	t.Helper()
	all, err := log.Holds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, h := range all {
		ids = append(ids, h.ID)
	}
	return ids
}

// wantHeld has an erasure refused by exactly these holds, on account of exactly
// these users.
func wantHeld(t *testing.T, log *audittrail.Log, users, kept []string, holds ...governance.Hold) {
	t.Helper()
	n := size(t, log)
	done, err := log.Erase(t.Context(), audittrail.Erasure{Users: users, Reason: "r"})
	var refused *governance.LegalHoldError
	if !errors.As(err, &refused) {
		t.Fatalf("Erase(%q) = %+v, %v, want a LegalHoldError", users, done, err)
	}
	if !slices.Equal(refused.Users, kept) {
		t.Errorf("Erase(%q) is refused for %q, want %q", users, refused.Users, kept)
	}
	if !slices.Equal(refused.Holds, holds) {
		t.Errorf("Erase(%q) is refused by %+v, want %+v", users, refused.Holds, holds)
	}
	for _, h := range holds {
		if !strings.Contains(err.Error(), h.ID) {
			t.Errorf("%q does not name hold %s", err, h.ID)
		}
	}
	for _, u := range users {
		if strings.Contains(err.Error(), u) {
			t.Errorf("%q names a user", err)
		}
	}
	if size(t, log) != n {
		t.Error("an erasure that was refused was recorded")
	}
}

func TestHolds(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, about("ann", "one"))
	logtest.Append(t, log, about("bob", "two"))
	logtest.Append(t, log, event.Event{Type: event.Prompt, ModelID: "llama", UserID: "cid", Prompt: "three"})
	start := time.Now()
	byUser := hold(t, log, governance.Hold{User: "ann", By: "counsel"})
	byModel := hold(t, log, governance.Hold{Model: "llama"})
	both := hold(t, log, governance.Hold{User: "bob", Model: "llama"})
	later := hold(t, log, governance.Hold{User: "dan", Start: start.Add(-time.Hour), End: start.Add(time.Hour)})
	if byUser.ID == "" || byUser.Seq != 3 || byUser.Placed.IsZero() || byUser.User != "ann" || byUser.By != "counsel" || byUser.Reason != "case 17" {
		t.Errorf("PlaceHold gives %+v", byUser)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	want := []string{byUser.ID, byModel.ID, both.ID, later.ID}
	for _, l := range []*audittrail.Log{log, reader} {
		if got := holdIDs(t, l); !slices.Equal(got, want) {
			t.Errorf("Holds = %q, want %q", got, want)
		}
	}
	wantHeld(t, log, []string{"ann"}, []string{"ann"}, byUser)
	wantHeld(t, log, []string{"eve", "cid", "ann"}, []string{"ann"}, byUser) // at once, without a look at the records
	wantHeld(t, log, []string{"eve", "cid"}, []string{"cid"}, byModel)
	wantHeld(t, log, []string{"bob"}, []string{"bob"}, both) // the hold's record would be erased with him
	release(t, log, both.ID)
	if done := erase(t, log, "bob"); len(done.Subjects) != 1 {
		t.Errorf("bob is held by nothing: %+v", done)
	}
	// A user who was not known when the hold was placed is held from the first
	// record on.
	logtest.Append(t, log, about("dan", "four"))
	wantHeld(t, log, []string{"dan"}, []string{"dan"}, later)

	// A hold is in force again when the log is opened, and ends when it is
	// released.
	logtest.Close(t, log)
	log = logtest.Open(t, dir, audittrail.Options{})
	wantHeld(t, log, []string{"ann"}, []string{"ann"}, byUser)
	for _, id := range slices.DeleteFunc(want, func(id string) bool { return id == both.ID }) {
		release(t, log, id)
	}
	for _, l := range []*audittrail.Log{log, reader} {
		if got := holdIDs(t, l); len(got) > 0 {
			t.Errorf("Holds = %q after they were released", got)
		}
	}
	if done := erase(t, log, "ann", "cid", "dan"); len(done.Subjects) != 3 {
		t.Errorf("Erase after the release = %+v", done)
	}
	// The record of a hold is erased with the person whom it names.
	if got := stateOf(t, log, byUser.Seq); got != record.Erased {
		t.Errorf("the record of the hold is %v, want erased", got)
	}
	if _, err := log.ReleaseHold(t.Context(), byUser.ID, "again", ""); !errors.Is(err, audittrail.ErrNoHold) {
		t.Errorf("ReleaseHold again = %v, want ErrNoHold", err)
	}
	if v, err := log.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	logtest.Close(t, log)
	log = logtest.Open(t, dir, audittrail.Options{}) // with records of holds that nobody can read
	if got := holdIDs(t, log); len(got) > 0 {
		t.Errorf("Holds = %q after opening", got)
	}
}

// TestHoldWithID places a hold twice under one id.
func TestHoldWithID(t *testing.T) {
	log := logtest.New(t)
	h := governance.Hold{ID: "0192d5e0-7e2a-7cc3-98c4-dc0c0c07398f", User: "ann"}
	first := hold(t, log, h)
	if again := hold(t, log, h); again != first || size(t, log) != 1 {
		t.Errorf("PlaceHold again = %+v, want %+v", again, first)
	}
	h.Reason, h.User = "case 17", "bob"
	var conflict *audittrail.IDConflictError
	if _, err := log.PlaceHold(t.Context(), h); !errors.As(err, &conflict) {
		t.Errorf("PlaceHold of another under that id = %v, want an IDConflictError", err)
	}
	release(t, log, first.ID)
	h.User = "ann"
	if _, err := log.PlaceHold(t.Context(), h); err == nil || !strings.Contains(err.Error(), "released") {
		t.Errorf("PlaceHold after its release = %v", err)
	}
	for name, bad := range map[string]governance.Hold{
		"no reason": {User: "ann"}, "an id": {ID: "17", Reason: "r"}, "a class": {Class: "No", Reason: "r"},
	} {
		if _, err := log.PlaceHold(t.Context(), bad); err == nil {
			t.Errorf("%s: PlaceHold = nil, want an error", name)
		}
	}
	if _, err := log.ReleaseHold(t.Context(), first.ID, "", ""); err == nil {
		t.Error("ReleaseHold without a reason = nil, want an error")
	}
}

// aYear opens a log on a disk at a time that the test can change.
func aYear(t *testing.T, disk vfs.FS, c *clock, o audittrail.Options) *audittrail.Log {
	t.Helper()
	o.Create, o.LockWait, o.AcceptClock = !o.ReadOnly, -1, !o.ReadOnly
	return logtest.Open(t, "dir", o.With(audittrail.Seams{FS: disk, Now: c.Now}))
}

// TestExpire lets two months end, one with records that are held.
func TestExpire(t *testing.T) {
	disk := vfs.NewMem()
	c := &clock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
	log := aYear(t, disk, c, audittrail.Options{Classes: []string{"short"}})
	short := func(user, prompt string) event.Event {
		e := about(user, prompt)
		e.RetentionClass = "short"
		return e
	}
	a := logtest.Append(t, log, about("ann", "january")).Seq
	s := logtest.Append(t, log, short("ann", "january, short")).Seq
	b := logtest.Append(t, log, about("bob", "january")).Seq
	if _, err := log.Expire(t.Context(), []string{"standard/2026-01"}, "r"); err == nil || !strings.Contains(err.Error(), "2026-02-01") {
		t.Errorf("Expire of a month that is not over = %v", err)
	}
	c.set(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	d := logtest.Append(t, log, about("ann", "february")).Seq
	for _, bad := range []string{"standard", "governance/0001-01", "standard/2026-02", "Standard/2026-01"} {
		if _, err := log.Expire(t.Context(), []string{"standard/2026-01", bad}, "r"); err == nil {
			t.Errorf("Expire(%s) = nil, want an error", bad)
		}
	}
	if _, err := log.Expire(t.Context(), []string{"standard/2026-01"}, ""); err == nil {
		t.Error("Expire without a reason = nil, want an error")
	}
	before := size(t, log)
	if receipt, err := log.Expire(t.Context(), []string{"standard/2025-01"}, "r"); err != nil || receipt != (audittrail.Receipt{}) || size(t, log) != before {
		t.Errorf("Expire of nothing = %+v, %v", receipt, err)
	}
	h1 := hold(t, log, governance.Hold{User: "ann"})
	h2 := hold(t, log, governance.Hold{Class: "standard/2026-01", Model: "gpt-4", End: time.Date(2026, 1, 25, 0, 0, 0, 0, time.UTC)})
	reader := aYear(t, disk, c, audittrail.Options{ReadOnly: true})
	defer logtest.Close(t, reader)
	wantStates(t, reader, map[uint64]record.State{a: record.Readable, b: record.Readable})
	if got, err := log.Classes(); err != nil || !slices.Equal(got, []string{"short/2026-01", "standard/2026-01", "standard/2026-02"}) {
		t.Errorf("Classes = %q, %v", got, err)
	}
	receipt, err := log.Expire(t.Context(), []string{"standard/2026-01", "short/2026-01", "short/2025-12"}, "time is up")
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, states map[uint64]record.State, expired, held uint64) {
		t.Helper()
		t.Log(when)
		v, err := log.Verify(t.Context(), audittrail.VerifyOptions{})
		if err != nil || !v.Valid() || v.Expired != expired || v.Held != held || v.Erased != 0 || len(v.Limitations) > 0 {
			t.Errorf("Verify = %+v, %v, want %d expired and %d held", v, err, expired, held)
		}
		wantStates(t, log, states)
		wantStates(t, reader, states)
		logtest.Close(t, log)
		log = aYear(t, disk, c, audittrail.Options{Classes: []string{"short"}})
		wantStates(t, log, states)
	}
	// Ann's are held by h1, bob's by h2, and their own keys are all that is left.
	states := map[uint64]record.State{
		a: record.Readable, s: record.Readable, b: record.Readable, d: record.Readable, receipt.Seq: record.Readable,
	}
	check("held", states, 0, 3)
	if r, err := log.Get(t.Context(), s); err != nil || r.Event.Prompt != "january, short" {
		t.Errorf("the record that is held: %+v, %v", r, err)
	}
	if x, err := log.Disclose(t.Context(), s); err != nil || len(x.Line) == 0 {
		t.Errorf("Disclose(held) = %v", err)
	}
	if got, err := log.Classes(); err != nil || !slices.Equal(got, []string{"standard/2026-02"}) {
		t.Errorf("Classes = %q, %v", got, err)
	}
	release(t, log, h1.ID)
	states[s] = record.Expired
	check("one is released", states, 1, 2) // ann's is held by h2 too, but the short one is not
	release(t, log, h2.ID)
	states[a], states[b] = record.Expired, record.Expired
	check("both are released", states, 3, 0)
	if names, err := disk.ReadDir("dir/escrow"); err != nil || len(names) > 0 {
		t.Errorf("escrows are left: %q, %v", names, err)
	}
	if v, err := log.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	c.set(time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC))
	if _, err := log.Append(t.Context(), about("ann", "back in january")); err == nil {
		t.Error("Append under a month that has expired = nil, want an error")
	}
	logtest.Close(t, log)
}
