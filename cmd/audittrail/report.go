package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/internal/shown"
	"audittrail/report"
	"audittrail/service"
)

// The forms of a report besides those of -o.
const (
	asHTML     = "html"
	asPDF      = "pdf"
	asMarkdown = "md"
)

type reportOptions struct {
	kind, start, end, zone string
	model, format, out     string
	frameworks, own        []string
	organisation           string
	checkpoint             string
	witnesses              []string
	at                     uint64
	noRecord, pseudonyms   bool
}

func (e *env) reportCmd() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Compute a compliance report",
		Long: `Report computes a compliance report from the log: a summary for the terminal, or
a file in --format. It begins with what needs attention. Every figure names the
query that gives it, and every section ends with its limitations. The JSON form
is signed with the log's key, PDF and HTML files contain it, and 'report verify'
computes it again. docs/reports.md describes each section.

` + strings.Join(shown.Wrap("Types: "+strings.Join(report.Types(), ", ")+".", 80), "\n") + `
` + strings.Join(shown.Wrap("Frameworks: "+strings.Join(report.Frameworks(), ", ")+"; --rules adds a file of your own.", 80), "\n") + `

A report contains no names of people. With --pseudonyms it lists people by their
subject ids in the log, from which the keyring can find the names.

A report counts the records of the newest checkpoint, or the first N with
--at N; the same log, size, period and program give the same bytes. Before it is
written, the log records that it was made, if no other process is writing.

` + whenHelp + exits(ends0, "1  no report could be made, or the log could not be checked", "2  the report was made, and the log was altered", "3  the report was made, and something is missing from it"),
		Example: `  audittrail report
  audittrail report --type usage --start 2026-10-01 --end 2026-11-01 \
      --format pdf --out october.pdf
  audittrail report --framework ai-act,gdpr --format html --out report.html
  audittrail report --organisation organisation.toml --format pdf \
      --out report.pdf
  audittrail report --format json --out report.json`,
		Args:    takes(),
		GroupID: groupProve,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.format, err = e.reportForm(cmd, &o); err != nil {
				return fmt.Errorf("report: %w", err)
			}
			return e.report(o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.kind, "type", report.Full, "which `report`")
	timeFlags(f, &o.start, &o.end, &o.zone)
	f.StringVarP(&o.model, "model", "m", "", "count only events of this model, in sections about models")
	f.StringVar(&o.format, "format", "", "`form` of the report: html, pdf, md, json or csv (default what --out ends in, or else that of -o)")
	f.StringVar(&o.out, "out", "", "`file` to write (default standard output); for csv, a folder gets a file for each table")
	f.StringSliceVar(&o.frameworks, "framework", nil, "`rules` to compare the log with (default all that come with the program)")
	f.StringArrayVar(&o.own, "rules", nil, "`file` of rules of your own; may be repeated")
	f.StringVar(&o.organisation, "organisation", "", "`file` that says whose systems these are, for whom the report is, and what does not apply")
	f.StringVar(&o.checkpoint, "checkpoint", "", "`file` of the newest checkpoint that a witness cosigned; needs --witness")
	f.StringArrayVar(&o.witnesses, "witness", nil, "verifier `key` of a witness, or a file of them; may be repeated")
	f.Uint64Var(&o.at, "at", 0, "count only the first `N` records")
	f.BoolVar(&o.pseudonyms, "pseudonyms", false, "name single people by their subject ids in the tables by person, instead of numbers alone")
	f.BoolVar(&o.noRecord, "no-record", false, "do not record that the report was made")
	cmd.AddCommand(e.reportVerifyCmd(), e.reportCaseCmd())
	return cmd
}

// rules reads the rules of --framework, or else all that come with the program.
func (e *env) rules(o *report.Options, frameworks, own []string) error {
	var err error
	if o.Rules, err = report.BuiltinRules(frameworks...); err != nil {
		return fmt.Errorf("read --framework: %w", err)
	}
	return e.ownRules(o, own)
}

// ownRules reads rule files.
func (e *env) ownRules(o *report.Options, names []string) error {
	for _, name := range names {
		text, err := e.readInput(name, report.MaxRules)
		if err != nil {
			return fmt.Errorf("read --rules %s: %w", inputName(name), err)
		}
		p, err := report.ParseRules(text)
		if err != nil {
			return fmt.Errorf("read --rules %s: %w", inputName(name), err)
		}
		o.Rules = append(o.Rules, p)
	}
	return nil
}

// organisation reads what the organisation says of itself.
func (e *env) organisation(o *report.Options, name string) error {
	if name == "" {
		return nil
	}
	text, err := e.readInput(name, report.MaxOrganisation)
	if err == nil {
		o.Organisation, err = report.ParseOrganisation(text, o.Rules)
	}
	if err != nil {
		return fmt.Errorf("read --organisation %s: %w", inputName(name), err)
	}
	return nil
}

// witness reads a checkpoint that a witness cosigned.
func (e *env) witness(o *report.Options, name string, keys []string) error {
	switch {
	case name == "" && len(keys) == 0:
		return nil
	case name == "" || len(keys) == 0:
		return errors.New("read --checkpoint and --witness: only one is given; give both, since the checkpoint is verified with the witness's key")
	}
	keys, err := e.vkeys(keys)
	if err != nil {
		return fmt.Errorf("read --witness: %w", err)
	}
	signed, err := e.readInput(name, maxSmallFile)
	if err != nil {
		return fmt.Errorf("read --checkpoint %s: %w", inputName(name), err)
	}
	o.Checkpoint, o.Witnesses = string(signed), keys
	return nil
}

// programVersion is what a report says of the program that made it.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return cmp.Or(info.Main.Version, "(unknown)")
}

// reportForms are the forms of a report.
var reportForms = []fileForm{
	{asHTML, []string{"html", "htm"}},
	{asPDF, []string{"pdf"}},
	{asMarkdown, []string{"md", "markdown"}},
	{asJSON, []string{"json"}},
	{asCSV, []string{"csv"}},
	{asTable, []string{"txt"}},
}

// reportForm is the form of a report that its flags ask for.
func (e *env) reportForm(cmd *cobra.Command, o *reportOptions) (string, error) {
	flag, given := "--format", o.format
	if cmd.Flags().Changed("output") {
		if given != "" && given != e.output {
			return "", fmt.Errorf("read --format: --format %s and -o %s differ; give one of the two", given, e.output)
		}
		if given == "" {
			flag, given = "-o", e.output
		}
	}
	if given != "" && !slices.ContainsFunc(reportForms, func(f fileForm) bool { return f.name == given }) {
		return "", fmt.Errorf("read %s: unknown form %q: use html, pdf, md, json or csv", flag, given)
	}
	if isFolder(o.out) {
		if given != "" && given != asCSV {
			return "", fmt.Errorf("read --out: %s is a folder, to which only csv can be written, and %s says %s; name a file", o.out, flag, given)
		}
		return asCSV, nil
	}
	return chooseForm(o.out, flag, given, asTable, reportForms)
}

// isFolder reports whether a name is that of a folder, existing or to be created.
func isFolder(name string) bool {
	info, err := os.Stat(name)
	return strings.HasSuffix(name, "/") || name != "" && err == nil && info.IsDir()
}

func (e *env) report(o reportOptions) error {
	form := o.format
	if form == asPDF && o.out == "" && e.outTerminal {
		return errors.New("report: a terminal cannot show a PDF: name a file with --out")
	}
	zone, err := zoneOf(o.zone)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	ro := report.Options{Type: o.kind, Model: o.model, Program: programVersion(), Size: o.at, Pseudonyms: o.pseudonyms}
	if ro.Start, err = parseWhen("--start", o.start, e.now(), zone); err == nil {
		ro.End, err = parseWhen("--end", o.end, e.now(), zone)
	}
	if err == nil {
		err = e.rules(&ro, o.frameworks, o.own)
	}
	if err == nil {
		err = e.organisation(&ro, o.organisation)
	}
	if err == nil {
		err = e.witness(&ro, o.checkpoint, o.witnesses)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var r *report.Report
	err = e.reading(func(s *service.Session) error {
		defer e.computing(&ro.Progress)()
		r, err = s.Report(e.ctx, service.ReportRequest{Options: ro, Form: form, NoRecord: o.noRecord})
		return err
	})
	if err != nil {
		return err
	}
	if err := e.writeReport(r, form, o.out); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return ended(statusOfVerdict(r.Verdict()))
}

// reportMemory is the memory limit of the process while it computes a report. A
// report reads and drops columns of the index all the time; without a limit the
// process grows to three times what it needs at once.
const reportMemory = 400 << 20

// computing bounds the memory while a report is computed, and shows how far the
// check of the log has come. It returns what ends both.
func (e *env) computing(progress *func(done, total uint64)) (end func()) {
	limit := int64(-1) // as it is
	if e.getenv("GOMEMLIMIT") == "" {
		limit = reportMemory
	}
	before := debug.SetMemoryLimit(limit)
	show, finish := e.ticks("verifying", true)
	*progress = show
	return func() {
		finish()
		debug.SetMemoryLimit(before)
	}
}

// writeReport writes a report in its form to --out, or to standard output.
func (e *env) writeReport(r *report.Report, form, out string) error {
	if isFolder(out) {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		for name, table := range r.Tables() {
			if err := writeNew(filepath.Join(out, name), table); err != nil {
				return err
			}
		}
		return nil
	}
	if out != "" {
		return writeWhole(out, func(w *os.File) error { return e.renderReport(w, r, form) })
	}
	if form == asTable || form == asPDF {
		return e.renderReport(e.stdout, r, form) // with colours, and to no terminal
	}
	return e.renderReport(e.forTerminal(e.stdout), r, form)
}

// writeNew writes a new file.
func writeNew(name string, data []byte) error {
	w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

func (e *env) renderReport(w io.Writer, r *report.Report, form string) error {
	switch form {
	case asJSON:
		return r.WriteJSON(w)
	case asCSV:
		return r.WriteCSV(w)
	case asHTML:
		return r.WriteHTML(w)
	case asPDF:
		return r.WritePDF(w)
	case asMarkdown:
		return r.WriteMarkdown(w)
	}
	width := 80
	if e.width > 0 {
		width = min(e.width, 100)
	}
	return r.WriteSummary(w, width, e.colours())
}
