package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/report"
	"audittrail/report/document"
	"audittrail/report/render"
	"audittrail/report/rules"
	"audittrail/tlog"
)

// The forms of a report beside those of -o.
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
		Short: "Make a compliance report",
		Long: `Report computes a compliance report from the log: a summary for the terminal, or
a file in --format. It begins with what needs attention. Every figure names the
query that gives it; what the log does not evidence stands at the end of each
section. The JSON form is signed with the log's key, PDF and HTML carry it, and
'report verify' computes it again. docs/reports.md says what each section holds.

` + strings.Join(render.Wrap("Types: "+strings.Join(report.Types(), ", ")+".", 80), "\n") + `
` + strings.Join(render.Wrap("Frameworks: "+strings.Join(rules.Names(), ", ")+"; --rules adds a file of your own.", 80), "\n") + `

A report has no names of people. With --pseudonyms it has the subject ids that
stand for single people in the log, by which they can be told apart and, by
whoever has the keyring, found.

A report counts the records of the newest checkpoint, or the first N with
--at N; the same log, size, period and program give the same bytes. That it was
made is recorded afterwards, if nobody else is writing.

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
	f.StringVarP(&o.model, "model", "m", "", "only events of this model, where that means something")
	f.StringVar(&o.format, "format", "", "`form` of the report: html, pdf, md, json or csv (default what --out ends in, or else that of -o)")
	f.StringVar(&o.out, "out", "", "`file` to write (default standard output); for csv, a folder gets a file for each table")
	f.StringSliceVar(&o.frameworks, "framework", nil, "`rules` to hold the log against (default all that come with the program)")
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

// packs reads the rules that were asked for.
func (e *env) packs(names, own []string) ([]*rules.Catalogue, error) {
	var all []*rules.Catalogue
	if names == nil {
		names = rules.Names()
	}
	add := func(p *rules.Catalogue) error {
		if slices.ContainsFunc(all, func(q *rules.Catalogue) bool { return q.ID == p.ID }) {
			return fmt.Errorf("two rule files are called %q", p.ID)
		}
		all = append(all, p)
		return nil
	}
	for _, name := range names {
		p, err := rules.Builtin(name)
		if err == nil {
			err = add(p)
		}
		if err != nil {
			return nil, fmt.Errorf("read --framework: %w", err)
		}
	}
	for _, name := range own {
		text, err := e.readInput(name, rules.MaxFile)
		var p *rules.Catalogue
		if err == nil {
			p, err = rules.Parse(text)
		}
		if err == nil {
			err = add(p)
		}
		if err != nil {
			return nil, fmt.Errorf("read --rules %s: %w", inputName(name), err)
		}
	}
	return all, nil
}

// organisation reads what the organisation says of itself.
func (e *env) organisation(name string, packs []*rules.Catalogue) (*document.Organisation, error) {
	if name == "" {
		return nil, nil
	}
	text, err := e.readInput(name, report.MaxOrganisation)
	var o *document.Organisation
	if err == nil {
		o, err = report.ParseOrganisation(text, packs)
	}
	if err != nil {
		return nil, fmt.Errorf("read --organisation %s: %w", inputName(name), err)
	}
	return o, nil
}

// witness reads a checkpoint that a witness cosigned.
func (e *env) witness(name string, keys []string) (*document.Witness, error) {
	switch {
	case name == "" && len(keys) == 0:
		return nil, nil
	case name == "" || len(keys) == 0:
		return nil, errors.New("read --checkpoint and --witness: give both, or none: a checkpoint is witnessed by a key that you know")
	}
	keys, err := e.vkeys(keys)
	if err != nil {
		return nil, fmt.Errorf("read --witness: %w", err)
	}
	signed, err := e.readInput(name, maxSmallFile)
	if err != nil {
		return nil, fmt.Errorf("read --checkpoint %s: %w", inputName(name), err)
	}
	return &document.Witness{Checkpoint: string(signed), Keys: keys}, nil
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
			return "", fmt.Errorf("read --format: it says %s, and -o says %s; give one of the two", given, e.output)
		}
		if given == "" {
			flag, given = "-o", e.output
		}
	}
	if given != "" && !slices.ContainsFunc(reportForms, func(f fileForm) bool { return f.name == given }) {
		return "", fmt.Errorf("read %s: %q is none of html, pdf, md, json and csv", flag, given)
	}
	if isFolder(o.out) {
		if given != "" && given != asCSV {
			return "", fmt.Errorf("read --out: %s is a folder, which csv alone is written to, and %s says %s", o.out, flag, given)
		}
		return asCSV, nil
	}
	return chooseForm(o.out, flag, given, asTable, reportForms)
}

// isFolder tells whether a name is one of a folder that there is, or is to be.
func isFolder(name string) bool {
	info, err := os.Stat(name)
	return strings.HasSuffix(name, "/") || name != "" && err == nil && info.IsDir()
}

func (e *env) report(o reportOptions) error {
	form := o.format
	if form == asPDF && o.out == "" && e.outTerminal {
		return errors.New("report: a PDF is nothing for a terminal: name a file with --out")
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
		ro.Rules, err = e.packs(o.frameworks, o.own)
	}
	if err == nil {
		ro.Organisation, err = e.organisation(o.organisation, ro.Rules)
	}
	if err == nil {
		ro.Witness, err = e.witness(o.checkpoint, o.witnesses)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var f *document.File
	err = e.with(e.openToRead, func(log *audittrail.Log) error {
		reads, err := e.mayReadContent(log)
		if err != nil {
			return err
		}
		ro.Redacted = !reads
		f, err = e.makeReport(log, ro)
		return err
	})
	if err != nil {
		return err
	}
	if err := e.writeReport(f, form, o.out); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if !o.noRecord && f.Report.Status != document.Altered {
		e.recordReport(f, form)
	}
	return ended(statusOfReport(f.Report.Status))
}

// reportMemory is how much memory a report takes before what is no longer needed
// is looked for. Columns of the index are read and let go of all the time; by
// itself the process would grow to three times what it needs at once.
const reportMemory = 400 << 20

// compute computes a report.
func (e *env) compute(log *audittrail.Log, o report.Options) (*document.Report, error) {
	if e.getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(reportMemory))
	}
	progress, finish := e.ticks("verifying", true)
	defer finish()
	o.Progress = progress
	return report.Build(e.ctx, log, e.engine(log), o)
}

// makeReport computes a report and signs it, if the keyring is there.
func (e *env) makeReport(log *audittrail.Log, o report.Options) (*document.File, error) {
	r, err := e.compute(log, o)
	if err != nil {
		return nil, err
	}
	f, err := document.Sign(r, log.SignStatement)
	if errors.Is(err, audittrail.ErrNoKeys) {
		return document.Sign(r, nil)
	}
	return f, err
}

// writeReport writes a report in its form where it was asked for.
func (e *env) writeReport(f *document.File, form, out string) error {
	if isFolder(out) {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
		return render.Tables(f.Report, func(name string) (io.WriteCloser, error) {
			return os.OpenFile(filepath.Join(out, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		})
	}
	if out != "" {
		return writeWhole(out, func(w *os.File) error { return e.renderReport(w, f, form) })
	}
	if form == asTable || form == asPDF {
		return e.renderReport(e.stdout, f, form) // with colours, and to no terminal
	}
	return e.renderReport(e.forTerminal(e.stdout), f, form)
}

func (e *env) renderReport(w io.Writer, f *document.File, form string) error {
	switch form {
	case asJSON:
		_, err := w.Write(f.Bytes())
		return err
	case asCSV:
		return render.CSV(w, f.Report)
	case asHTML:
		return render.HTML(w, f)
	case asPDF:
		return render.PDF(w, f)
	case asMarkdown:
		return render.Markdown(w, f)
	}
	width := 80
	if e.width > 0 {
		width = min(e.width, 100)
	}
	return render.Summary(w, f, width, func(t document.Tone, s string) string {
		switch t {
		case document.Good:
			return e.paint(good, s)
		case document.Warning:
			return e.paint(wary, s)
		case document.Bad:
			return e.paint(bad, s)
		case document.Dim:
			return e.paint(dim, s)
		}
		return s
	})
}

// recordReport records that a report was made, and of what.
func (e *env) recordReport(f *document.File, form string) {
	r := f.Report
	e.recordBeside("that the report was made", func(log *audittrail.Log) error {
		detail := struct {
			Type   string        `json:"type"`
			Form   string        `json:"form"`
			Size   uint64        `json:"size"`
			Start  document.Time `json:"start,omitzero"`
			End    document.Time `json:"end,omitzero"`
			Digest string        `json:"digest"`
		}{r.Type, form, r.Size, r.Start, r.End, f.Digest()}
		raw, err := json.Marshal(detail)
		if err != nil {
			return err
		}
		_, err = log.AppendGovernance(e.ctx, event.Event{Type: event.ReportMade, Category: r.Type, Metadata: map[string]json.RawMessage{"report": raw}})
		return err
	})
}

func (e *env) reportVerifyCmd() *cobra.Command {
	var keys, own []string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Compute a report again and compare",
		Long: `Verify checks the signature of a report in its JSON form, computes the report
again from the log at the size that it names, and names every figure that
differs. Of a PDF or HTML form it does so with the JSON form that the file
carries, and tells whether the file shows what that says. With --key, one of
those keys, or one that took over from it, must have signed; otherwise the
keyring's word is taken for who may.` +
			exits("0  signed, and all of it is what the log gives", ends1, "2  altered, not signed by the log, or the log gives something else",
				"3  signed, but by another method, or laid out by another program version"),
		Example: `  audittrail report verify report.json
  audittrail report verify report.pdf
  audittrail report verify --key log.vkey report.json`,
		Args: takes("FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return e.reportVerify(args[0], keys, own) },
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "verifier `key` of the log, or a file of them; may be repeated")
	cmd.Flags().StringArrayVar(&own, "rules", nil, "`file` of rules of your own that the report used")
	return cmd
}

// trustedKeys are the keys that may have signed a report of that size.
func trustedKeys(log *audittrail.Log, pinned []string, size uint64) ([]string, error) {
	if len(pinned) == 0 {
		keys, err := log.Keys()
		if err != nil {
			return nil, err
		}
		pinned = []string{keys[0].VKey}
	}
	notes, err := log.Rotations()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, key := range pinned {
		eras, err := tlog.ResolveSigner(key, notes)
		if err != nil {
			return nil, err
		}
		all = append(all, eras.Since(size)...)
	}
	return all, nil
}

func (e *env) reportVerify(name string, keys, own []string) error {
	keys, err := e.vkeys(keys)
	if err != nil {
		return fmt.Errorf("report verify: %w", err)
	}
	b, err := e.readInput(name, document.MaxFile)
	if err != nil {
		return fmt.Errorf("report verify: %w", err)
	}
	in, form, err := render.ExtractReport(b)
	if form == nil {
		in = b
	}
	var f *document.File
	if err == nil {
		f, err = document.ReadFile(in)
	}
	if err != nil {
		if errors.Is(err, document.ErrFormat) && form == nil {
			err = fmt.Errorf("%w, and HTML and PDF files, which carry it", err)
		}
		return fmt.Errorf("report verify: %s: %w", inputName(name), err)
	}
	shown := e.verifyShown(b, form, f)
	err = e.verifyReport(f, keys, own)
	if shown == nil || err == nil {
		return cmp.Or(err, shown)
	}
	status := worseStatus(statusOf(err), statusOf(shown))
	var exit *exitError
	if errors.As(err, &exit) {
		err = exit.err
	}
	return &exitError{status, err}
}

// verifyShown tells whether a file shows the report that it carries.
func (e *env) verifyShown(in []byte, form render.Renderer, f *document.File) error {
	if form == nil {
		return nil
	}
	if f.Report.Program != programVersion() {
		e.note("report verify: whether the file shows the report that it carries can only be told by the version of the program that made it, %s", f.Report.Program)
		return ended(exitLimited)
	}
	err := render.CheckRendering(in, form, f)
	if errors.Is(err, render.ErrRenderingDiffers) {
		e.note("report verify: the file was changed, or made by something else: %s. Take no figure from it; what is said here is about the report that it carries", err)
		return ended(exitAltered)
	}
	return err
}

// verifyReport checks a report's signature, and computes it again.
func (e *env) verifyReport(f *document.File, keys, own []string) error {
	return e.with(e.openToRead, func(log *audittrail.Log) error {
		trusted, err := trustedKeys(log, keys, f.Report.Size)
		if err == nil {
			err = f.Verify(trusted)
		}
		unsigned := errors.Is(err, document.ErrDigest) || errors.Is(err, document.ErrUnsigned) || errors.Is(err, tlog.ErrBadSignature)
		if err != nil && !unsigned {
			if errors.Is(err, tlog.ErrUnknownKey) && f.Report.Origin != log.Origin() {
				err = fmt.Errorf("%w; the report is about the log %s, and this is %s: name that one with --dir", err, f.Report.Origin, log.Origin())
			}
			return doesNotHold(err)
		}
		if unsigned {
			// What was changed is told by what the log gives.
			e.note("%s", err)
		}
		if f.Report.Type == report.CaseType {
			err = e.verifyCase(log, f.Report)
			if unsigned {
				err = &exitError{code: exitAltered}
			}
			return err
		}
		if err := e.recompute(log, f, own, !unsigned); err != nil || !unsigned {
			return err
		}
		return &exitError{code: exitAltered}
	})
}

// recompute makes a report again and says what differs.
func (e *env) recompute(log *audittrail.Log, f *document.File, own []string, signed bool) error {
	was := f.Report
	if signed && was.Method != report.MethodVersion {
		e.note("report verify: the log's key signed this report. Its figures are defined otherwise (method %d) than by this program (method %d), and were not computed again: verify it with the version that made it, %s", was.Method, report.MethodVersion, was.Program)
		return ended(exitLimited)
	}
	names := []string{} // none is not all
	for _, r := range was.Rules {
		if slices.Contains(rules.Names(), r.ID) {
			names = append(names, r.ID)
		}
	}
	packs, err := e.packs(names, own)
	if err != nil {
		return fmt.Errorf("report verify: %w", err)
	}
	reads, err := e.mayReadContent(log)
	if err != nil {
		return err
	}
	if !reads && !was.Redacted {
		// What differs would be shown, and may be content.
		return fmt.Errorf("report verify: $%s: %w: the report has what was written about registered things, and the token does not permit %s", tokenVar, access.ErrDenied, access.ReadContent)
	}
	is, err := e.compute(log, report.Options{
		Redacted: was.Redacted, Pseudonyms: was.Pseudonyms, Organisation: was.Organisation, Witness: was.Witness,
		Type: was.Type, Start: was.Start.Time, End: was.End.Time, Model: was.Model, Rules: packs, Program: programVersion(), Size: was.Size,
	})
	if err != nil {
		return err
	}
	found, now := document.Compare(was, is), []document.Difference(nil)
	if signed {
		found, now = report.Circumstances(was, is, found)
	}
	if e.output != asTable {
		err = e.list(differenceColumns, func(yield func(row, error) bool) {
			for _, d := range found {
				if !yield(row{[]string{d.Where, d.Was, d.Is}, d}, nil) {
					return
				}
			}
		})
	} else {
		err = e.sayDifferences(was, found, signed)
	}
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		if len(now) > 0 {
			e.note("report verify: no figure differs; how the log can be checked does: %s", now[max(0, slices.IndexFunc(now, func(d document.Difference) bool { return d.Where == "notice" }))])
		}
		if len(now) > 0 && is.Status == document.Incomplete {
			return ended(exitLimited)
		}
		return nil
	case is.Status == document.Unchecked && was.Status != document.Unchecked:
		return ended(exitFailed) // what differs may be what a disk did not give
	}
	return ended(exitAltered)
}

// differenceColumns are the columns of what differs.
var differenceColumns = []column{{name: "where", width: 40}, {name: "was", width: 20}, {name: "is", width: 20}}

func (e *env) sayDifferences(r *document.Report, found []document.Difference, signed bool) error {
	by := "the log's key signed it"
	if !signed {
		by = "the log's key did not sign it as it stands"
	}
	if len(found) == 0 {
		verdict := e.paint(good, "holds")
		if !signed {
			verdict = e.paint(bad, "is not the log's")
		}
		figures := 0
		for _, s := range r.Sections {
			figures += len(s.Figures)
		}
		_, err := fmt.Fprintf(e.stdout, "The report %s: %s, and the log gives the same\n%s, %s and all tables again, at %s.\n",
			verdict, by, count(figures, "figure", "figures"), count(len(r.Sources), "query", "queries"), count(r.Size, "record", "records"))
		return err
	}
	if _, err := fmt.Fprintf(e.stdout, "The report %s: %s, and the log gives something else\nin %s.\n", e.paint(bad, "DOES NOT HOLD"), by, count(len(found), "place", "places")); err != nil {
		return err
	}
	for _, d := range found {
		text := visible(d.String())
		if _, err := fmt.Fprintln(e.stdout, "  "+strings.Join(render.Wrap(fit(text, 400), 76), "\n  ")); err != nil {
			return err
		}
	}
	return nil
}
