package service

import (
	"context"
	"time"

	"audittrail/query"
	"audittrail/record"
)

// The commands that records of reads name. They are part of the format.
const (
	asQuery    = "query"
	asExport   = "export"
	asTail     = "tail"
	asShow     = "show"
	asDisclose = "disclose"
)

// A FindRequest asks for records.
type FindRequest struct {
	// Query says which, in which order, and how many. Those that the caller may
	// not see do not count to its limit.
	Query query.Query
	// SkipAltered passes over records that were altered, instead of ending with an
	// error.
	SkipAltered bool
}

// Find lists the records that match a query. It needs read_events, without a
// scope, and for a query about words, users, actors or sessions read_content.
func (s *Session) Find(ctx context.Context, q FindRequest) (*Listing, error) {
	limit := uint64(max(0, q.Query.Limit))
	r, err := s.v.read(ctx, purpose{command: asQuery, whole: true, page: isPage(limit)})
	if err != nil {
		return nil, err
	}
	return r.find(ctx, q.Query, q.SkipAltered)
}

// find is list, and looks up the users that are asked for.
func (r *reading) find(ctx context.Context, q query.Query, skip bool) (*Listing, error) {
	l, err := r.list(ctx, q, skip)
	if err == nil {
		l.Unknown, err = r.lookup(ctx, q.Users)
	}
	return l, err
}

// A TailRequest asks for the newest records.
type TailRequest struct {
	Query query.Query // its limit, cursor and order do not count
	// Last is how many of those that are there.
	Last uint64
	// Follow continues with every new record when it is durable, until the context
	// ends.
	Follow      bool
	SkipAltered bool
}

// Tail lists the newest records that match a query, the oldest of them first. It
// needs read_events, keeps to the scope of the caller's token, and shows
// restrictions as soon as they are in force.
func (s *Session) Tail(ctx context.Context, q TailRequest) (*Listing, error) {
	r, err := s.v.read(ctx, purpose{command: asTail, page: !q.Follow && isPage(q.Last)})
	if err != nil {
		return nil, err
	}
	q.Query.Limit, q.Query.Cursor, q.Query.OldestFirst = 0, "", false
	l, err := r.list(ctx, q.Query, q.SkipAltered)
	if err != nil {
		return nil, err
	}
	l.tail, l.last, l.follow = true, q.Last, q.Follow
	return l, nil
}

// An ExportRequest asks for records to take along.
type ExportRequest struct {
	Query query.Query
	// MetadataOnly leaves out contents, users and sessions.
	MetadataOnly bool
	SkipAltered  bool
}

// Export lists records as Find does, to take them out of the log. It needs
// export_data as well, and is recorded as an export.
func (s *Session) Export(ctx context.Context, q ExportRequest) (*Listing, error) {
	r, err := s.v.read(ctx, purpose{command: asExport, export: true, whole: true, bare: q.MetadataOnly})
	if err != nil {
		return nil, err
	}
	return r.find(ctx, q.Query, q.SkipAltered)
}

// A CountRequest asks how many records match.
type CountRequest struct {
	Query       query.Query
	SkipAltered bool
}

// A Count is how many records match.
type Count struct {
	Count   uint64
	Unknown []Lookup // users that are asked for and not known
	Remainder
}

// Count counts records. It needs what Find needs.
func (s *Session) Count(ctx context.Context, q CountRequest) (*Count, error) {
	t, err := s.v.total(ctx, q.Query, q.SkipAltered)
	if err != nil {
		return nil, err
	}
	c := &Count{Unknown: t.unknown}
	if c.Count, err = t.engine.Count(ctx, t.q); err != nil {
		return nil, err
	}
	c.Remainder, err = t.remainder(ctx)
	return c, err
}

// A GroupRequest asks for sums of records by group.
type GroupRequest struct {
	Query       query.Query
	Grouping    query.Grouping
	SkipAltered bool
}

// Groups are sums of records by group.
type Groups struct {
	// Table has the groups. A user who has asked for it to be restricted is named
	// by subject id, unless the caller may see restricted content.
	Table   *query.Table
	Unknown []Lookup // users that are asked for and not known
	Remainder
}

// Group adds records up. It needs what Find needs, and to group by user
// read_content.
func (s *Session) Group(ctx context.Context, q GroupRequest) (*Groups, error) {
	t, err := s.v.total(ctx, q.Query, q.SkipAltered, q.Grouping.By...)
	if err != nil {
		return nil, err
	}
	g := &Groups{Unknown: t.unknown}
	if g.Table, err = t.group(ctx, q.Grouping); err != nil {
		return nil, err
	}
	g.Remainder, err = t.remainder(ctx)
	return g, err
}

// An ExplainRequest asks how a query is answered: a list, or, with CountOnly or a
// Grouping, a count or a table.
type ExplainRequest struct {
	Query       query.Query
	CountOnly   bool
	Grouping    query.Grouping
	SkipAltered bool
}

// An Explanation tells how a query was answered.
type Explanation struct {
	How     query.Explanation
	Hits    uint64 // records or rows
	Took    time.Duration
	Unknown []Lookup // users that are asked for and not known
	// UnknownCalls is of how many records it is not known whether they count calls.
	UnknownCalls uint64
	Skipped      []uint64 // records that were passed over since they were altered
}

// Explain answers a query, and returns in place of the answer how it was found. It
// needs what the answer needs.
func (s *Session) Explain(ctx context.Context, q ExplainRequest) (*Explanation, error) {
	t, err := s.v.total(ctx, q.Query, q.SkipAltered, q.Grouping.By...)
	if err != nil {
		return nil, err
	}
	x := &Explanation{Unknown: t.unknown}
	if x.UnknownCalls, err = t.r.unknownCalls(ctx, &t.q); err != nil {
		return nil, err
	}
	engine := t.engine.WithExplanation(&x.How)
	start := time.Now()
	switch g := q.Grouping; {
	case q.CountOnly:
		x.Hits, err = engine.Count(ctx, t.q)
	case len(g.By)+len(g.Aggregates) > 0:
		var table *query.Table
		if table, err = engine.Group(ctx, t.q, g); err == nil {
			x.Hits = uint64(len(table.Rows))
		}
	default:
		for _, ferr := range engine.Find(ctx, t.q) {
			if err = ferr; err == nil {
				x.Hits++
			}
		}
	}
	x.Took, x.Skipped = time.Since(start), t.skipped.list()
	return x, err
}

// A GetRequest asks for one record.
type GetRequest struct {
	Record Ref
	// Raw asks for the line of the record alone, in which content is encrypted.
	Raw bool
}

// Get returns one record, whose State tells whether it can be relied upon and
// has its content. It needs read_events about the record.
func (s *Session) Get(ctx context.Context, q GetRequest) (*record.Record, error) {
	r, err := s.v.read(ctx, purpose{command: asShow, page: true})
	if err != nil {
		return nil, err
	}
	if q.Raw {
		return r.line(ctx, q.Record)
	}
	return r.one(ctx, q.Record)
}

// A DiscloseRequest asks for one record with the key to its content.
type DiscloseRequest struct{ Record Ref }

// Disclose returns one record with the key that opens it and no other, for
// somebody without the keyring. It needs export_data and read_content about the
// record, and is recorded as an export.
func (s *Session) Disclose(ctx context.Context, q DiscloseRequest) (*record.Disclosure, error) {
	r, err := s.v.read(ctx, purpose{command: asDisclose, export: true, page: true})
	if err != nil {
		return nil, err
	}
	return r.disclose(ctx, q.Record)
}
