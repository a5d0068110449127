package query

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"audittrail/record"
)

// Follow yields the records that match from q.From on, and then every new one
// as it becomes durable, until ctx ends or the log is closed. It ignores order,
// size, limit and cursor. It refuses a query for calls: a later record may
// change which record counts a call.
func (e *Engine) Follow(ctx context.Context, q Query) iter.Seq2[*Hit, error] {
	return func(yield func(*Hit, error) bool) {
		if q.Calls {
			yield(nil, errors.New("query: calls cannot be followed: a later record may change which record counts a call; follow all records, or ask for calls with Find or Count"))
			return
		}
		users := q.Users
		q.Users = nil // a user who is not known yet may be recorded at any time
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
					// Earlier records may have been removed.
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
