package query

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"audittrail/record"
)

// Follow yields the records that match from q.From on, and then every new one
// as it becomes durable, until ctx ends or the log is closed. It heeds neither
// order nor size, limit or cursor. A query for calls is refused: which record
// counts a call, a later one may tell.
func (e *Engine) Follow(ctx context.Context, q Query) iter.Seq2[*Hit, error] {
	return func(yield func(*Hit, error) bool) {
		if q.Calls {
			yield(nil, errors.New("query: calls cannot be followed: which record counts a call, a later one may tell; follow all records, or ask for calls with Find or Count"))
			return
		}
		users := q.Users
		q.Users = nil // who is not known yet may be recorded any time
		p, err := e.plan(ctx, &q)
		if err != nil {
			yield(nil, fmt.Errorf("query: %w", err))
			return
		}
		p.users = users
		cursors := q.identity()
		for next, again := q.From, true; again; {
			again = false
			for r, err := range e.log.Follow(ctx, next) {
				if e.altered != nil && isAltered(err) {
					// Records before it may have left the log.
					if of := (*record.TamperError)(nil); errors.As(err, &of) {
						next = max(next, of.Seq)
					} else if of := (*record.CorruptError)(nil); errors.As(err, &of) {
						next = max(next, of.Seq)
					}
					e.altered(next, err)
					next, again = next+1, true
					break
				}
				if err != nil {
					yield(nil, err)
					return
				}
				next = r.Seq + 1
				if h, ok := p.hit(r, cursors); ok && !yield(h, nil) {
					return
				}
			}
		}
	}
}
