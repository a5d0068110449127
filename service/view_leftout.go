package service

import (
	"cmp"
	"context"
	"time"

	"audittrail"
	"audittrail/query"
	"audittrail/record"
)

// maxAhead is how much later than its logging an event may say that it was:
// clocks differ. An event that is further ahead is not looked for in archives.
const maxAhead = 24 * time.Hour

// absent adds the records, of those from (inclusive) to to (exclusive), that q
// might be about and that are not in the log, or are not authenticated.
func (o *LeftOut) absent(ctx context.Context, log *audittrail.Log, q *query.Query, from, to uint64) error {
	all, err := log.Absent(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Next <= from || a.First >= to || !q.Start.IsZero() && !a.LoggedBy.IsZero() && a.LoggedBy.Add(maxAhead).Before(q.Start) {
			continue
		}
		switch a.State {
		case audittrail.SegmentArchived:
			o.Archived += a.Records
		case audittrail.SegmentDropped:
			o.Dropped += a.Records
		default:
			o.Missing += a.Records
		}
	}
	b, err := log.Beyond(ctx)
	if err == nil && to > b.Size {
		o.Unauthenticated, o.Behind = b.Records, b.Behind
	}
	return err
}

// leaves finds out what an answer to all of q leaves out.
func (r *reading) leaves(ctx context.Context, engine *query.Engine, q *query.Query) (o LeftOut, err error) {
	if err := o.absent(ctx, r.v.svc.log, q, q.From, cmp.Or(q.Size, record.MaxSeq)); err != nil {
		return o, err
	}
	o.Unread, err = engine.CountUnreadable(ctx, *q)
	return o, err
}

// unknownCalls returns of how many records it is not known whether they count
// calls, if calls are asked for.
func (r *reading) unknownCalls(ctx context.Context, q *query.Query) (uint64, error) {
	if !q.Calls || r.export {
		return 0, nil
	}
	return r.engine().CountUnknownCalls(ctx, *q)
}

// remainder tells what the answer to a count or a table does not say.
func (r *reading) remainder(ctx context.Context, engine *query.Engine, q *query.Query, s *skipped) (rest Remainder, err error) {
	unknown, err := r.unknownCalls(ctx, q)
	if err == nil {
		rest.LeftOut, err = r.leaves(ctx, engine, q)
	}
	if err == nil {
		rest.Unsearched, err = engine.CountUnsearched(ctx, *q)
	}
	rest.UnknownCalls, rest.Skipped = unknown, s.list()
	rest.Altered = uint64(len(rest.Skipped))
	return rest, err
}

// Remainder tells what the list does not say. Call it after All has ended.
func (l *Listing) Remainder(ctx context.Context) (rest Remainder, err error) {
	q := l.q
	defer func() {
		rest.Skipped = l.skipped.list()
		rest.Altered, rest.Cut = uint64(len(rest.Skipped)), l.more
	}()
	if l.follow {
		return rest, nil // it has no end
	}
	// How much could not be searched is nothing for a caller who sees some of the
	// newest records.
	if !l.tail || l.r.v.operator {
		if rest.Unsearched, err = l.engine.CountUnsearched(ctx, q); err != nil {
			return rest, err
		}
	}
	unknown, err := l.r.unknownCalls(ctx, &q)
	if err != nil {
		return rest, err
	}
	switch {
	case l.tail && l.last == 0, l.more && l.shown == 0:
		rest.Unread, rest.UnknownCalls = l.unread, unknown
		return rest, nil
	case l.tail && l.shown == l.last:
		q.From = l.from
	case l.more && q.OldestFirst:
		q.Size = l.highest + 1
	case l.more:
		q.From = l.first
	}
	rest.LeftOut, err = l.r.leaves(ctx, l.engine, &q)
	rest.Unread, rest.UnknownCalls = rest.Unread+l.unread, unknown
	return rest, err
}
