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

	hidden  func(record.Subject) bool   // nil: no subject is restricted
	altered func(seq uint64, err error) // nil: an altered record ends a query with an error
	explain *Explanation                // nil: no explanation was asked for

	joined *joined       // calls whose halves are records of their own
	slots  chan struct{} // one is taken by each running query, which bounds memory
}

// New makes an engine over an open log. It asks the log's index, and reads from
// the log what the index does not have.
func New(log *audittrail.Log) *Engine {
	return &Engine{log: log, x: index.Of(log), joined: new(joined), slots: make(chan struct{}, 4*runtime.GOMAXPROCS(0))}
}

// WithRestrictions returns an engine over the same log for which the content of
// restricted subjects has no text: a hit on a word would disclose what the
// record says. Every query calls hidden again.
func (e *Engine) WithRestrictions(hidden func(record.Subject) bool) *Engine {
	with := *e
	with.hidden = hidden
	return &with
}

// WithSkipHandler returns an engine over the same log that skips records that
// were altered, and lines that are not records, instead of ending with an
// error. It calls skipped for each of them that a query finds, with the reason;
// calls may be concurrent, and may repeat a record.
func (e *Engine) WithSkipHandler(skipped func(seq uint64, err error)) *Engine {
	with := *e
	with.altered = skipped
	return &with
}

// isAltered reports whether an error says that a record was altered.
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

// Count returns how many records match. It ignores limit and cursor.
func (e *Engine) Count(ctx context.Context, q Query) (uint64, error) {
	p, err := e.plan(ctx, &q)
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	return e.count(ctx, &q, p)
}

// CountUnsearched returns how many records meet all conditions but the text,
// and could not be searched for it, since their content was erased, has expired
// or is restricted. [Engine.CountUnreadable] counts the records whose content
// cannot be read for other reasons. It ignores limit and cursor.
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

// take claims a slot for a query, and returns a function that frees it.
func (e *Engine) take(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err // select could choose either case
	}
	select {
	case e.slots <- struct{}{}:
		return func() { <-e.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// views returns the chunks of the index, or of the log without one, under the
// conditions of a plan.
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
