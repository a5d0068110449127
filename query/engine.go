package query

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"audittrail"
	"audittrail/record"
)

// An Engine answers queries about one log. Its methods may be called from many
// goroutines, also while the log is being written.
type Engine struct {
	log *audittrail.Log

	hidden func(record.Subject) bool // nil: none is
}

// New makes an engine over an open log, which it reads for every query.
func New(log *audittrail.Log) *Engine { return &Engine{log: log} }

// Hiding returns an engine over the same log for which the content of some
// subjects has no text: which records have a word says what they say. Hiding is
// asked again for every query.
func (e *Engine) Hiding(hidden func(record.Subject) bool) *Engine {
	with := *e
	with.hidden = hidden
	return &with
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
	p, err := e.plan(q)
	if err != nil {
		return err
	}
	size, err := e.size(q)
	if err != nil {
		return err
	}
	from, to, err := q.span(size)
	if err != nil || p.nothing {
		return err
	}
	left, cursors := q.Limit, q.identity()
	for r, err := range e.records(ctx, from, to, q.OldestFirst) {
		if err != nil {
			return err
		}
		if !p.holds(r) {
			continue
		}
		if !yield(p.hit(r, cursors), nil) {
			return nil
		}
		if left--; left == 0 {
			return nil
		}
	}
	return ctx.Err()
}

// size is how many records a query is about.
func (e *Engine) size(q *Query) (uint64, error) {
	size, err := e.log.Size()
	if q.Size > 0 {
		size = min(size, q.Size)
	}
	return size, err
}

// window is how many records are read at once to see them backwards.
const window = 1024

// records yields the records from one sequence number to another, in either
// direction.
func (e *Engine) records(ctx context.Context, from, to uint64, forward bool) iter.Seq2[*audittrail.Record, error] {
	if forward {
		return e.log.Records(ctx, from, to)
	}
	return func(yield func(*audittrail.Record, error) bool) {
		for to > from {
			first := max(from, to-min(to, window))
			var some []*audittrail.Record
			for r, err := range e.log.Records(ctx, first, to) {
				if err != nil {
					yield(nil, err)
					return
				}
				some = append(some, r)
			}
			for _, r := range slices.Backward(some) {
				if !yield(r, nil) {
					return
				}
			}
			to = first
		}
	}
}

// Count returns how many records match. It heeds neither limit nor cursor.
func (e *Engine) Count(ctx context.Context, q Query) (uint64, error) {
	n := uint64(0)
	err := e.each(ctx, &q, func(some []*audittrail.Record) error {
		n += uint64(len(some))
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	return n, nil
}

// each hands out all records that match, some at a time.
func (e *Engine) each(ctx context.Context, q *Query, use func([]*audittrail.Record) error) error {
	p, err := e.plan(q)
	if err != nil || p.nothing {
		return err
	}
	size, err := e.size(q)
	if err != nil {
		return err
	}
	var some []*audittrail.Record
	for r, err := range e.log.Records(ctx, min(q.From, size), size) {
		if err != nil {
			return err
		}
		if p.holds(r) {
			some = append(some, r)
		}
		if len(some) == window {
			if err := use(some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	if len(some) == 0 {
		return ctx.Err()
	}
	return use(some)
}
