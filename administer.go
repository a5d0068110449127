package audittrail

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"audittrail/event"
	"audittrail/record"
)

// Administer records an event of those types that producers cannot append: by
// which a feature governs the log, or tells what was done with it. In all else
// it is as Append. What the log's own methods record, it refuses.
func (l *Log) Administer(ctx context.Context, e event.Event) (Receipt, error) {
	if !e.Type.Reserved() || e.Type.Own() {
		return Receipt{}, fmt.Errorf("administer: %w", &event.FieldError{Field: "type", Problem: fmt.Sprintf("%q is none by which the log is administered", e.Type)})
	}
	receipt, err := l.govern(ctx, e)
	if err != nil {
		return Receipt{}, fmt.Errorf("administer: %w", err)
	}
	return receipt, nil
}

// govern appends an event that governs the log.
func (l *Log) govern(ctx context.Context, e event.Event) (Receipt, error) {
	it := &item{event: e, reserved: true}
	it.alone[0] = it
	err := l.prepare(it)
	if err == nil {
		err = l.run(ctx, it.alone[:])
	}
	return it.receipt, err
}

// Administrative yields the records that govern the log, from a sequence number
// on, in order, each checked as Get does: all of them, or those of the given
// types. It opens no others. It ends where the log ended when it began. After an
// error it yields no more.
func (l *Log) Administrative(ctx context.Context, from uint64, types ...event.Type) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := l.refresh(ctx); err != nil {
			yield(nil, err)
			return
		}
		seqs, err := l.store.Administrative(from)
		if err != nil {
			yield(nil, fmt.Errorf("list administrative records: %w", err))
			return
		}
		for _, seq := range seqs {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if len(types) > 0 {
				line, err := l.store.Line(seq)
				if _, kind, ok := record.Glance(line); err == nil && ok && !slices.Contains(types, event.Type(kind)) {
					continue
				}
			}
			r, err := l.Get(ctx, seq)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// observed is a new record for the observer, but for what its place gives it.
// The caller of Append keeps its event, and may change what that points to.
func observed(s *record.Sealing, size int) *Record {
	r := &Record{State: Readable}
	r.ID, r.Session, r.Size, r.Class, r.Subject = s.ID, s.Session, size, s.Class, s.Subject
	r.Event = event.Clone(s.Event)
	r.Event.Time = r.Event.Time.UTC()
	if r.Event.ID == "" {
		r.Event.ID = s.ID.String()
	}
	return r
}
