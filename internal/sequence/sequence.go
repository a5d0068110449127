// Package sequence gives events their places in a log: it seals them, many at
// once, and writes them one batch after the other, many callers to one sync.
//
// It promises that an event is durable when its caller is told so; that an event
// with an id is recorded once, whoever appends it how often; and that times in
// the log never go back. What a caller did not wait for may be in the log or
// not.
package sequence

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"audittrail/event"
	"audittrail/internal/archive"
	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/internal/recovery"
	"audittrail/internal/segment"
	"audittrail/keyring"
	"audittrail/record"
)

var (
	// ErrClosed means that the log has been closed.
	ErrClosed = errors.New("the log is closed")
	// ErrTooLarge means that an event is larger than the log takes.
	ErrTooLarge = errors.New("event too large")
)

// A Receipt says where an event was recorded.
type Receipt struct {
	Seq       uint64
	ID        record.ID
	Hash      record.Hash
	Duplicate bool // it had been recorded under its id before
}

// A Log is the parts of a log that is written to.
type Log struct {
	Store *segment.Store
	Left  *archive.Register
	Ring  *keyring.Ring
	Gate  *barrier.Gate // between those who seal and what is destroyed
	Last  recovery.End  // what the next record continues
	Now   func() time.Time
	Rand  io.Reader

	// Source is how the log comes to know of the events that producers append;
	// if empty, from the application itself.
	Source record.Source

	MaxEventBytes int
	AcceptClock   bool // however far it has run ahead

	// Place gives an event its retention class, or refuses the one that it
	// names; reserved ones govern the log.
	Place func(e *event.Event, reserved bool) error
	// Sign is told of new hashes, and whether a segment has ended.
	Sign func(first uint64, hashes [][32]byte, rolled bool)
	// Durable is told that there are new records.
	Durable func()
	// Observer is handed the new records of every batch; it may be nil.
	Observer func([]*content.Record)
}

// A Sequencer appends to one log.
type Sequencer struct {
	Log

	claims claims              // ids that are being appended
	room   *semaphore.Weighted // bytes of records in flight

	mu      sync.Mutex // guards all below
	filling *batch     // takes records until the committer takes it
	writing *batch     // what the committer has taken
	closed  bool
	wake    chan struct{} // holds a token when filling has something

	committed sync.WaitGroup // the committer
	settling  sync.WaitGroup // appends whose callers did not wait

	last last // of the committer
}

// last is the end of the chain.
type last struct {
	hash   record.Hash
	logged time.Time
	mono   time.Time // the clock's reading for it, zero if before this process
}

// New returns a sequencer, which is at work until it is closed.
func New(l Log) *Sequencer {
	q := &Sequencer{Log: l, room: semaphore.NewWeighted(roomBytes), wake: make(chan struct{}, 1)}
	q.last = last{hash: l.Last.Hash, logged: l.Last.Logged}
	q.committed.Add(1)
	go q.commitLoop()
	return q
}

// Close waits for the appends that are under way. Those that begin later fail
// with ErrClosed.
func (q *Sequencer) Close() {
	q.mu.Lock()
	q.closed = true
	q.poke()
	q.mu.Unlock()
	q.committed.Wait()
	q.settling.Wait()
}

// Settle waits until what was handed to the committer is durable, or refused.
func (q *Sequencer) Settle() {
	q.mu.Lock()
	batches := [...]*batch{q.writing, q.filling}
	q.mu.Unlock()
	for _, b := range batches {
		if b != nil {
			<-b.done
		}
	}
}

// An IDConflictError means that an event's id belongs to a record already that
// was made from another event.
type IDConflictError struct {
	Seq   uint64
	State record.State // why the first record cannot be compared, if it is not Readable
}

func (e *IDConflictError) Error() string {
	if e.State != record.Readable {
		return fmt.Sprintf("the event's id belongs to record %d, whose content is %s and cannot be compared; give the event another id", e.Seq, e.State)
	}
	return fmt.Sprintf("the event's id belongs to record %d, which was made from another event; give this one another id", e.Seq)
}

// A BatchError names the event for which a whole batch was refused.
type BatchError struct {
	Index int // in the batch, from 0
	Err   error
}

func (e *BatchError) Error() string { return fmt.Sprintf("event %d of the batch: %v", e.Index, e.Err) }

// Unwrap returns the reason.
func (e *BatchError) Unwrap() error { return e.Err }

// A ClockError means that the system's clock is so far ahead of the log that a
// fault is likelier than a pause.
type ClockError struct {
	Clock, Logged time.Time
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock says %s, but the last record was logged %s; set the clock, or accept it with AcceptClock (--accept-clock)",
		e.Clock.UTC().Format(time.RFC3339), e.Logged.UTC().Format(time.RFC3339))
}
