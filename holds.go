package audittrail

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"audittrail/governance"
)

// ErrNoHold reports that no legal hold with that id is in force.
var ErrNoHold = errors.New("no such hold is in force")

// Holds returns the legal holds that are in force, oldest first.
func (l *Log) Holds(ctx context.Context) ([]governance.Hold, error) { return l.eraser.inForce(ctx) }

// PlaceHold places a legal hold. The hold keeps records that are in the log
// already, and later ones: it may name a user who is not known yet. It cannot
// keep content whose keys were destroyed before. The log chooses the id of the
// hold, unless h has one, a UUID: then placing the same hold again changes
// nothing.
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

// ReleaseHold releases a legal hold. The keys of records of expired months that
// no other hold keeps are then destroyed.
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

// SegmentHeldError reports that legal holds keep a segment from being dropped.
type SegmentHeldError struct {
	First uint64
	Holds []governance.Hold
}

func (e *SegmentHeldError) Error() string {
	ids := make([]string, len(e.Holds))
	for i, h := range e.Holds {
		ids[i] = h.ID
	}
	return fmt.Sprintf("the segment of record %d is under the legal hold %s: release the hold first", e.First, strings.Join(ids, ", "))
}

// HoldsOn returns the legal holds that keep any record of a segment, which is
// given by its first record. An archived segment is read from its archive.
func (l *Log) HoldsOn(ctx context.Context, first uint64) ([]governance.Hold, error) {
	found, err := l.eraser.holdsOn(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("look for records under a legal hold in the segment of record %d: %w", first, err)
	}
	return found, nil
}
