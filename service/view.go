package service

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
)

// A view decides what one caller may see of the log, and do with it. It is the
// only part of a Session, and the files view*.go are the only ones of this package
// that use the log, the engine and the grants of a Service: a method gets them
// here, with a permission.
type view struct {
	svc      *Service
	operator bool   // of the log, who needs no token
	token    string // of anybody else

	mu     sync.Mutex // guards failed
	failed []*RecordError
}

// An actor is whom the log names for what a session does.
type actor struct {
	by    string        // the id of the token, or access.Local
	grant *access.Grant // nil: the local operator
}

// decide tells whether the caller has a permission: about an event, or in general.
// It records nothing.
func (v *view) decide(ctx context.Context, p access.Permission, about *event.Event) (access.Decision, error) {
	if v.operator {
		return access.Decision{Allowed: true, Permission: p}, nil
	}
	c, err := v.svc.controller(ctx)
	if err != nil {
		return access.Decision{}, err
	}
	return c.Decide(v.token, p, about), nil
}

// permit is decide, and refuses and records what is denied. Part is the part of
// the request that needs the permission; empty: the whole of it.
func (v *view) permit(ctx context.Context, p access.Permission, about *event.Event, part string) (access.Decision, error) {
	d, err := v.decide(ctx, p, about)
	if err != nil || d.Allowed {
		return d, err
	}
	v.denied(ctx, p, about)
	return d, &DeniedError{Permission: p, Part: part, Record: about != nil && d.Reason == access.OutOfScope, err: d.Err()}
}

// denied records a denial, also if the request is over.
func (v *view) denied(ctx context.Context, p access.Permission, about *event.Event) {
	ctx = context.WithoutCancel(ctx)
	c, err := v.svc.controller(ctx)
	if err == nil && v.svc.o.Writer == nil {
		c.Check(v.token, p, about)
		return
	}
	if err == nil {
		err = v.svc.record("this denial", func(log *audittrail.Log) error {
			c, err := access.Open(ctx, log, v.svc.o.Access)
			if err != nil {
				return err
			}
			c.Check(v.token, p, about)
			return c.Close()
		})
	}
	_ = v.unrecorded("this denial", err) // it is refused all the same
}

// unrecorded keeps an error of what was to be recorded, for RecordErrors, and
// returns it if there is no record.
func (v *view) unrecorded(what string, err error) error {
	if err == nil {
		return nil
	}
	failed := (*RecordError)(nil)
	if !errors.As(err, &failed) {
		failed = &RecordError{What: what, Err: err}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failed = append(v.failed, failed)
	if failed.Recorded {
		return nil
	}
	return failed
}

// record makes a record of what is done: an interrupt does not keep it from that.
// The error is a *RecordError, unless what is not recorded is done all the same.
func (v *view) record(ctx context.Context, what string, write func(context.Context, *audittrail.Log) error) error {
	ctx = context.WithoutCancel(ctx)
	err := v.svc.record(what, func(log *audittrail.Log) error { return write(ctx, log) })
	if err = v.unrecorded(what, err); v.svc.o.ShowUnrecorded {
		return nil
	}
	return err
}

// begin takes in what was granted and revoked until now: it begins every request.
func (v *view) begin(ctx context.Context) error {
	if v.operator {
		return nil
	}
	c, err := v.svc.controller(ctx)
	if err != nil {
		return err
	}
	return c.Refresh(ctx)
}

// whole checks a permission over the whole log, which a token with a scope has
// not, unless all that it shows is hashes.
func (v *view) whole(ctx context.Context, p access.Permission) (actor, error) {
	if err := v.begin(ctx); err != nil {
		return actor{}, err
	}
	d, err := v.permit(ctx, p, nil, "")
	switch {
	case err != nil:
		return actor{}, err
	case d.Grant == nil:
		return actor{by: access.Local}, nil
	case !d.Grant.Scope.Empty() && p != access.Verify:
		return actor{}, v.beyondScope(p, d.Grant, "")
	}
	return actor{d.Grant.ID.String(), d.Grant}, nil
}

// log returns the log to a caller who has a permission over all of it, and whom it
// names for what is done with it.
func (v *view) log(ctx context.Context, p access.Permission) (*audittrail.Log, actor, error) {
	who, err := v.whole(ctx, p)
	if err != nil {
		return nil, actor{}, err
	}
	return v.svc.log, who, nil
}

// people returns what knows the restrictions and approvals to a caller who has a
// permission over the whole log.
func (v *view) people(ctx context.Context, p access.Permission) (*privacy.Manager, actor, error) {
	who, err := v.whole(ctx, p)
	if err != nil {
		return nil, actor{}, err
	}
	m, err := v.svc.privacy(ctx)
	return m, who, err
}

// grants returns what knows the grants to a caller who has manage_access over the
// whole log.
func (v *view) grants(ctx context.Context) (*access.Controller, actor, error) {
	who, err := v.whole(ctx, access.ManageAccess)
	if err != nil {
		return nil, actor{}, err
	}
	c, err := v.svc.controller(ctx)
	return c, who, err
}

// governance yields records of types that the log makes of itself, in its order, to
// a caller who may manage it.
func (v *view) governance(ctx context.Context, types ...event.Type) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		for h, err := range v.svc.engine.Find(ctx, query.Query{Types: types, OldestFirst: true}) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(h.Record, nil) {
				return
			}
		}
	}
}

// approved refuses what a second person must approve and has not. The approval of
// that id is a, or err says why it is none.
func (v *view) approved(ctx context.Context, id string, who actor, a privacy.Approval, err error) error {
	if id == "" {
		if v.svc.o.Access.SeparateDuties {
			return ErrApprovalNeeded
		}
		return nil
	}
	if err != nil {
		return err
	}
	c, err := v.svc.controller(ctx)
	if err == nil {
		err = c.Refresh(ctx) // the approver's token may have been revoked
	}
	if err != nil {
		return err
	}
	return privacy.CheckFourEyes(c, a, who.grant)
}

// options are those of the service.
func (v *view) options() *Options { return &v.svc.o }

// now returns the time.
func (v *view) now() time.Time { return v.svc.o.Now() }

// certify makes the certificates of erasures.
func (v *view) certify(ctx context.Context, log *audittrail.Log, orders []*audittrail.ErasureOrder) (*Certificates, error) {
	all, err := privacy.Certify(ctx, log, v.svc.engine, orders, v.now())
	if err != nil {
		return nil, err
	}
	keys, err := log.Keys()
	if err != nil {
		return nil, err
	}
	c := &Certificates{All: all}
	for _, k := range keys {
		c.VKeys = append(c.VKeys, k.VKey)
	}
	return c, nil
}

// beyondScope is the error of a request about more than the scope of a token.
func (v *view) beyondScope(p access.Permission, g *access.Grant, part string) error {
	return &DeniedError{Permission: p, Part: part, err: fmt.Errorf("%w: this does not keep to the scope of the token %s", access.ErrDenied, g.ID)}
}

// opens reports whether the caller may read contents at all. It is for an answer
// that has a form without them, and records no denial.
func (v *view) opens(ctx context.Context) (bool, error) {
	d, err := v.decide(ctx, access.ReadContent, nil)
	return d.Allowed, err
}

// A purpose is what records are read for.
type purpose struct {
	command string // that records of it name
	export  bool   // it takes records out, for which there is a permission of its own
	whole   bool   // it does not keep to the scope of a token
	bare    bool   // content is left out
	page    bool   // all of it is in memory before any of it leaves
}

// A reading is one answer with records: it decides of each of them what of it
// leaves, and accounts for the content that does.
type reading struct {
	purpose
	v            *view
	restrictions *privacy.Manager
	accounts     bool // reads are recorded
	scoped       bool // the caller has a token with a scope

	seen  access.Reading
	begun *access.PendingRead // recorded before the first of it left
	left  bool                // it is recorded, or could not be
}

// read begins a reading, if the caller may read records for the purpose.
func (v *view) read(ctx context.Context, p purpose) (*reading, error) {
	if err := v.begin(ctx); err != nil {
		return nil, err
	}
	r := &reading{purpose: p, v: v, seen: access.Reading{Command: p.command}}
	needs := []access.Permission{access.ReadEvents}
	if p.export {
		needs = []access.Permission{access.ExportData, access.ReadEvents}
	}
	for _, need := range needs {
		d, err := v.permit(ctx, need, nil, "")
		if err != nil {
			return nil, err
		}
		r.seen.Grant = d.Grant
		r.scoped = d.Grant != nil && !d.Grant.Scope.Empty()
		if r.scoped && p.whole {
			return nil, v.beyondScope(need, d.Grant, "")
		}
	}
	var err error
	if r.restrictions, err = v.svc.privacy(ctx); err != nil {
		return nil, err
	}
	r.accounts, err = v.svc.accounts(ctx)
	return r, err
}

// engine returns the engine for which restricted content has no text.
func (r *reading) engine() *query.Engine {
	return r.v.svc.engine.WithRestrictions(r.restrictions.Restricted)
}

// asks refuses a query about what is encrypted, that is words, or who somebody is,
// if the caller may not read that: which records match it says what they say.
func (r *reading) asks(ctx context.Context, q *query.Query, by ...string) error {
	for _, part := range []struct {
		name      string
		encrypted bool
	}{
		{"text", q.Text != ""},
		{"user", len(q.Users) > 0},
		{"actor", len(q.Actors) > 0},
		{"session", len(q.Sessions) > 0},
		{"group by user", slices.ContainsFunc(by, namesUser)},
	} {
		if part.encrypted {
			if _, err := r.v.permit(ctx, access.ReadContent, nil, part.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// namesUser reports whether a field of groups has the names of users.
func namesUser(field string) bool { return field == "user" || field == "user_id" }

// knows tells whether the caller may know of a record, which may be out of the
// token's scope. The error is a denial for any other reason, such as that the token
// was revoked meanwhile.
func (r *reading) knows(ctx context.Context, rec *record.Record) (bool, error) {
	needs := []access.Permission{access.ReadEvents, access.ExportData}
	if !r.export {
		needs = needs[:1]
	}
	for _, need := range needs {
		d, err := r.v.decide(ctx, need, &rec.Event)
		if err == nil && !d.Allowed && d.Reason != access.OutOfScope {
			_, err = r.v.permit(ctx, need, nil, "")
		}
		if err != nil || !d.Allowed {
			return false, err
		}
	}
	return true, nil
}

// admit refuses a record that the caller may not know of, and records the denial.
func (r *reading) admit(ctx context.Context, rec *record.Record) error {
	_, err := r.v.permit(ctx, access.ReadEvents, &rec.Event, "")
	if err == nil && r.export {
		_, err = r.v.permit(ctx, access.ExportData, &rec.Event, "")
	}
	return err
}

// seesRestricted reports whether the caller sees the content about people who have
// asked for it to be restricted.
func (r *reading) seesRestricted(ctx context.Context) (bool, error) {
	if r.v.operator {
		return false, nil
	}
	d, err := r.v.decide(ctx, access.ReadContent, nil)
	return err == nil && d.SeesRestricted(), err
}

// see returns a record that the caller may know of as the caller may see it, and
// accounts for its content. That is recorded before see returns, unless the
// reading is a page, for which leave does it.
func (r *reading) see(ctx context.Context, rec *record.Record) (*record.Record, error) {
	if rec.State != record.Readable {
		return rec, nil
	}
	if r.bare {
		hidden := privacy.Redact(rec)
		hidden.State = record.Readable // what it has is all that was asked for
		return hidden, nil
	}
	hidden := r.restrictions.Restricted(rec.Subject)
	if !r.v.operator {
		d, err := r.v.decide(ctx, access.ReadContent, &rec.Event)
		if err != nil {
			return nil, err
		}
		hidden = !d.Allowed || hidden && !d.SeesRestricted()
	}
	if hidden {
		return privacy.Redact(rec), nil
	}
	rec = r.restrictions.RedactActor(rec)
	if r.seen.Records == 0 && !r.page {
		if err := r.begin(ctx); err != nil {
			return nil, err
		}
	}
	if r.seen.Records == 0 || rec.Seq < r.seen.First {
		r.seen.First = rec.Seq
	}
	r.seen.Last = max(r.seen.Last, rec.Seq)
	r.seen.Records++
	return rec, nil
}

// begin records that content is about to be shown, of which it is not known how
// much.
func (r *reading) begin(ctx context.Context) error {
	if !r.accounts || r.left {
		return nil
	}
	r.left = true
	record := access.BeginRead
	if r.export {
		record = access.BeginExport
	}
	return r.v.record(ctx, "that content is shown", func(ctx context.Context, log *audittrail.Log) (err error) {
		r.begun, err = record(ctx, log, r.seen)
		return err
	})
}

// leave records what is about to be shown, all of it.
func (r *reading) leave(ctx context.Context) error {
	if !r.accounts || r.left || r.seen.Records == 0 {
		return nil
	}
	r.left = true
	record := access.RecordRead
	if r.export {
		record = access.RecordExport
	}
	return r.v.record(ctx, "that content is shown", func(ctx context.Context, log *audittrail.Log) error {
		return record(ctx, log, r.seen)
	})
}

// end records how much was shown.
func (r *reading) end(ctx context.Context) {
	if r.begun == nil {
		return
	}
	begun := r.begun
	r.begun = nil
	// Nothing is held back for it: what it tells of has left.
	_ = r.v.record(ctx, "how much content was shown", func(ctx context.Context, log *audittrail.Log) error {
		return begun.End(ctx, log, r.seen)
	})
}

// users returns the names of users as the caller may see them: those who have
// asked for it to be restricted by their subject ids.
func (r *reading) users(ctx context.Context, names []string) ([]string, error) {
	sees, err := r.seesRestricted(ctx)
	if err != nil || sees {
		return names, err
	}
	shown := slices.Clone(names)
	for i, name := range names {
		subject, known, err := r.v.svc.log.Subject(name)
		if err != nil {
			return nil, err
		}
		if known && r.restrictions.Restricted(subject) {
			shown[i] = subject.String()
		}
	}
	return shown, nil
}
