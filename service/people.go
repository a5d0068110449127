package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"audittrail/access"
	"audittrail/privacy"
	"audittrail/retention"
)

// A LookUpRequest asks which users are known.
type LookUpRequest struct{ Users []string }

// LookUp tells of each of some users whether anything is stored about them, and how
// many known users have a similar id. It needs delete_data.
func (s *Session) LookUp(ctx context.Context, q LookUpRequest) ([]Lookup, error) {
	m, _, err := s.v.people(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	return lookups(ctx, m, q.Users)
}

// A StatusRequest asks how much is stored about a user.
type StatusRequest struct{ User string }

// A Status is how much is stored about a user, in numbers.
type Status struct {
	Lookup
	Data       *privacy.SubjectData // nil: nothing is stored
	Restricted *time.Time           // since when; nil: it is not
	Holds      []string             // on the user by name, by their ids
}

// Status tells how much is stored about a user, and shows no content. It needs
// delete_data.
func (s *Session) Status(ctx context.Context, q StatusRequest) (*Status, error) {
	m, _, err := s.v.people(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	log, _, err := s.v.log(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	out := &Status{Holds: []string{}}
	holds, err := log.Holds(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		if h.User == q.User {
			out.Holds = append(out.Holds, h.ID)
		}
	}
	if out.Lookup, err = lookUp(ctx, m, q.User); err != nil {
		return nil, err
	}
	out.Data, err = m.SubjectData(ctx, q.User)
	if errors.Is(err, ErrNothingStored) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	subject, known, err := log.Subject(q.User)
	if err != nil {
		return nil, err
	}
	if r, is := m.Restriction(subject); known && is {
		out.Restricted = &r.Since
	}
	return out, nil
}

// A SubjectAccessRequest asks for everything that is stored about a user, for that
// user (GDPR 15, 20).
type SubjectAccessRequest struct {
	User string
	// Archive gets a ZIP archive with it. After an error it is of no use.
	Archive io.Writer
}

// A SubjectAccess says what was written out.
type SubjectAccess struct {
	Lookup
	Data *privacy.SubjectData
}

// SubjectAccess writes out everything that is stored about a user, and records that
// the user was answered. It needs export_data and read_content, and about a user who
// is restricted the role privacy. If nothing is stored, the error is an
// *UnknownUserError.
func (s *Session) SubjectAccess(ctx context.Context, q SubjectAccessRequest) (*SubjectAccess, error) {
	m, who, err := s.v.people(ctx, access.ExportData)
	if err != nil {
		return nil, err
	}
	d, err := s.v.permit(ctx, access.ReadContent, nil, "")
	if err != nil {
		return nil, err
	}
	log, _, err := s.v.log(ctx, access.ExportData)
	if err != nil {
		return nil, err
	}
	subject, known, err := log.Subject(q.User)
	if err != nil {
		return nil, err
	}
	if known && who.grant != nil && m.Restricted(subject) && !d.SeesRestricted() {
		return nil, &DeniedError{Permission: access.ReadContent, err: fmt.Errorf("%w: that user's data is restricted, and shown to the role %s alone", access.ErrDenied, access.Privacy)}
	}
	policies, err := retention.Open(ctx, log, retention.Options{})
	if err != nil {
		return nil, err
	}
	policy, _ := policies.Policy()
	out := &SubjectAccess{}
	if out.Lookup, err = lookUp(ctx, m, q.User); err != nil {
		return nil, err
	}
	out.Data, err = m.AnswerAccessRequest(ctx, q.Archive, privacy.SubjectAccessRequest{
		User: q.User, By: who.by, Now: s.v.now(), Purposes: s.v.purposes(&policy),
	})
	if errors.Is(err, ErrNothingStored) {
		err = &UnknownUserError{out.Lookup}
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// purposes are what records of each class are for, and how long the policy keeps
// them.
func (v *view) purposes(policy *retention.Policy) privacy.Purposes {
	all := privacy.Purposes{}
	for class, text := range v.options().Purposes {
		all[class] = privacy.Purpose{Purpose: text}
	}
	for _, class := range policy.Classes {
		p := all[class.Name]
		if !class.KeepFor.IsZero() {
			p.Stays = class.KeepFor.String() + " from the end of the month in which it was recorded"
		}
		all[class.Name] = p
	}
	return all
}

// A RestrictRequest asks for the restriction of a user, or for its end.
type RestrictRequest struct {
	User   string
	Reason string // for the record
	// Mention accepts a reason that names the user.
	Mention bool
}

// A Restricted says what became of the restriction of a user.
type Restricted struct {
	Lookup
	Since time.Time // zero: it was lifted
}

// Restrict keeps the content about a user from everybody but the role privacy, until
// Lift (GDPR 18). It needs delete_data. A user about whom nothing is stored is
// restricted for what will be.
func (s *Session) Restrict(ctx context.Context, q RestrictRequest) (*Restricted, error) {
	m, who, err := s.v.people(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	l, err := q.check(ctx, m)
	if err != nil {
		return nil, err
	}
	r, err := m.Restrict(ctx, q.User, q.Reason, who.by)
	if err != nil {
		return nil, err
	}
	return &Restricted{l, r.Since}, nil
}

// Lift ends the restriction of a user. It needs delete_data.
func (s *Session) Lift(ctx context.Context, q RestrictRequest) (*Restricted, error) {
	m, who, err := s.v.people(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	l, err := q.check(ctx, m)
	if err == nil {
		err = m.LiftRestriction(ctx, q.User, q.Reason, who.by)
	}
	if err != nil {
		return nil, err
	}
	return &Restricted{Lookup: l}, nil
}

func (q *RestrictRequest) check(ctx context.Context, m *privacy.Manager) (Lookup, error) {
	if err := checkReason(q.Reason, q.Mention, q.User); err != nil {
		return Lookup{}, err
	}
	return lookUp(ctx, m, q.User)
}

// checkReason refuses a reason that says nothing, or that names a user.
func checkReason(reason string, mention bool, users ...string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return ErrNoReason
	case !mention && privacy.FirstMentioned(reason, users) >= 0:
		return ErrReasonMentionsUser
	}
	return nil
}

// lookUp looks one user up.
func lookUp(ctx context.Context, m *privacy.Manager, user string) (Lookup, error) {
	all, err := lookups(ctx, m, []string{user})
	if err != nil {
		return Lookup{}, err
	}
	return all[0], nil
}
