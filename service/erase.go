package service

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"audittrail"
	"audittrail/access"
	"audittrail/certificate"
	"audittrail/governance"
	"audittrail/privacy"
)

// An EraseRequest asks for the erasure of users (GDPR 17).
type EraseRequest struct {
	Users  []string
	Reason string // for the record
	Basis  string // the article that it is based on, such as "GDPR 17(1)(b)"
	// Approval is the id of a second person's approval.
	Approval string
	// Mention accepts a reason that names a user.
	Mention bool
}

// eraseBatch is how many users one record erases.
const eraseBatch = 25_000

// An ErasureStep is how far an erasure has come.
type ErasureStep struct {
	Done int // users
	// Result is what was done: of the last step alone.
	Result *Erasure
}

// An Erasure is what was erased.
type Erasure struct {
	// Certificates are of each record that ordered erasures, in their order. If
	// they could not be made, the error after the last step is an
	// *UncertifiedError.
	Certificates
	Missing []int    // indexes of the users about whom nothing was stored
	Held    int      // users whom a hold keeps, of several; they are not erased
	Holds   []string // these holds
}

// Erase destroys the keys to everything about users, permanently, and yields how far
// it has come. It needs delete_data, and where duties are separate the approval of a
// second person. If a hold keeps any of what is stored about the one user that is
// asked for, the error is a *governance.LegalHoldError; of several users, those whom
// a hold keeps are left out.
//
// The last step has the certificates of what was erased, also if an error follows,
// because of which other users were not, or if the caller has seen enough.
func (s *Session) Erase(ctx context.Context, q EraseRequest) iter.Seq2[*ErasureStep, error] {
	return func(yield func(*ErasureStep, error) bool) {
		x, err := s.v.beginErasure(ctx, &q)
		if err != nil {
			yield(nil, err)
			return
		}
		done, wanted := 0, true
		for batch := range slices.Chunk(q.Users, cmp.Or(s.v.options().testOnlyEraseBatch, eraseBatch)) {
			if err = x.erase(ctx, batch, len(q.Users) > 1); err != nil || !wanted {
				break
			}
			done += len(batch)
			if done < len(q.Users) {
				wanted = yield(&ErasureStep{Done: done}, nil)
			}
			if !wanted {
				break
			}
		}
		out, cerr := x.result(ctx)
		if wanted && yield(&ErasureStep{done, out}, nil) {
			if err = errors.Join(err, cerr); err != nil {
				yield(nil, err)
			}
		}
	}
}

// An erasing is an erasure under way.
type erasing struct {
	v       *view
	log     *audittrail.Log
	order   audittrail.Erasure
	missing []int
	orders  []*audittrail.ErasureOrder // what was done
	held    int
	holds   []string
}

// beginErasure refuses an erasure that the caller may not ask for, or that has no
// reason, legal basis or approval.
func (v *view) beginErasure(ctx context.Context, q *EraseRequest) (*erasing, error) {
	m, who, err := v.people(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	log, _, err := v.log(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	if err := checkReason(q.Reason, q.Mention, q.Users...); err != nil {
		return nil, err
	}
	if strings.TrimSpace(q.Basis) == "" {
		return nil, ErrNoBasis
	}
	if err := v.erasureApproved(ctx, m, q.Approval, who, q.Users); err != nil {
		return nil, err
	}
	x := &erasing{v: v, log: log, order: audittrail.Erasure{Reason: q.Reason, Basis: q.Basis, Approval: q.Approval, By: who.by}}
	for i, u := range q.Users {
		known, err := m.KnownUser(u)
		if err != nil {
			return nil, err
		}
		if !known {
			x.missing = append(x.missing, i)
		}
	}
	return x, nil
}

// erasureApproved refuses an erasure that a second person must approve and has not.
func (v *view) erasureApproved(ctx context.Context, m *privacy.Manager, id string, who actor, users []string) error {
	var a privacy.Approval
	var err error
	if id != "" {
		a, err = m.ErasureApproval(id, users, v.now())
	}
	return v.approved(ctx, id, who, a, err)
}

// erase erases some users; of many, those whom no hold keeps.
func (x *erasing) erase(ctx context.Context, users []string, many bool) error {
	for {
		order := x.order
		order.Users = users
		done, err := x.log.Erase(ctx, order)
		var held *governance.LegalHoldError
		if many && errors.As(err, &held) && len(held.Users) > 0 {
			keep := make(map[string]bool, len(held.Users))
			for _, u := range held.Users {
				keep[u] = true
			}
			x.held += len(keep)
			for _, h := range held.Holds {
				if !slices.Contains(x.holds, h.ID) {
					x.holds = append(x.holds, h.ID)
				}
			}
			users = slices.DeleteFunc(slices.Clone(users), func(u string) bool { return keep[u] })
			continue
		}
		if err != nil {
			return err
		}
		if len(done.Subjects) > 0 {
			x.orders = append(x.orders, done)
		}
		return nil
	}
}

// result is what was done, with its certificates. An interrupt does not keep it from
// these.
func (x *erasing) result(ctx context.Context) (*Erasure, error) {
	out := &Erasure{Missing: x.missing, Held: x.held, Holds: x.holds}
	if len(x.orders) == 0 {
		return out, nil
	}
	c, err := x.v.certify(context.WithoutCancel(ctx), x.log, x.orders)
	if err != nil {
		u := &UncertifiedError{Err: err}
		for _, o := range x.orders {
			u.Seqs = append(u.Seqs, o.Receipt.Seq)
		}
		return out, u
	}
	out.Certificates = *c
	return out, nil
}

// A PreviewRequest asks what an erasure would do.
type PreviewRequest struct {
	Users []string
	// Approval is that of the EraseRequest, which is checked, unless Counts are
	// asked for.
	Approval string
	// Counts asks how many records each erasure would cover, and which users a hold
	// keeps.
	Counts bool
}

// A Preview is what an erasure would do with one user.
type Preview struct {
	Lookup
	Held bool // a hold keeps something that is stored about the user
	privacy.AffectedRecords
}

// PreviewErasure tells of each of some users what Erase would do, and erases
// nothing. It needs delete_data.
func (s *Session) PreviewErasure(ctx context.Context, q PreviewRequest) ([]Preview, error) {
	m, who, err := s.v.people(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	if !q.Counts {
		if err := s.v.erasureApproved(ctx, m, q.Approval, who, q.Users); err != nil {
			return nil, err
		}
	}
	found, err := lookups(ctx, m, q.Users)
	if err != nil {
		return nil, err
	}
	all := make([]Preview, len(found))
	for i, l := range found {
		all[i].Lookup = l
	}
	if !q.Counts {
		return all, nil
	}
	counts, err := m.CountAffected(ctx, q.Users)
	if err != nil {
		return nil, err
	}
	log, _, err := s.v.log(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	held, err := heldUsers(ctx, log, q.Users)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].AffectedRecords, all[i].Held = counts[i], held[all[i].User]
	}
	return all, nil
}

// heldUsers returns those of some users whom a hold keeps.
func heldUsers(ctx context.Context, log *audittrail.Log, users []string) (map[string]bool, error) {
	all := map[string]bool{}
	rest := slices.Clone(users)
	for {
		err := log.CheckErase(ctx, rest)
		var held *governance.LegalHoldError
		if !errors.As(err, &held) || len(held.Users) == 0 {
			return all, err
		}
		for _, u := range held.Users {
			all[u] = true
		}
		rest = slices.DeleteFunc(rest, func(u string) bool { return all[u] })
	}
}

// A CertifyRequest asks for the certificates of erasures again.
type CertifyRequest struct {
	Seqs []uint64 // of the records that ordered the erasures
}

// Certificates are of erasures, in the order in which these were ordered.
type Certificates struct {
	All []*certificate.Certificate
	// VKeys are the keys of the log, with which the certificates can be checked.
	VKeys []string
}

// Certify makes the certificates of erasures again. It needs delete_data.
func (s *Session) Certify(ctx context.Context, q CertifyRequest) (*Certificates, error) {
	log, _, err := s.v.log(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	seqs := slices.Clone(q.Seqs)
	slices.Sort(seqs)
	var orders []*audittrail.ErasureOrder
	for _, seq := range slices.Compact(seqs) {
		o, err := log.ErasureAt(ctx, seq)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return s.v.certify(ctx, log, orders)
}

// An ErasuresRequest asks for the erasures that the log has ordered.
type ErasuresRequest struct{}

// Erasures lists the erasures that the log has ordered, the oldest first. It needs
// delete_data.
func (s *Session) Erasures(ctx context.Context, _ ErasuresRequest) (iter.Seq2[*audittrail.ErasureOrder, error], error) {
	log, _, err := s.v.log(ctx, access.DeleteData)
	if err != nil {
		return nil, err
	}
	return log.Erasures(ctx), nil
}
