package audittrail

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/segment"
	"audittrail/record"
)

var destructions = []event.Type{event.SubjectErased, event.ClassExpired}

// A toll is the set of keys that orders have destroyed.
type toll struct {
	subjects map[record.Subject]struct{}
	classes  map[string]uint64 // with the first record that ordered it
	last     *record.Record    // the newest order
}

// take adds the keys that a record orders to be destroyed.
func (t *toll) take(r *record.Record, system record.Subject) error {
	if r.Subject != system || r.State != record.Readable {
		return fmt.Errorf("record %d orders a destruction, and is not the log's own: run verify", r.Seq)
	}
	if t.subjects == nil {
		t.subjects, t.classes = map[record.Subject]struct{}{}, map[string]uint64{}
	}
	t.last = r
	if r.Event.Type == event.SubjectErased {
		e, err := governance.ReadErasure(r.Event.Metadata)
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
		for _, s := range e.Subjects {
			t.subjects[s] = struct{}{}
		}
		return nil
	}
	e, err := governance.ReadExpiry(r.Event.Metadata)
	if err != nil {
		return fmt.Errorf("record %d: %w", r.Seq, err)
	}
	for _, c := range e.Classes {
		if _, ok := t.classes[c]; !ok {
			t.classes[c] = r.Seq
		}
	}
	return nil
}

// ordered adds to a toll the orders from a sequence number on.
func (c *eraser) ordered(ctx context.Context, from uint64, t *toll) error {
	return c.log.records.eachOwn(ctx, from, destructions, func(r *record.Record) error { return t.take(r, c.log.ring.System()) })
}

// eraseDamaged is ordered for a damaged log: it reads all lines, whatever their
// order, and takes the orders that are whole and authentic.
func (c *eraser) eraseDamaged(ctx context.Context, t *toll) error {
	take := func(line []byte) {
		_, kind, ok := record.Peek(line)
		if end, whole := record.ParseChainLink(line); !ok || !whole || !slices.Contains(destructions, event.Type(kind)) || !record.VerifyHash(line, &end) {
			return
		}
		if r, err := record.Decode(slices.Clone(line)); err == nil {
			if prk, err := c.log.ring.DecryptionKey(r.Subject, r.Class); err == nil && r.Open(prk) == nil {
				_ = t.take(r, c.log.ring.System()) // orders that are not authentic are ignored
			}
		}
	}
	for line, err := range c.log.store.Kept(ctx) {
		if err != nil {
			return err
		}
		take(line)
	}
	for raw, err := range c.log.store.Scan(ctx, segment.Pos{}) {
		if err != nil {
			return err
		}
		take(raw.Line)
	}
	return nil
}

// unapplied returns the number of the first record whose order the keyring may
// not have carried out.
func (c *eraser) unapplied() uint64 {
	seq, hash := c.log.ring.LastDestruction()
	if hash == (record.Hash{}) || seq >= c.log.store.Size() {
		return 0
	}
	// If that is not known, all orders are carried out again; for keys that are
	// destroyed already, that changes nothing.
	line, err := c.log.store.Line(seq)
	if t, ok := record.ParseChainLink(line); err != nil || !ok || t.Hash != hash {
		return 0
	}
	return seq + 1
}

// An orderGuard keeps a reader from using keys that its keyring still has
// although the log ordered their destruction: the keyring is older than the
// log, or a writer was stopped between recording the order and carrying it out.
type orderGuard struct {
	mu         sync.RWMutex // guards what follows
	generation uint64       // of the keyring, when it was last read
	next       uint64       // the records before this one were read
	toll
}

// Refused reports whether an order that the keyring has not carried out
// destroyed the keys of a subject or of a class.
func (c *eraser) Refused(s record.Subject, class string) (record.State, error) {
	if c.log.lock != nil {
		return record.Readable, nil
	}
	generation, err := c.log.ring.CurrentGeneration()
	if err != nil {
		return record.Readable, err
	}
	g := &c.guard
	size := c.log.store.Size()
	g.mu.RLock()
	current := g.generation == generation && g.next >= size
	state := g.state(s, class)
	g.mu.RUnlock()
	if current {
		return state, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := c.lookAgain(g, generation, size); err != nil {
		return record.Readable, fmt.Errorf("look for orders to destroy keys: %w", err)
	}
	return g.state(s, class), nil
}

func (g *orderGuard) state(s record.Subject, class string) record.State {
	if _, ok := g.subjects[s]; ok {
		return record.Erased
	}
	if _, ok := g.classes[class]; ok {
		return record.Expired
	}
	return record.Readable
}

// guardAll reads all lines of a log that may be damaged, once.
func (c *eraser) guardAll(ctx context.Context) (err error) {
	g := &c.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.generation, err = c.log.ring.CurrentGeneration(); err != nil {
		return err
	}
	g.next = record.MaxSeq + 1
	return c.eraseDamaged(ctx, &g.toll)
}

// lookAgain updates a guard to the present log and keyring.
func (c *eraser) lookAgain(g *orderGuard, generation, size uint64) error {
	from := g.next
	if g.generation != generation {
		g.toll = toll{}
		from = c.unapplied()
	}
	ctx := context.Background()
	if err := c.ordered(ctx, from, &g.toll); err != nil {
		c.log.opts.Logger.Warn("the log is damaged; reading all of it for orders to destroy keys", slog.Any("error", err))
		if err := c.eraseDamaged(ctx, &g.toll); err != nil {
			return err
		}
	}
	g.generation, g.next = generation, size
	return nil
}

// newestUnapplied returns the number of the newest order that the keyring has
// not carried out, as far as a reader knows, and whether there is one.
func (c *eraser) newestUnapplied() (seq uint64, some bool, err error) {
	if _, err = c.Refused(record.Subject{}, ""); err != nil || c.log.lock != nil {
		return 0, false, err
	}
	c.guard.mu.RLock()
	defer c.guard.mu.RUnlock()
	if c.guard.last == nil {
		return 0, false, nil
	}
	return c.guard.last.Seq, true, nil
}
