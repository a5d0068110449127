package access

import (
	"context"
	"fmt"
	"iter"
	"time"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
)

// A Change is one grant or revocation as the log has it. Whoever was erased is
// in no change: of theirs, State says why nothing else can be read.
type Change struct {
	Seq    uint64
	Time   time.Time
	Type   event.Type
	State  record.State
	User   string
	IDs    []ID
	Role   string // of a grant
	By     string
	Reason string // of a revocation
}

// History yields the grants and revocations in the log, the oldest first. After
// an error it yields no more.
func (c *Controller) History(ctx context.Context) iter.Seq2[*Change, error] {
	return func(yield func(*Change, error) bool) {
		for r, err := range c.log.GovernanceRecords(ctx, 0, event.AccessGranted, event.AccessRevoked) {
			if err != nil {
				yield(nil, fmt.Errorf("history: %w", err))
				return
			}
			ch, err := ChangeOf(r)
			if err != nil {
				yield(nil, fmt.Errorf("history: record %d: %w", r.Seq, err))
				return
			}
			if !yield(ch, nil) {
				return
			}
		}
	}
}

// ChangeOf returns the grant or revocation that a record tells of.
func ChangeOf(r *record.Record) (*Change, error) {
	ch := &Change{Seq: r.Seq, Time: r.Event.Time, Type: r.Event.Type, State: r.State, User: r.Event.UserID}
	if r.State != record.Readable {
		return ch, nil
	}
	if r.Event.Type == event.AccessGranted {
		g, err := readGrant(&r.Event)
		if err != nil {
			return nil, err
		}
		ch.IDs, ch.Role, ch.By = []ID{g.ID}, g.Role, g.GrantedBy
		return ch, nil
	}
	var v revokeRecord
	if err := governance.Decode(r.Event.Metadata, "revocation", &v); err != nil {
		return nil, errForm
	}
	ch.IDs, ch.By, ch.Reason = v.IDs, v.By, v.Reason
	return ch, nil
}
