package audittrail

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
)

// holds are a log's legal holds as far as they were read.
type holds struct {
	mu   sync.Mutex // guards all
	list governance.Holds
}

var holdTypes = []event.Type{event.HoldPlaced, event.HoldReleased}

// readHolds reads the holds up to the log's end and calls f with them.
func (c *eraser) readHolds(ctx context.Context, f func(*governance.Holds)) error {
	if c.log.ring == nil {
		return ErrNoKeys
	}
	if err := c.log.refresh(ctx); err != nil {
		return err
	}
	return c.knownHolds(ctx, f)
}

// knownHolds is readHolds up to the last record that a reader has seen.
func (c *eraser) knownHolds(ctx context.Context, f func(*governance.Holds)) error {
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	list := &c.holds.list
	if size := c.log.store.Size(); list.Next() < size {
		err := c.log.records.eachOwn(ctx, list.Next(), holdTypes, func(r *record.Record) error {
			return list.Take(r, r.State == record.Readable)
		})
		if err != nil {
			return fmt.Errorf("read holds: %w", err)
		}
		list.Skip(size)
	}
	f(list)
	return nil
}

// inForce returns the holds that are in force, oldest first.
func (c *eraser) inForce(ctx context.Context) ([]governance.Hold, error) {
	var all []governance.Hold
	err := c.readHolds(ctx, func(hs *governance.Holds) { all = hs.Active() })
	return all, err
}

// place places a hold.
func (c *eraser) place(ctx context.Context, h *governance.Hold) (placed governance.Hold, err error) {
	if err := h.Check(); err != nil {
		return placed, err
	}
	if _, err := record.ParseID(h.ID); h.ID != "" && err != nil {
		return placed, &event.FieldError{Field: "id", Problem: "it is not a UUID; leave it out, and the hold gets one"}
	}
	m, err := h.Metadata()
	if err != nil {
		return placed, err
	}
	if err := c.govern(ctx); err != nil {
		return placed, err
	}
	defer c.release()
	// The event names the user as every other does: encrypted with the user's
	// own key, so that an erasure of the user also covers the record of the
	// hold.
	receipt, err := c.log.sequence.govern(ctx, event.Event{
		ID: h.ID, Type: event.HoldPlaced, ModelID: h.Model, UserID: h.User, Metadata: m,
	})
	if err != nil {
		return placed, err
	}
	found := false
	err = c.readHolds(ctx, func(hs *governance.Holds) { placed, found = hs.Get(receipt.ID.String()) })
	if err == nil && !found {
		err = fmt.Errorf("hold %s was released before; place it under another id", h.ID)
	}
	return placed, err
}

// lift releases a hold, and destroys the keys that only this hold has kept.
func (c *eraser) lift(ctx context.Context, r *governance.Release) (receipt Receipt, err error) {
	err = governance.CheckReason(r.Reason, true)
	if err == nil {
		err = governance.CheckText("by", r.By, governance.MaxName)
	}
	if err != nil {
		return receipt, err
	}
	m, err := r.Metadata()
	if err != nil {
		return receipt, err
	}
	if err := c.govern(ctx); err != nil {
		return receipt, err
	}
	defer c.release()
	found := false
	err = c.readHolds(ctx, func(hs *governance.Holds) { _, found = hs.Get(r.Hold) })
	if err == nil && !found {
		err = fmt.Errorf("%.80q: %w", r.Hold, ErrNoHold)
	}
	if err != nil {
		return receipt, err
	}
	if receipt, err = c.log.commitOwn(event.HoldReleased, m); err != nil {
		return receipt, err
	}
	// A release that is recorded is carried out, even if the caller's ctx ends.
	return receipt, c.settle(ctx)
}

// held looks for records about users that a hold keeps.
type held struct {
	eraser *eraser
	users  map[string]record.Subject
	seen   uint64            // the records before this one were read
	scan   []governance.Hold // holds for which records must be read

	subjects map[string]string          // hexadecimal digits of a subject, and its user
	holds    map[string]governance.Hold // those that keep a record
	kept     map[string]struct{}
}

// newHeld prepares to look. It returns an error at once if a hold refuses the
// erasure without any record being read.
func (c *eraser) newHeld(ctx context.Context, users map[string]record.Subject) (*held, error) {
	h := &held{
		eraser: c, users: users, subjects: make(map[string]string, len(users)),
		holds: map[string]governance.Hold{}, kept: map[string]struct{}{},
	}
	for u, s := range users {
		h.subjects[s.String()] = u
	}
	active, err := c.inForce(ctx)
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
			// Even if no record meets the hold's other conditions: the record
			// of the hold is about the user, and would be erased as well.
			h.keep(hold, hold.User)
		case hold.User == "":
			h.scan = append(h.scan, hold)
		}
	}
	return h, h.refusal()
}

func (h *held) keep(hold governance.Hold, user string) {
	h.holds[hold.ID] = hold
	h.kept[user] = struct{}{}
}

func (h *held) refusal() error {
	if len(h.holds) == 0 {
		return nil
	}
	e := &governance.LegalHoldError{Users: slices.Sorted(maps.Keys(h.kept))}
	for _, hold := range h.holds {
		e.Holds = append(e.Holds, hold)
	}
	slices.SortFunc(e.Holds, func(a, b governance.Hold) int { return cmp.Compare(a.Seq, b.Seq) })
	return e
}

// look reads the records that were not read yet.
func (h *held) look(ctx context.Context) error {
	size := h.eraser.log.store.Size()
	if len(h.scan) == 0 {
		return nil
	}
	err := h.eraser.log.left.scan(ctx, h.seen, size, func(subject, _ []byte) bool {
		_, ok := h.subjects[string(subject)]
		return ok
	}, func(r *record.Record) error {
		for _, hold := range h.scan {
			if hold.Matches(r, nil) { // which does not name a user
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

// holdsOn returns the holds that keep any record of a segment, which is given
// by its first record.
func (c *eraser) holdsOn(ctx context.Context, first uint64) ([]governance.Hold, error) {
	holds, err := c.inForce(ctx)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	infos, err := c.log.store.Segments()
	if err != nil {
		return nil, err
	}
	subjects := make(map[string]record.Subject)
	for _, h := range holds {
		if s, ok, err := c.log.ring.LookupUser(h.User); err != nil {
			return nil, err
		} else if ok && h.User != "" {
			subjects[h.User] = s
		}
	}
	met := make([]bool, len(holds))
	left := len(holds)
	for _, g := range infos {
		if g.First != first {
			continue
		}
		err = c.log.left.scan(ctx, g.First, g.First+g.Records, func(_, _ []byte) bool { return left > 0 }, func(r *record.Record) error {
			for i := range holds {
				// Governance records stay in any case.
				if !met[i] && !r.Event.Type.Reserved() && holds[i].Matches(r, func(u string) bool { s, ok := subjects[u]; return ok && s == r.Subject }) {
					met[i] = true
					left--
				}
			}
			return nil
		})
	}
	var found []governance.Hold
	for i, h := range holds {
		if met[i] {
			found = append(found, h)
		}
	}
	return found, err
}
