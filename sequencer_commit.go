package audittrail

import (
	"fmt"
	"time"

	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/segment"
	"audittrail/keyring"
	"audittrail/record"
)

const (
	// roomBytes bounds the size of records that wait to be written: when the
	// disk is slow, appends wait instead of filling the memory.
	roomBytes = 64 << 20
	// maxBatchBytes bounds the size of one batch.
	maxBatchBytes = 256 << 20
)

// A batch is a set of records that share one sync.
type batch struct {
	drafts []*record.Pending
	seen   []*record.Record // for the index, if there is one

	done   chan struct{} // closed when the fields below are set
	first  uint64
	hashes [][32]byte
	err    error
}

// enqueue hands pending records to the committer, as one unit, and returns
// their batch and the place of the first in it.
func (q *sequencer) enqueue(items []*item) (*batch, int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, 0, ErrClosed
	}
	b := q.filling
	if b == nil {
		b = &batch{done: make(chan struct{})}
		q.filling = b
	}
	at := len(b.drafts)
	for _, it := range items {
		b.drafts = append(b.drafts, it.draft)
		if it.seen != nil {
			b.seen = append(b.seen, it.seen)
		}
	}
	q.poke()
	return b, at, nil
}

// poke wakes the committer; called with mu held.
func (q *sequencer) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// commitLoop writes batch after batch until the log is closed and nothing is
// left. While one batch is being synced, the next one fills.
func (q *sequencer) commitLoop() {
	defer q.committed.Done()
	var out segment.Batch
	for range q.wake {
		q.mu.Lock()
		b, closed := q.filling, q.closed
		q.filling, q.writing = nil, b
		q.mu.Unlock()
		if b != nil {
			b.err = q.commit(b, &out)
			for _, d := range b.drafts {
				d.Free()
			}
			if b.err == nil && b.seen != nil {
				index.Of(q.log).Add(b.seen)
			}
			b.drafts, b.seen = nil, nil
			close(b.done)
			if b.err == nil {
				q.log.changed.wake()
			}
		}
		if closed && b == nil {
			return
		}
		if closed {
			q.mu.Lock()
			q.poke() // run once more, to check that nothing is left
			q.mu.Unlock()
		}
	}
}

// commit assigns sequence numbers to the records of a batch and makes them
// durable.
func (q *sequencer) commit(b *batch, out *segment.Batch) error {
	// A key must be durable before any record that needs it.
	if err := q.log.ring.Flush(); err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	logged, mono, err := q.clock()
	if err != nil {
		return err
	}
	out.Reset()
	last := q.last
	b.first = q.log.store.Size()
	b.hashes = make([][32]byte, len(b.drafts))
	for i, d := range b.drafts {
		prev := last.hash
		last.logged = logged.Add(time.Duration(min(i, record.MaxPlace)))
		out.Lines, last.hash = d.Finish(out.Lines, b.first+uint64(i), last.logged, last.hash)
		out.Marks = append(out.Marks, segment.Mark{End: len(out.Lines), ID: d.ID, Admin: d.Governance})
		b.hashes[i] = last.hash
		if b.seen != nil {
			b.seen[i].ChainLink = record.ChainLink{Seq: b.first + uint64(i), Logged: last.logged, Prev: prev, Hash: last.hash}
		}
	}
	rolled, err := q.log.store.Append(out)
	if err != nil {
		return err
	}
	last.mono = mono
	q.last = last
	q.log.signer.add(b.first, b.hashes, rolled)
	return nil
}

// clock returns the time for a batch, which is later than that of the last
// batch. It is in whole microseconds, since the nanoseconds contain the place
// of a record in its batch.
func (q *sequencer) clock() (logged, mono time.Time, err error) {
	mono = q.log.opts.now()
	logged = mono.UTC().Truncate(time.Microsecond)
	last := q.last.logged
	if !last.IsZero() && !q.log.opts.AcceptClock {
		// The time that has passed is known only within one process.
		ahead := logged.Sub(last) - maxPause
		if !q.last.mono.IsZero() {
			ahead = logged.Sub(last) - mono.Sub(q.last.mono) - maxJump
		}
		if ahead > 0 {
			return logged, mono, &ClockError{Clock: logged, Logged: last}
		}
	}
	if !logged.After(last) {
		logged = last.Truncate(time.Microsecond).Add(time.Microsecond)
	}
	return logged, mono, nil
}

const (
	// maxJump bounds how far the clock may run ahead of the time that has
	// passed.
	maxJump = 24 * time.Hour
	// maxPause bounds the time since the last record when a log is opened: a
	// clock that is further ahead is not trusted.
	maxPause = 366 * 24 * time.Hour
)

// commitOwn records an event of the log's own and waits until it is durable.
func (q *sequencer) commitOwn(e event.Event) (Receipt, error) {
	if err := event.Canonicalize(&e); err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, err)
	}
	e.RetentionClass = keyring.GovernanceClass
	it := &item{event: e, reserved: true}
	if err := q.seal(it); err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, err)
	}
	b, at, err := q.enqueue([]*item{it})
	if err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, err)
	}
	<-b.done
	if b.err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, b.err)
	}
	return Receipt{Seq: b.first + uint64(at), ID: it.id, Hash: record.Hash(b.hashes[at])}, nil
}
