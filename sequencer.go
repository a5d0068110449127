package audittrail

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"audittrail/record"
)

// A sequencer assigns sequence numbers to events: it encrypts many events
// concurrently, and writes one batch after the other, so that many callers
// share one sync.
//
// An event is durable when its append returns; an event with an id is recorded
// once, however often it is appended; and times in the log never go back. An
// append whose caller stopped waiting may be in the log or not.
type sequencer struct {
	log *Log

	claims claims              // on ids that are being appended
	room   *semaphore.Weighted // bytes of records in flight

	mu      sync.Mutex // guards all below
	filling *batch     // collects records until the committer takes it
	writing *batch     // the batch that the committer has taken
	closed  bool
	wake    chan struct{} // contains a token when filling has records

	committed sync.WaitGroup // ends with the committer
	settling  sync.WaitGroup // appends whose callers stopped waiting

	last chainLast // of the committer
}

// A chainLast describes the last record of the chain.
type chainLast struct {
	hash   record.Hash
	logged time.Time
	mono   time.Time // the clock's reading for it, zero if before this process
}

// newSequencer returns the sequencer of a log that ends with end. It runs until
// it is closed.
func newSequencer(l *Log, end chainEnd) *sequencer {
	q := &sequencer{log: l, room: semaphore.NewWeighted(roomBytes), wake: make(chan struct{}, 1)}
	q.last = chainLast{hash: end.hash, logged: end.logged}
	q.committed.Add(1)
	go q.commitLoop()
	return q
}

// Close waits for the appends that are under way. Later appends fail with
// ErrClosed.
func (q *sequencer) Close() {
	q.mu.Lock()
	q.closed = true
	q.poke()
	q.mu.Unlock()
	q.committed.Wait()
	q.settling.Wait()
}

// settle waits until the records that were handed to the committer are durable
// or refused.
func (q *sequencer) settle() {
	q.mu.Lock()
	batches := [...]*batch{q.writing, q.filling}
	q.mu.Unlock()
	for _, b := range batches {
		if b != nil {
			<-b.done
		}
	}
}

// IDConflictError reports that an event's id belongs to a record of another
// event.
type IDConflictError struct {
	Seq   uint64
	State record.State // why the earlier record cannot be compared, if it is not Readable
}

func (e *IDConflictError) Error() string {
	if e.State != record.Readable {
		return fmt.Sprintf("the event's id belongs to record %d, whose content is %s and cannot be compared; give the event another id", e.Seq, e.State)
	}
	return fmt.Sprintf("the event's id belongs to record %d, which is of another event; give this event another id", e.Seq)
}

// BatchError names the event because of which a whole batch was refused.
type BatchError struct {
	Index int // in the batch, from 0
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("event %d of the batch: %v", e.Index, e.Err) }

// Unwrap returns the reason.
func (e *BatchError) Unwrap() error { return e.Err }

// ClockError reports that the system's clock is so far ahead of the log that
// the clock is probably wrong.
type ClockError struct {
	Clock, Logged time.Time
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock says %s, but the last record was logged %s; set the clock, or accept it with AcceptClock (--accept-clock)",
		e.Clock.UTC().Format(time.RFC3339), e.Logged.UTC().Format(time.RFC3339))
}
