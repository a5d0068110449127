package report_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/report"
	"audittrail/report/document"
	"audittrail/retention"
)

// rows are those of a table, as people read them.
func rows(t *testing.T, r *document.Report, id string) [][]string {
	t.Helper()
	section, _, _ := strings.Cut(id, ".")
	s := r.Section(section)
	if s == nil {
		t.Fatalf("there is no section %s", section)
	}
	for _, table := range s.Tables {
		if table.ID == id {
			all := [][]string{}
			for _, row := range table.Rows {
				var cells []string
				for _, v := range row {
					cells = append(cells, v.String())
				}
				all = append(all, cells)
			}
			return all
		}
	}
	return nil
}

// subject is what stands in the log for a user.
func subject(t *testing.T, log *audittrail.Log, user string) string {
	t.Helper()
	s, known, err := log.Subject(user)
	if err != nil || !known {
		t.Fatalf("Subject(%q) = %v, %v", user, known, err)
	}
	return s.String()
}

// keyless reopens a log without its keyring.
func keyless(t *testing.T, log *audittrail.Log, dir string) *audittrail.Log {
	t.Helper()
	logtest.Close(t, log)
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	return reader
}

// TestPeople counts people without the log's own subject, wherever people are
// counted.
func TestPeople(t *testing.T) {
	call := func(user string) event.Event {
		return event.Event{Type: event.Response, Time: day, ModelID: "m", UserID: user, Outcome: event.OutcomeSuccess}
	}
	log, dir := newLog(t, call("ann"), call("bob"), call("bob"), call(""), call(""), call(""))
	if err := access.RecordRead(t.Context(), log, access.Reading{Command: "show", Records: 1}); err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{})
	wants(t, r, map[string]string{"scope.subjects": "2", "privacy.subjects": "2", "usage.people": "2", "usage.about_nobody": "3"})
	if got := fmt.Sprint(rows(t, r, "usage.by_people")); got != "[[1 1 1] [2 to 9 1 2]]" {
		t.Errorf("people by calls: %s", got)
	}
	if got := rows(t, r, "access.by_kind"); len(got) != 1 || got[0][3] != "0" {
		t.Errorf("what was done with the log: %v, want it of no person", got)
	}
	own, _, err := log.Subject("")
	if err != nil {
		t.Fatal(err)
	}
	named := made(t, log, report.Options{Pseudonyms: true})
	got := rows(t, named, "usage.by_subject")
	if len(got) != 2 || got[0][0] != subject(t, log, "bob") {
		t.Errorf("by subject: %v, want bob before ann, and nobody else", got)
	}
	if bytes.Contains(encoded(t, named), []byte(own.String())) {
		t.Error("the log's own subject stands in the report")
	}
	// Which subject is nobody, only the keyring tells.
	r = made(t, keyless(t, log, dir), report.Options{})
	for _, id := range []string{"scope.subjects", "privacy.subjects", "usage.people", "usage.about_nobody"} {
		unknown(t, r, id)
	}
}

// unknown fails unless a figure is not known, and says why.
func unknown(t *testing.T, r *document.Report, id string) {
	t.Helper()
	f, ok := r.Figure(id)
	if !ok || f.Value.Kind != document.Absent || !strings.HasPrefix(f.Note, document.Unknown) || f.Shown().String() != "not known" {
		t.Errorf("%s is %q (%s), want it not known, and why", id, f.Shown(), f.Note)
	}
}

// TestReviewers are those named as actors, and not whom a review is about.
func TestReviewers(t *testing.T) {
	review := func(user, actor, verdict string, minutes int) event.Event {
		e := event.Event{Type: event.HumanReview, Time: day.Add(time.Duration(minutes) * time.Minute), UserID: user, Actor: actor}
		if verdict != "" {
			e.Labels = map[string]string{"review": verdict}
		}
		return e
	}
	log, _ := newLog(t,
		review("customer-1", "rita", "approved", 1), review("customer-2", "rita", "changed", 2), review("customer-3", "rick", "", 3),
		review("customer-4", "", "rejected", 4), review("", "", "approved", 5))
	r := made(t, log, report.Options{Type: "oversight"})
	wants(t, r, map[string]string{
		"oversight.reviews": "5", "oversight.reviewers": "2", "oversight.reviews_by_nobody": "2", "oversight.overrides": "2", "oversight.override_rate": "50.00 %",
	})
	got := rows(t, r, "oversight.by_reviewer")
	if len(got) != 2 || !slices.Equal(got[0][:4], []string{"reviewer 1", "2", "1", "50.00 %"}) || !slices.Equal(got[1][:4], []string{"reviewer 2", "1", "–", "–"}) {
		t.Errorf("by reviewer: %v", got)
	}
	named := made(t, log, report.Options{Type: "oversight", Pseudonyms: true})
	if got := rows(t, named, "oversight.by_reviewer"); got[0][0] != subject(t, log, "rita") || got[1][0] != subject(t, log, "rick") {
		t.Errorf("by reviewer, with pseudonyms: %v", got)
	}
	anonymous, _ := newLog(t, review("customer-1", "", "approved", 1), review("customer-2", "", "approved", 2))
	r = made(t, anonymous, report.Options{Type: "oversight"})
	unknown(t, r, "oversight.reviewers")
	wants(t, r, map[string]string{"oversight.reviews_by_nobody": "2"})
	none, _ := newLog(t, event.Event{Type: event.Prompt, Time: day})
	wants(t, made(t, none, report.Options{Type: "oversight"}), map[string]string{"oversight.reviewers": "0", "oversight.reviews_by_nobody": "0", "oversight.overrides": "0"})
}

// TestPseudonyms are in no form of a report, unless they are asked for.
func TestPseudonyms(t *testing.T) {
	log, _ := newLog(t, some()...)
	c, err := access.Open(t.Context(), log, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, grant, err := c.Grant(t.Context(), access.GrantRequest{User: "auditor-ines", Role: access.Auditor})
	if err != nil {
		t.Fatal(err)
	}
	if err := access.RecordRead(t.Context(), log, access.Reading{Grant: grant, Command: "show", Records: 1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	logtest.Append(t, log, event.Event{Type: event.HumanReview, Time: day, UserID: "bob", Actor: "rev"})
	without, with := encoded(t, made(t, log, report.Options{})), encoded(t, made(t, log, report.Options{Pseudonyms: true}))
	for _, user := range []string{"ada-lovelace", "bob", "auditor-ines", "rev"} {
		if s := []byte(subject(t, log, user)); bytes.Contains(without, s) || !bytes.Contains(with, s) {
			t.Errorf("%s: without pseudonyms %v, with them %v, want in the second alone", user, bytes.Contains(without, s), bytes.Contains(with, s))
		}
		if name := []byte(user); len(user) > 3 && (bytes.Contains(without, name) || bytes.Contains(with, name)) {
			t.Errorf("the report names %s", user)
		}
	}
}

// TestGrantsInForce lists who has access at the end of the period, with the
// role, and nobody else.
func TestGrantsInForce(t *testing.T) {
	log, dir := newLog(t, event.Event{Type: event.Prompt, Time: day})
	c, err := access.Open(t.Context(), log, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := access.ParseScope([]string{"model=gpt-4"})
	if err != nil {
		t.Fatal(err)
	}
	grants := make(map[string]*access.Grant)
	for _, q := range []access.GrantRequest{
		{User: "ines", Role: access.Auditor},
		{User: "app", Role: access.Writer, Scope: scope, For: 24 * time.Hour},
		{User: "gone", Role: access.Viewer},
		{User: "brief", Role: access.Viewer, For: time.Nanosecond},
		{User: "erased", Role: access.Admin},
	} {
		_, g, err := c.Grant(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		grants[q.User] = g
	}
	if _, err := c.Revoke(t.Context(), grants["gone"].ID, "left", ""); err != nil {
		t.Fatal(err)
	}
	if err := access.RecordRead(t.Context(), log, access.Reading{Grant: grants["ines"], Command: "show", Records: 1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"erased"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{Type: "access"})
	wants(t, r, map[string]string{"access.in_force": "2", "access.grants": "5", "access.revocations": "1"})
	got := rows(t, r, "access.in_force_table")
	if len(got) != 2 || got[0][0] != grants["ines"].ID.String() || !slices.Equal(got[0][1:4], []string{"auditor", "all records", "never"}) || !strings.HasPrefix(got[0][4], "20") ||
		!slices.Equal(got[1][1:3], []string{"writer", "model=gpt-4"}) || got[1][4] != "none" {
		t.Errorf("who has access: %q", got)
	}
	changes := rows(t, r, "access.changes")
	var roles []string
	for _, row := range changes {
		roles = append(roles, row[3])
	}
	if !slices.Equal(roles, []string{"auditor", "writer", "viewer", "viewer", "erased", "viewer"}) {
		t.Errorf("roles of grants and revocations: %q", roles)
	}
	// Before all that nobody had access.
	wants(t, made(t, log, report.Options{Type: "access", End: day.Add(time.Hour)}), map[string]string{"access.in_force": "0"})
	unknown(t, made(t, keyless(t, log, dir), report.Options{Type: "access"}), "access.in_force")
}

// TestGrantsInForceArchived tells who had access when the last record that counts
// was one that has left the log since.
func TestGrantsInForceArchived(t *testing.T) {
	log := logtest.Open(t, t.TempDir(), audittrail.Options{Create: true, SegmentBytes: 4096})
	c, err := access.Open(t.Context(), log, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Grant(t.Context(), access.GrantRequest{User: "ines", Role: access.Auditor}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		logtest.Append(t, log, event.Event{Type: event.Response, Time: day, ModelID: "m", Outcome: event.OutcomeSuccess})
	}
	away := t.TempDir()
	if err := log.ArchiveSegments(t.Context(), []uint64{0}, away, "old"); err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{Size: 3})
	wants(t, r, map[string]string{"access.in_force": "1"})
	unknown(t, r, "usage.calls")
	r = made(t, log, report.Options{})
	wants(t, r, map[string]string{"access.in_force": "1"})
	if f, _ := r.Figure("usage.calls"); f.Value.Kind != document.Count || !strings.HasPrefix(f.Note, "At least: ") {
		t.Errorf("calls are %s (%s), want at least so many", f.Value, f.Note)
	}
	unknown(t, r, "oversight.feedback")
}

// chart is a chart of a report.
func chart(t *testing.T, r *document.Report, id string) document.Chart {
	t.Helper()
	section, _, _ := strings.Cut(id, ".")
	for _, c := range r.Section(section).Charts {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("there is no chart %s", id)
	return document.Chart{}
}

// TestTimeAxis has the days on which nothing happened, and no end of them.
func TestTimeAxis(t *testing.T) {
	at := func(days int) event.Event {
		return event.Event{Type: event.Response, Time: day.AddDate(0, 0, days), ModelID: "m", Outcome: event.OutcomeSuccess, Latency: new(time.Second)}
	}
	log, _ := newLog(t, at(0), at(5), at(5), event.Event{Type: event.Guardrail, Time: day, Outcome: event.OutcomeBlocked}, event.Event{Type: event.SafetyIncident, Time: day.AddDate(0, 0, 3)})
	r := made(t, log, report.Options{})
	calls := chart(t, r, "usage.over_time")
	if !slices.Equal(calls.Labels, []string{"2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05", "2026-11-06", "2026-11-07"}) {
		t.Errorf("days %q", calls.Labels)
	}
	var values []string
	for i := range calls.Labels {
		values = append(values, calls.Series[0].Values[i].String(), chart(t, r, "usage.latency").Series[0].Values[i].String())
	}
	if got := strings.Join(values, " "); got != "1 1.00 s 0 – 0 – 0 – 0 – 2 1.00 s" {
		t.Errorf("calls and latency: %s", got)
	}
	if got := len(chart(t, r, "safety.trend").Labels); got != 4 {
		t.Errorf("the trend has %d days, want 4", got)
	}
	// A period reaches over all of it, as far as the log has seen.
	r = made(t, log, report.Options{Type: "usage", Start: day.AddDate(0, 0, -3), End: day.AddDate(0, 0, 2)})
	if got := chart(t, r, "usage.over_time").Labels; !slices.Equal(got, []string{"2026-10-30", "2026-10-31", "2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"}) {
		t.Errorf("days of a period: %q", got)
	}
	// A clock that was never set makes no axis of centuries.
	wild, _ := newLog(t, at(0), at(1), event.Event{Type: event.Response, Time: time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC), ModelID: "m"}, event.Event{Type: event.Response, Time: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), ModelID: "m"})
	c := chart(t, made(t, wild, report.Options{Type: "usage"}), "usage.over_time")
	if len(c.Labels) == 0 || len(c.Labels) > 240 || !strings.Contains(c.Title, "without 2 ") {
		t.Errorf("%d spans under %q", len(c.Labels), c.Title)
	}
}

// TestEvaluationsOverTime shows what evaluations came to.
func TestEvaluationsOverTime(t *testing.T) {
	eval := func(days int, outcome, score string) event.Event {
		e := event.Event{Type: event.Evaluation, Time: day.AddDate(0, 0, days), Category: "accuracy", ModelID: "m", ModelVersion: "2", Outcome: outcome}
		if score != "" {
			e.Metadata = map[string]json.RawMessage{"score": json.RawMessage(score)}
		}
		return e
	}
	log, _ := newLog(t, eval(0, "success", "0.9"), eval(0, "success", "0.8"), eval(3, "error", "0.4"))
	r := made(t, log, report.Options{Type: "oversight"})
	if got := fmt.Sprint(rows(t, r, "oversight.evaluations_over_time")); got != "[[2026-11-05 accuracy m 2 1 1 0.4] [2026-11-02 accuracy m 2 2 0 0.85]]" {
		t.Errorf("evaluations: %s", got)
	}
	c := chart(t, r, "oversight.scores")
	if len(c.Labels) != 4 || c.Series[0].Values[0].String() != "85.00 %" || c.Series[0].Values[1].Kind != document.Absent || c.Series[0].Values[3].String() != "40.00 %" {
		t.Errorf("scores: %+v", c)
	}
	plain, _ := newLog(t, eval(0, "success", ""), eval(1, "", ""), eval(3, "error", "17"))
	r = made(t, plain, report.Options{Type: "oversight"})
	c = chart(t, r, "oversight.evaluations_by_outcome")
	if len(c.Labels) != 4 || c.Series[0].Values[0].N != 1 || c.Series[1].Values[3].N != 1 || c.Series[2].Values[1].N != 1 {
		t.Errorf("outcomes: %+v", c)
	}
}

// TestNotSaid does not make zeros of what no event says.
func TestNotSaid(t *testing.T) {
	log, _ := newLog(t,
		event.Event{Type: event.Response, Time: day, ModelID: "m"}, event.Event{Type: event.Guardrail, Time: day},
		event.Event{Type: event.ToolCall, Time: day, Tool: &event.Tool{Name: "search"}}, event.Event{Type: event.HumanReview, Time: day, Actor: "rita"}, event.Event{Type: event.SafetyIncident, Time: day})
	r := made(t, log, report.Options{})
	for _, id := range []string{
		"usage.input_tokens", "usage.output_tokens", "usage.cached_tokens", "usage.reasoning_tokens", "usage.p50", "usage.p95", "usage.p99",
		"completeness.missing", "completeness.repeated", "completeness.partial", "safety.blocked", "safety.refusals", "safety.denied_tools",
		"oversight.overrides", "oversight.wait_median", "incidents.grave", "incidents.unclassified",
	} {
		unknown(t, r, id)
	}
	// Of those that say it, and how many do not.
	log, _ = newLog(t, event.Event{Type: event.Response, Time: day, ModelID: "m"}, event.Event{Type: event.Response, Time: day, ModelID: "m", Outcome: event.OutcomeSuccess, InputTokens: new(int64(7))}, event.Event{Type: event.Failure, Time: day, ModelID: "m"})
	r = made(t, log, report.Options{})
	wants(t, r, map[string]string{"usage.calls": "3", "usage.failed": "1", "usage.failure_rate": "33.33 %", "usage.input_tokens": "7"})
	if f, _ := r.Figure("usage.input_tokens"); !strings.Contains(f.Note, "Of the 1 of 3 that state input tokens.") {
		t.Errorf("the note of input tokens is %q", f.Note)
	}
	if f, _ := r.Figure("usage.failed"); !strings.Contains(f.Note, "1 answer without an outcome") {
		t.Errorf("the note of failed calls is %q", f.Note)
	}
	// In an empty log there is nothing to say it.
	empty, _ := newLog(t)
	wants(t, made(t, empty, report.Options{}), map[string]string{
		"scope.events": "0", "scope.models": "0", "scope.subjects": "0", "usage.calls": "0", "usage.failed": "0", "usage.input_tokens": "0", "usage.people": "0",
		"completeness.partial": "0", "oversight.reviews": "0", "oversight.reviewers": "0", "safety.blocked": "0", "access.in_force": "0", "privacy.subjects": "0",
	})
}

// TestPolicyOfNewerForm counts nothing against a policy of which this program does not
// know every member.
func TestPolicyOfNewerForm(t *testing.T) {
	for policy, known := range map[string]bool{
		`{"by":"local","class":[{"keep_for":"1d","name":"standard"}]}`:               true,
		`{"by":"local","class":[{"keep_for":"1d","name":"standard"}],"only_if":"x"}`: false,
	} {
		log, _ := newLog(t)
		_, err := log.AppendGovernance(t.Context(), event.Event{
			Type: event.RetentionPolicySet, Metadata: map[string]json.RawMessage{"policy": json.RawMessage(policy)},
		})
		if err != nil {
			t.Fatal(err)
		}
		f, _ := made(t, log, report.Options{}).Figure("retention.shortfalls")
		if said := strings.Contains(f.Note, "form that this program does not know"); said == known {
			t.Errorf("%s: the note is %q", policy, f.Note)
		}
	}
}

// TestKeyless does not make zeros of what only the keyring tells.
func TestKeyless(t *testing.T) {
	log, dir := newLog(t, some()...)
	manager, err := retention.Open(t.Context(), log, retention.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manager.Set(t.Context(), retention.Policy{Classes: []retention.Class{{Name: "standard", KeepFor: retention.Period{Months: 1}}}}, ""); err != nil {
		t.Fatal(err)
	}
	hold, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "suit", Model: "gpt-4"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.ReleaseHold(t.Context(), hold.ID, "over", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ada-lovelace"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	wants(t, made(t, log, report.Options{}), map[string]string{"retention.holds": "0", "privacy.forgotten": "1"})
	r := made(t, keyless(t, log, dir), report.Options{})
	for _, id := range []string{"retention.shortfalls", "retention.holds", "privacy.forgotten", "scope.subjects"} {
		unknown(t, r, id)
	}
	wants(t, r, map[string]string{"privacy.erasures": "1", "retention.policies": "1", "usage.calls": "2", "oversight.reviews": "2"})
	if !noticed(r, "how many is not known") {
		t.Errorf("the erasure is not said: %v", r.Notices)
	}
	for _, row := range rows(t, r, "retention.classes") {
		if row[0] != "governance records, kept without a month" && row[3] != "not known" {
			t.Errorf("a class is kept %q: %v", row[3], row)
		}
	}
}

// TestFirstFormat does not make zeros of records of the first format, which do not
// tell in the clear whether a prompt was answered.
func TestFirstFormat(t *testing.T) {
	dir := t.TempDir()
	kept, err := os.Open(filepath.Join("..", "testdata", "logs", "v1-empty-segment", "log.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()
	z, err := gzip.NewReader(kept)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(z)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(name, 0o700)
		} else if b, rerr := io.ReadAll(files); rerr == nil {
			err = os.WriteFile(name, b, 0o600)
		} else {
			err = rerr
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func() *audittrail.Log {
		return logtest.Open(t, filepath.Join(dir, "audit"), audittrail.Options{ReadOnly: true})
	}
	log := open()
	r := made(t, log, report.Options{})
	wants(t, r, map[string]string{"usage.calls_unknown": "7", "completeness.begun": "16", "oversight.reviews": "0", "oversight.reviewers": "0"})
	logtest.Close(t, log)
	log = open()
	r = made(t, keyless(t, log, filepath.Join(dir, "audit")), report.Options{})
	wants(t, r, map[string]string{"usage.calls_unknown": "23"})
	for _, id := range []string{"usage.calls", "usage.failed", "usage.failure_rate", "usage.input_tokens", "usage.p50", "usage.people", "completeness.partial", "safety.refusals"} {
		unknown(t, r, id)
	}
	for _, row := range rows(t, r, "inventory.models_table") {
		if row[4] != "–" {
			t.Errorf("calls of a version: %q", row)
		}
	}
}

// TestGovernanceClass is told in words, and not by a month in the year 1.
func TestGovernanceClass(t *testing.T) {
	log, _ := newLog(t, some()...)
	if _, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "suit"}); err != nil {
		t.Fatal(err)
	}
	r := made(t, log, report.Options{})
	found := false
	for _, row := range rows(t, r, "retention.classes") {
		found = found || row[0] == "governance records, kept without a month"
	}
	if !found || bytes.Contains(encoded(t, r), []byte("0001-01")) {
		t.Errorf("classes: %v", rows(t, r, "retention.classes"))
	}
}
