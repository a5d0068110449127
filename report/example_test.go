package report_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/report"
)

// A report for the data protection officer, as a PDF that carries the signed
// report, which is verified as its reader would verify it.
func ExampleGenerate() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audittrail-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := audittrail.Open(filepath.Join(dir, "audit"), audittrail.Options{Create: true, Origin: "example.org/audit"})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	at := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	if _, err := l.AppendBatch(ctx, []event.Event{
		{Type: event.Response, Time: at, ModelID: "gpt-4", UserID: "user-001", Outcome: event.OutcomeSuccess, Response: "A tree of hashes."},
		{Type: event.SafetyIncident, Time: at, Severity: event.SeverityHigh, Category: "privacy"},
	}); err != nil {
		log.Fatal(err)
	}

	gdpr, err := report.BuiltinRules("gdpr")
	if err != nil {
		log.Fatal(err)
	}
	r, err := report.Generate(ctx, l, report.Options{Start: at.AddDate(0, -1, 0), End: at.AddDate(0, 0, 1), Rules: gdpr})
	if err != nil {
		log.Fatal(err)
	}
	name := filepath.Join(dir, "report.pdf")
	file, err := os.Create(name)
	if err != nil {
		log.Fatal(err)
	}
	if err := r.WritePDF(file); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
	calls, _ := r.Document().Figure("usage.calls")
	fmt.Println("calls:", calls.Value, "- the log is", r.Verdict())

	pdf, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	theirs, err := report.Read(pdf)
	if err != nil {
		log.Fatal(err)
	}
	v, err := report.Verify(ctx, l, theirs, report.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the report is", v.Verdict())
	// Output:
	// calls: 1 - the log is intact
	// the report is intact
}
