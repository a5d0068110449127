package privacy_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
)

func open(t *testing.T, dir string, o audittrail.Options) (*audittrail.Log, *privacy.Manager) {
	t.Helper()
	log := logtest.Open(t, dir, o)
	return log, desk(t, log)
}

func desk(t *testing.T, log *audittrail.Log) *privacy.Manager {
	t.Helper()
	d, err := privacy.Open(t.Context(), log, query.New(log))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func add(t *testing.T, log *audittrail.Log, user, prompt string) record.Subject {
	t.Helper()
	r, err := log.Append(t.Context(), event.Event{
		Type: event.Prompt, ModelID: "gpt-4", UserID: user, SessionID: "s", Prompt: prompt,
		Tool:     &event.Tool{Name: "search", Arguments: json.RawMessage(`"` + prompt + `"`)},
		Metadata: map[string]json.RawMessage{"note": json.RawMessage(`"` + prompt + `"`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := log.Get(t.Context(), r.Seq)
	if err != nil {
		t.Fatal(err)
	}
	return got.Subject
}

// TestRestrict is in force in every process, until it is lifted, and leaves
// nothing of the content.
func TestRestrict(t *testing.T) {
	dir := t.TempDir()
	log, d := open(t, dir, audittrail.Options{Create: true})
	ann := add(t, log, "ann", "secret")
	bob := add(t, log, "bob", "secret")
	if _, err := d.Restrict(t.Context(), "", "r", "local"); err == nil {
		t.Error("Restrict of nobody: no error")
	}
	// On whom nothing is held yet is restricted from the first record on.
	if r, err := d.Restrict(t.Context(), "carol", "r", "local"); err != nil || r.Reason != "r" {
		t.Errorf("Restrict(carol) = %+v, %v", r, err)
	}
	if carol := add(t, log, "carol", "later"); !d.Restricted(carol) {
		t.Error("carol is not restricted")
	}
	if err := d.LiftRestriction(t.Context(), "ann", "r", "local"); !errors.Is(err, privacy.ErrNotRestricted) {
		t.Errorf("Lift: %v, want ErrNotRestricted", err)
	}
	first, err := d.Restrict(t.Context(), "ann", "disputed", "local")
	if err != nil || first.Reason != "disputed" {
		t.Fatalf("Restrict = %+v, %v", first, err)
	}
	again, err := d.Restrict(t.Context(), "ann", "another", "local")
	if err != nil || again != first {
		t.Errorf("Restrict again = %+v, %v, want %+v", again, err, first)
	}
	_, reader := open(t, dir, audittrail.Options{ReadOnly: true})
	for _, desk := range []*privacy.Manager{d, reader} {
		if !desk.Restricted(ann) || desk.Restricted(bob) {
			t.Error("restricted are not ann alone")
		}
	}
	r, err := log.Get(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	hidden := reader.Redact(r)
	text := string(event.AppendJSON(nil, &hidden.Event))
	if hidden.State != record.Restricted || strings.Contains(text, "secret") || strings.Contains(text, "ann") || !strings.Contains(text, "gpt-4") {
		t.Errorf("Hide leaves %s, %s", hidden.State, text)
	}
	if r.Event.Prompt != "secret" || r.Event.Tool.Arguments == nil {
		t.Error("Hide changed the record that it was given")
	}
	if err := d.LiftRestriction(t.Context(), "ann", "corrected", "local"); err != nil {
		t.Fatal(err)
	}
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.Restricted(ann) || reader.Restricted(ann) {
		t.Error("still restricted")
	}
}

// TestApprovals are for what they name, and for a time.
func TestApprovals(t *testing.T) {
	log, d := open(t, t.TempDir(), audittrail.Options{Create: true})
	add(t, log, "ann", "x")
	add(t, log, "bob", "x")
	now := time.Now()
	a, err := d.ApproveErasure(t.Context(), []string{"ann", "nobody", "ann"}, "t-1", now)
	if err != nil || len(a.Subjects) != 1 {
		t.Fatalf("ApproveErasure = %+v, %v", a, err)
	}
	hold, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "case", Model: "other"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := d.ApproveRelease(t.Context(), hold.ID, "t-1", now)
	if err != nil {
		t.Fatal(err)
	}
	d = desk(t, log) // as the log has them
	for _, c := range []struct {
		what  string
		id    string
		users []string
		later time.Duration
		want  bool
	}{
		{"ann", a.ID.String(), []string{"ann"}, 0, true},
		{"ann and somebody on whom nothing is held", a.ID.String(), []string{"ann", "nobody"}, 0, true},
		{"bob", a.ID.String(), []string{"bob"}, 0, false},
		{"both", a.ID.String(), []string{"ann", "bob"}, 0, false},
		{"too late", a.ID.String(), []string{"ann"}, 31 * 24 * time.Hour, false},
		{"of a hold", h.ID.String(), []string{"ann"}, 0, false},
		{"none", record.ID{}.String(), []string{"ann"}, 0, false},
		{"no id", "x", []string{"ann"}, 0, false},
	} {
		_, err := d.ErasureApproval(c.id, c.users, now.Add(c.later))
		var refused *privacy.ApprovalError
		if (err == nil) != c.want || err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if _, err := d.ReleaseApproval(h.ID.String(), hold.ID, now); err != nil {
		t.Error(err)
	}
	for _, id := range []string{a.ID.String(), h.ID.String()} {
		if _, err := d.ReleaseApproval(id, "another", now); err == nil {
			t.Errorf("ReleaseApproval(%s) of another hold: no error", id)
		}
	}
	if _, err := d.ApproveRelease(t.Context(), "another", "t-1", now); !errors.Is(err, audittrail.ErrNoHold) {
		t.Errorf("ApproveRelease of no hold: %v", err)
	}
	if _, err := d.ApproveErasure(t.Context(), []string{"nobody"}, "t-1", now); !errors.Is(err, privacy.ErrNothingStored) {
		t.Errorf("ApproveErasure of nobody: %v", err)
	}
}

// TestAnswer gives the person all of theirs, of nobody else anything, and what
// they wrote stays text.
func TestAnswer(t *testing.T) {
	log, d := open(t, t.TempDir(), audittrail.Options{Create: true})
	add(t, log, "ann", "<script>alert(1)</script>")
	add(t, log, "bob", "of bob")
	add(t, log, "ann", "second")
	var out bytes.Buffer
	h, err := d.AnswerAccessRequest(t.Context(), &out, privacy.SubjectAccessRequest{
		User: "ann", By: "local", Now: time.Now(),
		Purposes: privacy.Purposes{"standard": {Purpose: "to help", Stays: "6 months"}},
	})
	if err != nil || h.Records != 2 || h.Models["gpt-4"] != 2 {
		t.Fatalf("Answer = %+v, %v", h, err)
	}
	files := map[string]string{}
	z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
		if strings.Contains(string(text), "of bob") {
			t.Errorf("%s has what is about somebody else", f.Name)
		}
	}
	if n := strings.Count(files["events.jsonl"], "\n"); n != 2 {
		t.Errorf("events.jsonl has %d lines, want 2", n)
	}
	for line := range strings.Lines(files["events.jsonl"]) {
		if _, err := event.ParseJSON([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
			t.Errorf("events.jsonl: %v", err)
		}
	}
	var data struct {
		UserID  string `json:"user_id"`
		Records int
		Classes []struct{ Class, Purpose, Stays string }
	}
	if err := json.Unmarshal([]byte(files["data.json"]), &data); err != nil || data.UserID != "ann" || data.Records != 2 ||
		len(data.Classes) != 1 || data.Classes[0].Purpose != "to help" || data.Classes[0].Stays != "6 months" {
		t.Errorf("data.json: %+v, %v", data, err)
	}
	page := files["index.html"]
	if strings.Contains(page, "<script>alert") || strings.Count(page, "<article>") != 2 || !strings.Contains(page, "to help") || strings.Contains(page, "http") {
		t.Errorf("index.html: %s", page)
	}
	r, err := log.Get(t.Context(), 3)
	if err != nil || r.Event.Type != event.SubjectAccessAnswered || r.Event.UserID != "ann" {
		t.Errorf("record 3 is %+v, %v, want subject_access_answered", r, err)
	}
	if _, err := d.AnswerAccessRequest(t.Context(), io.Discard, privacy.SubjectAccessRequest{User: "carol"}); !errors.Is(err, privacy.ErrNothingStored) {
		t.Errorf("Answer(carol): %v, want ErrNothingHeld", err)
	}
}

// TestCertify counts the records of each of several erasures, the few and the
// many, and every certificate holds.
func TestCertify(t *testing.T) {
	log, _ := open(t, t.TempDir(), audittrail.Options{Create: true})
	users := map[string]int{"ann": 3, "bob": 2, "carol": 1}
	for user, n := range users {
		for range n {
			add(t, log, user, "x")
		}
	}
	var done []*audittrail.ErasureOrder
	order := audittrail.Erasure{Reason: "r", Basis: "GDPR 17(1)(b)"}
	for _, some := range [][]string{{"ann"}, {"bob", "carol", "nobody"}} {
		order.Users = some
		f, err := log.Erase(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, f)
		add(t, log, "ann", "back") // is somebody else
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]*audittrail.ErasureOrder{done, done[:1], done[1:]} {
		all, err := privacy.Certify(t.Context(), log, query.New(log), part, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range part {
			facts, err := all[i].Check([]string{keys[0].VKey})
			if err != nil || facts.Records != 3 || facts.Seq != f.Receipt.Seq {
				t.Errorf("Check = %+v, %v, want 3 records", facts, err)
			}
		}
	}
}

// TestCountsStay finds the usage by model unchanged after people were erased.
func TestCountsStay(t *testing.T) {
	log, _ := open(t, t.TempDir(), audittrail.Options{Create: true})
	for i := range 20 {
		n := int64(i)
		_, err := log.Append(t.Context(), event.Event{
			Type: event.Response, ModelID: []string{"gpt-4", "gpt-5"}[i%2], UserID: []string{"ann", "bob", "carol"}[i%3], OutputTokens: &n,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	engine := query.New(log)
	usage := func() string {
		t.Helper()
		table, err := engine.Group(t.Context(), query.Query{Types: []event.Type{event.Response}}, query.Grouping{
			By: []string{"model_id", "day"}, Aggregates: []string{"count", "sum(output_tokens)", "max(output_tokens)"},
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(table.Rows)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := usage()
	for _, user := range []string{"ann", "carol"} {
		f, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{user}, Reason: "r", Basis: "b"})
		if err != nil || len(f.Subjects) != 1 {
			t.Fatalf("Erase = %+v, %v", f, err)
		}
	}
	if after := usage(); after != before || !strings.Contains(before, "100") {
		t.Errorf("usage is %s, was %s", after, before)
	}
}
