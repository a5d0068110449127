package service

import (
	"context"
	"fmt"

	"audittrail"
	"audittrail/access"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
)

// find finds a record.
func (v *view) find(ctx context.Context, ref Ref) (*record.Record, error) {
	if ref.ID == "" {
		return v.svc.log.Get(ctx, ref.Seq)
	}
	return v.svc.log.Find(ctx, ref.ID)
}

// get finds a record that the caller may know of.
func (r *reading) get(ctx context.Context, ref Ref) (*record.Record, error) {
	rec, err := r.v.find(ctx, ref)
	if err == nil {
		err = r.admit(ctx, rec)
	}
	if err != nil {
		return nil, err
	}
	return rec, nil
}

// one returns a record as the caller may see it, when that is recorded.
func (r *reading) one(ctx context.Context, ref Ref) (*record.Record, error) {
	rec, err := r.get(ctx, ref)
	if err == nil {
		rec, err = r.see(ctx, rec)
	}
	if err == nil {
		err = r.leave(ctx)
	}
	if err != nil {
		return nil, err
	}
	return rec, nil
}

// line returns a record of which nothing but its line and its cleartext fields are
// to be shown.
func (r *reading) line(ctx context.Context, ref Ref) (*record.Record, error) {
	rec, err := r.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if rec.State != record.Readable {
		return rec, nil
	}
	return privacy.Redact(rec), nil
}

// disclose returns a record with the key to its content.
func (r *reading) disclose(ctx context.Context, ref Ref) (*record.Disclosure, error) {
	rec, err := r.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	if _, err := r.v.permit(ctx, access.ReadContent, &rec.Event, ""); err != nil {
		return nil, err
	}
	if rec, err = r.see(ctx, rec); err != nil {
		return nil, err
	}
	if rec.State == record.Restricted {
		err := fmt.Errorf("record %d: its content is %s", rec.Seq, rec.State)
		if !r.v.operator {
			return nil, &DeniedError{Permission: access.ReadContent, Record: true, err: fmt.Errorf("%w: %w", access.ErrDenied, err)}
		}
		return nil, err
	}
	d, err := r.v.svc.log.Disclose(ctx, rec.Seq)
	if err == nil {
		err = r.leave(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// signedSeq returns the sequence number of a record that a checkpoint covers: it is
// for callers who may verify the log, and shows nothing of the record.
func (v *view) signedSeq(ctx context.Context, ref Ref) (uint64, error) {
	rec, err := v.find(ctx, ref)
	if err == nil && rec.State == record.Unauthenticated {
		err = fmt.Errorf("record %d: %w", rec.Seq, audittrail.ErrUnauthenticated)
	}
	if err != nil {
		return 0, err
	}
	return rec.Seq, nil
}

// hash returns the hash of a record.
func (v *view) hash(ctx context.Context, seq uint64) (*record.Hash, error) {
	rec, err := v.find(ctx, Ref{Seq: seq})
	if err != nil {
		return nil, err
	}
	return &rec.Hash, nil
}

// A total is a count or a table under way.
type total struct {
	r       *reading
	engine  *query.Engine
	q       query.Query
	unknown []Lookup
	skipped *skipped
}

// total begins one.
func (v *view) total(ctx context.Context, q query.Query, skip bool, by ...string) (*total, error) {
	r, err := v.read(ctx, purpose{command: asQuery, whole: true})
	if err == nil {
		err = r.asks(ctx, &q, by...)
	}
	if err != nil {
		return nil, err
	}
	t := &total{r: r, q: q, skipped: new(skipped)}
	t.engine = t.skipped.over(r.engine(), skip)
	t.unknown, err = r.lookup(ctx, q.Users)
	return t, err
}

// remainder tells what the answer does not say.
func (t *total) remainder(ctx context.Context) (Remainder, error) {
	return t.r.remainder(ctx, t.engine, &t.q, t.skipped)
}

// group makes a table, in which users are named as the caller may see them.
func (t *total) group(ctx context.Context, g query.Grouping) (*query.Table, error) {
	table, err := t.engine.Group(ctx, t.q, g)
	if err != nil {
		return nil, err
	}
	for column, by := range g.By {
		if !namesUser(by) {
			continue
		}
		names := make([]string, len(table.Rows))
		for i, row := range table.Rows {
			names[i] = row[column].String()
		}
		if names, err = t.r.users(ctx, names); err != nil {
			return nil, err
		}
		for i, row := range table.Rows {
			row[column] = query.TextValue(names[i])
		}
	}
	return table, nil
}
