package audittrail

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"audittrail/governance"
	"audittrail/internal/escrow"
	"audittrail/keyring"
	"audittrail/record"
)

// An eraser decides which keys to a log's contents may be used, destroys the
// keys that orders in the log name, and keeps the keys of records under a legal
// hold.
//
// An order that is in the log is carried out, by this process or a later one;
// until then no reader opens the records that it affects, even if an older
// keyring still has their keys; and no key that a hold keeps is destroyed.
// docs/design/0004-erasure.md has the order of the steps.
type eraser struct {
	log *Log

	governing  *semaphore.Weighted // held while one call erases, expires, or places or releases a hold
	unfinished *doom               // guarded by governing: ordered, but not carried out yet
	unsettled  atomic.Bool         // a release was recorded, but its escrows are not settled yet
	holds      holds
	guard      orderGuard
	open       escrows
}

func newEraser(l *Log) *eraser { return &eraser{log: l, governing: semaphore.NewWeighted(1)} }

// escrows are the open files of escrows, by class.
type escrows struct {
	mu    sync.Mutex // guards the map; a file may be read without
	files map[string]openEscrow
}

type openEscrow struct {
	id   keyring.FileID
	file *escrow.File
}

// Close closes the escrow files that are open.
func (c *eraser) Close() error {
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

// keyOf returns the key to a record's content, or the state that says why there
// is none.
func (c *eraser) keyOf(r *record.Record) (record.Key, record.State, error) {
	if c.log.ring == nil {
		return record.Key{}, record.Sealed, nil
	}
	prk, state, err := c.opening(r.Subject, r.Class)
	switch {
	case err != nil:
		return record.Key{}, record.Readable, err
	case state == record.Expired:
		return c.escrowed(r)
	case state != record.Readable:
		return record.Key{}, state, nil
	}
	key, err := r.DeriveKey(prk)
	return key, record.Readable, err
}

// user returns the user of a subject, if the state of the subject is Readable.
func (c *eraser) user(s record.Subject) (string, record.State, error) {
	if c.log.ring == nil {
		return "", record.Sealed, nil
	}
	if state, err := c.Refused(s, ""); err != nil || state != record.Readable {
		return "", state, err
	}
	user, err := c.log.ring.User(s)
	if state, ok := keyring.StateOf(err); ok {
		return "", state, nil
	}
	return user, record.Readable, err
}

// opening returns the key of the records about a subject in a class, or the
// state that says why there is none: that of the keyring or, if the log has an
// order that the keyring has not carried out, that of the orderGuard.
func (c *eraser) opening(s record.Subject, class string) (record.PRK, record.State, error) {
	refused, err := c.Refused(s, class)
	if err != nil || refused == record.Erased {
		return record.PRK{}, refused, err
	}
	prk, err := c.log.ring.DecryptionKey(s, class)
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
func (c *eraser) escrowed(r *record.Record) (record.Key, record.State, error) {
	e, ok, err := c.log.ring.Escrow(r.Class)
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
func (c *eraser) fromEscrow(e *keyring.Escrow, seq uint64) (record.Key, bool, error) {
	c.open.mu.Lock()
	defer c.open.mu.Unlock()
	o, ok := c.open.files[e.Class]
	if !ok || o.id != e.File {
		file, err := escrow.Open(c.log.opts.fs, c.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
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

// stillHeld reports whether a hold keeps a record that is in an escrow. One
// does, unless a hold was released since the escrow was made and the keyring
// does not know of the release yet.
func (c *eraser) stillHeld(e *keyring.Escrow, r *record.Record) (bool, error) {
	if c.log.lock != nil && !c.unsettled.Load() {
		return true, nil // the writer carries out a release before it reads
	}
	kept := true
	var active []governance.Hold
	err := c.knownHolds(context.Background(), func(hs *governance.Holds) {
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

// keepers returns a function that reports whether one of the holds keeps a
// record.
func (c *eraser) keepers(active []governance.Hold) (func(*record.Record) bool, error) {
	users := make([]string, 0, len(active))
	for _, h := range active {
		users = append(users, h.User)
	}
	subjects, err := c.living(users)
	return func(r *record.Record) bool {
		return slices.ContainsFunc(active, func(h governance.Hold) bool {
			return h.Matches(r, func(user string) bool {
				s, ok := subjects[user]
				return ok && s == r.Subject
			})
		})
	}, err
}
