// Package privacy carries out a log's duties to the people whom its records are
// about (GDPR articles 15, 17, 18 and 20): the restriction of processing,
// four-eyes approval, the certificate of an erasure, and the answer to a data
// subject access request. The log itself carries out erasures.
//
// Restrictions and approvals are records of the log, and are read from it. They
// name subjects, or the user, encrypted so that an erasure of the user erases
// the name as well.
package privacy

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/query"
	"audittrail/record"
)

// ErrNothingStored reports that nothing is stored about a user: nothing was
// ever recorded, or it was erased.
var ErrNothingStored = errors.New("nothing is stored about that user")

// approvalLife is how long an approval is valid.
const approvalLife = 30 * 24 * time.Hour

// A Restriction keeps the content about one person from being shown.
type Restriction struct {
	Since  time.Time
	Seq    uint64 // the record of the restriction
	Reason string
	By     string
}

// An Approval is the consent of another person to an erasure or to the release
// of a legal hold (four-eyes approval). It is used by naming its id.
type Approval struct {
	ID       record.ID
	Subjects []record.Subject // the subjects that may be erased, ascending
	Hold     string           // or the legal hold that may be released
	By       string           // id of the approver's token
	Given    time.Time
	Expires  time.Time
}

// A Manager keeps the restrictions and approvals of a log. Its methods may be
// called from many goroutines.
type Manager struct {
	log    *audittrail.Log
	engine *query.Engine

	mu         sync.RWMutex // guards all below
	restricted map[record.Subject]Restriction
	approvals  map[record.ID]Approval
	next       uint64 // the first record that was not read
}

// Open reads the restrictions and approvals of a log, whose records engine
// finds.
func Open(ctx context.Context, log *audittrail.Log, engine *query.Engine) (*Manager, error) {
	d := &Manager{log: log, engine: engine, restricted: map[record.Subject]Restriction{}, approvals: map[record.ID]Approval{}}
	return d, d.Refresh(ctx)
}

// Refresh reads the records that were appended since the last call, also by
// other processes.
func (d *Manager) Refresh(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	size, err := d.log.Size()
	if err != nil {
		return fmt.Errorf("read restrictions: %w", err)
	}
	for r, err := range d.log.GovernanceRecords(ctx, d.next, event.SubjectRestricted, event.RestrictionLifted, event.ErasureApproved) {
		if err == nil {
			err = d.take(r)
		}
		if err != nil {
			return fmt.Errorf("read restrictions: %w", err)
		}
		d.next = r.Seq + 1
	}
	d.next = max(d.next, size)
	return nil
}

// restrictionRecord is the member "restriction" of the metadata of a
// subject_restricted or restriction_lifted event, whose user is the person.
type restrictionRecord struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// approvalRecord is the member "approval" of an erasure_approved event.
type approvalRecord struct {
	By       string           `json:"by"`
	Expires  time.Time        `json:"expires"`
	Hold     string           `json:"hold,omitempty"`
	Subjects []record.Subject `json:"-"`
	Texts    []string         `json:"subjects,omitempty"`
}

// details decodes the details of a record, and reports whether all of them are
// understood. The error reports details that are invalid for the record's type.
func details[T any](r *record.Record, name string, v *T) (understood bool, err error) {
	if json.Unmarshal(r.Event.Metadata[name], v) != nil {
		return false, fmt.Errorf("record %d: invalid metadata for a record of type %s", r.Seq, r.Event.Type)
	}
	return governance.Decode(r.Event.Metadata, name, v) == nil, nil
}

func (d *Manager) take(r *record.Record) error {
	switch r.Event.Type {
	case event.SubjectRestricted:
		// The restriction itself is stored in cleartext: it is in force even if
		// the reason cannot be read.
		var w restrictionRecord
		if r.State == record.Readable {
			if _, err := details(r, "restriction", &w); err != nil {
				return err
			}
		}
		d.restricted[r.Subject] = Restriction{Since: r.Event.Time, Seq: r.Seq, Reason: w.Reason, By: w.By}
	case event.RestrictionLifted:
		var w restrictionRecord
		if r.State == record.Readable {
			if understood, err := details(r, "restriction", &w); err != nil || !understood {
				return err // the restriction may be lifted only in part
			}
		}
		delete(d.restricted, r.Subject)
	case event.ErasureApproved:
		if r.State != record.Readable {
			return nil // an approval that cannot be read approves nothing
		}
		var w approvalRecord
		if understood, err := details(r, "approval", &w); err != nil || !understood {
			return err // an approval with a condition that is not understood approves nothing
		}
		a := Approval{ID: r.ID, Hold: w.Hold, By: w.By, Given: r.Event.Time, Expires: w.Expires}
		for _, text := range w.Texts {
			s, err := record.ParseSubject(text)
			if err != nil {
				return fmt.Errorf("record %d: invalid metadata for an approval", r.Seq)
			}
			a.Subjects = append(a.Subjects, s)
		}
		d.approvals[a.ID] = a
	}
	return nil
}

// Restricted reports whether only the privacy role may see content about a
// subject. It reads memory only.
func (d *Manager) Restricted(s record.Subject) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.restricted[s]
	return ok
}

// Restriction returns the restriction of a subject, if there is one.
func (d *Manager) Restriction(s record.Subject) (Restriction, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r, ok := d.restricted[s]
	return r, ok
}

// Redact returns a restricted record without its content, and any other record
// unchanged.
func (d *Manager) Redact(r *record.Record) *record.Record {
	if r.State != record.Readable || !d.Restricted(r.Subject) {
		return r
	}
	return Redact(r)
}

// RedactActor returns a record without the name of its actor if that person's
// data is restricted, and any other record unchanged.
func (d *Manager) RedactActor(r *record.Record) *record.Record {
	if r.Event.Actor == "" || !d.Restricted(r.Actor) {
		return r
	}
	hidden := *r
	hidden.Event.Actor = ""
	return &hidden
}

// Redact returns a record without its content, for a reader who may not see it.
func Redact(r *record.Record) *record.Record {
	hidden := *r
	e := &hidden.Event
	e.ID, e.UserID, e.Actor, e.SessionID, e.Prompt, e.Response, e.SystemInstructions, e.Error = r.ID.String(), "", "", "", "", "", "", ""
	e.InputMessages, e.OutputMessages, e.Metadata = nil, nil, nil
	if e.Tool != nil {
		e.Tool = &event.Tool{Name: e.Tool.Name}
	}
	hidden.State = record.Restricted
	return &hidden
}

// subject returns the subject of a user about whom something is stored.
func (d *Manager) subject(user string) (record.Subject, error) {
	s, known, err := d.log.Subject(user)
	if err == nil && !known {
		err = ErrNothingStored
	}
	return s, err
}

// KnownUser reports whether something is stored about a user.
func (d *Manager) KnownUser(user string) (bool, error) {
	_, known, err := d.log.Subject(user)
	return known, err
}

// Restrict keeps the content about a user from being shown until
// LiftRestriction. Restricting a user again changes nothing. The restriction
// also covers later records, and is possible if nothing is stored about the
// user yet.
func (d *Manager) Restrict(ctx context.Context, user, reason, by string) (Restriction, error) {
	r, err := d.restrict(ctx, user, reason, by)
	if err != nil {
		return Restriction{}, fmt.Errorf("restrict: %w", err)
	}
	return r, nil
}

func (d *Manager) restrict(ctx context.Context, user, reason, by string) (Restriction, error) {
	if user == "" {
		return Restriction{}, errors.New("the user is empty; name the user to restrict")
	}
	s, known, err := d.log.Subject(user)
	if err != nil {
		return Restriction{}, err
	}
	if r, ok := d.Restriction(s); known && ok {
		return r, nil
	}
	if err := d.administer(ctx, event.SubjectRestricted, user, "restriction", restrictionRecord{by, reason}); err != nil {
		return Restriction{}, err
	}
	if s, err = d.subject(user); err != nil {
		return Restriction{}, err
	}
	r, _ := d.Restriction(s)
	return r, nil
}

// ErrNotRestricted reports that a user has no restriction to lift.
var ErrNotRestricted = errors.New("that user is not restricted")

// LiftRestriction ends a restriction.
func (d *Manager) LiftRestriction(ctx context.Context, user, reason, by string) error {
	s, err := d.subject(user)
	if err == nil && !d.Restricted(s) {
		err = ErrNotRestricted
	}
	if err == nil {
		err = d.administer(ctx, event.RestrictionLifted, user, "restriction", restrictionRecord{by, reason})
	}
	if err != nil {
		return fmt.Errorf("lift restriction: %w", err)
	}
	return nil
}

// administer records an event, and applies it.
func (d *Manager) administer(ctx context.Context, t event.Type, user, name string, details any) error {
	b, err := json.Marshal(details)
	if err != nil {
		return err
	}
	_, err = d.log.AppendGovernance(ctx, event.Event{
		Type: t, UserID: user, Metadata: map[string]json.RawMessage{name: b},
	})
	if err != nil {
		return err
	}
	return d.Refresh(ctx)
}

// ApproveErasure records that the holder of a token consents to the erasure of
// users. Users about whom nothing is stored are skipped.
func (d *Manager) ApproveErasure(ctx context.Context, users []string, by string, now time.Time) (Approval, error) {
	var subjects []record.Subject
	for _, u := range users {
		s, err := d.subject(u)
		if errors.Is(err, ErrNothingStored) {
			continue
		}
		if err != nil {
			return Approval{}, fmt.Errorf("approve: %w", err)
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		return Approval{}, fmt.Errorf("approve: %w", ErrNothingStored)
	}
	slices.SortFunc(subjects, compare)
	return d.approve(ctx, approvalRecord{By: by, Subjects: slices.Compact(subjects), Expires: now.UTC().Add(approvalLife)})
}

func compare(a, b record.Subject) int { return slices.Compare(a[:], b[:]) }

// ApproveRelease records that the holder of a token consents to the release of
// a legal hold.
func (d *Manager) ApproveRelease(ctx context.Context, hold, by string, now time.Time) (Approval, error) {
	holds, err := d.log.Holds(ctx)
	if err == nil && !slices.ContainsFunc(holds, func(h governance.Hold) bool { return h.ID == hold }) {
		err = audittrail.ErrNoHold
	}
	if err != nil {
		return Approval{}, fmt.Errorf("approve: %w", err)
	}
	return d.approve(ctx, approvalRecord{By: by, Hold: hold, Expires: now.UTC().Add(approvalLife)})
}

func (d *Manager) approve(ctx context.Context, w approvalRecord) (Approval, error) {
	for _, s := range w.Subjects {
		w.Texts = append(w.Texts, s.String())
	}
	b, err := json.Marshal(w)
	if err != nil {
		return Approval{}, fmt.Errorf("approve: %w", err)
	}
	receipt, err := d.log.AppendGovernance(ctx, event.Event{
		Type: event.ErasureApproved, Metadata: map[string]json.RawMessage{"approval": b},
	})
	if err == nil {
		err = d.Refresh(ctx)
	}
	if err != nil {
		return Approval{}, fmt.Errorf("approve: %w", err)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.approvals[receipt.ID], nil
}

// An ApprovalError reports why an approval is not valid.
type ApprovalError struct{ Problem string }

func (e *ApprovalError) Error() string { return "approval: " + e.Problem }

// approval returns an approval that is still valid.
func (d *Manager) approval(id string, now time.Time) (Approval, error) {
	parsed, err := record.ParseID(id)
	d.mu.RLock()
	a, ok := d.approvals[parsed]
	d.mu.RUnlock()
	if err != nil || !ok {
		return a, &ApprovalError{"no approval has this id; create one with 'gdpr approve' and the approver's own token"}
	}
	if !now.Before(a.Expires) {
		return a, &ApprovalError{"the approval expired on " + a.Expires.Format(time.RFC3339) + "; ask for a new approval"}
	}
	return a, nil
}

// ErasureApproval returns an approval if it covers the erasure of all of these
// users, except those about whom nothing is stored.
func (d *Manager) ErasureApproval(id string, users []string, now time.Time) (Approval, error) {
	a, err := d.approval(id, now)
	if err != nil {
		return a, err
	}
	for _, u := range users {
		s, err := d.subject(u)
		if errors.Is(err, ErrNothingStored) {
			continue
		}
		if err != nil {
			return a, err
		}
		if _, ok := slices.BinarySearchFunc(a.Subjects, s, compare); !ok {
			return a, &ApprovalError{"the approval is for the erasure of other users"}
		}
	}
	return a, nil
}

// ReleaseApproval returns an approval if it is for the release of a legal hold.
func (d *Manager) ReleaseApproval(id, hold string, now time.Time) (Approval, error) {
	a, err := d.approval(id, now)
	if err == nil && cmp.Compare(a.Hold, hold) != 0 {
		err = &ApprovalError{"the approval is not for the release of that hold"}
	}
	return a, err
}

// CheckFourEyes refuses an approval by the person who makes the request: asker
// is the requester's grant, or nil if the requester has no token and is not
// known by name. An approval is not valid any more once the approver's token
// has been revoked.
func CheckFourEyes(c *access.Controller, a Approval, asker *access.Grant) error {
	id, err := access.ParseID(a.By)
	if err != nil {
		return &ApprovalError{"the approval was given without a token; ask for a new approval"}
	}
	g, ok := c.Lookup(id)
	switch {
	case !ok:
		return &ApprovalError{"the approver is no longer known; ask for a new approval"}
	case !g.Revoked.IsZero():
		return &ApprovalError{"the token of the approver was revoked; ask for a new approval"}
	case asker != nil && asker.User == g.User:
		return &ApprovalError{"the approver and the requester are the same person; four-eyes approval needs a different person"}
	}
	return nil
}
