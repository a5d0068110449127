package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/shown"
	"audittrail/report"
	"audittrail/service"
)

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

func (e *env) reportVerify(name string, keys, own []string) error {
	keys, err := e.vkeys(keys)
	if err != nil {
		return fmt.Errorf("report verify: %w", err)
	}
	file, err := e.readInput(name, report.MaxFile)
	if err != nil {
		return fmt.Errorf("report verify: %w", err)
	}
	r, err := report.Read(file)
	if err != nil {
		return fmt.Errorf("report verify: %s: %w", inputName(name), err)
	}
	var with report.Options
	if err := e.ownRules(&with, own); err != nil {
		return fmt.Errorf("report verify: %w", err)
	}
	o := report.VerifyOptions{Keys: keys, Rules: with.Rules, Program: programVersion()}
	var v *report.Verification
	err = e.reading(func(s *service.Session) (err error) {
		if v, err = e.verifyReport(s, r, o); err != nil {
			return err
		}
		return e.sayVerification(r, v)
	})
	if err == nil {
		return ended(statusOfVerdict(v.Verdict()))
	}
	rendering := r.CheckRendering(o.Program)
	if v == nil { // it did not come to that
		e.noteRendering(r, rendering)
	}
	switch {
	case errors.Is(rendering, report.ErrRenderingDiffers):
		return &exitError{worseStatus(statusOf(err), exitAltered), err}
	case rendering != nil:
		return &exitError{worseStatus(statusOf(err), exitLimited), err}
	}
	return err
}

// verifyReport verifies a report, and says what to do about an error.
func (e *env) verifyReport(s *service.Session, r *report.Report, o report.VerifyOptions) (*report.Verification, error) {
	defer e.computing(&o.Progress)()
	v, err := s.VerifyReport(e.ctx, service.VerifyReportRequest{Report: r, Options: o})
	if err == nil {
		return v, nil
	}
	other := (*service.OtherLogError)(nil)
	switch {
	case errors.Is(err, service.ErrDenied):
		return nil, err
	case errors.As(err, &other):
		err = fmt.Errorf("%w: name that one with --dir", err)
	}
	return nil, doesNotHold(err)
}

// noteRendering says of an HTML or PDF file that it may not show the report that
// it carries.
func (e *env) noteRendering(r *report.Report, rendering error) {
	switch {
	case errors.Is(rendering, report.ErrOtherProgram):
		e.note("report verify: whether the file shows the report that it carries can only be told by the version of the program that made it, %s", r.Document().Program)
	case errors.Is(rendering, report.ErrRenderingDiffers):
		e.note("report verify: the file was changed, or made by something else: %s. Take no figure from it; the result is about the report that it carries", rendering)
	}
}

// sayVerification says what was found.
func (e *env) sayVerification(r *report.Report, v *report.Verification) error {
	d := r.Document()
	e.noteRendering(r, v.Rendering)
	if v.Unsigned != nil {
		e.note("%s", v.Unsigned)
	}
	switch {
	case d.Type == report.CaseType:
		e.sayRecords(v)
		return nil
	case !v.Recomputed:
		e.note("report verify: the log's key signed this report. Its figures are defined otherwise (method %d) than by this program (method %d), and were not computed again: verify it with the version that made it, %s", d.Method, report.MethodVersion, d.Program)
		return nil
	}
	if e.output != asTable {
		err := e.list(differenceColumns, func(yield func(row, error) bool) {
			for _, d := range v.Differences {
				if !yield(row{[]string{d.Where, d.Was, d.Is}, d}, nil) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
	} else if err := e.sayDifferences(r, v); err != nil {
		return err
	}
	if len(v.Circumstances) > 0 && len(v.Differences) == 0 {
		now := v.Circumstances[0]
		for _, c := range v.Circumstances {
			if c.Where == "notice" {
				now = c
				break
			}
		}
		e.note("report verify: no figure differs; how the log can be checked does: %s", now)
	}
	return nil
}

// sayRecords says whether the log has the records of a report on a case.
func (e *env) sayRecords(v *report.Verification) {
	for _, seq := range v.Changed {
		e.note("report verify: record %d of the log differs from the one in the report", seq)
	}
	if len(v.Changed) == 0 && v.Unsigned == nil {
		e.note("report verify: the log's key signed this report on a case, and the log has its %s; what they say was not opened again: 'audittrail report case' makes the report again, and 'audittrail show' shows each of them",
			display.Count(v.Records, "record", "records"))
	}
}

// differenceColumns are the columns of what differs.
var differenceColumns = []column{{name: "where", width: 40}, {name: "was", width: 20}, {name: "is", width: 20}}

func (e *env) sayDifferences(r *report.Report, v *report.Verification) error {
	d, found, signed := r.Document(), v.Differences, v.Unsigned == nil
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
		for _, s := range d.Sections {
			figures += len(s.Figures)
		}
		_, err := fmt.Fprintf(e.stdout, "The report %s: %s, and the log gives the same\n%s, %s and all tables again, at %s.\n",
			verdict, by, display.Count(figures, "figure", "figures"), display.Count(len(d.Sources), "query", "queries"), display.Count(d.Size, "record", "records"))
		return err
	}
	if _, err := fmt.Fprintf(e.stdout, "The report %s: %s, and the log gives something else\nin %s.\n", e.paint(bad, "DOES NOT HOLD"), by, display.Count(len(found), "place", "places")); err != nil {
		return err
	}
	for _, d := range found {
		text := display.Visible(d.String())
		if _, err := fmt.Fprintln(e.stdout, "  "+strings.Join(shown.Wrap(display.Fit(text, 400), 76), "\n  ")); err != nil {
			return err
		}
	}
	return nil
}
