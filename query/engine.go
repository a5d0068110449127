package query

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/query/internal/predicate"
	"audittrail/record"
)

// An Engine answers queries about one log. Its methods may be called from many
// goroutines, also while the log is being written.
type Engine struct {
	log *audittrail.Log
	x   *index.Index

	hidden  func(record.Subject) bool   // nil: none is
	altered func(seq uint64, err error) // nil: a record that was altered ends a query
	explain *Explanation                // nil: not wanted

	joined *joined       // calls whose halves are records of their own
	slots  chan struct{} // taken while a query works, so that memory is bounded
}

// New makes an engine over an open log. It asks the log's index, and reads from the
// log what that does not know.
func New(log *audittrail.Log) *Engine {
	return &Engine{log: log, x: index.Of(log), joined: new(joined), slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0))}
}

// WithRestrictions returns an engine over the same log for which the content of some
// subjects has no text: which records have a word says what they say. hidden is
// asked again for every query.
func (e *Engine) WithRestrictions(hidden func(record.Subject) bool) *Engine {
	with := *e
	with.hidden = hidden
	return &with
}

// WithSkipHandler returns an engine over the same log that passes over records which
// were altered, or whose lines are no records, instead of ending with an error.
// It tells skipped of each that a query came upon, and why; several at a time,
// and perhaps more than once.
func (e *Engine) WithSkipHandler(skipped func(seq uint64, err error)) *Engine {
	with := *e
	with.altered = skipped
	return &with
}

// isAltered reports whether an error says that a record is not what it was.
func isAltered(err error) bool {
	if errors.As(err, new(*record.TamperError)) || errors.As(err, new(*record.CorruptError)) {
		return true
	}
	for _, target := range []error{record.ErrFormat, record.ErrHash, record.ErrBody, record.ErrWrongKey} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Find yields the records that match, in the order of q, from those that were
// durable when it was called. After an error it yields no more.
func (e *Engine) Find(ctx context.Context, q Query) iter.Seq2[*Hit, error] {
	return func(yield func(*Hit, error) bool) {
		if err := e.find(ctx, &q, yield); err != nil {
			yield(nil, fmt.Errorf("query: %w", err))
		}
	}
}

func (e *Engine) find(ctx context.Context, q *Query, yield func(*Hit, error) bool) error {
	p, err := e.plan(ctx, q)
	if err != nil {
		return err
	}
	f := &finder{
		engine: e, plan: p, cursors: q.identity(), forward: q.OldestFirst, yield: yield,
		left: q.Limit, limited: q.Limit > 0,
	}
	return e.ask(ctx, q, func(s *asked) (err error) {
		if !f.begun {
			f.begun = true
			f.from, f.to, err = q.span(s.size)
		}
		if err != nil || p.nothing {
			return err
		}
		if err := e.join(ctx, s, p); err != nil {
			return err
		}
		return f.find(ctx, s)
	})
}

// Count returns how many records match. It heeds neither limit nor cursor.
func (e *Engine) Count(ctx context.Context, q Query) (uint64, error) {
	p, err := e.plan(ctx, &q)
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	return e.count(ctx, &q, p)
}

// CountUnsearched returns how many records meet all conditions but the text, and
// could not be searched for it, since their content is gone or hidden. What
// cannot be read otherwise, [Engine.CountUnreadable] counts. It heeds neither limit nor
// cursor.
func (e *Engine) CountUnsearched(ctx context.Context, q Query) (uint64, error) {
	if q.Text == "" {
		return 0, nil
	}
	q.Text = ""
	p, err := e.plan(ctx, &q)
	var kept func(class string) bool
	if err == nil {
		kept, err = e.kept(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	p.conditions = append(p.conditions, predicate.Unworded(e.log, e.hidden, kept))
	return e.count(ctx, &q, p)
}

func (e *Engine) count(ctx context.Context, q *Query, p *plan) (uint64, error) {
	n := counter(0)
	err := e.totalOf(ctx, q, p, func() (sink, error) { return new(counter), nil }, func(s sink) error {
		n += *s.(*counter)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	return uint64(n), nil
}

// A counter counts.
type counter uint64

func (n *counter) add(some batch) error {
	*n += counter(some.size())
	return nil
}

// take enters the work of a query, and returns what leaves it.
func (e *Engine) take(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err // select would choose either
	}
	select {
	case e.slots <- struct{}{}:
		return func() { <-e.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// views are the chunks of an index, or of none, under the conditions of a plan.
func (s *asked) views(p *plan, from, to uint64) []*predicate.View {
	conditions := p.conditions
	if p.text != nil {
		conditions = append(slices.Clip(conditions), p.text)
	}
	views := make([]*predicate.View, 0, len(s.chunks))
	for _, c := range s.chunks {
		if c.First < to && c.First+uint64(c.Rows) > from {
			views = append(views, predicate.NewView(c, from, to, conditions))
		}
	}
	return views
}
