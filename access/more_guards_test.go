package access_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

// TestAccountsOfRecords makes one account of the two records of a reading, one of each
// that has one, none of other records, and says nothing of what cannot be read.
func TestAccountsOfRecords(t *testing.T) {
	log := logtest.New(t)
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "p"})
	begun, err := access.BeginRead(t.Context(), log, access.Reading{Command: "tail"})
	if err != nil {
		t.Fatal(err)
	}
	if err := access.RecordExport(t.Context(), log, access.Reading{Command: "export", Records: 3, First: 2, Last: 9}); err != nil {
		t.Fatal(err)
	}
	if err := begun.End(t.Context(), log, access.Reading{Command: "tail", Records: 5, First: 1, Last: 6}); err != nil {
		t.Fatal(err)
	}
	// readable is how many of the records can be read, from the first on.
	records := func(readable int) iter.Seq2[*record.Record, error] {
		return func(yield func(*record.Record, error) bool) {
			for r, err := range log.Records(t.Context(), 0, 100) {
				if err == nil && int(r.Seq) >= readable {
					r.State, r.Event.Metadata = record.Erased, nil
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}
	type account struct {
		kind    event.Type
		known   bool
		records uint64
	}
	for readable, want := range map[int][]account{
		9: {{event.ContentRead, true, 5}, {event.DataExported, true, 3}},
		0: {{event.ContentRead, false, 0}, {event.DataExported, false, 0}},
	} {
		all, err := access.LoggedReads(records(readable))
		var got []account
		for _, a := range all {
			got = append(got, account{a.Type, a.Known, a.Records})
		}
		if err != nil || len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%d readable: %+v, %v, want %+v", readable, got, err, want)
		}
	}
}

// TestGrantsOfRecords passes over grants that cannot be read, and counts those that
// may be in force all the same.
func TestGrantsOfRecords(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Viewer})
	mustGrant(t, c, access.GrantRequest{User: "bob", Role: access.Viewer})
	mustGrant(t, c, access.GrantRequest{User: "carl", Role: access.Viewer})
	mustGrant(t, c, access.GrantRequest{User: "dora", Role: access.Viewer})
	all, unread, err := access.GrantsOf(func(yield func(*record.Record, error) bool) {
		for r, err := range log.GovernanceRecords(t.Context(), 0, event.AccessGranted) {
			if err == nil && r.Event.UserID == "ann" {
				r.State, r.Event.UserID, r.Event.Metadata = record.Erased, "", nil
			}
			if err == nil && r.Event.UserID == "carl" {
				r.State, r.Event.UserID, r.Event.Metadata = record.Lost, "", nil
			}
			if err == nil && r.Event.UserID == "dora" {
				r.Event.Metadata["grant"] = append(bytes.TrimSuffix(r.Event.Metadata["grant"], []byte("}")), `,"only_in":"Berlin"}`...)
			}
			if !yield(r, err) {
				return
			}
		}
	})
	if err != nil || unread != 2 || len(all) != 1 || all[0].User != "bob" {
		t.Errorf("GrantsOf = %+v, %d, %v, want bob's alone, and two that are not read", all, unread, err)
	}
}

// TestRevokeOfNone says that there is no such grant.
func TestRevokeOfNone(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	var none *access.NoGrantError
	if _, err := c.Revoke(t.Context(), access.ID{1}, "left", "local"); !errors.As(err, &none) {
		t.Errorf("Revoke = %v, want a NoGrantError", err)
	}
}

// TestDeniedToReader closes the grants of a log that another process writes
// after a token was refused: the denial cannot be recorded, which is not an
// error.
func TestDeniedToReader(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	token, _ := mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Viewer})
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := openAccess(t, logtest.Open(t, dir, audittrail.Options{ReadOnly: true}), access.Options{})
	if d := reader.Check(token, access.ManageKeys, nil); d.Allowed {
		t.Error("a viewer may manage keys")
	}
	if err := reader.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
}

// TestScopeTermsRefused names what a limit looks like.
func TestScopeTermsRefused(t *testing.T) {
	for _, term := range []string{"model", "model="} {
		if _, err := access.ParseScope([]string{term}); err == nil || !strings.Contains(err.Error(), "use model=NAME") {
			t.Errorf("ParseScope(%q) = %v, want what a limit looks like", term, err)
		}
	}
}

// TestUsesTooLarge refuses what is encoded as it should be, and too large.
func TestUsesTooLarge(t *testing.T) {
	u := access.Uses{}
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	for i := range uint64(320_000) {
		var id access.ID
		binary.BigEndian.PutUint64(id[:], i)
		u[id] = at
	}
	b := access.EncodeUses(u)
	if len(b) <= 16<<20 {
		t.Fatalf("%d bytes are not too large", len(b))
	}
	if _, err := access.DecodeUses(b); err == nil {
		t.Errorf("%d bytes were read", len(b))
	}
}

// TestUsesOfNobody says nothing of uses where none were written down yet, or none are
// to be.
func TestUsesOfNobody(t *testing.T) {
	for _, name := range []string{"", filepath.Join(t.TempDir(), "uses.json")} {
		var said bytes.Buffer
		log := logtest.New(t)
		logger := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := openAccess(t, log, access.Options{UsesFile: name, Logger: logger})
		token, _ := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
		if d := c.Check(token, access.ReadEvents, nil); !d.Allowed {
			t.Error(d.Reason)
		}
		closeAccess(t, c)
		if said.Len() > 0 {
			t.Errorf("uses in %q: %s", name, said.String())
		}
	}
}
