package audittrail_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

// version1Log returns a copy of a log of format 1, and the events in it.
func version1Log(t *testing.T) (dir string, events []event.Event) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/calls/v1")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/calls/v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for in := bufio.NewScanner(f); in.Scan(); {
		e, err := event.ParseJSON(in.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return dir, events
}

// TestVersion1Log continues a log of format 1: the same events are the same
// records, and new ones of format 2 follow.
func TestVersion1Log(t *testing.T) {
	dir, events := version1Log(t)
	before, err := os.ReadFile(filepath.Join(dir, "log", firstSegment))
	if err != nil {
		t.Fatal(err)
	}
	log := logtest.Open(t, dir, audittrail.Options{AcceptClock: true})
	for i, e := range events {
		r := logtest.Append(t, log, e)
		tail, ok := record.ParseChainLink(bytes.Split(before, []byte("\n"))[i])
		if !ok || !r.Duplicate || r.Seq != uint64(i) || r.Hash != tail.Hash {
			t.Errorf("event %d again: %+v, want the receipt of record %d, %v", i, r, i, tail.Hash)
		}
	}
	changed := events[1]
	changed.Response = "Something else."
	var conflict *audittrail.IDConflictError
	if _, err := log.Append(t.Context(), changed); !errors.As(err, &conflict) || conflict.Seq != 1 {
		t.Errorf("another event under the id of record 1: %v, want an IDConflictError", err)
	}
	withActor := events[1]
	withActor.Actor = "eve"
	if _, err := log.Append(t.Context(), withActor); !errors.As(err, &conflict) || conflict.Seq != 1 {
		t.Errorf("the event of record 1 with an actor: %v, want an IDConflictError", err)
	}
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "new", Response: "answer"})
	logtest.Close(t, log)

	after, err := os.ReadFile(filepath.Join(dir, "log", firstSegment))
	if err != nil || !bytes.HasPrefix(after, before) {
		t.Fatalf("what was written before has changed (%v)", err)
	}
	log = logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	for r, err := range log.Records(t.Context(), 0, record.MaxSeq) {
		if err != nil {
			t.Fatal(err)
		}
		want, own := 1, record.LogMetadata{}
		if r.Seq >= uint64(len(events)) {
			want, own = 2, record.LogMetadata{Parts: event.PartPrompt | event.PartResponse, Source: record.SourceApp}
		}
		if r.Version != want || r.LogMetadata != own || r.State != record.Readable {
			t.Errorf("record %d: version %d, %+v, %v; want version %d, %+v", r.Seq, r.Version, r.LogMetadata, r.State, want, own)
		}
		if p, known := r.KnownParts(); !known || p != event.PartsOf(&r.Event) {
			t.Errorf("record %d: KnownParts() = %v, %v", r.Seq, p, known)
		}
	}
	v, err := log.Verify(t.Context(), audittrail.VerifyOptions{})
	if err != nil || v.FindingCount > 0 || v.Records != uint64(len(events))+1 {
		t.Errorf("Verify() = %+v, %v", v, err)
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	app := logtest.Append(t, log, about("ann", "one"))
	logtest.Close(t, log)
	log = logtest.Open(t, dir, audittrail.Options{Source: record.SourceImport})
	imported := logtest.Append(t, log, about("ann", "two"))
	own, err := log.AppendGovernance(t.Context(), event.Event{Type: event.ReportMade, RetentionClass: audittrail.GovernanceClass})
	if err != nil {
		t.Fatal(err)
	}
	erased := erase(t, log, "ann")
	for seq, want := range map[uint64]record.Source{
		app.Seq: record.SourceApp, imported.Seq: record.SourceImport, own.Seq: record.SourceLog, erased.Receipt.Seq: record.SourceLog,
	} {
		if r, err := log.Get(t.Context(), seq); err != nil || r.Source != want {
			t.Errorf("record %d: source %q, %v; want %q", seq, r.Source, err, want)
		}
	}
	logtest.Close(t, log)
	if _, err := audittrail.Open(dir, audittrail.Options{Source: "elsewhere"}); err == nil || !strings.Contains(err.Error(), `invalid Source "elsewhere"`) {
		t.Errorf("Open with an unknown source: %v", err)
	}
}

// TestActor checks that the actor is a subject in cleartext and a name in the
// keyring alone, also after the erasure of the person whom the record is about.
func TestActor(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	review := event.Event{ID: "review-1", Type: event.HumanReview, UserID: "ann", Actor: "rick-the-reviewer", Outcome: "success"}
	first := logtest.Append(t, log, review)
	get := func() *record.Record {
		t.Helper()
		r, err := log.Get(t.Context(), first.Seq)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	subject, known, err := log.Subject("rick-the-reviewer")
	if err != nil || !known {
		t.Fatalf("Subject() = %v, %v", known, err)
	}
	r := get()
	if r.Actor != subject || r.Event.Actor != "rick-the-reviewer" || r.Event.UserID != "ann" || r.Subject == r.Actor {
		t.Errorf("actor %v, %q, about %q; want %v, the reviewer", r.Actor, r.Event.Actor, r.Event.UserID, subject)
	}
	if sealed := event.AppendContent(nil, &r.Event, nil); bytes.Contains(sealed, []byte("rick")) {
		t.Errorf("the name is in the content: %s", sealed)
	}
	again := func(actor string) (audittrail.Receipt, error) {
		e := review
		e.Actor = actor
		return log.Append(t.Context(), e)
	}
	if got, err := again("rick-the-reviewer"); err != nil || !got.Duplicate || got.Hash != first.Hash {
		t.Errorf("the same review again: %+v, %v; want its first receipt", got, err)
	}
	var conflict *audittrail.IDConflictError
	for _, other := range []string{"", "rick", "ann"} {
		if _, err := again(other); !errors.As(err, &conflict) {
			t.Errorf("the review by %q: %v, want an IDConflictError", other, err)
		}
	}
	batch := []event.Event{{ID: "x", Type: event.HumanReview, Actor: "a"}, {ID: "x", Type: event.HumanReview, Actor: "b"}}
	if _, err := log.AppendBatch(t.Context(), batch); err == nil {
		t.Error("two reviewers under one id in one batch: recorded")
	}

	erase(t, log, "rick-the-reviewer")
	r = get()
	if r.Actor != subject || r.Event.Actor != "" || r.State != record.Readable || r.Event.UserID != "ann" {
		t.Errorf("after the actor's erasure: actor %v, %q, %v, about %q; want the subject alone", r.Actor, r.Event.Actor, r.State, r.Event.UserID)
	}
	if user, state, err := log.User(subject); err != nil || user != "" || state != record.Erased {
		t.Errorf("User(%v) = %q, %v, %v; want erased", subject, user, state, err)
	}
	if got, err := again("rick-the-reviewer"); err != nil || !got.Duplicate || got.Hash != first.Hash {
		t.Errorf("the review again after its actor's erasure: %+v, %v; want its first receipt", got, err)
	}
	second := review
	second.ID = "review-2"
	if seq := logtest.Append(t, log, second).Seq; true {
		if r, err := log.Get(t.Context(), seq); err != nil || r.Actor == subject || r.Event.Actor != "rick-the-reviewer" {
			t.Errorf("a person who comes back: %v, %q, %v; want a new subject", r.Actor, r.Event.Actor, err)
		}
	}
	erase(t, log, "ann")
	if r = get(); r.State != record.Erased || r.Event.Actor != "" || r.Actor != subject {
		t.Errorf("after both erasures: %v, actor %v, %q", r.State, r.Actor, r.Event.Actor)
	}
	logtest.Close(t, log)
	for _, name := range []string{firstSegment} {
		b, err := os.ReadFile(filepath.Join(dir, "log", name))
		if err != nil || bytes.Contains(b, []byte("rick")) {
			t.Errorf("%s names the actor (%v)", name, err)
		}
	}
}
