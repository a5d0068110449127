package service

import (
	"context"

	"audittrail/access"
	"audittrail/governance"
	"audittrail/privacy"
)

// A HoldsRequest asks for the holds in force.
type HoldsRequest struct{}

// Holds returns the holds in force, the oldest first. It needs manage_holds.
func (s *Session) Holds(ctx context.Context, _ HoldsRequest) ([]governance.Hold, error) {
	log, _, err := s.v.log(ctx, access.ManageHolds)
	if err != nil {
		return nil, err
	}
	return log.Holds(ctx)
}

// A PlaceHoldRequest asks for a hold.
type PlaceHoldRequest struct {
	Hold governance.Hold // By does not count
	// Mention accepts a reason that names the user.
	Mention bool
}

// A PlacedHold is a hold in force.
type PlacedHold struct {
	governance.Hold
	Lookup *Lookup // of its user; nil if it names none
}

// PlaceHold puts a hold in force. It needs manage_holds.
func (s *Session) PlaceHold(ctx context.Context, q PlaceHoldRequest) (*PlacedHold, error) {
	m, who, err := s.v.people(ctx, access.ManageHolds)
	if err != nil {
		return nil, err
	}
	log, _, err := s.v.log(ctx, access.ManageHolds)
	if err != nil {
		return nil, err
	}
	if !q.Mention && privacy.Mentions(q.Hold.Reason, q.Hold.User) {
		return nil, ErrReasonMentionsUser
	}
	out := &PlacedHold{}
	if q.Hold.User != "" {
		l, err := lookUp(ctx, m, q.Hold.User)
		if err != nil {
			return nil, err
		}
		out.Lookup = &l
	}
	q.Hold.By = who.by
	if out.Hold, err = log.PlaceHold(ctx, q.Hold); err != nil {
		return nil, err
	}
	return out, nil
}

// A ReleaseHoldRequest asks for the release of a hold.
type ReleaseHoldRequest struct {
	ID     string
	Reason string // for the record
	// Approval is the id of a second person's approval.
	Approval string
	// Mention accepts a reason that names the user of the hold.
	Mention bool
}

// ReleaseHold ends a hold. It needs manage_holds, and where duties are separate the
// approval of a second person.
func (s *Session) ReleaseHold(ctx context.Context, q ReleaseHoldRequest) error {
	m, who, err := s.v.people(ctx, access.ManageHolds)
	if err != nil {
		return err
	}
	log, _, err := s.v.log(ctx, access.ManageHolds)
	if err != nil {
		return err
	}
	var a privacy.Approval
	if q.Approval != "" {
		a, err = m.ReleaseApproval(q.Approval, q.ID, s.v.now())
	}
	if err := s.v.approved(ctx, q.Approval, who, a, err); err != nil {
		return err
	}
	holds, err := log.Holds(ctx)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.ID == q.ID && !q.Mention && privacy.Mentions(q.Reason, h.User) {
			return ErrReasonMentionsUser
		}
	}
	_, err = log.ReleaseHold(ctx, q.ID, q.Reason, who.by)
	return err
}
