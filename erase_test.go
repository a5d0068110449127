package audittrail_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

func about(user, prompt string) event.Event {
	return event.Event{Type: event.Prompt, ModelID: "gpt-4", UserID: user, SessionID: "session of " + user, Prompt: prompt}
}

func erase(t *testing.T, log *audittrail.Log, users ...string) *audittrail.ErasureOrder {
	t.Helper()
	done, err := log.Erase(t.Context(), audittrail.Erasure{Users: users, Reason: "asked to", Basis: "GDPR 17(1)(b)", By: "officer"})
	if err != nil {
		t.Fatalf("Erase(%q): %v", users, err)
	}
	return done
}

func stateOf(t *testing.T, log *audittrail.Log, seq uint64) record.State {
	t.Helper()
	r, err := log.Get(t.Context(), seq)
	if err != nil {
		t.Fatalf("Get(%d): %v", seq, err)
	}
	if r.State != record.Readable && (r.Event.Prompt != "" || r.Event.UserID != "") {
		t.Errorf("record %d is %v, and has content", seq, r.State)
	}
	return r.State
}

func wantStates(t *testing.T, log *audittrail.Log, want map[uint64]record.State) {
	t.Helper()
	for seq, state := range want {
		if got := stateOf(t, log, seq); got != state {
			t.Errorf("record %d is %v, want %v", seq, got, state)
		}
	}
}

func TestErase(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	a := logtest.Append(t, log, about("ann", "one")).Seq
	b := logtest.Append(t, log, about("bob", "two")).Seq
	c := logtest.Append(t, log, about("", "three")).Seq
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	wantStates(t, reader, map[uint64]record.State{a: record.Readable, b: record.Readable})
	before, err := os.ReadFile(filepath.Join(dir, "log", firstSegment))
	if err != nil {
		t.Fatal(err)
	}
	subject, _, err := log.Subject("ann")
	if err != nil {
		t.Fatal(err)
	}
	generation, err := audittrail.Ring(log).CurrentGeneration()
	if err != nil {
		t.Fatal(err)
	}

	done := erase(t, log, "ann", "nobody", "ann")
	if !slices.Equal(done.Subjects, []record.Subject{subject}) {
		t.Errorf("Subjects = %v, want %v", done.Subjects, subject)
	}
	if g, err := audittrail.Ring(log).CurrentGeneration(); g != generation+1 || err != nil {
		t.Errorf("Generation = %d, %v, want %d: one for an erasure", g, err, generation+1)
	}
	states := map[uint64]record.State{
		a: record.Erased, b: record.Readable, c: record.Readable, done.Receipt.Seq: record.Readable,
	}
	wantStates(t, log, states)
	wantStates(t, reader, states)
	for name, l := range map[string]*audittrail.Log{"writer": log, "reader": reader} {
		if _, ok, err := l.Subject("ann"); ok || err != nil {
			t.Errorf("%s: Subject = %v, %v, want none", name, ok, err)
		}
		if user, state, err := l.User(subject); user != "" || state != record.Erased || err != nil {
			t.Errorf("%s: User = %q, %v, %v, want erased", name, user, state, err)
		}
		r, err := l.Get(t.Context(), done.Receipt.Seq)
		if err != nil || r.Event.Type != event.SubjectErased || !strings.Contains(string(r.Event.Metadata["erasure"]), subject.String()) {
			t.Errorf("%s: the record of it is %+v, %v", name, r, err)
		}
		if r.Hash != done.Receipt.Hash || r.Event.RetentionClass != audittrail.GovernanceClass {
			t.Errorf("%s: the record of it is %v in class %s", name, r.Hash, r.Event.RetentionClass)
		}
		if strings.Contains(string(r.Event.Metadata["erasure"]), "ann") {
			t.Errorf("%s: the record of it names the user", name)
		}
	}
	if _, err := log.Disclose(t.Context(), a); err == nil || !strings.Contains(err.Error(), "erased") {
		t.Errorf("Disclose(erased) = %v", err)
	}

	// Not a byte has changed, and the checkpoints verify.
	after, err := os.ReadFile(filepath.Join(dir, "log", firstSegment))
	if err != nil || !bytes.HasPrefix(after, before) {
		t.Errorf("the log was changed, %v", err)
	}
	v, err := log.Verify(t.Context(), audittrail.VerifyOptions{Checkpoints: [][]byte{done.Before, done.After}})
	if err != nil || !v.Valid() || len(v.Limitations) > 0 || v.Erased != 1 || v.Expired != 0 || v.Held != 0 {
		t.Errorf("Verify = %+v, %v, want 1 erased", v, err)
	}
	if size := checkpointSize(t, done.Before); size != done.Receipt.Seq {
		t.Errorf("Before covers %d records, want %d", size, done.Receipt.Seq)
	}
	if size := checkpointSize(t, done.After); size != done.Receipt.Seq+1 {
		t.Errorf("After covers %d records, want %d", size, done.Receipt.Seq+1)
	}

	// A second erasure is not an error and does nothing: nothing is stored
	// about that user.
	n := size(t, log)
	if again := erase(t, log, "ann"); len(again.Subjects) > 0 || again.Receipt != (audittrail.Receipt{}) || size(t, log) != n {
		t.Errorf("Erase again = %+v with %d records, want nothing and %d", again, size(t, log), n)
	}

	// A user who is recorded again is a new data subject.
	d := logtest.Append(t, log, about("ann", "four")).Seq
	states[d] = record.Readable
	if back, ok, err := log.Subject("ann"); !ok || back == subject || err != nil {
		t.Errorf("Subject = %v, %v, %v, want another", back, ok, err)
	}
	logtest.Close(t, log)
	log = logtest.Open(t, dir, audittrail.Options{})
	wantStates(t, log, states)
	wantStates(t, reader, states)
}

func TestEraseRefuses(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, about("ann", "one"))
	many := make([]string, 250_001)
	for i := range many {
		many[i] = "ann"
	}
	for name, e := range map[string]audittrail.Erasure{
		"no reason":      {Users: []string{"ann"}, Reason: " "},
		"an empty user":  {Users: []string{"ann", ""}, Reason: "r"},
		"too many":       {Users: many, Reason: "r"},
		"a long reason":  {Users: []string{"ann"}, Reason: strings.Repeat("r", 5000)},
		"a broken basis": {Users: []string{"ann"}, Reason: "r", Basis: "\xff"},
	} {
		if done, err := log.Erase(t.Context(), e); err == nil {
			t.Errorf("%s: Erase = %+v, want an error", name, done)
		}
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	if _, err := reader.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r"}); !errors.Is(err, audittrail.ErrReadOnly) {
		t.Errorf("Erase of a reader = %v, want ErrReadOnly", err)
	}
	wantStates(t, log, map[uint64]record.State{0: record.Readable})
	if n := size(t, log); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	logtest.Close(t, log)
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r"}); err == nil {
		t.Error("Erase after Close = nil, want an error")
	}
}

func checkpointSize(t *testing.T, signed []byte) uint64 {
	t.Helper()
	var size uint64
	lines := strings.Split(string(signed), "\n")
	if _, err := fmt.Sscan(lines[1], &size); err != nil {
		t.Fatal(err)
	}
	return size
}
