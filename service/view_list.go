package service

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"audittrail/event"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
)

// maxPage is how many records are held in memory until all of them are shown. A
// list of at most so many is recorded once, with what it has.
const maxPage = 1000

// isPage reports whether a list with this limit, 0 for none, is a page.
func isPage(limit uint64) bool { return limit > 0 && limit <= maxPage }

// A Listing is records that answer a request, as the caller may see them.
type Listing struct {
	// Size is how many records the log had when it was asked.
	Size uint64
	// Unknown are users that the request asks for and that the log does not know.
	Unknown []Lookup

	ctx     context.Context
	r       *reading
	engine  *query.Engine
	q       query.Query // without its limit
	limit   uint64      // 0: none
	tail    bool        // the newest records, oldest first
	last    uint64      // so many of them
	from    uint64      // the first of them
	follow  bool        // and every further one
	skipped *skipped

	taken                 atomic.Bool // All was called
	shown, first, highest uint64      // first and highest by their sequence numbers
	unread                uint64      // without their content, which was not destroyed
	more                  bool
}

// A Lookup is what the log knows of a user id that somebody has given.
type Lookup struct {
	User  string
	Known bool // something is stored about the user
	// Near is how many known users have an id that differs only in case, blanks or
	// accents.
	Near int
}

// skipped are records that were passed over, since they were altered.
type skipped struct {
	mu   sync.Mutex // held while one is added
	seqs map[uint64]bool
}

// over returns an engine that passes over altered records, if that is asked for.
func (s *skipped) over(engine *query.Engine, skip bool) *query.Engine {
	if !skip {
		return engine
	}
	return engine.WithSkipHandler(func(seq uint64, _ error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.seqs == nil {
			s.seqs = make(map[uint64]bool)
		}
		s.seqs[seq] = true
	})
}

// list returns the records that were passed over, in their order.
func (s *skipped) list() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []uint64
	for seq := range s.seqs {
		all = append(all, seq)
	}
	slices.Sort(all)
	return all
}

// list begins a list of records.
func (r *reading) list(ctx context.Context, q query.Query, skip bool) (*Listing, error) {
	if err := r.asks(ctx, &q); err != nil {
		return nil, err
	}
	l := &Listing{ctx: ctx, r: r, q: q, limit: uint64(max(0, q.Limit)), skipped: new(skipped)}
	if q.Limit >= 0 { // else the query is refused
		l.q.Limit = 0
	}
	l.engine = l.skipped.over(r.engine(), skip)
	var err error
	l.Size, err = r.v.svc.log.Size()
	return l, err
}

// errTaken reports that the records of a list were read before.
var errTaken = errors.New("the list was read already: ask for it again")

// All yields the records in the order of the request, once. That content is read is
// recorded before the first record that has any.
func (l *Listing) All() iter.Seq2[*query.Hit, error] {
	return func(yield func(*query.Hit, error) bool) {
		if l.taken.Swap(true) {
			yield(nil, errTaken) // what is read a second time is another read
			return
		}
		// Not deferred: what ends by a panic has no end that is known.
		if l.r.page {
			l.page(yield)
		} else if err := l.each(yield); err != nil {
			l.r.end(l.ctx)
			yield(nil, err)
		} else {
			l.r.end(l.ctx)
		}
	}
}

// page yields the records when all of them are there and recorded.
func (l *Listing) page(yield func(*query.Hit, error) bool) {
	var all []*query.Hit
	var err error
	for h, herr := range l.all() {
		if err = herr; err == nil {
			all = append(all, h)
		}
	}
	if lerr := l.r.leave(l.ctx); lerr != nil {
		yield(nil, errors.Join(err, lerr))
		return
	}
	for _, h := range all {
		if !yield(h, nil) {
			return
		}
	}
	if err != nil {
		yield(nil, err)
	}
}

// all yields the records of a page before they are recorded.
func (l *Listing) all() iter.Seq2[*query.Hit, error] {
	return func(yield func(*query.Hit, error) bool) {
		if err := l.each(yield); err != nil {
			yield(nil, err)
		}
	}
}

// each hands on the records that the caller may know of, as the caller may see
// them.
func (l *Listing) each(yield func(*query.Hit, error) bool) error {
	hits, err := l.hits()
	if err != nil {
		return err
	}
	for h, err := range hits {
		if err == nil && l.follow { // a restriction counts from when it is in force
			err = l.r.restrictions.Refresh(l.ctx)
		}
		if err != nil {
			return err
		}
		known, err := l.r.knows(l.ctx, h.Record)
		if err != nil {
			return err
		}
		if !known {
			continue // as if it were not there
		}
		if l.limit > 0 && l.shown == l.limit { // what is not shown is not seen
			l.more = true
			return nil
		}
		rec, err := l.r.see(l.ctx, h.Record)
		if err != nil {
			return err
		}
		if l.q.Text != "" && rec.State != h.State {
			continue // that it has the words says what it says
		}
		seen := *h
		seen.Record = rec
		l.add(rec)
		if !yield(&seen, nil) {
			return nil
		}
	}
	return nil
}

// hits finds the records.
func (l *Listing) hits() (iter.Seq2[*query.Hit, error], error) {
	q := l.q
	if l.tail {
		if err := l.lastHits(&q); err != nil {
			return nil, err
		}
		l.from = q.From
	}
	if l.follow {
		return l.engine.Follow(l.ctx, q), nil
	}
	return l.engine.Find(l.ctx, q), nil
}

// lastHits makes a query of one for the newest records, the oldest of them first.
func (l *Listing) lastHits(q *query.Query) error {
	newest := *q
	newest.Size, newest.Limit = l.Size, int(min(l.last, 1<<30))
	q.From, q.Size, q.OldestFirst = l.Size, l.Size, true
	if l.last == 0 || l.Size == 0 {
		return nil
	}
	for h, err := range l.engine.Find(l.ctx, newest) {
		if err != nil {
			return err
		}
		q.From = h.Seq
	}
	return nil
}

func (l *Listing) add(rec *record.Record) {
	if l.shown == 0 {
		l.first, l.highest = rec.Seq, rec.Seq
	}
	l.shown, l.first, l.highest = l.shown+1, min(l.first, rec.Seq), max(l.highest, rec.Seq)
	if p, known := rec.KnownParts(); l.r.bare || known && p == 0 {
		return
	}
	if rec.State == record.Lost || rec.State == record.Sealed {
		l.unread++
	}
}

// lookup looks up the users of a query that are not known. A caller with a scope
// may not know of them.
func (r *reading) lookup(ctx context.Context, users []string) ([]Lookup, error) {
	if r.scoped {
		return nil, nil
	}
	var unknown []string
	for _, u := range users {
		if len(u) > event.MaxPerson {
			continue // the query is refused
		}
		known, err := r.restrictions.KnownUser(u)
		if err != nil {
			return nil, err
		}
		if !known {
			unknown = append(unknown, u)
		}
	}
	return lookups(ctx, r.restrictions, unknown)
}

// lookups looks users up.
func lookups(ctx context.Context, restrictions *privacy.Manager, users []string) ([]Lookup, error) {
	if len(users) == 0 {
		return nil, nil
	}
	near, err := restrictions.CountSimilar(ctx, users)
	if err != nil {
		return nil, err
	}
	all := make([]Lookup, len(users))
	for i, u := range users {
		known, err := restrictions.KnownUser(u)
		if err != nil {
			return nil, err
		}
		all[i] = Lookup{u, known, near[i]}
	}
	return all, nil
}
