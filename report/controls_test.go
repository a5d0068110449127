package report_test

import (
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
	"audittrail/lineage"
	"audittrail/report"
	"audittrail/report/document"
	"audittrail/report/rules"
	"audittrail/retention"
)

// states are the controls of a report by rule file and place.
func states(t *testing.T, r *document.Report) map[string]string {
	t.Helper()
	all := make(map[string]string)
	s := r.Section("controls")
	if s == nil || s.Failed != "" {
		t.Fatalf("there is no control matrix: %+v", s)
	}
	for _, table := range s.Tables {
		if id, ok := strings.CutPrefix(table.ID, "controls.matrix_"); ok {
			for _, row := range table.Rows {
				all[id+" "+row[0].Text] = row[3].Text
			}
		}
	}
	return all
}

// count counts controls by state.
func count(all map[string]string) map[string]int {
	n := make(map[string]int)
	for _, state := range all {
		n[state]++
	}
	return n
}

// concerns are what needs attention, by kind.
func concerns(r *document.Report) map[document.Concern][]string {
	all := make(map[document.Concern][]string)
	for _, a := range r.Attention {
		all[a.Kind] = append(all[a.Kind], a.Text)
	}
	return all
}

// An empty log evidences nothing, and fails nothing; also after a report was made
// of it, after it was read, and when only its own records are there.
func TestEmptyLogEvidencesNothing(t *testing.T) {
	log, _ := newLog(t)
	check := func(when string) {
		t.Helper()
		r := made(t, log, report.Options{})
		got := count(states(t, r))
		if got["no occurrences"] != 51 || got["outside the log"] != 2 || len(got) != 2 {
			t.Errorf("%s: %v", when, got)
		}
		wants(t, r, map[string]string{"controls.evidenced": "0", "controls.failed": "0", "controls.no_occurrences": "51", "controls.not_applicable": "0", "controls.outside_the_log": "2"})
		for kind, lines := range concerns(r) {
			if kind != document.Unwitnessed {
				t.Errorf("%s: %s needs attention: %q", when, kind, lines)
			}
		}
	}
	check("empty")
	for _, typ := range []event.Type{event.ReportMade, event.ContentRead, event.DataExported, event.AccessDenied} {
		if _, err := log.AppendGovernance(t.Context(), event.Event{Type: typ, Category: "full"}); err != nil {
			t.Fatal(err)
		}
		check("after " + string(typ))
	}
	if _, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "suit", Model: "gpt-4"}); err != nil {
		t.Fatal(err)
	}
	check("after a hold")
	if r := made(t, log, report.Options{}); !noticed(r, "No producer submitted an event") {
		t.Errorf("that there are no events is not said: %v", r.Notices)
	}
}

// failing are the events of a system with which everything is wrong that tests
// of controls ask for.
func failing() []event.Event {
	call := event.Event{Type: event.Response, ModelID: "stray", ModelVersion: "1", Outcome: event.OutcomeSuccess}
	var all []event.Event
	for i, n := range []uint64{1, 3} {
		e := call
		e.Time, e.Producer = day.Add(time.Duration(i)*time.Minute), &event.Producer{ID: "gateway", Seq: &n}
		all = append(all, e)
	}
	return append(all,
		event.Event{Type: event.ToolCall, Time: day, Tool: &event.Tool{Name: "pay"}},
		event.Event{Type: event.Decision, Time: day, Category: "claim", Outcome: event.OutcomeRefused},
		event.Event{Type: event.SafetyIncident, Time: day, Severity: event.SeverityCritical, Labels: map[string]string{"serious_incident": "death", "aware_at": "2020-01-01"}},
		event.Event{Type: event.SafetyIncident, Time: day, Severity: event.SeverityHigh},
	)
}

// Each control whose tests can fail fails where they do, and the matrix names
// the test, its value and what was asked.
func TestEveryControlFails(t *testing.T) {
	log, dir := newLog(t, failing()...)
	tracker, err := lineage.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tracker.RegisterAll(t.Context(), []lineage.Entity{&lineage.ModelVersion{ID: "bare", Name: "bare", Version: "1"}}); err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{})
	// Those that only an altered log, a policy of its own, or nothing fails.
	not := map[string]string{
		"ai-act Art. 19(1)": "evidenced", "ai-act Art. 26(6)": "evidenced", "ai-act Art. 26(2)": "no occurrences",
		"gdpr Art. 5(2)": "evidenced", "gdpr Art. 15": "no occurrences", "gdpr Art. 17": "no occurrences", "gdpr Art. 32(1)(b)": "evidenced",
		"hipaa 164.308(a)(1)(ii)(D)": "outside the log", "hipaa 164.312(b)": "evidenced", "hipaa 164.312(c)(1)": "evidenced", "hipaa 164.316(b)(2)(i)": "evidenced",
		"colorado records": "evidenced", "iso-42001 A.6.2.6": "evidenced", "owasp-llm LLM10": "outside the log",
	}
	for control, state := range states(t, r) {
		want := not[control]
		if want == "" {
			want = "failed"
		}
		if state != want {
			t.Errorf("%s is %s, want %s", control, state, want)
		}
	}
	all := concerns(r)
	for _, c := range []struct {
		kind document.Concern
		text string
	}{
		{document.FailedTest, `Model inventory, "Used and never registered": 1, where 0 is asked. Controls that fail by it: EU AI Act Art. 12(2), Annex IV; NIST AI RMF GOVERN 1.6,`},
		{document.FailedTest, `Human oversight, "Reviews": 0, where more than 0 is asked.`},
		{document.Overdue, "The incident of 2 November 2026, 08:00 UTC, record 4, is overdue: EU AI Act Art. 73(4) asks for a report by 11 January 2020, and none is on record."},
		{document.Unclassified, "The incident of 2 November 2026, 08:00 UTC, record 5, is of high severity, and nobody said what kind it is: whether it must be reported is not known."},
		{document.Unregistered, "The model stray, version 1, was used and never registered."},
		{document.Gap, "Of the numbers that the producer gateway gives its events, 1 never arrived."},
		{document.Unwitnessed, "no cosigned checkpoint was given"},
	} {
		if !slices.ContainsFunc(all[c.kind], func(s string) bool { return strings.Contains(s, c.text) }) {
			t.Errorf("%s: %q, want %q", c.kind, all[c.kind], c.text)
		}
	}
	order := document.Concerns()
	if !slices.IsSortedFunc(r.Attention, func(a, b document.Attention) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) }) {
		t.Errorf("what needs attention is not in order: %v", r.Attention)
	}
	for _, table := range r.Section("controls").Tables {
		for _, row := range table.Rows {
			if table.ID == "controls.tests_owasp-llm" && row[0].Text == "LLM06" {
				if got := fmt.Sprint(row[1], row[2], row[3], row[4], row[5]); got != "Reviews (oversight.reviews) 0 more than 0, given: Calls of tools does not hold –" {
					t.Errorf("the test of LLM06 is %q", got)
				}
			}
			if table.ID == "controls.matrix_owasp-llm" && row[0].Text == "LLM06" && row[4].Text != "Reviews: 0, asked: more than 0" {
				t.Errorf("LLM06 failed because %q", row[4].Text)
			}
		}
	}

	// By retention: each law by its own minimum, and no other's.
	m, err := retention.Open(t.Context(), log, retention.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keep  retention.Period
		words string
		short []string
	}{
		{retention.Period{Years: 4}, "4 years", []string{"hipaa 164.316(b)(2)(i)"}},
		{retention.Period{Years: 1}, "1 year", []string{"colorado records", "hipaa 164.316(b)(2)(i)"}},
		{retention.Period{Months: 1}, "1 month", []string{"ai-act Art. 19(1)", "ai-act Art. 26(6)", "colorado records", "hipaa 164.316(b)(2)(i)"}},
	} {
		if _, err := m.Set(t.Context(), retention.Policy{Classes: []retention.Class{{Name: "standard", KeepFor: c.keep}}}, "desk"); err != nil {
			t.Fatal(err)
		}
		r := made(t, log, report.Options{})
		all := states(t, r)
		for _, control := range []string{"ai-act Art. 19(1)", "ai-act Art. 26(6)", "colorado records", "hipaa 164.316(b)(2)(i)"} {
			want := "evidenced"
			if slices.Contains(c.short, control) {
				want = "failed"
			}
			if all[control] != want {
				t.Errorf("kept %s: %s is %s, want %s", c.keep, control, all[control], want)
			}
		}
		if lines := concerns(r)[document.ShortKept]; len(lines) == 0 || !strings.HasPrefix(lines[0], "Records of the class standard are kept for "+c.words+", shorter than is asked by ") {
			t.Errorf("kept %s: %q", c.keep, lines)
		}
	}

	// By a review that nobody is named for, and an erasure without a basis.
	logtest.AppendBatch(t, log, event.Event{Type: event.HumanReview, Time: day})
	if got := states(t, made(t, log, report.Options{}))["ai-act Art. 26(2)"]; got != "failed" {
		t.Errorf("a review by nobody named: Art. 26(2) is %s", got)
	}
	logtest.AppendBatch(t, log, event.Event{Type: event.Feedback, Time: day, UserID: "hypatia"})
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"hypatia"}, Reason: "asked", Basis: "GDPR 17(1)(a)"}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, made(t, log, report.Options{}))["gdpr Art. 17"]; got != "evidenced" {
		t.Errorf("an erasure with its basis: Art. 17 is %s", got)
	}
	logtest.AppendBatch(t, log, event.Event{Type: event.Feedback, Time: day, UserID: "theon"})
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"theon"}, Reason: "asked"}); err != nil {
		t.Fatal(err)
	}
	if got := states(t, made(t, log, report.Options{}))["gdpr Art. 17"]; got != "failed" {
		t.Errorf("an erasure without a basis: Art. 17 is %s", got)
	}

	// By alteration: what asks for an intact log fails, and of the rest nothing
	// is known.
	logtest.Close(t, log)
	name := filepath.Join(dir, "log", "00000000000000000000.jsonl")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[strings.Index(string(b), `"outcome":"success"`)+11] = 'S'
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	r = made(t, reader, report.Options{})
	for control, state := range states(t, r) {
		pack, place, _ := strings.Cut(control, " ")
		p, err := rules.Builtin(pack)
		if err != nil {
			t.Fatal(err)
		}
		c := p.Controls[slices.IndexFunc(p.Controls, func(c rules.Control) bool { return c.Place == place })]
		want := "outside the log"
		if slices.ContainsFunc(c.Tests, func(t rules.Test) bool { return t.Figure == "integrity.state" }) {
			want = "failed"
		}
		if state != want {
			t.Errorf("in an altered log %s is %s, want %s", control, state, want)
		}
	}
	if lines := concerns(r)[document.FailedTest]; len(lines) != 1 || !strings.HasPrefix(lines[0], `Integrity, "The log": ALTERED, where good is asked.`) {
		t.Errorf("the failed tests of an altered log are %q", lines)
	}
}

// The figures that rule files can name are those of reports.
func TestFiguresOfRules(t *testing.T) {
	log, _ := newLog(t, some()...)
	r := made(t, log, report.Options{})
	var has []string
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			_, number := f.Value.Float()
			timed := f.Value.Kind == document.Instant || f.Value.Kind == document.Code || f.Value.Kind == document.Text
			if s.ID != "controls" && !timed {
				has = append(has, f.ID)
			}
			if (number || f.Value.Kind == document.State) && s.ID != "controls" && !slices.Contains(rules.Figures(), f.ID) {
				t.Errorf("rule files cannot name the figure %s", f.ID)
			}
		}
	}
	for _, id := range rules.Figures() {
		if id != "usage.calls_unknown" && !slices.Contains(has, id) { // only logs of old have it
			t.Errorf("rule files can name the figure %s, which no report has", id)
		}
	}
}

const organisation = `name = "Example Insurance AG"
systems = "the claims assistant"
for = "its auditor"
[[not_applicable]]
rules = "hipaa"
reason = "No health data of US patients is processed."
[[not_applicable]]
rules = "gdpr"
place = "Art. 30"
reason = "Kept in another register."
`

// Controls that the organisation says do not apply are that, for its reason, and
// need no attention.
func TestNotApplicable(t *testing.T) {
	log, _ := newLog(t, failing()...)
	o, err := report.ParseOrganisation([]byte(organisation), packs(t))
	if err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{Organisation: o})
	all := states(t, r)
	for control, state := range all {
		if (state == "not applicable") != (strings.HasPrefix(control, "hipaa ") || control == "gdpr Art. 30") {
			t.Errorf("%s is %s", control, state)
		}
	}
	for _, line := range concerns(r)[document.FailedTest] {
		if strings.Contains(line, "HIPAA") {
			t.Errorf("it needs attention that %s", line)
		}
	}
	for _, table := range r.Section("controls").Tables {
		if table.ID == "controls.matrix_hipaa" && table.Rows[0][4].Text != "No health data of US patients is processed." {
			t.Errorf("the reason is %q", table.Rows[0][4].Text)
		}
	}
	if r.Organisation.Name != "Example Insurance AG" || r.Organisation.For != "its auditor" || r.Organisation.Systems != "the claims assistant" {
		t.Errorf("the organisation is %+v", r.Organisation)
	}
	// Of rules that are not in the report, nothing is said.
	r = made(t, log, report.Options{Organisation: o, Rules: packs(t)[:1]})
	if len(r.Organisation.NotApplicable) != 0 {
		t.Errorf("what does not apply is %v", r.Organisation.NotApplicable)
	}
}

func TestParseOrganisation(t *testing.T) {
	for _, nothing := range []string{"", "\ufeff", "# nothing\n", "name = \" \"\n"} {
		if _, err := report.ParseOrganisation([]byte(nothing), packs(t)); err == nil || !strings.Contains(err.Error(), "the file states nothing") {
			t.Errorf("%q: error is %v", nothing, err)
		}
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"key":             {"name =", "nmae =", `unknown key "nmae": allowed are name, systems, for and not_applicable`},
		"key of an entry": {"place =", "plaec =", `unknown key "not_applicable.plaec": allowed are`},
		"state":           {"reason = \"Kept", "state = \"evidenced\"\nreason = \"Kept", `unknown key "not_applicable.state"`},
		"rules":           {`"hipaa"`, `"hippa"`, `not_applicable 1: unknown rules "hippa": allowed are ai-act, gdpr`},
		"place":           {"Art. 30", "Art. 31", `not_applicable 2: unknown place "Art. 31": allowed in gdpr are "Art. 5(1)(e)"`},
		"no reason":       {`"Kept in another register."`, `" "`, `not_applicable 2: reason is empty: say why gdpr Art. 30 does not apply`},
		"twice":           {"rules = \"gdpr\"\nplace = \"Art. 30\"", "rules = \"hipaa\"\nplace = \"164.312(b)\"", `not_applicable 2: hipaa 164.312(b) is there before`},
		"no toml":         {"name =", "name", "line 1: "},
		"long":            {"its auditor", strings.Repeat("a", 1001), "for has 1001 bytes: use at most 1000"},
	} {
		bad := strings.Replace(organisation, c.old, c.new, 1)
		if bad == organisation {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := report.ParseOrganisation([]byte(bad), packs(t)); err == nil || !strings.HasPrefix(err.Error(), "organisation: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %s", name, err, c.want)
		}
	}
}

// How a log could be checked decides some tests of controls. Where that alone
// differs, an older report is not contradicted.
func TestControlsUnderOtherCircumstances(t *testing.T) {
	log, dir := newLog(t, failing()...)
	before := made(t, log, report.Options{})
	logtest.Close(t, log)
	sides, err := filepath.Glob(filepath.Join(dir, "log", "*.side"))
	if err != nil || len(sides) == 0 {
		t.Fatalf("side files %v, %v", sides, err)
	}
	b, err := os.ReadFile(sides[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(sides[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	after := made(t, reader, report.Options{})
	if got := states(t, after)["gdpr Art. 5(2)"]; after.Status != document.Incomplete || got != "outside the log" {
		t.Fatalf("status %s, Art. 5(2) is %s", after.Status, got)
	}
	contradicts, circumstances := report.CircumstancesOf(before, after, document.Compare(before, after))
	if len(contradicts) > 0 || len(circumstances) == 0 {
		t.Errorf("contradicted by %v", contradicts)
	}
	// Another figure contradicts it all the same.
	for i, f := range before.Section("usage").Figures {
		if f.ID == "usage.calls" {
			before.Section("usage").Figures[i].Value = document.CountOf(9)
		}
	}
	if contradicts, _ := report.CircumstancesOf(before, after, document.Compare(before, after)); len(contradicts) != 1 || contradicts[0].Where != "usage.calls" {
		t.Errorf("another number of calls: contradicted by %v", contradicts)
	}
}
