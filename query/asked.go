package query

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/query/internal/predicate"
)

// asked is one attempt at a query: the chunks that together contain all
// records.
type asked struct {
	log     *audittrail.Log
	explain *Explanation
	chunks  []*index.Chunk
	size    uint64                      // how many records the query is about
	altered func(seq uint64, err error) // as Engine's
	opened  atomic.Uint64
}

// An indexError reports that the index failed. The query is then answered from
// the log.
type indexError struct{ err error }

func (e *indexError) Error() string { return e.err.Error() }
func (e *indexError) Unwrap() error { return e.err }

// attempts is how often a query asks the index before it reads the log instead.
// Each attempt leaves out the damaged parts that the attempt before it found.
const attempts = 4

// ask answers a query from the index or, if the index fails, from the log
// itself.
func (e *Engine) ask(ctx context.Context, q *Query, use func(*asked) error) error {
	for n := range attempts {
		err := e.askOnce(ctx, q, n < attempts-1, use)
		var failed *indexError
		if !errors.As(err, &failed) || ctx.Err() != nil {
			return err
		}
		e.explain.note("the index could not be read; trying again, or reading the log instead: " + failed.Error())
	}
	return nil
}

func (e *Engine) askOnce(ctx context.Context, q *Query, indexed bool, use func(*asked) error) (err error) {
	s := &asked{log: e.log, explain: e.explain, altered: e.altered}
	start := time.Now()
	if !indexed {
		if s.size, err = e.log.Size(); err != nil {
			return err
		}
		s.chunks = index.Unindexed(s.size)
	} else {
		snapshot, err := e.x.Snapshot(ctx)
		if err != nil {
			return &indexError{err}
		}
		defer func() {
			if cerr := snapshot.Close(); err == nil && cerr != nil {
				e.explain.note(cerr.Error())
			}
		}()
		s.chunks, s.size = snapshot.Chunks(), snapshot.Size()
	}
	if q.Size > 0 {
		s.size = min(s.size, q.Size)
	}
	e.explain.begin(len(s.chunks), time.Since(start))
	err = use(s)
	e.explain.end(s.opened.Load())
	return err
}

// prepare looks up the conditions of a view in the index.
func (s *asked) prepare(v *predicate.View) error {
	start := time.Now()
	if err := v.Prepare(); err != nil {
		return &indexError{err}
	}
	s.explain.prepared(v, time.Since(start))
	return nil
}

// filter leaves the rows of a window that satisfy the conditions.
func (s *asked) filter(v *predicate.View, w *predicate.Window) error {
	if s.explain == nil {
		return wrapped(w.Filter())
	}
	start, n := time.Now(), len(w.Rows)
	err := w.Filter()
	s.explain.filtered(v, n, len(w.Rows), time.Since(start))
	return wrapped(err)
}

func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return &indexError{err}
}
