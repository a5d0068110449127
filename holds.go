package audittrail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"audittrail/governance"
)

// ErrNoHold means that no hold of that id is in force.
var ErrNoHold = errors.New("no such hold is in force")

// Holds returns the holds that are in force, oldest first.
func (l *Log) Holds(ctx context.Context) ([]governance.Hold, error) { return l.eraser.inForce(ctx) }

// PlaceHold puts a hold in force. It keeps what is recorded already, and what
// will be: a user who is not known yet can be held. What was destroyed before
// cannot be kept. The log gives the hold its id, unless it comes with one, a
// UUID: then placing it again changes nothing.
func (l *Log) PlaceHold(ctx context.Context, h governance.Hold) (governance.Hold, error) {
	if l.closed.Load() {
		return governance.Hold{}, fmt.Errorf("place hold: %w", ErrClosed)
	}
	placed, err := l.eraser.place(ctx, &h)
	if err != nil {
		return governance.Hold{}, fmt.Errorf("place hold: %w", err)
	}
	return placed, nil
}

// ReleaseHold ends a hold. Records of expired months that no other hold keeps
// lose their keys with it.
func (l *Log) ReleaseHold(ctx context.Context, id, reason, by string) (Receipt, error) {
	if l.closed.Load() {
		return Receipt{}, fmt.Errorf("release hold: %w", ErrClosed)
	}
	receipt, err := l.eraser.lift(ctx, &governance.Release{Hold: id, Reason: reason, By: by})
	if err != nil {
		return receipt, fmt.Errorf("release hold: %w", err)
	}
	return receipt, nil
}

// A SegmentHeldError means that holds keep a segment from being dropped.
type SegmentHeldError struct {
	First uint64
	Holds []governance.Hold
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
func (l *Log) HoldsOn(ctx context.Context, first uint64) ([]governance.Hold, error) {
	found, err := l.eraser.holdsOn(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("look for what is held in the segment of record %d: %w", first, err)
	}
	return found, nil
}
