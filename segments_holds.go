package audittrail

import (
	"context"
	"fmt"
	"strings"

	"audittrail/record"
)

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
	found, err := l.holdsOn(ctx, first)
	if err != nil {
		return nil, fmt.Errorf("look for what is held in the segment of record %d: %w", first, err)
	}
	return found, nil
}

func (l *Log) holdsOn(ctx context.Context, first uint64) ([]Hold, error) {
	holds, err := l.Holds(ctx)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	infos, err := l.store.Segments()
	if err != nil {
		return nil, err
	}
	subjects := make(map[string]record.Subject)
	for _, h := range holds {
		if s, ok, err := l.ring.LookupUser(h.User); err != nil {
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
		err = l.left.Scan(ctx, g.First, g.First+g.Records, func(_, _ []byte) bool { return left > 0 }, func(r *record.Record) error {
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
	var found []Hold
	for i, h := range holds {
		if met[i] {
			found = append(found, h)
		}
	}
	return found, err
}
