package audittrail_test

import (
	"errors"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

// TestSubjects compares users and subjects of a writer and a reader.
func TestSubjects(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	receipt := logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "ann", SessionID: "s-1", Prompt: "p"})
	rec, err := log.Get(t.Context(), receipt.Seq)
	if err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	for name, l := range map[string]*audittrail.Log{"writer": log, "reader": reader} {
		s, ok, err := l.Subject("ann")
		if err != nil || !ok || s != rec.Subject {
			t.Errorf("%s: Subject = %v, %v, %v, want %v", name, s, ok, err, rec.Subject)
		}
		if _, ok, err := l.Subject("bob"); ok || err != nil {
			t.Errorf("%s: Subject(unknown) = %v, %v", name, ok, err)
		}
		if user, state, err := l.User(rec.Subject); user != "ann" || state != record.Readable || err != nil {
			t.Errorf("%s: User = %q, %v, %v", name, user, state, err)
		}
		if user, state, err := l.User(record.Subject{9}); user != "" || state != record.Lost || err != nil {
			t.Errorf("%s: User(unknown) = %q, %v, %v", name, user, state, err)
		}
		if state, err := l.StateOf(rec.Subject, rec.Class); state != record.Readable || err != nil {
			t.Errorf("%s: StateOf = %v, %v", name, state, err)
		}
		if state, err := l.StateOf(rec.Subject, "standard/1999-01"); state != record.Lost || err != nil {
			t.Errorf("%s: StateOf(unknown class) = %v, %v", name, state, err)
		}
		if h, err := l.Session("s-1"); err != nil || h != rec.Session {
			t.Errorf("%s: Session = %x, %v, want %x", name, h, err, rec.Session)
		}
	}
}

// TestSubjectsWithoutKeys calls the methods of a copy that has no keyring.
func TestSubjectsWithoutKeys(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "ann"})
	logtest.Close(t, log)
	bare := logtest.Open(t, dir, audittrail.Options{ReadOnly: true, KeysDir: t.TempDir()})
	_, _, serr := bare.Subject("ann")
	_, herr := bare.Session("s")
	for _, err := range []error{serr, herr} {
		if !errors.Is(err, audittrail.ErrNoKeys) {
			t.Errorf("got %v, want ErrNoKeys", err)
		}
	}
	if _, state, err := bare.User(record.Subject{}); state != record.Sealed || err != nil {
		t.Errorf("User = %v, %v, want sealed", state, err)
	}
	if state, err := bare.StateOf(record.Subject{}, "standard/2026-11"); state != record.Sealed || err != nil {
		t.Errorf("StateOf = %v, %v, want sealed", state, err)
	}
}
