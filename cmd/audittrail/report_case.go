package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report"
)

type caseOptions struct {
	reportOptions
	trace, user string
	users       userArgs
}

func (e *env) reportCaseCmd() *cobra.Command {
	var o caseOptions
	cmd := &cobra.Command{
		Use:   "case " + recordArg + " | --trace ID | --user USER",
		Short: "Tell one case: a decision, a trace or a person",
		Long: fmt.Sprintf(`Case makes a report on one case: questions and answers, the model and the data
that it was made of, reviews and actions. The case is a record with all others
of its trace, or a trace, or all records about a person. The report has the
first %d of these records.

It shows contents: like 'audittrail show', it shows what the token may read, and
records that it was read. People are named in these contents alone. The JSON
form is signed; 'report verify' checks that, and that the log has each of its
records.`, report.MaxCase) + recordArgHelp +
			exits(ends0, ends1, "2  the report was made, and the log was altered", "3  something is missing from it, or nothing is recorded of the case", ends4),
		Example: `  audittrail report case 17
  audittrail report case --trace 4bf92f3577b34da6a3ce929d0e0e4736 --out case.pdf
  audittrail report case --user-file - --format html --out case.html < name`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.format, err = e.reportForm(cmd, &o.reportOptions); err != nil {
				return fmt.Errorf("report case: %w", err)
			}
			return e.reportCase(o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.trace, "trace", "", "the case is this trace: 32 hexadecimal `digits`")
	f.StringVar(&o.user, "user", "", "the case is what is about this `user`")
	f.StringVar(&o.users.file, "user-file", "", "read the user from the first line of this `file`; - is standard input")
	f.StringVar(&o.format, "format", "", "`form` of the report: html, pdf, md, json or csv (default what --out ends in, or else that of -o)")
	f.StringVar(&o.out, "out", "", "`file` to write (default standard output); for csv, a folder gets a file for each table")
	f.BoolVar(&o.pseudonyms, "pseudonyms", false, "name people by their subject ids in the tables")
	f.BoolVar(&o.noRecord, "no-record", false, "do not record that the report was made; that content is read is recorded all the same")
	return cmd
}

// of reads whom or what the case is about: exactly one thing.
func (o *caseOptions) of(e *env, args []string) error {
	given := len(args)
	for _, text := range []string{o.trace, o.user, o.users.file} {
		if text != "" {
			given++
		}
	}
	if given != 1 {
		return errors.New("name one case: a record by its number or id, --trace, --user or --user-file")
	}
	if o.users.file != "" {
		users, err := e.readUsers(o.users.file, 1)
		if err != nil {
			return err
		}
		o.user = users.ids[0]
	}
	return nil
}

func (e *env) reportCase(o caseOptions, args []string) error {
	if err := o.of(e, args); err != nil {
		return fmt.Errorf("report case: %w", err)
	}
	if o.format == asPDF && o.out == "" && e.outTerminal {
		return errors.New("report case: a PDF is nothing for a terminal: name a file with --out")
	}
	var r *report.Report
	err := e.showing("report case", func(log *audittrail.Log, s *showing) error {
		s.all = true
		c, err := e.caseOf(log, s, &o, args)
		if err != nil {
			return fmt.Errorf("report case: %w", err)
		}
		reads, err := e.mayReadContent(log)
		if err != nil {
			return err
		}
		ro := report.Options{Program: programVersion(), Pseudonyms: o.pseudonyms, Redacted: !reads}
		if r, err = e.generateCase(log, ro, c); err != nil {
			return err
		}
		s.leave()
		if err := e.writeReport(r, o.format, o.out); err != nil {
			return fmt.Errorf("report case: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return e.endReport(r, o.format, o.noRecord)
}

// caseOf finds the records of a case that the caller may know of.
func (e *env) caseOf(log *audittrail.Log, s *showing, o *caseOptions, args []string) (report.Case, error) {
	q := query.Query{OldestFirst: true}
	c := report.Case{}
	switch {
	case o.trace != "":
		trace := event.Event{Type: event.Prompt, TraceID: o.trace}
		event.Fit(&trace) // in lower case
		if err := event.Validate(&trace); err != nil {
			return c, fmt.Errorf("read --trace: %w", err)
		}
		q.Traces, c.Description = []string{trace.TraceID}, "the trace "+trace.TraceID
	case o.user != "":
		q.Users, c.Description = []string{o.user}, "one person"
		if err := s.asks(&q); err != nil {
			return c, err
		}
		if g := s.seen.Grant; g != nil && !g.Scope.Empty() {
			return c, fmt.Errorf("--user: $%s: %w: all of a person does not keep to the scope of the token %s", tokenVar, access.ErrDenied, g.ID)
		}
		if err := s.noteUsers(&q); err != nil {
			return c, err
		}
	default:
		r, err := find(e.ctx, log, args[0])
		if err == nil {
			err = s.known(r)
		}
		if err != nil {
			return c, err
		}
		if r.State == record.Unauthenticated {
			return c, fmt.Errorf("record %d: %w", r.Seq, audittrail.ErrUnauthenticated)
		}
		c.Description = fmt.Sprintf("record %d, which is in no trace", r.Seq)
		if r.Event.TraceID == "" {
			r, err = s.see(r)
			c.Records = []*record.Record{r}
			return c, err
		}
		q.Traces, c.Description = []string{r.Event.TraceID}, fmt.Sprintf("record %d, with its trace %s", r.Seq, r.Event.TraceID)
	}
	for h, err := range e.engine(log).Find(e.ctx, q) {
		if err != nil {
			return c, err
		}
		if len(c.Records) == report.MaxCase { // what is not shown is not seen
			if c.More = s.known(h.Record) == nil; c.More {
				break
			}
			continue
		}
		r, err := s.see(h.Record)
		if errors.Is(err, access.ErrDenied) {
			continue // as if it were not there
		}
		if err != nil {
			return c, err
		}
		c.Records = append(c.Records, r)
	}
	if len(c.Records) == 0 {
		return c, &exitError{exitLimited, errors.New("nothing is recorded of this case, or nothing that you may know of")}
	}
	return c, nil
}

// generateCase makes the report on a case.
func (e *env) generateCase(log *audittrail.Log, o report.Options, c report.Case) (*report.Report, error) {
	defer e.computing(&o.Progress)()
	return report.GenerateCase(e.ctx, log, o, c)
}
