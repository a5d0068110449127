// Package custody says which keys to a log's contents may be used, destroys
// those that are ordered to be destroyed, and keeps those that are held.
//
// It promises that an order that is in the log is carried out, whenever it
// comes to that, and by whomever; that until then no reader opens what it
// concerns, whatever an older keyring could open; and that nothing that a hold
// keeps is destroyed. docs/design/0004-erasure.md has the order of things.
package custody

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"audittrail/event"
	"audittrail/internal/archive"
	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/internal/escrow"
	"audittrail/internal/segment"
	"audittrail/internal/sequence"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

var (
	// ErrReadOnly means that the log was opened for reading.
	ErrReadOnly = errors.New("the log is open for reading only")
	// ErrNoKeys means that the log was opened without its keyring.
	ErrNoKeys = errors.New("the log is open without its keyring")
	// ErrNoHold means that no hold of that id is in force.
	ErrNoHold = errors.New("no such hold is in force")
)

// A Log is the parts of a log whose keys are in custody.
type Log struct {
	FS      vfs.FS
	Escrows string        // the folder of what holds keep beyond its class
	Ring    *keyring.Ring // nil if the log is open without it
	Store   *segment.Store
	Records *content.Reader
	Left    *archive.Register
	Rand    io.Reader
	Logger  *slog.Logger
	// Refresh brings a reader up to where the log's writer is.
	Refresh func(context.Context) error

	// Writer is nil if the log is open for reading.
	Writer *Writer
}

// A Custody is that of the keys of one log.
type Custody struct {
	Log

	governing  *semaphore.Weighted // held by one who erases, expires, holds or releases
	unfinished *Doom               // guarded by governing: ordered, but not done yet
	unsettled  atomic.Bool         // a release was recorded, and its escrows are not settled
	holds      holds
	guard      guard
	open       escrows
}

// A Writer is what a custody needs of a log that is open for writing.
type Writer struct {
	Gate *barrier.Gate // between those who seal and what is destroyed
	// Append records an event that governs the log, once under its id. Commit
	// records one of the log's own, with nothing in the way.
	Append func(context.Context, event.Event) (sequence.Receipt, error)
	Commit func(event.Type, map[string]json.RawMessage) (sequence.Receipt, error)
	// Settle waits until what was appended is durable, or refused.
	Settle func()
	// Checkpoint signs all that is durable.
	Checkpoint func(context.Context) ([]byte, error)
	// Purge makes the files that are derived from the contents anew without what
	// is doomed, and returns the old ones' ids. It may be nil.
	Purge func(context.Context, *Doom) ([]keyring.FileID, error)
}

// New returns the custody of a log's keys.
func New(l Log) *Custody { return &Custody{Log: l, governing: semaphore.NewWeighted(1)} }

// escrows are the open files of escrows, by class.
type escrows struct {
	mu    sync.Mutex // guards the map; a file may be read without
	files map[string]openEscrow
}

type openEscrow struct {
	id   keyring.FileID
	file *escrow.File
}

// Close closes the escrows that were read from.
func (c *Custody) Close() error {
	es := &c.open
	es.mu.Lock()
	defer es.mu.Unlock()
	var errs []error
	for _, e := range es.files {
		errs = append(errs, e.file.Close())
	}
	es.files = nil
	return errors.Join(errs...)
}

// KeyOf finds the key to a record's content, or why there is none.
func (c *Custody) KeyOf(r *record.Record) (record.Key, record.State, error) {
	if c.Ring == nil {
		return record.Key{}, record.Sealed, nil
	}
	prk, state, err := c.Opening(r.Subject, r.Class)
	switch {
	case err != nil:
		return record.Key{}, record.Readable, err
	case state == record.Expired:
		return c.escrowed(r)
	case state != record.Readable:
		return record.Key{}, state, nil
	}
	key, err := r.KeyFrom(prk)
	return key, record.Readable, err
}

// Opening finds the key of the records about a subject in a class, or says why
// there is none: in the keyring's words or in a guard's, whoever has heard of
// more.
func (c *Custody) Opening(s record.Subject, class string) (record.PRK, record.State, error) {
	refused, err := c.Refused(s, class)
	if err != nil || refused == record.Erased {
		return record.PRK{}, refused, err
	}
	prk, err := c.Ring.ForOpening(s, class)
	state, absent := keyring.StateOf(err)
	switch {
	case absent && state == record.Erased, refused == record.Readable && absent:
		return prk, state, nil
	case refused == record.Expired:
		return record.PRK{}, record.Expired, nil
	}
	return prk, record.Readable, err
}

// escrowed finds the key of a record whose class has expired, if a hold keeps
// it.
func (c *Custody) escrowed(r *record.Record) (record.Key, record.State, error) {
	e, ok, err := c.Ring.Escrow(r.Class)
	if err != nil || !ok {
		return record.Key{}, record.Expired, err
	}
	key, ok, err := c.fromEscrow(&e, r.Seq)
	if errors.Is(err, fs.ErrNotExist) {
		return record.Key{}, record.Lost, nil
	}
	if err != nil || !ok {
		return record.Key{}, record.Expired, err
	}
	kept, err := c.stillHeld(&e, r)
	if err != nil || !kept {
		return record.Key{}, record.Expired, err
	}
	return key, record.Readable, nil
}

// fromEscrow reads one key.
func (c *Custody) fromEscrow(e *keyring.Escrow, seq uint64) (record.Key, bool, error) {
	c.open.mu.Lock()
	defer c.open.mu.Unlock()
	o, ok := c.open.files[e.Class]
	if !ok || o.id != e.File {
		file, err := escrow.Open(c.FS, c.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
		if err != nil {
			return record.Key{}, false, err
		}
		if ok {
			_ = o.file.Close() // only read from: nothing to lose
		}
		if c.open.files == nil {
			c.open.files = map[string]openEscrow{}
		}
		o = openEscrow{e.File, file}
		c.open.files[e.Class] = o
	}
	return o.file.Find(seq)
}

// stillHeld tells whether a hold keeps a record that is in an escrow. That is
// so, unless a hold was released since the escrow was made, and the keyring has
// not heard of it.
func (c *Custody) stillHeld(e *keyring.Escrow, r *record.Record) (bool, error) {
	if c.Writer != nil && !c.unsettled.Load() {
		return true, nil // a release is carried out before anybody reads
	}
	kept := true
	var active []barrier.Hold
	err := c.knownHolds(context.Background(), func(hs *barrier.Holds) {
		if hs.Released() > e.Seq {
			kept = false
			active = hs.Active()
		}
	})
	if err != nil || kept {
		return kept, err
	}
	keeps, err := c.keepers(active)
	return err == nil && keeps(r), err
}

// keepers returns a function that tells whether one of the holds keeps a
// record.
func (c *Custody) keepers(active []barrier.Hold) (func(*record.Record) bool, error) {
	users := make([]string, 0, len(active))
	for _, h := range active {
		users = append(users, h.User)
	}
	subjects, err := c.living(users)
	return func(r *record.Record) bool {
		return slices.ContainsFunc(active, func(h barrier.Hold) bool {
			return h.Matches(r, func(user string) bool {
				s, ok := subjects[user]
				return ok && s == r.Subject
			})
		})
	}, err
}
