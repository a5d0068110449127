package report_test

import (
	"fmt"
	"strings"
	"testing"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/query"
	"audittrail/report"
)

// TestCase tells one case from the records that it is given, and no more.
func TestCase(t *testing.T) {
	log, _ := newLog(t)
	tracker, err := lineage.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tracker.RegisterAll(t.Context(), []lineage.Entity{
		&lineage.Dataset{ID: "letters", Name: "letters", Version: "1"}, &lineage.TrainingRun{ID: "run", Name: "run", Datasets: []string{"letters"}},
		&lineage.ModelVersion{ID: "bot", Name: "bot", Version: "3", Run: "run"},
	}); err != nil {
		t.Fatal(err)
	}
	trace := fmt.Sprintf("%032x", 7)
	long := strings.Repeat("word ", 2000)
	for _, e := range []event.Event{
		{Type: event.Prompt, Time: day, ModelID: "bot", ModelVersion: "3", UserID: "ann", TraceID: trace, Prompt: "May I?", Response: long},
		{Type: event.HumanReview, Time: day, UserID: "ann", Actor: "rita", TraceID: trace, Category: "overridden", Response: "Yes."},
		{Type: event.ToolCall, Time: day, TraceID: trace, Tool: &event.Tool{Name: "pay", Arguments: []byte(`{"sum":7}`)}},
	} {
		logtest.Append(t, log, e)
	}
	if _, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "suit", Model: "bot"}); err != nil {
		t.Fatal(err)
	}
	engine := query.New(log)
	c := report.Case{Description: "the trace " + trace, More: true}
	for h, err := range engine.Find(t.Context(), query.Query{Traces: []string{trace}, OldestFirst: true}) {
		if err != nil {
			t.Fatal(err)
		}
		c.Records = append(c.Records, h.Record)
	}
	signed, err := report.GenerateCase(t.Context(), log, report.Options{Program: "test"}, c)
	if err != nil {
		t.Fatal(err)
	}
	r := signed.Document()
	wants(t, r, map[string]string{"case.records": "3", "case.people": "1", "case.reviews": "1", "case.unread": "0", "case.held": "1", "integrity.state": "intact"})
	if f, _ := r.Figure("case.records"); !strings.Contains(f.Note, "there are more") {
		t.Errorf("the note of its records is %q", f.Note)
	}
	said := rows(t, r, "case.words")
	if len(said) != 2 || said[0][3] != "May I?" || !strings.HasSuffix(said[1][3], "… (6,000 more characters: audittrail show 3)") {
		t.Errorf("words: %.200q", said)
	}
	if got := rows(t, r, "case.models"); len(got) != 1 || got[0][5] != "1" || got[0][6] != "registered" || got[0][7] != "run" || got[0][8] != "letters@1" {
		t.Errorf("models: %q", got)
	}
	if got := rows(t, r, "case.looked"); len(got) != 1 || got[0][3] != "person 1" || got[0][4] != "changed" || got[0][6] != "Yes." {
		t.Errorf("who looked at it: %q", got)
	}
	if got := rows(t, r, "case.done"); len(got) != 1 || got[0][2] != "tool call pay" || got[0][6] != `{"sum":7}` {
		t.Errorf("what was done: %q", got)
	}
	records, err := report.CaseRecordsOf(r)
	if err != nil || len(records) != 3 || records[c.Records[0].Seq] != c.Records[0].Hash.String() {
		t.Errorf("CaseRecords = %v, %v", records, err)
	}
	if _, err := report.CaseRecordsOf(made(t, log, report.Options{Type: "scope"})); err == nil {
		t.Error("CaseRecords of another report: no error")
	}
	// The same again is the same bytes, when the log has gone on.
	size := r.Size
	logtest.Append(t, log, event.Event{Type: event.Prompt, Time: day})
	again, err := report.GenerateCase(t.Context(), log, report.Options{Program: "test", Size: size}, c)
	if err != nil || string(encoded(t, again.Document())) != string(encoded(t, r)) {
		t.Errorf("made again, it differs: %v", err)
	}
}
