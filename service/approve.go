package service

import (
	"context"

	"audittrail/access"
	"audittrail/privacy"
)

// An ApproveErasureRequest gives the consent of a second person to an erasure.
type ApproveErasureRequest struct{ Users []string }

// An Approval is the consent of a second person.
type Approval struct {
	privacy.Approval
	// Users are those who are to be erased.
	Users []Lookup
}

// ApproveErasure records that the caller consents to the erasure of users. It needs
// delete_data, with a token: the operator of the log is nobody in particular.
func (s *Session) ApproveErasure(ctx context.Context, q ApproveErasureRequest) (*Approval, error) {
	m, who, err := s.v.people(ctx, access.DeleteData)
	if err == nil && who.grant == nil {
		err = ErrNeedsToken
	}
	if err != nil {
		return nil, err
	}
	a := &Approval{}
	if a.Users, err = lookups(ctx, m, q.Users); err != nil {
		return nil, err
	}
	if a.Approval, err = m.ApproveErasure(ctx, q.Users, who.by, s.v.now()); err != nil {
		return nil, err
	}
	return a, nil
}

// An ApproveReleaseRequest gives the consent of a second person to the release of a
// hold.
type ApproveReleaseRequest struct{ Hold string }

// ApproveRelease records that the caller consents to the release of a hold. It needs
// manage_holds, with a token.
func (s *Session) ApproveRelease(ctx context.Context, q ApproveReleaseRequest) (*Approval, error) {
	m, who, err := s.v.people(ctx, access.ManageHolds)
	if err == nil && who.grant == nil {
		err = ErrNeedsToken
	}
	if err != nil {
		return nil, err
	}
	a := &Approval{}
	if a.Approval, err = m.ApproveRelease(ctx, q.Hold, who.by, s.v.now()); err != nil {
		return nil, err
	}
	return a, nil
}
