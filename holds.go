package audittrail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/record"
)

// A Hold keeps records from being erased and from expiring, until it is
// released. Its conditions are ANDed, and an empty one is met by all.
type Hold = barrier.Hold

// A HeldError means that holds keep what was to be erased.
type HeldError = barrier.HeldError

// ErrNoHold means that no hold of that id is in force.
var ErrNoHold = errors.New("no such hold is in force")

// holds are a log's holds as far as they were read.
type holds struct {
	mu   sync.Mutex // guards all
	list barrier.Holds
}

var holdTypes = []event.Type{event.HoldPlaced, event.HoldReleased}

// readHolds brings the holds up to the log's end and calls f with them.
func (l *Log) readHolds(ctx context.Context, f func(*barrier.Holds)) error {
	if l.ring == nil {
		return ErrNoKeys
	}
	if err := l.refresh(ctx); err != nil {
		return err
	}
	return l.knownHolds(ctx, f)
}

// knownHolds is readHolds as far as a reader has seen the log.
func (l *Log) knownHolds(ctx context.Context, f func(*barrier.Holds)) error {
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	list := &l.holds.list
	if size := l.store.Size(); list.Next() < size {
		err := l.records.EachOwn(ctx, list.Next(), holdTypes, func(r *content.Record) error {
			return list.Take(&r.Record, r.State == Readable)
		})
		if err != nil {
			return fmt.Errorf("read holds: %w", err)
		}
		list.Skip(size)
	}
	f(list)
	return nil
}

// Holds returns the holds that are in force, oldest first.
func (l *Log) Holds(ctx context.Context) ([]Hold, error) {
	var all []Hold
	err := l.readHolds(ctx, func(hs *barrier.Holds) { all = hs.Active() })
	return all, err
}

// PlaceHold puts a hold in force. It keeps what is recorded already, and what
// will be: a user who is not known yet can be held. What was destroyed before
// cannot be kept. The log gives the hold its id, unless it comes with one, a
// UUID: then placing it again changes nothing.
func (l *Log) PlaceHold(ctx context.Context, h Hold) (Hold, error) {
	placed, err := l.placeHold(ctx, &h)
	if err != nil {
		return Hold{}, fmt.Errorf("place hold: %w", err)
	}
	return placed, nil
}

func (l *Log) placeHold(ctx context.Context, h *Hold) (placed Hold, err error) {
	if err := h.Check(); err != nil {
		return placed, err
	}
	if _, err := record.ParseID(h.ID); h.ID != "" && err != nil {
		return placed, &event.FieldError{Field: "id", Problem: "it is no UUID; leave it out, and the hold gets one"}
	}
	m, err := h.Metadata()
	if err != nil {
		return placed, err
	}
	if err := l.govern(ctx); err != nil {
		return placed, err
	}
	defer l.governing.Release(1)
	// The user stands in the event as in every other: sealed under their own
	// key, so that the record of a hold is forgotten with them.
	it := &item{reserved: true, event: event.Event{
		ID: h.ID, Type: event.HoldPlaced, ModelID: h.Model, UserID: h.User, Metadata: m,
	}}
	it.alone[0] = it
	if err = l.prepare(it); err == nil {
		err = l.run(ctx, it.alone[:])
	}
	if err != nil {
		return placed, err
	}
	found := false
	err = l.readHolds(ctx, func(hs *barrier.Holds) { placed, found = hs.Get(it.receipt.ID.String()) })
	if err == nil && !found {
		err = fmt.Errorf("hold %s was released before; place it under another id", h.ID)
	}
	return placed, err
}

// ReleaseHold ends a hold. Records of expired months that no other hold keeps
// lose their keys with it.
func (l *Log) ReleaseHold(ctx context.Context, id, reason, by string) (Receipt, error) {
	receipt, err := l.releaseHold(ctx, &barrier.Release{Hold: id, Reason: reason, By: by})
	if err != nil {
		return receipt, fmt.Errorf("release hold: %w", err)
	}
	return receipt, nil
}

func (l *Log) releaseHold(ctx context.Context, r *barrier.Release) (receipt Receipt, err error) {
	err = barrier.CheckReason(r.Reason, true)
	if err == nil {
		err = barrier.CheckText("by", r.By, barrier.MaxName)
	}
	if err != nil {
		return receipt, err
	}
	m, err := r.Metadata()
	if err != nil {
		return receipt, err
	}
	if err := l.govern(ctx); err != nil {
		return receipt, err
	}
	defer l.governing.Release(1)
	found := false
	err = l.readHolds(ctx, func(hs *barrier.Holds) { _, found = hs.Get(r.Hold) })
	if err == nil && !found {
		err = fmt.Errorf("%.80q: %w", r.Hold, ErrNoHold)
	}
	if err != nil {
		return receipt, err
	}
	if receipt, err = l.commitOwn(l.ownEvent(event.HoldReleased, m)); err != nil {
		return receipt, err
	}
	// What was recorded happens, whoever does not want to wait for it.
	return receipt, l.settleEscrows(context.WithoutCancel(ctx))
}

// held looks for records of users that a hold keeps.
type held struct {
	log   *Log
	users map[string]record.Subject
	seen  uint64 // records in front of this one were looked at
	scan  []Hold // holds for which records are looked at

	subjects map[string]string // digits of a subject, and its user
	holds    map[string]Hold   // those that keep something
	kept     map[string]struct{}
}

// newHeld prepares to look. It refuses at once what needs no record to be read.
func (l *Log) newHeld(ctx context.Context, users map[string]record.Subject) (*held, error) {
	h := &held{
		log: l, users: users, subjects: make(map[string]string, len(users)),
		holds: map[string]Hold{}, kept: map[string]struct{}{},
	}
	for u, s := range users {
		h.subjects[s.String()] = u
	}
	active, err := l.Holds(ctx)
	if err != nil {
		return nil, err
	}
	for _, hold := range active {
		_, concerned := users[hold.User]
		switch {
		case hold.Unreadable:
			for u := range users {
				h.keep(hold, u)
			}
		case concerned:
			// Whether a record meets its other conditions or not: the record of
			// the hold is about the user, and would go as well.
			h.keep(hold, hold.User)
		case hold.User == "":
			h.scan = append(h.scan, hold)
		}
	}
	return h, h.refusal()
}

func (h *held) keep(hold Hold, user string) {
	h.holds[hold.ID] = hold
	h.kept[user] = struct{}{}
}

func (h *held) refusal() error {
	if len(h.holds) == 0 {
		return nil
	}
	e := &HeldError{Users: slices.Sorted(maps.Keys(h.kept))}
	for _, hold := range h.holds {
		e.Holds = append(e.Holds, hold)
	}
	slices.SortFunc(e.Holds, func(a, b Hold) int { return int(a.Seq) - int(b.Seq) })
	return e
}

// look goes over the records that were not looked at yet.
func (h *held) look(ctx context.Context) error {
	size := h.log.store.Size()
	if len(h.scan) == 0 {
		return nil
	}
	err := h.log.left.Scan(ctx, h.seen, size, func(subject, _ []byte) bool {
		_, ok := h.subjects[string(subject)]
		return ok
	}, func(r *record.Record) error {
		for _, hold := range h.scan {
			if hold.Matches(r, nil) { // which asks for no user
				h.keep(hold, h.subjects[r.Subject.String()])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for records that are held: %w", err)
	}
	h.seen = size
	return h.refusal()
}
