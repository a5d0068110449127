package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"audittrail"
	"audittrail/event"
	"audittrail/report/document"
	"audittrail/report/internal/render"
	"audittrail/report/rules"
)

// The largest files that are read, in bytes.
const (
	MaxFile         = document.MaxFile // of a report
	MaxRules        = rules.MaxFile
	MaxOrganisation = 1 << 20
)

// A Report is a compliance report: its figures, and the log's signature over
// them.
type Report struct {
	file *document.File
	// Of a report that was read from HTML or PDF: the file, and its form.
	rendering []byte
	form      render.Renderer
}

// Generate computes the report that o asks for, and signs it with the log's key;
// a report on a log that was opened without its keyring has no signature. The
// report says what is wrong with the log; after an error there is no report.
//
// Generate does not check permissions: o.Redacted leaves out what only readers of
// contents may see. It records nothing: see [Report.Record].
func Generate(ctx context.Context, log *audittrail.Log, o Options) (*Report, error) {
	d, err := build(ctx, log, o)
	if err != nil {
		return nil, err
	}
	return signed(log, d)
}

// GenerateCase computes and signs the report on one case: the questions and
// answers, the model and the data that it was made of, reviews and actions. It
// contains the records of c with their contents and hashes. Of o, it
// heeds Program, Size, Redacted, Pseudonyms and Progress.
func GenerateCase(ctx context.Context, log *audittrail.Log, o Options, c Case) (*Report, error) {
	d, err := buildCase(ctx, log, o, c)
	if err != nil {
		return nil, err
	}
	return signed(log, d)
}

// signed signs a report with the log's key, if the keyring is at hand.
func signed(log *audittrail.Log, d *document.Report) (*Report, error) {
	f, err := document.Sign(d, log.SignStatement)
	if errors.Is(err, audittrail.ErrNoKeys) {
		f, err = document.Sign(d, nil)
	}
	if err != nil {
		return nil, err
	}
	return &Report{file: f}, nil
}

// Document returns the report's figures, tables and notices.
func (r *Report) Document() *document.Report { return r.file.Report }

// Digest returns the SHA-256 of the encoded report in hexadecimal: what the log
// signs.
func (r *Report) Digest() string { return r.file.Digest() }

// Verdict returns how far the report can be relied upon: it is intact if the log
// verifies and every figure was computed, and altered if the log was.
func (r *Report) Verdict() audittrail.Verdict {
	switch r.file.Report.Status {
	case document.Complete:
		return audittrail.VerdictIntact
	case document.Incomplete:
		return audittrail.VerdictLimited
	case document.Altered:
		return audittrail.VerdictAltered
	}
	return audittrail.VerdictUnchecked
}

// WriteJSON writes the signed report in its one encoding, which [Read] reads and
// [Verify] verifies.
func (r *Report) WriteJSON(w io.Writer) error {
	_, err := w.Write(r.file.Bytes())
	return err
}

// WriteHTML writes the report as one page that needs no network and carries the
// signed report.
func (r *Report) WriteHTML(w io.Writer) error { return render.HTML(w, r.file) }

// WritePDF writes the report as a PDF that carries the signed report.
func (r *Report) WritePDF(w io.Writer) error { return render.PDF(w, r.file) }

// WriteMarkdown writes the report as Markdown, for pasting.
func (r *Report) WriteMarkdown(w io.Writer) error { return render.Markdown(w, r.file) }

// WriteCSV writes every value of the report in a row of its own, with the queries
// that give it.
func (r *Report) WriteCSV(w io.Writer) error { return render.CSV(w, r.file.Report) }

// WriteSummary writes what a person reads of the report in a terminal of so many
// columns.
func (r *Report) WriteSummary(w io.Writer, width int, colours bool) error {
	return render.Summary(w, r.file, width, colours)
}

// Tables returns each table of the report, and one of all figures, as a CSV file:
// its name and its bytes.
func (r *Report) Tables() iter.Seq2[string, []byte] { return render.Tables(r.file.Report) }

// Record records in the log that the report was written in a form, such as
// "html", so that the log tells which reports on it were made.
func (r *Report) Record(ctx context.Context, log *audittrail.Log, form string) error {
	d := r.file.Report
	detail, err := json.Marshal(struct {
		Type   string        `json:"type"`
		Form   string        `json:"form"`
		Size   uint64        `json:"size"`
		Start  document.Time `json:"start,omitzero"`
		End    document.Time `json:"end,omitzero"`
		Digest string        `json:"digest"`
	}{d.Type, form, d.Size, d.Start, d.End, r.Digest()})
	if err != nil {
		return fmt.Errorf("record report: %w", err)
	}
	_, err = log.AppendGovernance(ctx, event.Event{Type: event.ReportMade, Category: d.Type, Metadata: map[string]json.RawMessage{"report": detail}})
	return err
}

// Frameworks returns the names of the rules that come with the program, such as
// "ai-act" and "gdpr".
func Frameworks() []string { return rules.Names() }

// BuiltinRules returns the rules of those names that come with the program, or all
// of them if no name is given: see [Frameworks].
func BuiltinRules(names ...string) ([]*rules.Catalogue, error) {
	if len(names) == 0 {
		names = rules.Names()
	}
	all := make([]*rules.Catalogue, len(names))
	for i, name := range names {
		p, err := rules.Builtin(name)
		if err != nil {
			return nil, err
		}
		all[i] = p
	}
	return all, nil
}

// ParseRules reads a rule file of your own, which docs/reports.md describes.
func ParseRules(text []byte) (*rules.Catalogue, error) { return rules.Parse(text) }

// rulesOf returns the rules of a report: all that come with the program, if none
// were chosen. Two of the same name are refused.
func rulesOf(chosen []*rules.Catalogue) ([]*rules.Catalogue, error) {
	if chosen == nil {
		return BuiltinRules()
	}
	for i, p := range chosen {
		if slices.ContainsFunc(chosen[:i], func(q *rules.Catalogue) bool { return q.ID == p.ID }) {
			return nil, fmt.Errorf("two rule files are called %q: give one of them another id", p.ID)
		}
	}
	return chosen, nil
}

// Read reads a report in its JSON form, or the one that an HTML or PDF form
// carries. It verifies nothing of it: see [Verify].
func Read(file []byte) (*Report, error) {
	in, form, err := render.ExtractReport(file)
	if form == nil {
		in = file
	}
	var f *document.File
	if err == nil {
		f, err = document.ReadFile(in)
	}
	if err != nil {
		if errors.Is(err, document.ErrFormat) && form == nil {
			err = fmt.Errorf("%w, and HTML and PDF files, which carry it", err)
		}
		return nil, err
	}
	r := &Report{file: f, form: form}
	if form != nil {
		r.rendering = bytes.Clone(file)
	}
	return r, nil
}
