package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/report"
	"audittrail/report/document"
	"audittrail/report/rules"
	"audittrail/retention"
)

var day = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// some are the events of a morning: two conversations, one of which was blocked
// and one reviewed, and two incidents.
func some() []event.Event {
	at := func(minutes int) time.Time { return day.Add(time.Duration(minutes) * time.Minute) }
	trace := func(n int) string { return fmt.Sprintf("%032x", n) }
	seq := func(n uint64) *event.Producer { return &event.Producer{ID: "gateway", Seq: &n} }
	call := event.Event{ModelID: "gpt-4", ModelVersion: "4.0", Provider: "openai", DeploymentID: "prod"}
	with := func(e event.Event, change func(*event.Event)) event.Event { change(&e); return e }
	return []event.Event{
		with(call, func(e *event.Event) {
			e.Type, e.Time, e.UserID, e.TraceID, e.Producer = event.Prompt, at(0), "ada-lovelace", trace(1), seq(1)
		}),
		with(call, func(e *event.Event) {
			e.Type, e.Time, e.UserID, e.TraceID, e.Producer, e.Outcome = event.Response, at(1), "ada-lovelace", trace(1), seq(2), event.OutcomeSuccess
			e.InputTokens, e.OutputTokens, e.Latency, e.Cost = new(int64(10)), new(int64(20)), new(1500*time.Millisecond), &event.Cost{Nano: 12300000, Currency: "USD"}
		}),
		{Type: event.HumanReview, Time: at(11), UserID: "rev", TraceID: trace(1), Labels: map[string]string{"review": "overridden"}},
		{Type: event.HumanReview, Time: at(12), UserID: "rev", TraceID: trace(1), Metadata: map[string]json.RawMessage{"verdict": json.RawMessage(`"approved"`)}},
		with(call, func(e *event.Event) {
			e.Type, e.Time, e.UserID, e.TraceID, e.Producer = event.Prompt, at(20), "bob", trace(2), seq(5)
		}),
		{Type: event.Guardrail, Time: at(20), TraceID: trace(2), Category: "injection", Outcome: event.OutcomeBlocked},
		{Type: event.SafetyIncident, Time: at(21), Severity: event.SeverityCritical, Category: "injection", Labels: map[string]string{"incident": "i1", "serious_incident": "death", "aware_at": "2026-11-02"}},
		{Type: event.SafetyIncident, Time: at(22), Severity: event.SeverityHigh, Category: "privacy"},
		with(call, func(e *event.Event) {
			e.Type, e.Time, e.UserID, e.TraceID, e.Outcome = event.Failure, at(30), "bob", trace(3), event.OutcomeTimeout
			e.Latency = new(30 * time.Second)
		}),
		with(call, func(e *event.Event) { e.Type, e.Time, e.TraceID = event.Prompt, at(31), trace(4) }),
		{Type: event.Decision, Time: at(40), Category: "claim", Outcome: event.OutcomeRefused},
	}
}

func newLog(t *testing.T, events ...event.Event) (*audittrail.Log, string) {
	t.Helper()
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true, Origin: "example.com/log"})
	if len(events) > 0 {
		logtest.AppendBatch(t, log, events...)
	}
	return log, dir
}

func packs(t *testing.T) []*rules.Catalogue {
	t.Helper()
	var all []*rules.Catalogue
	for _, name := range rules.Names() {
		p, err := rules.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func made(t *testing.T, log *audittrail.Log, o report.Options) *document.Report {
	t.Helper()
	o.Program = "test"
	r, err := report.Generate(t.Context(), log, o)
	if err != nil {
		t.Fatal(err)
	}
	return r.Document()
}

func wants(t *testing.T, r *document.Report, figures map[string]string) {
	t.Helper()
	for id, want := range figures {
		f, ok := r.Figure(id)
		if got := f.Value.String(); !ok || got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	log, _ := newLog(t, some()...)
	r := made(t, log, report.Options{})
	wants(t, r, map[string]string{
		"scope.events": "11", "integrity.state": "intact", "integrity.records": "11",
		"completeness.numbered": "3", "completeness.missing": "2", "completeness.repeated": "0",
		"completeness.unanswered": "1", "completeness.late": "11",
		"usage.calls": "2", "usage.failed": "1", "usage.failure_rate": "50.00 %", "usage.input_tokens": "10", "usage.p99": "30.00 s",
		"oversight.reviews": "2", "oversight.reviewers": "–", "oversight.reviews_by_nobody": "2", "oversight.overrides": "1", "oversight.override_rate": "50.00 %", "oversight.wait_median": "10 min 0 s", "oversight.decisions": "1",
		"safety.checks": "1", "safety.blocked": "1", "safety.incidents": "2",
		"incidents.incidents": "2", "incidents.overdue": "1", "incidents.unclassified": "1", "incidents.reported": "0",
		"inventory.models": "1", "inventory.unregistered": "1", "lineage.datasets": "0",
		"privacy.erasures": "0", "access.grants": "0", "retention.holds": "0",
	})
	if r.Status != document.Complete {
		t.Errorf("status is %s, want sound; %v", r.Status, r.Notices)
	}
	for _, s := range r.Sections {
		if len(s.Gaps) == 0 || s.Failed != "" {
			t.Errorf("section %s: %d gaps, failed %q", s.ID, len(s.Gaps), s.Failed)
		}
	}
	// What the rules ask for, the report has.
	for _, p := range packs(t) {
		for _, c := range p.Controls {
			for _, test := range c.Tests {
				if _, ok := r.Figure(test.Figure); !ok {
					t.Errorf("%s, %s: there is no figure %s", p.ID, c.Place, test.Figure)
				}
			}
			for _, s := range c.Sections {
				if r.Section(s) == nil {
					t.Errorf("%s, %s: there is no section %s", p.ID, c.Place, s)
				}
			}
		}
	}
}

// The deadline of a death is ten days after somebody became aware.
func TestClock(t *testing.T) {
	log, _ := newLog(t, some()...)
	r := made(t, log, report.Options{Type: "incidents"})
	var row []document.Value
	for _, x := range r.Sections[0].Tables[0].Rows {
		if x[5].Text == "death" {
			row = x
		}
	}
	if row == nil || row[7].String() != "2026-11-12 00:00:00Z" || row[8].Text != "EU AI Act Art. 73(4)" || row[9].Text != "overdue" {
		t.Errorf("the incident is %v", row)
	}
}

func encoded(t *testing.T, r *document.Report) []byte {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same log, size, period and program give the same bytes, also when the log
// has gone on.
func TestSameBytes(t *testing.T) {
	log, _ := newLog(t, some()...)
	first := made(t, log, report.Options{})
	again := made(t, log, report.Options{})
	if !bytes.Equal(encoded(t, first), encoded(t, again)) {
		t.Errorf("made again, it differs: %v", document.Compare(first, again))
	}
	logtest.AppendBatch(t, log, some()...)
	hold, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "suit", Model: "gpt-4"})
	if err != nil {
		t.Fatal(err)
	}
	later := made(t, log, report.Options{Size: first.Size})
	if !bytes.Equal(encoded(t, first), encoded(t, later)) {
		t.Errorf("made later at the same size, it differs: %v", document.Compare(first, later))
	}
	grown := made(t, log, report.Options{})
	wants(t, grown, map[string]string{"usage.calls": "4", "retention.holds": "1"})
	if _, err := log.ReleaseHold(t.Context(), hold.ID, "over", ""); err != nil {
		t.Fatal(err)
	}
	wants(t, made(t, log, report.Options{}), map[string]string{"retention.holds": "0"})
	if _, err := report.Generate(t.Context(), log, report.Options{Size: 1000}); !errors.Is(err, audittrail.ErrNoRecord) {
		t.Errorf("at a size that the log does not have: %v, want ErrNoRecord", err)
	}
}

func TestTypes(t *testing.T) {
	log, _ := newLog(t, some()...)
	for _, typ := range report.Types() {
		r := made(t, log, report.Options{Type: typ, Rules: packs(t)[:1]})
		want := 1
		if typ == report.Full {
			want = len(report.Types()) - 1
		}
		if len(r.Sections) != want || typ != report.Full && r.Sections[0].ID != typ {
			t.Errorf("%s has %d sections, want %d", typ, len(r.Sections), want)
		}
	}
	if _, err := report.Generate(t.Context(), log, report.Options{Type: "everything"}); !errors.Is(err, report.ErrType) {
		t.Errorf("a type that there is none of: %v, want ErrType", err)
	}
	if _, err := report.Generate(t.Context(), log, report.Options{Start: day, End: day}); err == nil {
		t.Error("an empty span of time: no error")
	}
}

func TestPeriodAndModel(t *testing.T) {
	log, _ := newLog(t, some()...)
	wants(t, made(t, log, report.Options{End: day.Add(10 * time.Minute)}), map[string]string{"scope.events": "2", "usage.calls": "1"})
	wants(t, made(t, log, report.Options{Model: "gpt-5"}), map[string]string{"scope.events": "0", "usage.calls": "0"})
	empty := made(t, log, report.Options{Start: day.AddDate(1, 0, 0)})
	if !noticed(empty, "no event for this period") {
		t.Errorf("an empty period is not said: %v", empty.Notices)
	}
	none, _ := newLog(t)
	if r := made(t, none, report.Options{}); !noticed(r, "no event for this period") || r.Size != 0 {
		t.Errorf("an empty log: %d records, %v", r.Size, r.Notices)
	}
}

func noticed(r *document.Report, text string) bool {
	return slices.ContainsFunc(r.Notices, func(n document.Notice) bool { return strings.Contains(n.Text, text) })
}

// TestErased counts the structure of records about an erased data subject, and says so.
func TestErased(t *testing.T) {
	log, _ := newLog(t, some()...)
	before := made(t, log, report.Options{})
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ada-lovelace"}, Reason: "letter-of-monday", Basis: "GDPR 17(1)(a)"}); err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{})
	wants(t, r, map[string]string{"privacy.erasures": "1", "privacy.forgotten": "1", "usage.calls": "2"})
	if !noticed(r, "1 data subject erased") {
		t.Errorf("the erasure is not said: %v", r.Notices)
	}
	if bytes.Contains(encoded(t, r), []byte("letter-of-monday")) || bytes.Contains(encoded(t, r), []byte("ada-lovelace")) {
		t.Error("the report has what the erasure's record seals")
	}
	if d := document.Compare(before, made(t, log, report.Options{Size: before.Size})); len(d) > 0 {
		t.Errorf("the report from before differs: %v", d)
	}
}

// A log that was altered is reported as that, whatever else can be computed.
func TestAltered(t *testing.T) {
	log, dir := newLog(t, some()...)
	logtest.Close(t, log)
	name := filepath.Join(dir, "log", "00000000000000000000.jsonl")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte(`"outcome":"success"`))+11] = 'S'
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	r := made(t, reader, report.Options{})
	if r.Status != document.Altered || len(r.Notices) == 0 || !strings.Contains(r.Notices[0].Text, "ALTERED") {
		t.Errorf("status %s, %v", r.Status, r.Notices)
	}
	wants(t, r, map[string]string{"integrity.state": "ALTERED", "integrity.alterations": "1", "controls.evidenced": "0"})
	if s := r.Section("usage"); s == nil || s.Failed == "" {
		t.Error("usage was computed from a record that was altered")
	}
}

// TestDatesAgree holds the legal floors of retention against the rule packs: one
// report must not have a duty begin on two days.
func TestDatesAgree(t *testing.T) {
	compared := 0
	for _, f := range retention.StatutoryMinimums() {
		pack, err := rules.Builtin(f.Framework)
		if err != nil {
			continue // a floor of a law without a pack
		}
		_, article, ok := strings.Cut(f.Rule, "Article ")
		for _, c := range pack.Controls {
			if !ok || c.Place != "Art. "+article || c.AppliesFrom == "" {
				continue
			}
			compared++
			if c.AppliesFrom != f.Applies {
				t.Errorf("%s applies from %s by the floors, and from %s by the rules", f.Rule, f.Applies, c.AppliesFrom)
			}
		}
	}
	if compared < 2 {
		t.Errorf("%d dates compared, want those of the AI Act at least", compared)
	}
}

// TestNamesOfTypes spells the product's own types in words, and leaves names
// that others gave as they are.
func TestNamesOfTypes(t *testing.T) {
	log, _ := newLog(t,
		event.Event{Type: event.ToolCall, Time: day},
		event.Event{Type: "x.prompt_template.published", Time: day})
	text := string(encoded(t, made(t, log, report.Options{Type: "scope"})))
	for name, want := range map[string]bool{
		`"tool call"`: true, `"x.prompt_template.published"`: true, `"x.prompt template.published"`: false,
	} {
		if strings.Contains(text, name) != want {
			t.Errorf("the report has %s: %v, want %v", name, !want, want)
		}
	}
}

// Of a producer that sends more than can be told apart, the least that is
// missing is told; of those beside it, what is.
func TestManyNumbers(t *testing.T) {
	var events []event.Event
	for _, n := range []uint64{10, 11, 12, 12, 17} {
		events = append(events, event.Event{Type: event.Feedback, Time: day, Producer: &event.Producer{ID: `"big" \ one`, Seq: &n}})
	}
	for _, n := range []uint64{1, 1, 4} {
		events = append(events, event.Event{Type: event.Feedback, Time: day, Producer: &event.Producer{ID: "small", Seq: &n}})
	}
	log, _ := newLog(t, events...)
	for _, c := range []struct {
		most, missing, repeated int64
	}{{100, 6, 2}, {4, 5, 1}} {
		r := made(t, log, report.Options{Type: "completeness"}.UpTo(c.most))
		wants(t, r, map[string]string{"completeness.numbered": "8", "completeness.missing": fmt.Sprint(c.missing), "completeness.repeated": fmt.Sprint(c.repeated)})
		note := false
		for _, f := range r.Sections[0].Figures {
			note = note || f.ID == "completeness.missing" && strings.Contains(f.Note, "the least that can be missing")
		}
		if note != (c.most == 4) {
			t.Errorf("up to %d: the report says that it is the least: %v", c.most, note)
		}
	}
}

// Prompts without an answer are told by their traces.
func TestManyPrompts(t *testing.T) {
	var events []event.Event
	for i, types := range [][]event.Type{{event.Prompt}, {event.Prompt, event.Response, event.Response, event.Response}, {event.Prompt, event.Prompt, event.Prompt, event.Failure}} {
		for _, typ := range types {
			events = append(events, event.Event{Type: typ, Time: day, TraceID: fmt.Sprintf("%032x", i+1)})
		}
	}
	log, _ := newLog(t, append(events, event.Event{Type: event.Prompt, Time: day})...)
	r := made(t, log, report.Options{Type: "completeness"})
	wants(t, r, map[string]string{"completeness.unanswered": "3", "completeness.untraced": "1"})
}

// Where nothing joins a prompt to an answer, it is not known whether it has one,
// which is neither 0 nor all.
func TestUntracedPrompts(t *testing.T) {
	log, _ := newLog(t, event.Event{Type: event.Prompt, Time: day}, event.Event{Type: event.Prompt, Time: day}, event.Event{Type: event.Response, Time: day})
	r := made(t, log, report.Options{Type: "completeness"})
	wants(t, r, map[string]string{"completeness.begun": "2", "completeness.unanswered": "–", "completeness.untraced": "2"})
	f, _ := r.Figure("completeness.unanswered")
	if f.Value.Kind != document.Absent || !strings.Contains(f.Note, "Not known") {
		t.Errorf("unanswered is %+v, want absent, and why", f)
	}
}
