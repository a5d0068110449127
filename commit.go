package audittrail

import (
	"fmt"
	"time"

	"audittrail/event"
	"audittrail/internal/segment"
	"audittrail/record"
)

const (
	// roomBytes bounds the records that wait to be written, so that writers
	// wait rather than fill the memory when the disk is slow.
	roomBytes = 64 << 20
	// maxBatchBytes bounds what is written in one go.
	maxBatchBytes = 256 << 20
)

// A batch is the records that share one sync.
type batch struct {
	drafts []*record.Draft
	seen   []*Record // for the observer, if there is one
	bytes  int

	done   chan struct{} // closed when the fields below are set
	first  uint64
	hashes [][32]byte
	err    error
}

// enqueue hands drafts to the committer, as one unit, and returns the batch
// that they are in and the place of the first.
func (l *Log) enqueue(items []*item) (*batch, int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, 0, ErrClosed
	}
	b := l.filling
	if b == nil {
		b = &batch{done: make(chan struct{})}
		l.filling = b
	}
	at := len(b.drafts)
	for _, it := range items {
		b.drafts = append(b.drafts, it.draft)
		if it.seen != nil {
			b.seen = append(b.seen, it.seen)
		}
		b.bytes += it.draft.MaxLen()
	}
	l.poke()
	return b, at, nil
}

// poke wakes the committer; called with mu held.
func (l *Log) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// commitLoop writes batch after batch until the log is closed and nothing is
// left. While one batch is being synced, the next one fills.
func (l *Log) commitLoop() {
	defer l.committed.Done()
	var out segment.Batch
	for range l.wake {
		l.mu.Lock()
		b, closed := l.filling, l.closed
		l.filling, l.writing = nil, b
		l.mu.Unlock()
		if b != nil {
			b.err = l.commit(b, &out)
			for _, d := range b.drafts {
				d.Free()
			}
			if b.err == nil && b.seen != nil {
				l.opts.Observer(b.seen)
			}
			b.drafts, b.seen = nil, nil
			close(b.done)
			if b.err == nil {
				l.changed.wake()
			}
		}
		if closed && b == nil {
			return
		}
		if closed {
			l.mu.Lock()
			l.poke() // once more, to see that nothing is left
			l.mu.Unlock()
		}
	}
}

// commit gives the records of a batch their places and makes them durable.
func (l *Log) commit(b *batch, out *segment.Batch) error {
	// A key must be durable before any record that needs it.
	if err := l.ring.Flush(); err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	logged, mono, err := l.clock()
	if err != nil {
		return err
	}
	out.Reset()
	last := l.last
	b.first = l.store.Size()
	b.hashes = make([][32]byte, len(b.drafts))
	for i, d := range b.drafts {
		prev := last.hash
		last.logged = logged.Add(time.Duration(min(i, record.MaxPlace)))
		out.Lines, last.hash = d.Finish(out.Lines, b.first+uint64(i), last.logged, last.hash)
		out.Marks = append(out.Marks, segment.Mark{End: len(out.Lines), ID: d.ID, Admin: d.Admin})
		b.hashes[i] = last.hash
		if b.seen != nil {
			b.seen[i].Tail = record.Tail{Seq: b.first + uint64(i), Logged: last.logged, Prev: prev, Hash: last.hash}
		}
	}
	rolled, err := l.store.Append(out)
	if err != nil {
		return err
	}
	last.mono = mono
	l.last = last
	l.signer.Add(b.first, b.hashes, rolled)
	return nil
}

// clock returns the time for a batch: whole microseconds, since the place of a
// record in its batch stands in the nanoseconds, and later than the last one.
func (l *Log) clock() (logged, mono time.Time, err error) {
	mono = l.opts.now()
	logged = mono.UTC().Truncate(time.Microsecond)
	last := l.last.logged
	if !last.IsZero() && !l.opts.AcceptClock {
		// How much time has passed is known only within one process.
		ahead := logged.Sub(last) - maxPause
		if !l.last.mono.IsZero() {
			ahead = logged.Sub(last) - mono.Sub(l.last.mono) - maxJump
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
	// maxJump is how far the clock may run ahead of the time that has passed.
	maxJump = 24 * time.Hour
	// maxPause is how long a log may have lain idle when it is opened: a
	// clock that is wrong by more is not believed.
	maxPause = 366 * 24 * time.Hour
)

// commitOwn records an event of the log's own and waits until it is durable.
func (l *Log) commitOwn(e event.Event) (Receipt, error) {
	if err := event.Canonicalize(&e); err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, err)
	}
	e.RetentionClass = GovernanceClass
	it := &item{event: e, reserved: true}
	if err := l.seal(it); err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, err)
	}
	b, at, err := l.enqueue([]*item{it})
	if err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, err)
	}
	<-b.done
	if b.err != nil {
		return Receipt{}, fmt.Errorf("record %s: %w", e.Type, b.err)
	}
	return Receipt{Seq: b.first + uint64(at), ID: it.id, Hash: record.Hash(b.hashes[at])}, nil
}
