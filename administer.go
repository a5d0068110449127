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
	if l.lock == nil {
		return Receipt{}, fmt.Errorf("administer: %w", ErrReadOnly)
	}
	receipt, err := l.sequence.Govern(ctx, e)
	if err != nil {
		return Receipt{}, fmt.Errorf("administer: %w", err)
	}
	return Receipt(receipt), nil
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
