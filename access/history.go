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

// A Change is a grant or a revocation on record. It does not name a user who
// was erased: State then tells why the other fields are empty.
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
	// NewerForm is set if the record has a newer format than this program
	// knows. A grant then permits nothing, and a revocation ends the grants
	// that it lists, or all grants. The fields above are empty, except for the
	// user.
	NewerForm bool
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
			if !yield(ChangeOf(r), nil) {
				return
			}
		}
	}
}

// ChangeOf returns the grant or revocation that a record contains.
func ChangeOf(r *record.Record) *Change {
	ch := &Change{Seq: r.Seq, Time: r.Event.Time, Type: r.Event.Type, State: r.State, User: r.Event.UserID}
	if r.State != record.Readable {
		return ch
	}
	if r.Event.Type == event.AccessGranted {
		if g, err := readGrant(&r.Event); err == nil {
			ch.IDs, ch.Role, ch.By = []ID{g.ID}, g.Role, g.GrantedBy
			return ch
		}
	} else {
		var v revokeRecord
		if err := governance.Decode(r.Event.Metadata, "revocation", &v); err == nil {
			ch.IDs, ch.By, ch.Reason = v.IDs, v.By, v.Reason
			return ch
		}
	}
	ch.NewerForm = true
	return ch
}
