package audittrail

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"audittrail/record"
)

// Get returns a record. The record's line is checked against its hash, and
// against the tree if a checkpoint covers the record; if they differ, the error
// is a *record.TamperError. For a record that is no longer in the log, the
// error is an *ArchivedError or a *DroppedError. A record beyond those that
// count has the State Unauthenticated and the cleartext of its line; if the
// line cannot be decoded, the error is ErrUnauthenticated.
func (l *Log) Get(ctx context.Context, seq uint64) (*record.Record, error) {
	r, err := l.get(ctx, seq)
	var gone *ArchivedError
	if errors.As(err, &gone) && l.lock == nil {
		return l.get(ctx, seq) // it may have been restored meanwhile
	}
	return r, err
}

func (l *Log) get(ctx context.Context, seq uint64) (*record.Record, error) {
	if seq >= l.store.Size() {
		if err := l.refresh(ctx); err != nil {
			return nil, err
		}
	}
	if seq >= l.store.Size() && seq < l.store.Found() {
		r, err := l.records.beyond(ctx, seq)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w: %w", seq, ErrUnauthenticated, err)
		}
		return r, nil
	}
	r, err := l.records.get(ctx, seq)
	if errors.Is(err, ErrNoRecord) && l.lock == nil {
		if b := l.admit.Beyond(); seq >= b.Size && seq-b.Size < b.Records { // a line that is not the next record
			err = fmt.Errorf("record %d: %w: %s", seq, ErrUnauthenticated, b.Detail)
		}
	}
	if err != nil {
		return nil, l.left.where(ctx, err)
	}
	return r, nil
}

// Find returns the record with an id: a UUID, or an id of another form that the
// client gave. If there is none, the error is ErrNoRecord.
func (l *Log) Find(ctx context.Context, id string) (*record.Record, error) {
	want, err := record.ParseID(id)
	if err != nil {
		if l.ring == nil {
			return nil, fmt.Errorf("find an id that is not a UUID: %w", ErrNoKeys)
		}
		want = l.ring.DeriveRecordID(id)
	}
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	seqs, err := l.store.FindID(ctx, want)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		r, err := l.Get(ctx, seq)
		if err != nil {
			if same, serr := l.store.HasID(ctx, seq, want); serr == nil && !same {
				continue
			}
			return nil, err
		}
		if r.ID == want {
			return r, nil
		}
	}
	return nil, fmt.Errorf("find record %s: %w", want, ErrNoRecord)
}

// Records yields the records from (inclusive) to to (exclusive) in order, each
// checked as Get does. It ends at the record that was the log's last when the
// iteration began. After an error it yields no more.
//
// It skips the records that were archived or dropped, except for governance
// records and the access log, which stay: the sequence numbers then have a gap,
// Segments lists the ranges that left, and the error of Get says where a record
// is.
func (l *Log) Records(ctx context.Context, from, to uint64) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		if err := l.refresh(ctx); err != nil {
			yield(nil, err)
			return
		}
		l.records.records(ctx, from, to, yield)
	}
}

// followPoll is the interval at which a reader looks for new records of a
// writer in another process.
const followPoll = 50 * time.Millisecond

// Follow yields the records from a sequence number on, and then every new one
// as it becomes durable, until ctx ends or the log is closed.
func (l *Log) Follow(ctx context.Context, from uint64) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		poll := time.NewTicker(followPoll)
		defer poll.Stop()
		for {
			changed := l.changed.wait()
			if err := l.refresh(ctx); err != nil {
				yield(nil, err)
				return
			}
			next, ok := l.records.records(ctx, from, record.MaxSeq, yield)
			if !ok {
				return
			}
			from = next
			if l.closed.Load() {
				return
			}
			// The writer's own process is woken; a reader has to poll.
			tick := poll.C
			if l.lock != nil {
				tick = nil
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-tick:
			}
		}
	}
}
