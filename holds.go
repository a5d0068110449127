package audittrail

import (
	"context"
	"fmt"
	"strings"

	"audittrail/internal/barrier"
	"audittrail/internal/custody"
)

// A Hold keeps records from being erased and from expiring, until it is
// released. Its conditions are ANDed, and an empty one is met by all.
type Hold = barrier.Hold

// A HeldError means that Holds, oldest first, keep what was to be erased: of the
// people concerned, Users, who are not part of the error's text.
type HeldError = barrier.HeldError

// ErrNoHold means that no hold of that id is in force.
var ErrNoHold = custody.ErrNoHold

// Holds returns the holds that are in force, oldest first.
func (l *Log) Holds(ctx context.Context) ([]Hold, error) { return l.custody.Holds(ctx) }

// PlaceHold puts a hold in force. It keeps what is recorded already, and what
// will be: a user who is not known yet can be held. What was destroyed before
// cannot be kept. The log gives the hold its id, unless it comes with one, a
// UUID: then placing it again changes nothing.
func (l *Log) PlaceHold(ctx context.Context, h Hold) (Hold, error) {
	if l.closed.Load() {
		return Hold{}, fmt.Errorf("place hold: %w", ErrClosed)
	}
	placed, err := l.custody.Place(ctx, &h)
	if err != nil {
		return Hold{}, fmt.Errorf("place hold: %w", err)
	}
	return placed, nil
}

// ReleaseHold ends a hold. Records of expired months that no other hold keeps
// lose their keys with it.
func (l *Log) ReleaseHold(ctx context.Context, id, reason, by string) (Receipt, error) {
	if l.closed.Load() {
		return Receipt{}, fmt.Errorf("release hold: %w", ErrClosed)
	}
	receipt, err := l.custody.Lift(ctx, &barrier.Release{Hold: id, Reason: reason, By: by})
	if err != nil {
		return Receipt(receipt), fmt.Errorf("release hold: %w", err)
	}
	return Receipt(receipt), nil
}

// A SegmentHeldError means that holds keep a segment from being dropped.
type SegmentHeldError struct {
	First uint64
	Holds []Hold
}

func (e *SegmentHeldError) Error() string {
	ids := make([]string, len(e.Holds))
	for i, h := range e.Holds {
		ids[i] = h.ID
	}
	return fmt.Sprintf("the segment of record %d is held by %s: release the hold first", e.First, strings.Join(ids, ", "))
}

// HoldsOn returns the holds that keep any record of a segment, which is given by
// its first record. One that was archived is read where it is.
func (l *Log) HoldsOn(ctx context.Context, first uint64) ([]Hold, error) {
	found, err := l.custody.HoldsOn(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("look for what is held in the segment of record %d: %w", first, err)
	}
	return found, nil
}
