package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"audittrail/event"
	"audittrail/report"
	"audittrail/service"
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
		Short: "Report on one case: a decision, a trace or a person",
		Long: fmt.Sprintf(`Case computes a report on one case: questions and answers, the model with its
datasets, reviews and actions. The case is a record with all others of its
trace, or a trace, or all records about a person. The report has the first %d
of these records.

It shows contents: like 'audittrail show', only those that the token permits,
and the log records the read. Only these contents name people. The JSON form is
signed; 'report verify' checks the signature, and that the log contains each of
the records.`, report.MaxCase) + recordArgHelp +
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

// of reads the subject of the case: a record, a trace or a user.
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
		return errors.New("report case: a terminal cannot show a PDF: name a file with --out")
	}
	q := service.CaseRequest{
		Trace: o.trace, User: o.user, Form: o.format, NoRecord: o.noRecord,
		Options: report.Options{Program: programVersion(), Pseudonyms: o.pseudonyms},
	}
	if o.trace != "" {
		trace := event.Event{Type: event.Prompt, TraceID: o.trace}
		event.Fit(&trace) // in lower case
		if err := event.Validate(&trace); err != nil {
			return fmt.Errorf("report case: read --trace: %w", err)
		}
		q.Trace = trace.TraceID
	} else if o.user == "" {
		q.Record = service.ParseRef(args[0])
	}
	var r *service.Case
	err := e.reading(func(s *service.Session) (err error) {
		defer e.computing(&q.Options.Progress)()
		if r, err = s.Case(e.ctx, q); err != nil {
			if errors.Is(err, service.ErrNoCase) {
				err = &exitError{exitLimited, err}
			}
			return fmt.Errorf("report case: %w", flagDenied(err))
		}
		e.noteUnknown(r.Unknown)
		return nil
	})
	if err != nil {
		return err
	}
	if err := e.writeReport(r.Report, o.format, o.out); err != nil {
		return fmt.Errorf("report case: %w", err)
	}
	return ended(statusOfVerdict(r.Verdict()))
}
