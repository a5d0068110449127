package service

import (
	"context"
	"fmt"

	"audittrail"
	"audittrail/access"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report"
)

// report makes the report on a case, and records that its contents are read. It
// returns the users of the case whom the log does not know.
func (r *reading) report(ctx context.Context, q *CaseRequest) (*report.Report, []Lookup, error) {
	c, unknown, err := r.caseOf(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	made, err := report.GenerateCase(ctx, r.v.svc.log, q.Options, *c)
	if err == nil {
		err = r.leave(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	return made, unknown, nil
}

// caseOf finds the records of a case, as the caller may see them.
func (r *reading) caseOf(ctx context.Context, q *CaseRequest) (*report.Case, []Lookup, error) {
	find := query.Query{OldestFirst: true, Limit: report.MaxCase}
	c := &report.Case{}
	switch {
	case q.Trace != "":
		find.Traces, c.Description = []string{q.Trace}, "the trace "+q.Trace
	case q.User != "":
		find.Users, c.Description = []string{q.User}, "one person"
		if r.scoped {
			return nil, nil, r.v.beyondScope(access.ReadContent, r.seen.Grant, "user")
		}
	default:
		rec, err := r.get(ctx, q.Record)
		if err != nil {
			return nil, nil, err
		}
		if rec.State == record.Unauthenticated {
			return nil, nil, fmt.Errorf("record %d: %w", rec.Seq, audittrail.ErrUnauthenticated)
		}
		c.Description = fmt.Sprintf("record %d, which is in no trace", rec.Seq)
		if rec.Event.TraceID == "" {
			rec, err = r.see(ctx, rec)
			c.Records = []*record.Record{rec}
			return c, nil, err
		}
		find.Traces, c.Description = []string{rec.Event.TraceID}, fmt.Sprintf("record %d, with its trace %s", rec.Seq, rec.Event.TraceID)
	}
	l, err := r.find(ctx, find, false)
	if err != nil {
		return nil, nil, err
	}
	for h, err := range l.all() {
		if err != nil {
			return nil, nil, err
		}
		c.Records = append(c.Records, h.Record)
	}
	if c.More = l.more; len(c.Records) == 0 {
		return nil, nil, ErrNoCase
	}
	return c, l.Unknown, nil
}
