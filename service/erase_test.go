package service_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/privacy"
	"audittrail/record"
	"audittrail/service"
)

// separate are options under which a second person must approve.
func separate() service.Options {
	o := options()
	o.Access.SeparateDuties = true
	return o
}

// erase erases users, and returns the last step and the errors.
func erase(ctx context.Context, s *service.Session, q service.EraseRequest) (done *service.Erasure, err error) {
	if q.Reason == "" {
		q.Reason, q.Basis = "asked", "GDPR 17(1)(b)"
	}
	for step, serr := range s.Erase(ctx, q) {
		if serr != nil {
			err = errors.Join(err, serr)
			continue
		}
		done = step.Result
	}
	return done, err
}

// states are those of the content of records 0 to 2.
func (h *house) states() []record.State {
	h.t.Helper()
	var all []record.State
	for seq := range uint64(3) {
		r, err := h.log.Get(h.t.Context(), seq)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, r.State)
	}
	return all
}

func (h *house) unerased(why string) {
	h.t.Helper()
	if got := h.states(); !slices.Equal(got, []record.State{record.Readable, record.Readable, record.Readable}) {
		h.t.Errorf("%s: the states are %v, want all readable", why, got)
	}
	if n := len(h.events(event.SubjectErased)); n > 0 {
		h.t.Errorf("%s: %d erasures were ordered", why, n)
	}
}

// certified holds that certificates hold, and cover so many records.
func certified(t *testing.T, c *service.Certificates, records ...uint64) {
	t.Helper()
	var got []uint64
	for _, c1 := range c.All {
		facts, err := c1.Check(c.VKeys)
		if err != nil {
			t.Fatalf("the certificate does not hold: %v", err)
		}
		got = append(got, facts.Records)
	}
	if !slices.Equal(got, records) {
		t.Errorf("the certificates cover %v records, want %v", got, records)
	}
}

// TestEraseNeedsApproval holds that, where duties are separate, no caller erases
// without the approval of somebody else, for these users, that still counts.
func TestEraseNeedsApproval(t *testing.T) {
	h := newHouse(t)
	paula, _ := h.grant("paula", access.Privacy)
	again, _ := h.grant("paula", access.Privacy)
	peter, _ := h.grant("peter", access.Privacy)
	gone, goneID := h.grant("gone", access.Privacy)
	now := time.Now()
	o := separate()
	o.Now = func() time.Time { return now }
	o.Access.PollInterval = time.Hour // it is each request that looks
	svc := h.serve(o)
	approve := func(token string, users ...string) string {
		t.Helper()
		a, err := h.as(svc, token).ApproveErasure(t.Context(), service.ApproveErasureRequest{Users: users})
		if err != nil {
			t.Fatal(err)
		}
		return a.ID.String()
	}
	if _, err := svc.Local().ApproveErasure(t.Context(), service.ApproveErasureRequest{Users: []string{"ann"}}); !errors.Is(err, service.ErrNeedsToken) {
		t.Errorf("ApproveErasure by the operator = %v, want ErrNeedsToken", err)
	}
	revoked := approve(gone, "ann")
	h.revoke(goneID)
	old := approve(peter, "ann")
	now = now.Add(31 * 24 * time.Hour)
	for why, id := range map[string]string{
		"without an approval":                            "",
		"with one that nobody gave":                      "0198c0de-0000-7000-8000-000000000001",
		"with no id":                                     "x",
		"with the caller's own":                          approve(paula, "ann"),
		"with the caller's own, by another token":        approve(again, "ann"),
		"with one for somebody else":                     approve(peter, "carl"),
		"with one that has expired":                      old,
		"with one by a token that was revoked":           revoked,
		"with one for only some of those who are erased": approve(peter, "bob"),
	} {
		users := []string{"ann"}
		if strings.Contains(why, "some") {
			users = []string{"ann", "bob"}
		}
		for _, token := range []string{paula, operator} {
			if token == operator && strings.Contains(why, "own") {
				continue // the operator is not known by name
			}
			s := h.as(svc, token)
			_, err := erase(t.Context(), s, service.EraseRequest{Users: users, Approval: id})
			_, perr := s.PreviewErasure(t.Context(), service.PreviewRequest{Users: users, Approval: id})
			for _, err := range []error{err, perr} {
				wrong := (*privacy.ApprovalError)(nil)
				if !errors.Is(err, service.ErrApprovalNeeded) && !errors.As(err, &wrong) {
					t.Errorf("Erase %s = %v, want that it is not approved", why, err)
				}
			}
		}
		h.unerased(why)
	}
	done, err := erase(t.Context(), h.as(svc, paula), service.EraseRequest{Users: []string{"ann"}, Approval: approve(peter, "ann")})
	if err != nil {
		t.Fatal(err)
	}
	certified(t, &done.Certificates, 1)
	if got := h.states(); got[0] != record.Erased || got[1] != record.Readable {
		t.Errorf("after the erasure of ann the states are %v", got)
	}
}

// TestEraseHeeds holds that no caller erases what a hold keeps, or without a reason
// and a legal basis, and that all others are erased and certified.
func TestEraseHeeds(t *testing.T) {
	h := newHouse(t)
	svc := h.serve(options())
	s := svc.Local()
	for why, q := range map[string]service.EraseRequest{
		"without a reason":            {Users: []string{"ann"}, Reason: " ", Basis: "b"},
		"without a basis":             {Users: []string{"ann"}, Reason: "r"},
		"with a reason that names":    {Users: []string{"carl"}, Reason: "Carl asked", Basis: "b"},
		"with a reason that names an": {Users: []string{"ann", "carl"}, Reason: "carl asked", Basis: "b"},
	} {
		_, err := erase(t.Context(), s, q)
		if !errors.Is(err, service.ErrNoReason) && !errors.Is(err, service.ErrNoBasis) && !errors.Is(err, service.ErrReasonMentionsUser) {
			t.Errorf("Erase %s = %v", why, err)
		}
		h.unerased(why)
	}
	if _, err := s.PlaceHold(t.Context(), service.PlaceHoldRequest{Hold: governance.Hold{User: "carl", Reason: "carl sues"}}); !errors.Is(err, service.ErrReasonMentionsUser) {
		t.Errorf("PlaceHold with a reason that names the user = %v", err)
	}
	placed, err := s.PlaceHold(t.Context(), service.PlaceHoldRequest{Hold: governance.Hold{User: "carl", Reason: "case 17", By: "forged"}})
	if err != nil || placed.By != access.Local || !placed.Lookup.Known {
		t.Fatalf("PlaceHold = %+v, %v", placed, err)
	}
	held := (*governance.LegalHoldError)(nil)
	if _, err := erase(t.Context(), s, service.EraseRequest{Users: []string{"carl"}}); !errors.As(err, &held) {
		t.Errorf("Erase of a user on hold = %v, want a LegalHoldError", err)
	}
	h.unerased("on hold")
	p, err := s.PreviewErasure(t.Context(), service.PreviewRequest{Users: []string{"carl", "ann", "nobody", "Ann"}, Counts: true})
	if err != nil || !p[0].Held || p[1].Held || p[1].Records != 1 || !p[1].Known || p[2].Known || p[3].Known || p[3].Near != 1 {
		t.Errorf("PreviewErasure = %+v, %v", p, err)
	}
	h.unerased("in a preview")
	done, err := erase(t.Context(), s, service.EraseRequest{Users: []string{"ann", "nobody", "carl"}})
	if err != nil || done.Held != 1 || !slices.Equal(done.Holds, []string{placed.ID}) || !slices.Equal(done.Missing, []int{1}) {
		t.Fatalf("Erase of several = %+v, %v", done, err)
	}
	certified(t, &done.Certificates, 1)
	if got := h.states(); got[0] != record.Erased || got[2] != record.Readable {
		t.Errorf("after it the states are %v, want carl's record kept", got)
	}
	if err := s.ReleaseHold(t.Context(), service.ReleaseHoldRequest{ID: placed.ID, Reason: "carl has settled"}); !errors.Is(err, service.ErrReasonMentionsUser) {
		t.Errorf("ReleaseHold with a reason that names the user = %v", err)
	}
	if err := s.ReleaseHold(t.Context(), service.ReleaseHoldRequest{ID: placed.ID, Reason: "settled"}); err != nil {
		t.Fatal(err)
	}
	again, err := s.Certify(t.Context(), service.CertifyRequest{Seqs: []uint64{done.All[0].Seq, done.All[0].Seq}})
	if err != nil {
		t.Fatal(err)
	}
	certified(t, again, 1)
}

// TestReleaseNeedsApproval holds that a hold is not released without the approval of
// a second person, where duties are separate.
func TestReleaseNeedsApproval(t *testing.T) {
	h := newHouse(t)
	adam, _ := h.grant("adam", "admin")
	eve, _ := h.grant("eve", "admin")
	svc := h.serve(separate())
	s := h.as(svc, adam)
	placed, err := s.PlaceHold(t.Context(), service.PlaceHoldRequest{Hold: governance.Hold{User: "ann", Reason: "case 17"}})
	if err != nil {
		t.Fatal(err)
	}
	approve := func(token string) string {
		a, err := h.as(svc, token).ApproveRelease(t.Context(), service.ApproveReleaseRequest{Hold: placed.ID})
		if err != nil {
			t.Fatal(err)
		}
		return a.ID.String()
	}
	for why, id := range map[string]string{"without an approval": "", "with the caller's own": approve(adam)} {
		if err := s.ReleaseHold(t.Context(), service.ReleaseHoldRequest{ID: placed.ID, Reason: "r", Approval: id}); err == nil {
			t.Errorf("ReleaseHold %s: no error", why)
		}
		if holds, err := s.Holds(t.Context(), service.HoldsRequest{}); err != nil || len(holds) != 1 {
			t.Errorf("ReleaseHold %s: the holds are %v, %v", why, holds, err)
		}
	}
	if err := s.ReleaseHold(t.Context(), service.ReleaseHoldRequest{ID: placed.ID, Reason: "r", Approval: approve(eve)}); err != nil {
		t.Error(err)
	}
}

// TestErasureIsCertified holds that what was erased is certified although the rest
// was not: because the caller has gone, or has seen enough.
func TestErasureIsCertified(t *testing.T) {
	h := newHouse(t)
	s := h.serve(options().WithEraseBatch(1)).Local()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q := service.EraseRequest{Users: []string{"ann", "carl"}, Reason: "r", Basis: "b"}
	var last *service.Erasure
	var failed error
	for step, err := range s.Erase(ctx, q) {
		cancel()
		if err != nil {
			failed = err
		} else if last = step.Result; last == nil && step.Done != 1 {
			t.Errorf("the first step is after %d users, want 1", step.Done)
		}
	}
	if !errors.Is(failed, context.Canceled) || last == nil {
		t.Fatalf("Erase of a caller who has gone ends with %+v, %v", last, failed)
	}
	certified(t, &last.Certificates, 1)
	if got := h.states(); got[0] != record.Erased || got[2] != record.Readable {
		t.Errorf("the states are %v, want ann's record erased", got)
	}
	q.Users = []string{"carl", "bob"}
	for _, err := range s.Erase(t.Context(), q) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if got := h.states(); got[1] != record.Readable || got[2] != record.Erased {
		t.Errorf("after one step the states are %v, want carl's record erased, and bob's not", got)
	}
}

// TestRestrictionCounts holds that a restriction counts for the next record of every
// session, also of one that follows the log, and lifting it likewise.
func TestRestrictionCounts(t *testing.T) {
	h := newHouse(t)
	auditor, _ := h.grant("a", "auditor")
	officer, _ := h.grant("o", access.Privacy)
	svc, other := h.serve(options()), h.serve(options()) // as of another process
	s := h.as(svc, auditor)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := s.Tail(ctx, service.TailRequest{Last: 100, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{content, clear, content}
	if got := sees(t, s); !slices.Equal(got, want) {
		t.Errorf("before it the auditor sees %v, want %v", got, want)
	}
	n := 0
	for hit, err := range l.All() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			if _, err := h.as(other, officer).Restrict(t.Context(), service.RestrictRequest{User: "carl", Reason: "r"}); err != nil {
				t.Fatal(err)
			}
		}
		if hit.Seq == 2 {
			if got := seen(t, hit.Record); got != clear {
				t.Errorf("who follows the log sees of carl %s, want %s", got, clear)
			}
			break
		}
	}
	if got := sees(t, s); got[2] != clear {
		t.Errorf("after it the auditor sees %v", got)
	}
	if got := sees(t, h.as(svc, officer)); got[2] != content {
		t.Errorf("the officer sees %v", got)
	}
	if _, err := h.as(other, officer).Lift(t.Context(), service.RestrictRequest{User: "carl", Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if got := sees(t, s); got[2] != content {
		t.Errorf("after it was lifted the auditor sees %v", got)
	}
}

// TestRevocationCounts holds that a revocation counts for the next request of a
// session that has begun.
func TestRevocationCounts(t *testing.T) {
	h := newHouse(t)
	token, id := h.grant("a", "auditor")
	o := options()
	o.Access.PollInterval = time.Hour // it is each request that looks
	svc := h.serve(o)
	s := h.as(svc, token)
	l, err := s.Tail(t.Context(), service.TailRequest{Last: 100})
	if err != nil {
		t.Fatal(err)
	}
	h.revoke(id)
	if _, err := s.Get(t.Context(), service.GetRequest{}); !errors.Is(err, service.ErrDenied) {
		t.Errorf("Get after the token was revoked = %v, want ErrDenied", err)
	}
	n := 0
	for _, err = range l.All() {
		n++
	}
	if n != 1 || !errors.Is(err, service.ErrDenied) {
		t.Errorf("a list that had begun yields %d, and ends with %v; want nothing but ErrDenied", n, err)
	}
}

// TestSubjectAccess holds who may take out everything about a user, that of one who
// is restricted the role privacy alone, and that there is no archive that is not
// recorded.
func TestSubjectAccess(t *testing.T) {
	h := newHouse(t)
	o := options()
	o.Purposes = map[string]string{"standard": "to look into complaints"}
	svc := h.serve(o)
	admin, _ := h.grant("a", "admin")
	officer, _ := h.grant("o", access.Privacy)
	var b bytes.Buffer
	for user, want := range map[string]map[string]bool{
		"ann": {admin: true, officer: true, operator: true},
		"bob": {admin: false, officer: true, operator: true},
	} {
		for token, may := range want {
			b.Reset()
			a, err := h.as(svc, token).SubjectAccess(t.Context(), service.SubjectAccessRequest{User: user, Archive: &b})
			if !may {
				if !errors.Is(err, service.ErrDenied) || b.Len() > 0 {
					t.Errorf("SubjectAccess of %s = %v, with %d bytes; want ErrDenied, and none", user, err, b.Len())
				}
				continue
			}
			if err != nil {
				t.Errorf("SubjectAccess of %s: %v", user, err)
				continue
			}
			if _, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || a.Data.Classes[len(a.Data.Classes)-1].Purpose.Purpose == "" {
				t.Errorf("SubjectAccess of %s = %+v, %v", user, a.Data, err)
			}
		}
	}
	unknown := (*service.UnknownUserError)(nil)
	if _, err := svc.Local().SubjectAccess(t.Context(), service.SubjectAccessRequest{User: "Ann", Archive: &b}); !errors.As(err, &unknown) || unknown.Near != 1 {
		t.Errorf("SubjectAccess of a user who is not known = %v", err)
	}
	reader := logtest.Open(t, h.dir, audittrail.Options{ReadOnly: true})
	b.Reset()
	ro := service.New(reader, o)
	if _, err := ro.Local().SubjectAccess(t.Context(), service.SubjectAccessRequest{User: "ann", Archive: &b}); !errors.Is(err, audittrail.ErrReadOnly) {
		t.Errorf("SubjectAccess that cannot be recorded = %v, want ErrReadOnly", err)
	}
	if _, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil {
		t.Error("SubjectAccess that cannot be recorded leaves an archive")
	}
	if err := errors.Join(ro.Close(), reader.Close()); err != nil {
		t.Error(err)
	}
}
