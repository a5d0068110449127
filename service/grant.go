package service

import (
	"context"
	"iter"

	"audittrail/access"
	"audittrail/event"
)

// A GrantRequest asks for a grant.
type GrantRequest struct {
	Grant access.GrantRequest // By does not count
}

// A Granted is a grant with its token, which nobody can get again.
type Granted struct {
	Token access.Token
	*access.Grant
}

// Grant gives a user a role. It needs manage_access, and what the role permits.
func (s *Session) Grant(ctx context.Context, q GrantRequest) (*Granted, error) {
	c, who, err := s.v.grants(ctx)
	if err != nil {
		return nil, err
	}
	q.Grant.By = who.by
	token, g, err := c.Grant(ctx, q.Grant)
	if err != nil {
		return nil, err
	}
	return &Granted{token, g}, nil
}

// A RevokeRequest asks for the end of a grant, or, if User is not empty, of all
// grants of a user.
type RevokeRequest struct {
	ID     access.ID
	User   string
	Reason string // for the record
}

// Revoke ends grants, and returns them. It needs manage_access.
func (s *Session) Revoke(ctx context.Context, q RevokeRequest) ([]*access.Grant, error) {
	c, who, err := s.v.grants(ctx)
	if err != nil {
		return nil, err
	}
	if q.User != "" {
		return c.RevokeUser(ctx, q.User, q.Reason, who.by)
	}
	g, err := c.Revoke(ctx, q.ID, q.Reason, who.by)
	if err != nil {
		return nil, err
	}
	return []*access.Grant{g}, nil
}

// A GrantsRequest asks for all grants.
type GrantsRequest struct{}

// Grants returns all grants, the oldest first. It needs manage_access.
func (s *Session) Grants(ctx context.Context, _ GrantsRequest) ([]access.GrantStatus, error) {
	c, _, err := s.v.grants(ctx)
	if err != nil {
		return nil, err
	}
	return c.List(), nil
}

// A GrantHistoryRequest asks for what was granted and revoked.
type GrantHistoryRequest struct{}

// GrantHistory lists what was granted and revoked, in the order of the log. It needs
// manage_access.
func (s *Session) GrantHistory(ctx context.Context, _ GrantHistoryRequest) (iter.Seq2[*access.Change, error], error) {
	c, _, err := s.v.grants(ctx)
	if err != nil {
		return nil, err
	}
	return c.History(ctx), nil
}

// A ReadsRequest asks who read and exported contents.
type ReadsRequest struct{}

// Reads lists who read and exported contents, in the order of the log. It needs
// manage_access.
func (s *Session) Reads(ctx context.Context, _ ReadsRequest) ([]access.LoggedRead, error) {
	if _, _, err := s.v.grants(ctx); err != nil {
		return nil, err
	}
	return access.LoggedReads(s.v.governance(ctx, event.ContentRead, event.DataExported))
}

// A CheckRequest asks whether the caller has a permission: about an event, by its
// cleartext fields, or, if About is nil, in general.
type CheckRequest struct {
	Permission access.Permission
	About      *event.Event
}

// Check tells whether the caller has a permission, and records a denial. The Grant of
// the answer is nil for the operator of the log.
func (s *Session) Check(ctx context.Context, q CheckRequest) (*access.Decision, error) {
	if err := s.v.begin(ctx); err != nil {
		return nil, err
	}
	d, err := s.v.permit(ctx, q.Permission, q.About, "")
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// A PermitRequest asks for a permission over the whole log.
type PermitRequest struct{ Permission access.Permission }

// Permit refuses a caller who has not a permission over the whole log, and records
// the denial. It is for use cases that this package does not have yet.
func (s *Session) Permit(ctx context.Context, q PermitRequest) (*Caller, error) {
	who, err := s.v.whole(ctx, q.Permission)
	if err != nil {
		return nil, err
	}
	return &Caller{who.by}, nil
}

// A Caller is whom records name for what a session does.
type Caller struct {
	By string // the id of a token, or access.Local
}

// Roles returns the roles that there are, and what they permit.
func (s *Service) Roles(ctx context.Context) ([]access.Role, error) {
	c, err := s.controller(ctx)
	if err != nil {
		return nil, err
	}
	return c.Roles(), nil
}
