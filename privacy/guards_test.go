package privacy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
)

// TestRestrictedWithoutKeys reads a log without keys: restrictions are stored
// in cleartext, and an approval that cannot be read approves nothing.
func TestRestrictedWithoutKeys(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	log, d := open(t, dir, audittrail.Options{Create: true})
	ann := add(t, log, "ann", "secret")
	if _, err := d.Restrict(t.Context(), "ann", "disputed", "local"); err != nil {
		t.Fatal(err)
	}
	a, err := d.ApproveErasure(t.Context(), []string{"ann"}, "t-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"log", "tree"} {
		if err := os.CopyFS(filepath.Join(copied, name), os.DirFS(filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	_, reader := open(t, copied, audittrail.Options{ReadOnly: true})
	if !reader.Restricted(ann) {
		t.Error("without keys, nobody is restricted")
	}
	if _, err := reader.ErasureApproval(a.ID.String(), nil, time.Now()); err == nil {
		t.Error("an approval that cannot be read approves")
	}
}

// TestRecordsOfAnotherForm does not open a log whose restrictions or approvals
// are not of the form that this program writes.
func TestRecordsOfAnotherForm(t *testing.T) {
	for what, e := range map[string]event.Event{
		"a restriction": {Type: event.SubjectRestricted, UserID: "ann", Metadata: map[string]json.RawMessage{"restriction": json.RawMessage(`1`)}},
		"an approval":   {Type: event.ErasureApproved, Metadata: map[string]json.RawMessage{"approval": json.RawMessage(`1`)}},
		"a subject":     {Type: event.ErasureApproved, Metadata: map[string]json.RawMessage{"approval": json.RawMessage(`{"by":"t-1","expires":"2030-01-01T00:00:00Z","subjects":["x"]}`)}},
	} {
		log := logtest.New(t)
		if _, err := log.AppendGovernance(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if _, err := privacy.Open(t.Context(), log, query.New(log)); err == nil {
			t.Errorf("%s that is not one: no error", what)
		}
		logtest.Close(t, log)
	}
}

// TestErasedIsNotRestricted says of a record that was erased that it was, also
// if the person was restricted.
func TestErasedIsNotRestricted(t *testing.T) {
	log, d := open(t, t.TempDir(), audittrail.Options{Create: true})
	ann := add(t, log, "ann", "secret")
	if _, err := d.Restrict(t.Context(), "ann", "disputed", "local"); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	r, err := log.Get(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Redact(r); !d.Restricted(ann) || got.State != record.Erased {
		t.Errorf("Hide gives the state %s, want erased", got.State)
	}
	other, err := log.Get(t.Context(), log0(t, log, "bob"))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Redact(other); got.State != record.Readable || got.Event.Prompt != "open" {
		t.Errorf("Hide changed a record that is not restricted: %s", got.State)
	}
}

// log0 records something of a user, and returns its number.
func log0(t *testing.T, log *audittrail.Log, user string) uint64 {
	t.Helper()
	r := logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: user, Prompt: "open"})
	return r.Seq
}

// TestCertifyNoErasure makes nothing.
func TestCertifyNoErasure(t *testing.T) {
	log, _ := open(t, t.TempDir(), audittrail.Options{Create: true})
	if all, err := privacy.Certify(t.Context(), log, query.New(log), nil, time.Now()); err != nil || len(all) != 0 {
		t.Errorf("Certify of no erasure = %v, %v", all, err)
	}
}
