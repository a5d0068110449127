package audittrail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"audittrail/event"
	"audittrail/keyring"
	"audittrail/record"
)

// claims are the client-given ids of events that are being appended. The first
// append of an id holds the claim; others wait until it ends.
type claims struct {
	mu   sync.Mutex
	held map[record.ID]*claim
}

type claim struct {
	done    chan struct{}
	digest  [32]byte
	actor   string
	receipt Receipt
	err     error
}

// take returns the claim on an id, and whether the caller holds it.
func (c *claims) take(it *item) (*claim, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[it.id]; held != nil {
		return held, false
	}
	if c.held == nil {
		c.held = make(map[record.ID]*claim)
	}
	own := &claim{done: make(chan struct{}), digest: it.digest, actor: it.event.Actor}
	c.held[it.id] = own
	return own, true
}

// tells reports whether an item is the same event as another one.
func (it *item) tells(digest [32]byte, actor string) bool {
	return it.digest == digest && it.event.Actor == actor
}

// sameActor reports whether the actor of an event can be the person whom a
// record names by a subject. After the erasure of that person, any actor can.
func (q *sequencer) sameActor(name string, recorded record.Subject) (bool, error) {
	if name == "" || recorded == (record.Subject{}) {
		return name == "" && recorded == (record.Subject{}), nil
	}
	if s, known, err := q.log.ring.LookupUser(name); err != nil || known && s == recorded {
		return err == nil, err
	}
	_, err := q.log.ring.User(recorded)
	if _, absent := keyring.StateOf(err); absent {
		return true, nil
	}
	return false, err
}

// settle ends an item's claim and wakes the appends that wait for it. If it is
// not known whether the item was recorded, the claim ends all the same: the
// next append looks into the log.
func (c *claims) settle(it *item, err error) {
	it.claim.receipt, it.claim.err = it.receipt, err
	c.mu.Lock()
	delete(c.held, it.id)
	c.mu.Unlock()
	close(it.claim.done)
	it.claim = nil
}

// claimAll claims the client-given ids of the items and returns the items that
// are not in the log yet. The other items get their receipts. After an error no
// claim is held.
func (q *sequencer) claimAll(ctx context.Context, items []*item) (fresh []*item, err error) {
	// In the order of ids, so that two batches never wait for each other.
	order := slices.Clone(items)
	slices.SortFunc(order, func(a, b *item) int { return bytes.Compare(a.id[:], b.id[:]) })
	for _, it := range order {
		if !it.given {
			continue
		}
		if err = q.claimOne(ctx, it); err != nil {
			if it.alone[0] == nil {
				err = &BatchError{it.index, err}
			}
			break
		}
	}
	if err != nil {
		for _, it := range items {
			if it.claim != nil {
				q.claims.settle(it, err)
			}
		}
		return nil, err
	}
	for _, it := range items {
		if !it.receipt.Duplicate {
			fresh = append(fresh, it)
		}
	}
	return fresh, nil
}

// claimOne claims the id of one item, or finds its record.
func (q *sequencer) claimOne(ctx context.Context, it *item) error {
	for {
		c, own := q.claims.take(it)
		if own {
			it.claim = c
			return q.findFirst(ctx, it)
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if c.err != nil {
			continue // the other append failed: try to claim the id again
		}
		if !it.tells(c.digest, c.actor) {
			return &IDConflictError{Seq: c.receipt.Seq}
		}
		it.receipt = c.receipt
		it.receipt.Duplicate = true
		return nil
	}
}

// findFirst looks for a record that already has the item's id.
func (q *sequencer) findFirst(ctx context.Context, it *item) error {
	seqs, err := q.log.store.FindID(ctx, it.id)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		line, err := q.log.store.Checked(ctx, seq)
		if gone := q.log.left.where(ctx, err); gone != err {
			if same, err := q.log.store.HasID(ctx, seq, it.id); err != nil || !same {
				if err != nil {
					return err
				}
				continue
			}
			state := record.Archived
			if errors.As(gone, new(*DroppedError)) {
				state = record.Dropped
			}
			return &IDConflictError{Seq: seq, State: state}
		}
		if err != nil {
			return err
		}
		r, err := record.Decode(line)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if r.ID != it.id {
			if _, err := q.log.store.HasID(ctx, seq, it.id); err != nil {
				return err
			}
			continue
		}
		prk, err := q.log.ring.DecryptionKey(r.Subject, r.Class)
		if state, ok := keyring.StateOf(err); ok {
			return &IDConflictError{Seq: seq, State: state}
		}
		if err != nil {
			return err
		}
		digest, err := r.Digest(prk)
		if errors.Is(err, record.ErrBody) || errors.Is(err, record.ErrWrongKey) {
			return fmt.Errorf("record %d: %w: the log was altered; run verify", seq, err)
		}
		if err != nil {
			return err
		}
		same := digest != nil && *digest == it.digest || sameAsRecorded(r, it)
		if same {
			if same, err = q.sameActor(it.event.Actor, r.Actor); err != nil {
				return err
			}
		}
		if !same {
			return &IDConflictError{Seq: seq}
		}
		it.receipt = Receipt{Seq: seq, ID: it.id, Hash: r.Hash, Duplicate: true}
		return nil
	}
	return nil
}

// sameAsRecorded reports whether an event is that of the decrypted record r: an
// exported event has the class and the time that the log chose, and the
// record's id if the producer gave none.
func sameAsRecorded(r *record.Record, it *item) bool {
	recorded, given := r.Event, it.event
	recorded.ID, given.ID = "", "" // r has the item's id
	return event.Digest(&recorded) == event.Digest(&given)
}
