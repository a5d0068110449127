package query

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"audittrail/query/internal/predicate"
)

// workers is how many goroutines share the chunks of one query.
func workers() int { return runtime.GOMAXPROCS(0) }

// A sink takes the batches that match.
type sink interface{ add(batch) error }

// total gives all matching records to sinks, one for each goroutine, and the
// sinks to join.
func (e *Engine) total(ctx context.Context, q *Query, newSink func() (sink, error), join func(sink) error) error {
	p, err := e.plan(ctx, q)
	if err != nil {
		return err
	}
	return e.totalOf(ctx, q, p, newSink, join)
}

// totalOf is total for a prepared query.
func (e *Engine) totalOf(ctx context.Context, q *Query, p *plan, newSink func() (sink, error), join func(sink) error) error {
	if p.nothing {
		return nil
	}
	leave, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var sinks []sink
	err = e.ask(ctx, q, func(s *asked) (err error) {
		if err := e.join(ctx, s, p); err != nil {
			return err
		}
		sinks, err = s.total(ctx, p, min(q.From, s.size), s.size, newSink)
		return err
	})
	for _, s := range sinks {
		if err == nil {
			err = join(s)
		}
	}
	return err
}

func (s *asked) total(ctx context.Context, p *plan, from, to uint64, newSink func() (sink, error)) ([]sink, error) {
	t := &totaller{asked: s, plan: p, views: s.views(p, from, to)}
	t.claimed = make([]atomic.Bool, len(t.views))
	var sinks []sink
	g, ctx := errgroup.WithContext(ctx)
	for range min(workers(), max(1, len(t.views))) {
		to, err := newSink()
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, to)
		g.Go(func() error { return t.work(ctx, to) })
	}
	return sinks, g.Wait()
}

// A totaller works through the views of a query.
type totaller struct {
	*asked
	plan    *plan
	views   []*predicate.View
	claimed []atomic.Bool
}

// work examines the views that no other goroutine has begun, and then helps
// with the others.
func (t *totaller) work(ctx context.Context, to sink) error {
	var w predicate.Window
	for _, help := range []bool{false, true} {
		for i, v := range t.views {
			if !help && t.claimed[i].Swap(true) {
				continue
			}
			if err := t.take(ctx, v, &w, to); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// take examines the rest of a view.
func (t *totaller) take(ctx context.Context, v *predicate.View, w *predicate.Window, to sink) error {
	if err := t.prepare(v); err != nil {
		return err
	}
	if n, ok := to.(*counter); ok && v.Indexed() && v.Decided() {
		*n += counter(v.TakeAll())
		return nil
	}
	for v.Next(w, false) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.filter(v, w); err != nil {
			return err
		}
		if err := t.hand(ctx, w, to); err != nil {
			return err
		}
	}
	return nil
}

// hand gives the matching rows of a window to a sink.
func (t *totaller) hand(ctx context.Context, w *predicate.Window, to sink) error {
	if len(w.Rows) == 0 {
		return nil
	}
	if !w.Unsure {
		return to.add(rows{w})
	}
	seqs := w.Seqs()
	for piece := mostPiece; len(seqs) > 0; {
		n := min(piece, len(seqs))
		some, err := t.fetch(ctx, seqs[:n])
		if errors.Is(err, errTooMuch) {
			piece = max(1, n/4)
			continue
		}
		if err != nil {
			return err
		}
		var match opened
		for _, r := range some {
			if t.plan.holds(r) {
				match = append(match, r)
			}
		}
		if err := to.add(match); err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}
