package service_test

import (
	"errors"
	"testing"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
	"audittrail/service"
)

// A house is a log with some records, and people who may do different things
// with it.
type house struct {
	t   *testing.T
	dir string
	log *audittrail.Log
}

// newHouse makes a log: record 0 is about ann and gpt-4, 1 about bob and gpt-4,
// 2 about carl and gpt-5, all with the word "secret". Bob's data are restricted.
func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	h.log = logtest.Open(t, h.dir, audittrail.Options{Create: true})
	for _, e := range []event.Event{
		{Type: event.Prompt, ModelID: "gpt-4", UserID: "ann", Prompt: "secret of ann"},
		{Type: event.Prompt, ModelID: "gpt-4", UserID: "bob", Prompt: "secret of bob"},
		{Type: event.Prompt, ModelID: "gpt-5", UserID: "carl", Prompt: "secret of carl"},
	} {
		h.add(e)
	}
	manager, err := privacy.Open(t.Context(), h.log, query.New(h.log))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manager.Restrict(t.Context(), "bob", "r", access.Local); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) add(e event.Event) uint64 {
	h.t.Helper()
	r, err := h.log.Append(h.t.Context(), e)
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Seq
}

// options have a role for each permission, which has that one, a role with all
// but one for each, and one with all.
func options() service.Options {
	custom := map[string]access.CustomRole{"all": {Description: "all", Permissions: access.Permissions()}}
	for _, p := range access.Permissions() {
		custom[roleOf(p)] = access.CustomRole{Description: "one", Permissions: []access.Permission{p}}
	}
	return service.Options{Access: access.Options{Rules: access.Rules{Custom: custom}}}
}

// roleOf is the role that has nothing but a permission.
func roleOf(p access.Permission) string {
	name := []byte("only-" + string(p))
	for i, c := range name {
		if c == '_' {
			name[i] = '-'
		}
	}
	return string(name)
}

// grant gives somebody a role, and returns the token.
func (h *house) grant(user, role string, scope ...string) (string, access.ID) {
	h.t.Helper()
	c, err := access.Open(h.t.Context(), h.log, options().Access)
	if err != nil {
		h.t.Fatal(err)
	}
	r := access.GrantRequest{User: user, Role: role}
	if r.Scope, err = access.ParseScope(scope); err != nil {
		h.t.Fatal(err)
	}
	token, g, err := c.Grant(h.t.Context(), r)
	if err := errors.Join(err, c.Close()); err != nil {
		h.t.Fatal(err)
	}
	return token.Reveal(), g.ID
}

// revoke ends a grant, as another process does.
func (h *house) revoke(id access.ID) {
	h.t.Helper()
	c, err := access.Open(h.t.Context(), h.log, options().Access)
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = c.Revoke(h.t.Context(), id, "r", access.Local)
	if err := errors.Join(err, c.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// serve returns a service of the log.
func (h *house) serve(o service.Options) *service.Service {
	h.t.Helper()
	svc := service.New(h.log, o)
	h.t.Cleanup(func() { h.close(svc) })
	return svc
}

func (h *house) close(svc *service.Service) {
	h.t.Helper()
	if err := svc.Close(); err != nil {
		h.t.Error(err)
	}
}

// operator stands for the operator of the log in the place of a token.
const operator = "operator"

// as returns the session of the holder of a token, or of the operator.
func (h *house) as(svc *service.Service, token string) *service.Session {
	h.t.Helper()
	if token == operator {
		return svc.Local()
	}
	s, err := svc.As(h.t.Context(), token)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// events returns the records of some types, as somebody sees them who has the
// files.
func (h *house) events(types ...event.Type) []*record.Record {
	h.t.Helper()
	var all []*record.Record
	for hit, err := range query.New(h.log).Find(h.t.Context(), query.Query{Types: types, OldestFirst: true}) {
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, hit.Record)
	}
	return all
}
