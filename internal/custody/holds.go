package custody

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/internal/sequence"
	"audittrail/record"
)

// holds are a log's holds as far as they were read.
type holds struct {
	mu   sync.Mutex // guards all
	list barrier.Holds
}

var holdTypes = []event.Type{event.HoldPlaced, event.HoldReleased}

// readHolds brings the holds up to the log's end and calls f with them.
func (c *Custody) readHolds(ctx context.Context, f func(*barrier.Holds)) error {
	if c.Ring == nil {
		return ErrNoKeys
	}
	if err := c.Refresh(ctx); err != nil {
		return err
	}
	return c.knownHolds(ctx, f)
}

// knownHolds is readHolds as far as a reader has seen the log.
func (c *Custody) knownHolds(ctx context.Context, f func(*barrier.Holds)) error {
	c.holds.mu.Lock()
	defer c.holds.mu.Unlock()
	list := &c.holds.list
	if size := c.Store.Size(); list.Next() < size {
		err := c.Records.EachOwn(ctx, list.Next(), holdTypes, func(r *content.Record) error {
			return list.Take(&r.Record, r.State == record.Readable)
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
func (c *Custody) Holds(ctx context.Context) ([]barrier.Hold, error) {
	var all []barrier.Hold
	err := c.readHolds(ctx, func(hs *barrier.Holds) { all = hs.Active() })
	return all, err
}

// Place puts a hold in force.
func (c *Custody) Place(ctx context.Context, h *barrier.Hold) (placed barrier.Hold, err error) {
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
	if err := c.Govern(ctx); err != nil {
		return placed, err
	}
	defer c.Release()
	// The user stands in the event as in every other: sealed under their own
	// key, so that the record of a hold is forgotten with them.
	receipt, err := c.Writer.Append(ctx, event.Event{
		ID: h.ID, Type: event.HoldPlaced, ModelID: h.Model, UserID: h.User, Metadata: m,
	})
	if err != nil {
		return placed, err
	}
	found := false
	err = c.readHolds(ctx, func(hs *barrier.Holds) { placed, found = hs.Get(receipt.ID.String()) })
	if err == nil && !found {
		err = fmt.Errorf("hold %s was released before; place it under another id", h.ID)
	}
	return placed, err
}

// Lift ends a hold, and lets go of what it alone has kept.
func (c *Custody) Lift(ctx context.Context, r *barrier.Release) (receipt sequence.Receipt, err error) {
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
	if err := c.Govern(ctx); err != nil {
		return receipt, err
	}
	defer c.Release()
	found := false
	err = c.readHolds(ctx, func(hs *barrier.Holds) { _, found = hs.Get(r.Hold) })
	if err == nil && !found {
		err = fmt.Errorf("%.80q: %w", r.Hold, ErrNoHold)
	}
	if err != nil {
		return receipt, err
	}
	if receipt, err = c.Writer.Commit(event.HoldReleased, m); err != nil {
		return receipt, err
	}
	// What was recorded happens, whoever does not want to wait for it.
	return receipt, c.settle(ctx)
}

// held looks for records of users that a hold keeps.
type held struct {
	log   *Custody
	users map[string]record.Subject
	seen  uint64         // records in front of this one were looked at
	scan  []barrier.Hold // holds for which records are looked at

	subjects map[string]string       // digits of a subject, and its user
	holds    map[string]barrier.Hold // those that keep something
	kept     map[string]struct{}
}

// newHeld prepares to look. It refuses at once what needs no record to be read.
func (c *Custody) newHeld(ctx context.Context, users map[string]record.Subject) (*held, error) {
	h := &held{
		log: c, users: users, subjects: make(map[string]string, len(users)),
		holds: map[string]barrier.Hold{}, kept: map[string]struct{}{},
	}
	for u, s := range users {
		h.subjects[s.String()] = u
	}
	active, err := c.Holds(ctx)
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

func (h *held) keep(hold barrier.Hold, user string) {
	h.holds[hold.ID] = hold
	h.kept[user] = struct{}{}
}

func (h *held) refusal() error {
	if len(h.holds) == 0 {
		return nil
	}
	e := &barrier.HeldError{Users: slices.Sorted(maps.Keys(h.kept))}
	for _, hold := range h.holds {
		e.Holds = append(e.Holds, hold)
	}
	slices.SortFunc(e.Holds, func(a, b barrier.Hold) int { return cmp.Compare(a.Seq, b.Seq) })
	return e
}

// look goes over the records that were not looked at yet.
func (h *held) look(ctx context.Context) error {
	size := h.log.Store.Size()
	if len(h.scan) == 0 {
		return nil
	}
	err := h.log.Left.Scan(ctx, h.seen, size, func(subject, _ []byte) bool {
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

// HoldsOn returns the holds that keep any record of a segment, which is given by
// its first record.
func (c *Custody) HoldsOn(ctx context.Context, first uint64) ([]barrier.Hold, error) {
	holds, err := c.Holds(ctx)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	infos, err := c.Store.Segments()
	if err != nil {
		return nil, err
	}
	subjects := make(map[string]record.Subject)
	for _, h := range holds {
		if s, ok, err := c.Ring.LookupUser(h.User); err != nil {
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
		err = c.Left.Scan(ctx, g.First, g.First+g.Records, func(_, _ []byte) bool { return left > 0 }, func(r *record.Record) error {
			for i := range holds {
				// What governs the log stays anyway.
				if !met[i] && !r.Event.Type.Reserved() && holds[i].Matches(r, func(u string) bool { s, ok := subjects[u]; return ok && s == r.Subject }) {
					met[i] = true
					left--
				}
			}
			return nil
		})
	}
	var found []barrier.Hold
	for i, h := range holds {
		if met[i] {
			found = append(found, h)
		}
	}
	return found, err
}
