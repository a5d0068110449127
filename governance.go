package audittrail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"audittrail/event"
	"audittrail/internal/segment"
	"audittrail/record"
)

// AppendGovernance records an event of a type that producers cannot append:
// events by which a feature governs the log, or reports what was done with it.
// Otherwise it works as Append does. It refuses the types that the log's own
// methods record.
func (l *Log) AppendGovernance(ctx context.Context, e event.Event) (Receipt, error) {
	if err := administers(&e); err != nil {
		return Receipt{}, fmt.Errorf("record governance: %w", err)
	}
	if err := l.writable(); err != nil {
		return Receipt{}, fmt.Errorf("record governance: %w", err)
	}
	receipt, err := l.sequence.govern(ctx, e)
	if err != nil {
		return Receipt{}, fmt.Errorf("record governance: %w", l.orClosed(err))
	}
	return receipt, nil
}

// AppendGovernanceBatch records events as AppendGovernance does, in their order, all of them
// or none. If one is refused, the error is a *BatchError that names it.
func (l *Log) AppendGovernanceBatch(ctx context.Context, events []event.Event) ([]Receipt, error) {
	if len(events) == 0 {
		return []Receipt{}, nil
	}
	for i := range events {
		if err := administers(&events[i]); err != nil {
			return nil, fmt.Errorf("record governance: %w", &BatchError{Index: i, Err: err})
		}
	}
	if err := l.writable(); err != nil {
		return nil, fmt.Errorf("record governance: %w", err)
	}
	receipts, err := l.sequence.governBatch(ctx, events)
	if err != nil {
		return nil, fmt.Errorf("record governance: %w", l.orClosed(err))
	}
	return receipts, nil
}

func administers(e *event.Event) error {
	if e.Type.Reserved() && !e.Type.Internal() {
		return nil
	}
	return &event.FieldError{Field: "type", Problem: fmt.Sprintf("%q is not a type that AppendGovernance records", e.Type)}
}

// GovernanceRecords yields the records that govern the log, from a sequence
// number on, in order, each checked as Get does: all of them, or those of the
// given types. It decrypts no others. It ends at the record that was the log's
// last when the iteration began. After an error it yields no more.
func (l *Log) GovernanceRecords(ctx context.Context, from uint64, types ...event.Type) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		if err := l.refresh(ctx); err != nil {
			yield(nil, err)
			return
		}
		seqs, err := l.store.Administrative(from)
		if err != nil {
			yield(nil, fmt.Errorf("list governance records: %w", err))
			return
		}
		for len(seqs) > 0 {
			n := min(len(seqs), together)
			records, errs := l.getAll(ctx, seqs[:n], types)
			seqs = seqs[n:]
			for i, r := range records {
				if r == nil && errs[i] == nil {
					continue // of another type
				}
				if !yield(r, errs[i]) || errs[i] != nil {
					return
				}
			}
		}
	}
}

// together is the number of records that are read ahead: enough for all
// processors, and few enough that the largest records fit into memory.
const together = 64

// getAll gets some records, on all processors. If types are given, it leaves
// out records of other types.
func (l *Log) getAll(ctx context.Context, seqs []uint64, types []event.Type) ([]*record.Record, []error) {
	records, errs := make([]*record.Record, len(seqs)), make([]error, len(seqs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(seqs)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(seqs); i = int(next.Add(1)) - 1 {
				if errs[i] = ctx.Err(); errs[i] != nil {
					continue
				}
				line, err := l.store.Checked(ctx, seqs[i])
				if err != nil && !errors.As(err, new(*segment.GoneError)) {
					errs[i] = err
					continue
				}
				if _, kind, ok := record.Peek(line); len(types) > 0 && err == nil && ok && !slices.Contains(types, event.Type(kind)) {
					continue
				}
				records[i], errs[i] = l.Get(ctx, seqs[i])
			}
		})
	}
	wg.Wait()
	return records, errs
}
