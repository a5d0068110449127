package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/report"
	"audittrail/report/document"
	"audittrail/report/rules"
	"audittrail/tlog"
)

// generated is a report on a log, as Generate returns it.
func generated(t *testing.T, log *audittrail.Log, o report.Options) *report.Report {
	t.Helper()
	r, err := report.Generate(t.Context(), log, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// written is what a method of a report writes.
func written(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// reread reads a report that was written.
func reread(t *testing.T, file []byte) *report.Report {
	t.Helper()
	r, err := report.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verified verifies a report and compares the verdict.
func verified(t *testing.T, log *audittrail.Log, r *report.Report, o report.VerifyOptions, want audittrail.Verdict) *report.Verification {
	t.Helper()
	v, err := report.Verify(t.Context(), log, r, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Verdict(); got != want {
		t.Errorf("Verdict() = %s, want %s: unsigned %v, rendering %v, %v", got, want, v.Unsigned, v.Rendering, v.Differences)
	}
	return v
}

// Every form that carries the signed report is read and verified, also when the
// log has gone on.
func TestVerify(t *testing.T) {
	log, _ := newLog(t, some()...)
	r := generated(t, log, report.Options{Program: "test"})
	logtest.AppendBatch(t, log, some()[:2]...)
	o := report.VerifyOptions{Program: "test"}
	html := written(t, r.WriteHTML)
	for _, file := range [][]byte{written(t, r.WriteJSON), html, written(t, r.WritePDF)} {
		again := reread(t, file)
		if again.Digest() != r.Digest() {
			t.Errorf("a report of %d bytes has the digest %s, want %s", len(file), again.Digest(), r.Digest())
		}
		if v := verified(t, log, again, o, audittrail.VerdictIntact); !v.Recomputed {
			t.Errorf("a report of %d bytes was not computed again", len(file))
		}
	}
	for _, file := range [][]byte{written(t, r.WriteMarkdown), written(t, r.WriteCSV), nil} {
		if _, err := report.Read(file); !errors.Is(err, document.ErrFormat) {
			t.Errorf("Read of a form that carries no report: %v, want ErrForm", err)
		}
	}

	// The page shows something else than it carries.
	shown := reread(t, bytes.Replace(html, []byte("<title>"), []byte("<title>Fine: "), 1))
	if v := verified(t, log, shown, o, audittrail.VerdictAltered); !errors.Is(v.Rendering, report.ErrRenderingDiffers) || len(v.Differences) > 0 {
		t.Errorf("a changed page: rendering %v, differences %v", v.Rendering, v.Differences)
	}
	// Another version made it: its layout cannot be compared, its figures can.
	v := verified(t, log, reread(t, html), report.VerifyOptions{Program: "another"}, audittrail.VerdictLimited)
	if !errors.Is(v.Rendering, report.ErrOtherProgram) || len(v.Differences) != 0 || !v.Recomputed {
		t.Errorf("a page of another version: rendering %v, differences %v", v.Rendering, v.Differences)
	}
	var file bytes.Buffer
	if err := r.WriteJSON(&file); err != nil {
		t.Fatal(err)
	}
	v = verified(t, log, reread(t, file.Bytes()), report.VerifyOptions{Program: "another"}, audittrail.VerdictIntact)
	if len(v.Differences) != 0 || !v.Recomputed {
		t.Errorf("a report of another version: differences %v", v.Differences)
	}
	// A key that is not the log's is trusted.
	other, _ := newLog(t)
	keys, err := other.Keys()
	if err != nil {
		t.Fatal(err)
	}
	o.Keys = []string{keys[0].VKey}
	if v, err := report.Verify(t.Context(), log, shown, o); !errors.Is(err, tlog.ErrUnknownKey) || !errors.Is(v.Rendering, report.ErrRenderingDiffers) {
		t.Errorf("Verify with a key of another log: %v, %v; want ErrUnknownKey, and what the page is", v, err)
	}
}

// A figure that was changed is found whether or not somebody signed it.
func TestVerifyChanged(t *testing.T) {
	log, dir := newLog(t, some()...)
	r := generated(t, log, report.Options{})
	o := report.VerifyOptions{}
	file := written(t, r.WriteJSON)
	before, after, _ := bytes.Cut(file, []byte(`"id":"usage.calls"`))
	changed := slices.Concat(before, []byte(`"id":"usage.calls"`), bytes.Replace(after, []byte(`{"count":2}`), []byte(`{"count":5}`), 1))
	v := verified(t, log, reread(t, changed), o, audittrail.VerdictAltered)
	if !errors.Is(v.Unsigned, document.ErrDigest) || len(v.Differences) != 1 || v.Differences[0].Where != "usage.calls" {
		t.Errorf("a changed figure: unsigned %v, differences %v", v.Unsigned, v.Differences)
	}
	forged := *r.Document()
	forged.Model = "gpt-5" // the figures are of all models
	f, err := document.Sign(&forged, log.SignStatement)
	if err != nil {
		t.Fatal(err)
	}
	if v := verified(t, log, reread(t, f.Bytes()), o, audittrail.VerdictAltered); v.Unsigned != nil || len(v.Differences) == 0 {
		t.Errorf("a report that was signed and is wrong: unsigned %v, differences %v", v.Unsigned, v.Differences)
	}
	older := *r.Document()
	older.Method--
	if f, err = document.Sign(&older, log.SignStatement); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, log, reread(t, f.Bytes()), o, audittrail.VerdictLimited); v.Recomputed || len(v.Differences) > 0 {
		t.Errorf("a report by another method: computed again: %t, differences %v", v.Recomputed, v.Differences)
	}
	if _, err := report.Verify(t.Context(), log, r, report.VerifyOptions{Redacted: true}); !errors.Is(err, report.ErrContent) {
		t.Errorf("Verify for somebody who may not read contents: %v, want ErrContent", err)
	}
	verified(t, log, generated(t, log, report.Options{Redacted: true}), report.VerifyOptions{Redacted: true}, audittrail.VerdictIntact)

	// Without the keyring, nothing signs a report, and an unsigned one is not the
	// log's, although every figure is.
	unsigned := generated(t, keyless(t, log, dir), report.Options{Type: "scope"})
	again, _ := newLog(t, some()...)
	if v, err := report.Verify(t.Context(), again, unsigned, o); err != nil || !errors.Is(v.Unsigned, document.ErrUnsigned) || v.Verdict() != audittrail.VerdictAltered {
		t.Errorf("Verify of an unsigned report: %+v, %v; want ErrUnsigned", v, err)
	}
}

// A report on a case is verified by the hashes of its records.
func TestVerifyCase(t *testing.T) {
	log, _ := newLog(t, some()...)
	c := report.Case{Description: "two records"}
	for seq := range uint64(2) {
		r, err := log.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		c.Records = append(c.Records, r)
	}
	r, err := report.GenerateCase(t.Context(), log, report.Options{}, c)
	if err != nil {
		t.Fatal(err)
	}
	v := verified(t, log, r, report.VerifyOptions{}, audittrail.VerdictLimited)
	if v.Recomputed || v.Records != 2 || len(v.Changed) > 0 {
		t.Errorf("a report on a case: %+v", v)
	}
	hash := c.Records[1].Hash.String()
	d, err := document.Decode(bytes.Replace(encoded(t, r.Document()), []byte(hash), []byte(c.Records[0].Hash.String()), 1))
	if err != nil {
		t.Fatal(err)
	}
	f, err := document.Sign(d, log.SignStatement)
	if err != nil {
		t.Fatal(err)
	}
	if v := verified(t, log, reread(t, f.Bytes()), report.VerifyOptions{}, audittrail.VerdictAltered); fmt.Sprint(v.Changed) != "[1]" {
		t.Errorf("a report on another record 1: Changed = %v, want 1", v.Changed)
	}
}

// TestVerdict has the verdict of every status.
func TestVerdict(t *testing.T) {
	log, _ := newLog(t)
	for status, want := range map[document.Status]audittrail.Verdict{
		document.Complete: audittrail.VerdictIntact, document.Incomplete: audittrail.VerdictLimited,
		document.Unchecked: audittrail.VerdictUnchecked, document.Altered: audittrail.VerdictAltered,
	} {
		d := *generated(t, log, report.Options{Type: "scope"}).Document()
		d.Status = status
		f, err := document.Sign(&d, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := reread(t, f.Bytes()).Verdict(); got != want {
			t.Errorf("a report that is %s has the verdict %s, want %s", status, got, want)
		}
	}
}

// Without a choice of rules, a report has all that come with the program; two of
// the same name are refused.
func TestRules(t *testing.T) {
	log, _ := newLog(t)
	if got, want := len(generated(t, log, report.Options{Type: "scope"}).Document().Rules), len(report.Frameworks()); got != want {
		t.Errorf("a report without a choice of rules has %d rule files, want %d", got, want)
	}
	if got := generated(t, log, report.Options{Type: "scope", Rules: []*rules.Catalogue{}}).Document().Rules; len(got) > 0 {
		t.Errorf("a report without rules has the rule files %v", got)
	}
	twice, err := report.BuiltinRules("gdpr", "gdpr")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Generate(t.Context(), log, report.Options{Rules: twice}); err == nil || !strings.Contains(err.Error(), `"gdpr"`) {
		t.Errorf("Generate with the same rules twice: %v, want it refused", err)
	}
}

// The log says which reports were made, and the next report counts them.
func TestRecord(t *testing.T) {
	log, _ := newLog(t, some()...)
	r := generated(t, log, report.Options{Type: "scope"})
	if err := r.Record(t.Context(), log, "pdf"); err != nil {
		t.Fatal(err)
	}
	for made, err := range log.GovernanceRecords(t.Context(), 0, event.ReportMade) {
		if err != nil {
			t.Fatal(err)
		}
		if detail := string(made.Event.Metadata["report"]); made.Event.Category != "scope" || !strings.Contains(detail, `"form":"pdf"`) || !strings.Contains(detail, r.Digest()) {
			t.Errorf("recorded is %s, %s", made.Event.Category, detail)
		}
	}
	wants(t, made(t, log, report.Options{Type: "access"}), map[string]string{"access.reports": "1"})
}

// Tables have every table of the report in CSV, and all figures.
func TestTables(t *testing.T) {
	log, _ := newLog(t, some()...)
	r := generated(t, log, report.Options{})
	found := map[string]string{}
	for name, table := range r.Tables() {
		found[name] = string(table)
	}
	if !strings.Contains(found["figures.csv"], "usage.calls,") {
		t.Errorf("figures.csv does not have usage.calls: %.300s", found["figures.csv"])
	}
	for _, s := range r.Document().Sections {
		for _, table := range s.Tables {
			if text := found[table.ID+".csv"]; strings.Count(text, "\n") < len(table.Rows)+1 {
				t.Errorf("%s.csv has not a line for each of %d rows: %s", table.ID, len(table.Rows), text)
			}
		}
	}
}
