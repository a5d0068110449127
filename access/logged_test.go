package access_test

import (
	"encoding/json"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// TestAccounts tell who was shown what, with a token and without.
func TestAccounts(t *testing.T) {
	log := logtest.New(t)
	if governed, err := access.HasGrants(t.Context(), log); err != nil || governed {
		t.Errorf("Governed = %v, %v before there is a grant", governed, err)
	}
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	_, g := mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Auditor})
	if governed, err := access.HasGrants(t.Context(), log); err != nil || !governed {
		t.Errorf("Governed = %v, %v, want true", governed, err)
	}
	if err := access.RecordRead(t.Context(), log, access.Reading{Command: "show", Records: 1, First: 7, Last: 7}); err != nil {
		t.Fatal(err)
	}
	if err := access.RecordExport(t.Context(), log, access.Reading{Grant: g, Command: "export", Records: 3, First: 2, Last: 9}); err != nil {
		t.Fatal(err)
	}
	for seq, want := range map[uint64]struct {
		kind         event.Type
		user, member string
		text         string
	}{
		1: {event.ContentRead, "", "read", `{"by":"local","command":"show","first":7,"last":7,"records":1}`},
		2: {event.DataExported, "ann", "export", `{"by":"` + g.ID.String() + `","command":"export","first":2,"last":9,"records":3}`},
	} {
		r, err := log.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if e := &r.Event; e.Type != want.kind || e.UserID != want.user || string(e.Metadata[want.member]) != want.text {
			t.Errorf("record %d: %s, %q, %s", seq, e.Type, e.UserID, e.Metadata[want.member])
		}
	}
}

// TestErased has no grants left, in any process, and stays revoked: nobody can
// say any more whose they were.
func TestErased(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	c := openAccess(t, log, access.Options{PollInterval: time.Hour})
	defer closeAccess(t, c)
	reader := openAccess(t, logtest.Open(t, dir, audittrail.Options{ReadOnly: true}), access.Options{PollInterval: time.Hour})
	defer closeAccess(t, reader)
	token, g := mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Viewer})
	other, _ := mustGrant(t, c, access.GrantRequest{User: "bob", Role: access.Viewer})
	revoked, r := mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Viewer})
	if _, err := c.Revoke(t.Context(), r.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*access.Controller{"writer": c, "reader": reader} {
		if err := who.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]access.Reason{token: access.Unknown, revoked: access.Unknown, other: ""} {
			if d := who.Check(text, access.ReadEvents, nil); d.Reason != want {
				t.Errorf("%s: %+v, want reason %q", name, d, want)
			}
		}
		if all := who.List(); len(all) != 1 || all[0].User != "bob" {
			t.Errorf("%s: List = %+v, want bob's alone", name, all)
		}
		changes := 0
		for ch, err := range who.History(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(ch)
			if err != nil {
				t.Fatal(err)
			}
			if changes++; ch.User == "ann" || len(ch.IDs) > 0 && ch.IDs[0] == g.ID {
				t.Errorf("%s: History has %s", name, text)
			}
		}
		if changes != 4 {
			t.Errorf("%s: History has %d changes, want 4", name, changes)
		}
	}
}
