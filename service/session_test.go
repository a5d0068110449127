package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/query"
	"audittrail/record"
	"audittrail/service"
)

// How much a caller sees of a record.
const (
	nothing = "nothing" // as if it were not there
	clear   = "clear"   // that it is there, without its content
	content = "content"
)

// sees says what a session sees of records 0 to 2, one by one.
func sees(t *testing.T, s *service.Session) []string {
	t.Helper()
	var all []string
	for seq := range uint64(3) {
		r, err := s.Get(t.Context(), service.GetRequest{Record: service.Ref{Seq: seq}})
		switch {
		case errors.Is(err, service.ErrDenied):
			all = append(all, nothing)
		case err != nil:
			t.Fatal(err)
		default:
			all = append(all, seen(t, r))
		}
	}
	return all
}

// seen says what of a record is shown.
func seen(t *testing.T, r *record.Record) string {
	t.Helper()
	bare := r.Event.Prompt == "" && r.Event.UserID == ""
	switch {
	case r.State == record.Restricted && bare:
		return clear
	case r.State == record.Readable && !bare:
		return content
	}
	t.Errorf("record %d has state %v and the event %+v", r.Seq, r.State, r.Event)
	return ""
}

// TestWhoSeesWhat holds what each kind of caller sees: by permission, by scope,
// and of a person whose data are restricted; and that every way to a record says
// the same.
func TestWhoSeesWhat(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		role  string
		scope []string
		want  []string // of ann and bob, with gpt-4, and carl, with gpt-5; bob is restricted
	}{
		{"", nil, []string{content, clear, content}},
		{access.Privacy, nil, []string{content, content, content}},
		{"admin", nil, []string{content, clear, content}},
		{"auditor", nil, []string{content, clear, content}},
		{"viewer", nil, []string{clear, clear, clear}},
		{"writer", nil, []string{nothing, nothing, nothing}},
		{roleOf(access.ReadContent), nil, []string{nothing, nothing, nothing}},
		{roleOf(access.ReadEvents), nil, []string{clear, clear, clear}},
		{access.Privacy, []string{"model=gpt-4"}, []string{content, content, nothing}},
		{"auditor", []string{"model=gpt-4"}, []string{content, clear, nothing}},
		{"auditor", []string{"model=gpt-5"}, []string{nothing, nothing, content}},
		{"viewer", []string{"model=gpt-4"}, []string{clear, clear, nothing}},
		{"all", []string{"type=response"}, []string{nothing, nothing, nothing}},
	} {
		t.Run(c.role+strings.Join(c.scope, ","), func(t *testing.T) {
			token := operator
			if c.role != "" {
				token, _ = h.grant("u", c.role, c.scope...)
			}
			s := h.as(h.serve(options()), token)
			if got := sees(t, s); !slices.Equal(got, c.want) {
				t.Errorf("Get shows %v, want %v", got, c.want)
			}
			q := query.Query{Types: []event.Type{event.Prompt}, OldestFirst: true}
			lists := map[string]func() (*service.Listing, error){
				"Tail": func() (*service.Listing, error) {
					return s.Tail(t.Context(), service.TailRequest{Query: q, Last: 10})
				},
				"Find": func() (*service.Listing, error) {
					return s.Find(t.Context(), service.FindRequest{Query: q})
				},
				"Find a page": func() (*service.Listing, error) {
					page := q
					page.Limit = 10
					return s.Find(t.Context(), service.FindRequest{Query: page})
				},
				"Export": func() (*service.Listing, error) {
					return s.Export(t.Context(), service.ExportRequest{Query: q})
				},
			}
			for name, list := range lists {
				l, err := list()
				known := !slices.Equal(c.want, []string{nothing, nothing, nothing}) || c.role == "all"
				whole := name != "Tail" && len(c.scope) > 0
				exports := c.role == "" || c.role == access.Privacy || c.role == "admin" || c.role == "auditor" || c.role == "all"
				if !known || whole || name == "Export" && !exports {
					if !errors.Is(err, service.ErrDenied) {
						t.Errorf("%s = %v, want ErrDenied", name, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				got := []string{nothing, nothing, nothing}
				for hit, err := range l.All() {
					if err != nil {
						t.Fatal(err)
					}
					got[hit.Seq] = seen(t, hit.Record)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s shows %v, want %v", name, got, c.want)
				}
			}
		})
	}
}

// TestWordsTellNothing holds that content that a caller may not see is not found
// by its words, nor counted by them, and that to ask for words takes the permission
// to read content.
func TestWordsTellNothing(t *testing.T) {
	h := newHouse(t)
	svc := h.serve(options())
	viewer, _ := h.grant("v", "viewer")
	auditor, _ := h.grant("a", "auditor")
	for _, q := range []query.Query{
		{Text: "secret"}, {Users: []string{"ann"}}, {Actors: []string{"ann"}}, {Sessions: []string{"s"}},
	} {
		s := h.as(svc, viewer)
		_, err := s.Find(t.Context(), service.FindRequest{Query: q})
		_, cerr := s.Count(t.Context(), service.CountRequest{Query: q})
		_, gerr := s.Group(t.Context(), service.GroupRequest{Query: q})
		_, xerr := s.Explain(t.Context(), service.ExplainRequest{Query: q})
		_, terr := s.Tail(t.Context(), service.TailRequest{Query: q})
		for _, err := range []error{err, cerr, gerr, xerr, terr} {
			denied := (*service.DeniedError)(nil)
			if !errors.As(err, &denied) || denied.Part == "" || denied.Permission != access.ReadContent {
				t.Errorf("%+v as a viewer = %v, want a DeniedError that names the part", q, err)
			}
		}
	}
	s := h.as(svc, viewer)
	if _, err := s.Group(t.Context(), service.GroupRequest{Grouping: query.Grouping{By: []string{"user"}}}); !errors.Is(err, service.ErrDenied) {
		t.Errorf("Group by user as a viewer = %v, want ErrDenied", err)
	}
	words := query.Query{Text: "secret", Types: []event.Type{event.Prompt}}
	for _, token := range []string{operator, auditor} {
		s := h.as(svc, token)
		c, err := s.Count(t.Context(), service.CountRequest{Query: words})
		if err != nil || c.Count != 2 || c.Unsearched != 1 {
			t.Errorf("Count = %+v, %v, want 2, and 1 that could not be searched", c, err)
		}
		l, err := s.Find(t.Context(), service.FindRequest{Query: words})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for hit, err := range l.All() {
			if n++; err != nil || hit.Event.UserID == "bob" || len(hit.Matches) == 0 {
				t.Errorf("Find yields %+v, %v", hit, err)
			}
		}
		if n != 2 {
			t.Errorf("Find yields %d records, want 2", n)
		}
		g, err := s.Group(t.Context(), service.GroupRequest{
			Query: query.Query{Types: []event.Type{event.Prompt}}, Grouping: query.Grouping{By: []string{"user"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(g.Table.Rows); strings.Contains(text, "bob") || !strings.Contains(text, "ann") {
			t.Errorf("Group by user = %s: the user who is restricted has no name, and others have", text)
		}
	}
}

// TestActorIsNotNamed holds that somebody whose data are restricted is not named as
// who acted in a record about somebody else.
func TestActorIsNotNamed(t *testing.T) {
	h := newHouse(t)
	seq := h.add(event.Event{Type: event.HumanReview, UserID: "ann", Actor: "bob", Response: "about ann"})
	svc := h.serve(options())
	auditor, _ := h.grant("a", "auditor")
	for _, token := range []string{operator, auditor} {
		r, err := h.as(svc, token).Get(t.Context(), service.GetRequest{Record: service.Ref{Seq: seq}})
		if err != nil || r.Event.Actor != "" || r.Event.Response == "" {
			t.Errorf("Get = %+v, %v, want the content, and no actor", r, err)
		}
	}
}

// TestRestrictedIsNotDisclosed holds that the key to content about somebody whose data
// are restricted is given to nobody but the role privacy.
func TestRestrictedIsNotDisclosed(t *testing.T) {
	h := newHouse(t)
	svc := h.serve(options())
	auditor, _ := h.grant("a", "auditor")
	officer, _ := h.grant("o", access.Privacy)
	bob := service.DiscloseRequest{Record: service.Ref{Seq: 1}}
	if d, err := h.as(svc, auditor).Disclose(t.Context(), bob); d != nil || !errors.Is(err, service.ErrDenied) {
		t.Errorf("Disclose as an auditor = %v, want ErrDenied", err)
	}
	if d, err := svc.Local().Disclose(t.Context(), bob); d != nil || err == nil {
		t.Error("Disclose by the operator: no error")
	}
	if _, err := h.as(svc, officer).Disclose(t.Context(), bob); err != nil {
		t.Errorf("Disclose as the officer: %v", err)
	}
	if n := len(h.events(event.DataExported)); n != 1 {
		t.Errorf("the log tells of %d exports, want 1", n)
	}
}

// TestInterruptedReadIsRecorded holds that the log tells how much was read when the
// caller has gone.
func TestInterruptedReadIsRecorded(t *testing.T) {
	h := newHouse(t)
	o := options()
	o.Reads = service.ReadsAlways
	s := h.serve(o).Local()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := s.Find(ctx, service.FindRequest{Query: query.Query{Types: []event.Type{event.Prompt}}})
	if err != nil {
		t.Fatal(err)
	}
	var ended error
	for _, err := range l.All() {
		cancel()
		ended = err
	}
	if !errors.Is(ended, context.Canceled) {
		t.Errorf("the list ended with %v, want the interrupt", ended)
	}
	reads := h.events(event.ContentRead)
	if len(reads) != 2 || reads[1].Event.Category != access.Ended || len(s.RecordErrors()) > 0 {
		t.Errorf("the log tells of %+v, want a read that began and ended", reads)
	}
}

// methods are those of a session that take a request.
func methods(s *service.Session) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{}
	v := reflect.ValueOf(s)
	for i := range v.NumMethod() {
		m, name := v.Method(i), v.Type().Method(i).Name
		if m.Type().NumIn() == 0 {
			continue // it tells of the session itself: TestSessionHasOneWay
		}
		all[name] = func(ctx context.Context) error {
			args := []reflect.Value{reflect.ValueOf(ctx)}
			switch q := reflect.New(m.Type().In(1)).Interface().(type) {
			case *service.CheckRequest:
				q.Permission = access.Verify
				args = append(args, reflect.ValueOf(*q))
			case *service.PermitRequest:
				q.Permission = access.Verify
				args = append(args, reflect.ValueOf(*q))
			case *service.SubjectAccessRequest:
				q.Archive = io.Discard
				args = append(args, reflect.ValueOf(*q))
			default:
				args = append(args, reflect.ValueOf(q).Elem())
			}
			out := m.Call(args)
			if steps, ok := out[0].Interface().(iter.Seq2[*service.ErasureStep, error]); ok {
				var failed error
				for _, err := range steps {
					failed = errors.Join(failed, err)
				}
				return failed
			}
			err, _ := out[len(out)-1].Interface().(error)
			for _, o := range out[:len(out)-1] {
				if err != nil && !o.IsZero() {
					return errors.New("an answer beside the error")
				}
			}
			return err
		}
	}
	return all
}

// needs says which permissions let a method begin, with an empty request. A method
// that is not here fails the tests.
var needs = map[string][]access.Permission{
	"Find":          {access.ReadEvents},
	"Count":         {access.ReadEvents},
	"Group":         {access.ReadEvents},
	"Explain":       {access.ReadEvents},
	"Tail":          {access.ReadEvents},
	"Get":           {access.ReadEvents},
	"Export":        {access.ReadEvents, access.ExportData},
	"Disclose":      {access.ReadEvents, access.ReadContent, access.ExportData},
	"Lineage":       {access.ReadEvents},
	"Calls":         {access.ReadEvents},
	"Impact":        {access.ReadEvents},
	"ExplainAnswer": {access.ReadEvents},
	"Stat":          {access.ReadEvents},
	"Prove":         {access.Verify},

	"LookUp":         {access.DeleteData},
	"Status":         {access.DeleteData},
	"SubjectAccess":  {access.ExportData, access.ReadContent},
	"Restrict":       {access.DeleteData},
	"Lift":           {access.DeleteData},
	"PreviewErasure": {access.DeleteData},
	"Erase":          {access.DeleteData},
	"Certify":        {access.DeleteData},
	"Erasures":       {access.DeleteData},
	"ApproveErasure": {access.DeleteData},

	"Holds":          {access.ManageHolds},
	"PlaceHold":      {access.ManageHolds},
	"ReleaseHold":    {access.ManageHolds},
	"ApproveRelease": {access.ManageHolds},

	"Report":       {access.ViewReports},
	"VerifyReport": {access.ViewReports},
	"Case":         {access.ReadEvents},

	"Grant":        {access.ManageAccess},
	"Revoke":       {access.ManageAccess},
	"Grants":       {access.ManageAccess},
	"GrantHistory": {access.ManageAccess},
	"Reads":        {access.ManageAccess},

	// With the permission that their requests name: see methods.
	"Check":  {access.Verify},
	"Permit": {access.Verify},
}

// TestEveryMethodRefuses calls every method of a session, as reflection finds them,
// as an attacker would: with a token that is none, one that nobody has, one that was
// revoked, and ones that have every permission but one that the method needs. All
// of these are refused, and recorded.
func TestEveryMethodRefuses(t *testing.T) {
	h := newHouse(t)
	o := options()
	svc := h.serve(o)
	for name := range methods(svc.Local()) {
		if len(needs[name]) == 0 {
			t.Fatalf("Session.%s is not in needs: say which permissions it needs", name)
		}
		for _, lacks := range needs[name] {
			var rest []access.Permission
			for _, p := range access.Permissions() {
				if p != lacks {
					rest = append(rest, p)
				}
			}
			role := fmt.Sprintf("no-%d", slices.Index(access.Permissions(), lacks))
			o.Access.Custom[role] = access.CustomRole{Description: "all but one", Permissions: rest}
		}
	}
	denials := func() int { return len(h.events(event.AccessDenied)) }
	refused := func(name, why, token string) {
		t.Helper()
		svc := service.New(h.log, o)
		before := denials()
		err := methods(h.as(svc, token))[name](t.Context())
		if !errors.Is(err, service.ErrDenied) {
			t.Errorf("%s with %s = %v, want ErrDenied", name, why, err)
		}
		h.close(svc)
		if n := denials() - before; n != 1 {
			t.Errorf("%s with %s made %d records of the denial, want 1", name, why, n)
		}
	}
	c, err := access.Open(t.Context(), h.log, o.Access)
	if err != nil {
		t.Fatal(err)
	}
	grant := func(role string) (string, access.ID) {
		token, g, err := c.Grant(t.Context(), access.GrantRequest{User: "u", Role: role})
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal(), g.ID
	}
	unknown := "atk_0000000000000000000000000000000000000000000000000"
	for name, needed := range needs {
		refused(name, "no token", "")
		refused(name, "a text that is no token", "nonsense")
		refused(name, "a token that nobody has", unknown)
		gone, id := grant("all")
		if _, err := c.Revoke(t.Context(), id, "r", access.Local); err != nil {
			t.Fatal(err)
		}
		refused(name, "a token that was revoked", gone)
		for _, lacks := range needed {
			token, _ := grant(fmt.Sprintf("no-%d", slices.Index(access.Permissions(), lacks)))
			refused(name, "a token without "+string(lacks), token)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOneIsEnough holds that each method begins with the permissions that needs
// says, and no more: so that the refusals above are those of the permission.
func TestOneIsEnough(t *testing.T) {
	h := newHouse(t)
	o := options()
	for name, needed := range needs {
		o.Access.Custom["just-"+strings.ToLower(name)] = access.CustomRole{Description: "just", Permissions: needed}
	}
	c, err := access.Open(t.Context(), h.log, o.Access)
	if err != nil {
		t.Fatal(err)
	}
	svc := h.serve(o)
	for name := range needs {
		token, _, err := c.Grant(t.Context(), access.GrantRequest{User: "u", Role: "just-" + strings.ToLower(name)})
		if err != nil {
			t.Fatal(err)
		}
		if err := methods(h.as(svc, token.Reveal()))[name](t.Context()); errors.Is(err, service.ErrDenied) {
			t.Errorf("%s with %v = %v", name, needs[name], err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDenialOfReader holds that a denial is recorded also where the log is open to
// read, and that it is said if it cannot be.
func TestDenialOfReader(t *testing.T) {
	h := newHouse(t)
	writer, id := h.grant("w", "writer")
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	reopen := func(o audittrail.Options) {
		t.Helper()
		h.log = logtest.Open(t, h.dir, o)
	}
	reopen(audittrail.Options{ReadOnly: true})
	o := options()
	o.Writer = &service.Writer{Dir: h.dir}
	get := func() []*service.RecordError {
		t.Helper()
		svc := service.New(h.log, o)
		s := h.as(svc, writer)
		if _, err := s.Get(t.Context(), service.GetRequest{}); !errors.Is(err, service.ErrDenied) {
			t.Errorf("Get as a writer = %v, want ErrDenied", err)
		}
		h.close(svc)
		return s.RecordErrors()
	}
	if u := get(); len(u) > 0 {
		t.Errorf("not recorded: %v", u)
	}
	if all := h.events(event.AccessDenied); len(all) != 1 || !strings.Contains(string(all[0].Event.Metadata["denial"]), id.String()) {
		t.Errorf("the log has the denials %+v, want one of %s", all, id)
	}
	other := logtest.Open(t, h.dir, audittrail.Options{})
	if u := get(); len(u) != 1 || !errors.Is(u[0].Err, audittrail.ErrLocked) {
		t.Errorf("with another writer: not recorded: %v, want one for the lock", u)
	}
	if err := errors.Join(other.Close(), h.log.Close()); err != nil {
		t.Fatal(err)
	}
	reopen(audittrail.Options{})
}

// TestUnrecordedIsNotShown holds that content whose reading cannot be recorded is
// not shown, in any way, unless that is asked for.
func TestUnrecordedIsNotShown(t *testing.T) {
	h := newHouse(t)
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	h.log = logtest.Open(t, h.dir, audittrail.Options{ReadOnly: true})
	o := options()
	o.Reads = service.ReadsAlways
	q := query.Query{Types: []event.Type{event.Prompt}}
	ways := map[string]func(*service.Session) (int, error){
		"Get": func(s *service.Session) (int, error) {
			_, err := s.Get(t.Context(), service.GetRequest{})
			if err != nil {
				return 0, err
			}
			return 1, nil
		},
		"Disclose": func(s *service.Session) (int, error) {
			d, err := s.Disclose(t.Context(), service.DiscloseRequest{})
			if d != nil {
				return 1, err
			}
			return 0, err
		},
	}
	list := func(name string, begin func(*service.Session) (*service.Listing, error)) {
		ways[name] = func(s *service.Session) (n int, err error) {
			l, err := begin(s)
			if err != nil {
				return 0, err
			}
			for hit, herr := range l.All() {
				if herr != nil {
					err = herr
				} else if hit.Event.Prompt != "" {
					n++
				}
			}
			return n, err
		}
	}
	list("Find", func(s *service.Session) (*service.Listing, error) {
		return s.Find(t.Context(), service.FindRequest{Query: q})
	})
	list("Find a page", func(s *service.Session) (*service.Listing, error) {
		page := q
		page.Limit = 2
		return s.Find(t.Context(), service.FindRequest{Query: page})
	})
	list("Tail", func(s *service.Session) (*service.Listing, error) {
		return s.Tail(t.Context(), service.TailRequest{Query: q, Last: 10})
	})
	list("Export", func(s *service.Session) (*service.Listing, error) {
		return s.Export(t.Context(), service.ExportRequest{Query: q})
	})
	for name, way := range ways {
		o.ShowUnrecorded = false
		s := service.New(h.log, o).Local()
		if n, err := way(s); n > 0 || !errors.Is(err, service.ErrUnrecorded) || !errors.Is(err, audittrail.ErrReadOnly) {
			t.Errorf("%s shows the content of %d records, %v; want none, and ErrUnrecorded", name, n, err)
		}
		o.ShowUnrecorded = true
		s = service.New(h.log, o).Local()
		if n, err := way(s); n == 0 || err != nil {
			t.Errorf("%s with ShowUnrecorded shows the content of %d records, %v", name, n, err)
		}
		if len(s.RecordErrors()) == 0 {
			t.Errorf("%s with ShowUnrecorded does not say that it was not recorded", name)
		}
	}
}
