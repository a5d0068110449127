package service

import (
	"context"
	"errors"
	"fmt"

	"audittrail"
	"audittrail/access"
	"audittrail/report"
	"audittrail/tlog"
)

const asCase = "report case"

// ErrNoCase reports that nothing is recorded of a case, or nothing that the caller
// may know of.
var ErrNoCase = errors.New("nothing is recorded of this case, or nothing that you may know of")

// A ReportRequest asks for a compliance report.
type ReportRequest struct {
	Options report.Options // Redacted does not count
	// Form is the one in which the report is to be written, for the record.
	Form string
	// NoRecord leaves out the record that the report was made.
	NoRecord bool
}

// Report computes a report and signs it, and records that it was made, unless the
// log was altered. It needs view_reports. Texts about registered entities are
// left out if the caller may not read content.
func (s *Session) Report(ctx context.Context, q ReportRequest) (*report.Report, error) {
	log, _, err := s.v.log(ctx, access.ViewReports)
	if err != nil {
		return nil, err
	}
	opens, err := s.v.opens(ctx)
	if err != nil {
		return nil, err
	}
	q.Options.Redacted = !opens
	r, err := report.Generate(ctx, log, q.Options)
	if err == nil {
		err = s.v.reported(ctx, r, q.Form, q.NoRecord)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// reported records that a report was made.
func (v *view) reported(ctx context.Context, r *report.Report, form string, noRecord bool) error {
	if noRecord || r.Verdict() == audittrail.VerdictAltered {
		return nil
	}
	return v.record(ctx, "that the report was made", func(ctx context.Context, log *audittrail.Log) error { return r.Record(ctx, log, form) })
}

// A VerifyReportRequest asks whether a report is what the log gives.
type VerifyReportRequest struct {
	Report  *report.Report
	Options report.VerifyOptions // Redacted does not count
}

// VerifyReport verifies a report that was handed out. It needs view_reports, and of
// a report that is not redacted read_content. It returns what it found also with
// some errors: see report.Verify.
func (s *Session) VerifyReport(ctx context.Context, q VerifyReportRequest) (*report.Verification, error) {
	log, _, err := s.v.log(ctx, access.ViewReports)
	if err != nil {
		return nil, err
	}
	opens, err := s.v.opens(ctx)
	if err != nil {
		return nil, err
	}
	if q.Report == nil {
		return nil, errors.New("verify report: there is none")
	}
	q.Options.Redacted = !opens
	v, err := report.Verify(ctx, log, q.Report, q.Options)
	switch origin := q.Report.Document().Origin; {
	case errors.Is(err, report.ErrContent):
		s.v.denied(ctx, access.ReadContent, nil)
		return nil, &DeniedError{Permission: access.ReadContent, err: fmt.Errorf("%w: %w, and the token does not permit %s", access.ErrDenied, report.ErrContent, access.ReadContent)}
	case errors.Is(err, tlog.ErrUnknownKey) && origin != log.Origin():
		return v, &OtherLogError{Report: origin, Log: log.Origin(), Err: err}
	}
	return v, err
}

// OtherLogError reports that a report is about another log than this one.
type OtherLogError struct {
	Report, Log string // origins
	Err         error
}

func (e *OtherLogError) Error() string {
	return fmt.Sprintf("%v; the report is about the log %s, and this is %s", e.Err, e.Report, e.Log)
}

// Unwrap returns why the signature is not trusted.
func (e *OtherLogError) Unwrap() error { return e.Err }

// A CaseRequest asks for a report on one case: a trace, a user, or a record with its
// trace.
type CaseRequest struct {
	Trace  string // 32 lower-case hexadecimal digits
	User   string
	Record Ref // if there is neither Trace nor User

	Options  report.Options // Redacted does not count
	Form     string         // see ReportRequest
	NoRecord bool
}

// A Case is a report on one case.
type Case struct {
	*report.Report
	Unknown []Lookup // the user, if the log does not know them
}

// Case makes a report on one case, with its content as the caller may see it. It
// needs read_events, and about a user read_content and no scope.
func (s *Session) Case(ctx context.Context, q CaseRequest) (*Case, error) {
	r, err := s.v.read(ctx, purpose{command: asCase, page: true})
	if err != nil {
		return nil, err
	}
	out := &Case{}
	opens, err := s.v.opens(ctx)
	if err != nil {
		return nil, err
	}
	q.Options.Redacted = !opens
	if out.Report, out.Unknown, err = r.report(ctx, &q); err != nil {
		return nil, err
	}
	if err := s.v.reported(ctx, out.Report, q.Form, q.NoRecord); err != nil {
		return nil, err
	}
	return out, nil
}
