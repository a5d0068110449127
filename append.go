package audittrail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"audittrail/event"
	"audittrail/record"
)

// A Receipt says where an event was recorded. The record is durable.
type Receipt struct {
	Seq  uint64      `json:"seq"`
	ID   record.ID   `json:"id"`
	Hash record.Hash `json:"hash"`
	// Duplicate is true if the same event was already recorded under its id;
	// the receipt is then that of the earlier record.
	Duplicate bool `json:"-"`
}

// Append records one event and returns when the record is durable. Calls from
// many goroutines share their syncs.
//
// An event with an id is recorded once: the same event again returns the first
// receipt, another event under that id an *IDConflictError. An invalid event
// is refused with an *event.FieldError.
//
// If ctx ends while the record is being written, Append returns the error of
// ctx, and the record may or may not be in the log: append the event again
// under the same id to find out.
func (l *Log) Append(ctx context.Context, e event.Event) (Receipt, error) {
	if err := l.writable(); err != nil {
		return Receipt{}, fmt.Errorf("append: %w", err)
	}
	receipt, err := l.sequence.append(ctx, e)
	return receipt, l.orClosed(err)
}

// writable returns why the log cannot be written: it was closed, or opened for
// reading.
func (l *Log) writable() error {
	switch {
	case l.closed.Load():
		return ErrClosed
	case l.lock == nil:
		return ErrReadOnly
	}
	return nil
}

// orClosed returns err, or ErrClosed if the operation failed because the log
// was closed meanwhile.
func (l *Log) orClosed(err error) error {
	if err != nil && l.closed.Load() && errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// AppendBatch records events in their order, all of them or none, and returns
// when they are durable. If one is refused, the error is a *BatchError that
// names it.
func (l *Log) AppendBatch(ctx context.Context, events []event.Event) ([]Receipt, error) {
	if len(events) == 0 {
		return []Receipt{}, nil
	}
	if err := l.writable(); err != nil {
		return nil, fmt.Errorf("append: %w", &BatchError{Err: err})
	}
	receipts, err := l.sequence.appendBatch(ctx, events)
	return receipts, l.orClosed(err)
}
