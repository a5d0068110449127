package service_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"audittrail/access"
	"audittrail/event"
	"audittrail/lineage"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report"
	"audittrail/service"
)

// TestReport holds that a report tells what was written about registered entities to
// readers of contents alone, that it is recorded, and that nobody verifies what they
// may not read.
func TestReport(t *testing.T) {
	h := newHouse(t)
	tracker, err := lineage.Open(t.Context(), h.log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tracker.RegisterDataset(t.Context(), lineage.Dataset{Name: "tickets", Version: "1", Description: "HEARD FROM CARL"}); err != nil {
		t.Fatal(err)
	}
	svc := h.serve(options())
	viewer, _ := h.grant("v", "viewer")
	auditor, _ := h.grant("a", "auditor")
	reports := map[string]*report.Report{}
	for token, reads := range map[string]bool{viewer: false, auditor: true, operator: true} {
		before := len(h.events(event.ReportMade))
		r, err := h.as(svc, token).Report(t.Context(), service.ReportRequest{Form: "html", Options: report.Options{Redacted: reads}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Document().Redacted == reads {
			t.Errorf("the report for a caller who reads contents (%v) is redacted (%v)", reads, r.Document().Redacted)
		}
		made := h.events(event.ReportMade)[before:]
		if len(made) != 1 || !strings.Contains(string(made[0].Event.Metadata["report"]), "html") {
			t.Errorf("the log tells of the reports %+v, want one in HTML", made)
		}
		reports[token] = r
	}
	if _, err := svc.Local().Report(t.Context(), service.ReportRequest{NoRecord: true}); err != nil || len(h.events(event.ReportMade)) != 3 {
		t.Errorf("with NoRecord the log tells of %d reports, %v, want 3", len(h.events(event.ReportMade)), err)
	}
	for _, token := range []string{viewer, auditor} {
		_, err := h.as(svc, token).VerifyReport(t.Context(), service.VerifyReportRequest{Report: reports[auditor]})
		if denied := errors.Is(err, service.ErrDenied); denied != (token == viewer) {
			t.Errorf("VerifyReport of a report with contents = %v", err)
		}
	}
	if _, err := h.as(svc, viewer).VerifyReport(t.Context(), service.VerifyReportRequest{Report: reports[viewer]}); err != nil {
		t.Errorf("VerifyReport of a redacted report by a viewer: %v", err)
	}
	l, err := h.as(svc, viewer).Lineage(t.Context(), service.LineageRequest{})
	if err != nil || l.Graph.Len() != 1 || strings.Contains(fmt.Sprintf("%+v", *must(l.Graph.FindOne("tickets")).Entity.(*lineage.Dataset)), "CARL") {
		t.Errorf("Lineage for a viewer = %+v, %v, want the structure alone", l, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestCase holds that a report on a case has the contents that its caller may read,
// is recorded as a read of them, and keeps to a scope.
func TestCase(t *testing.T) {
	h := newHouse(t)
	trace := "4bf92f3577b34da6a3ce929d0e0e4736"
	for model, user := range map[string]string{"gpt-4": "bob", "gpt-5": "carl"} {
		h.add(event.Event{Type: event.Response, ModelID: model, UserID: user, TraceID: trace, Response: "answer to " + user})
	}
	svc := h.serve(options())
	for _, c := range []struct {
		role  string
		scope []string
		bob   bool // whether each answer is in the report
		carl  bool
	}{
		{"auditor", nil, false, true},
		{access.Privacy, nil, true, true},
		{"viewer", nil, false, false},
		{"auditor", []string{"model=gpt-4"}, false, false},
		{access.Privacy, []string{"model=gpt-5"}, false, true},
	} {
		token, id := h.grant("u", c.role, c.scope...)
		before := len(h.events(event.ContentRead))
		r, err := h.as(svc, token).Case(t.Context(), service.CaseRequest{Trace: trace, NoRecord: true})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		for user, want := range map[string]bool{"bob": c.bob, "carl": c.carl} {
			if strings.Contains(b.String(), "answer to "+user) != want {
				t.Errorf("%s %v: the answer to %s is in the report: %v, want %v", c.role, c.scope, user, !want, want)
			}
		}
		reads := h.events(event.ContentRead)[before:]
		if !c.bob && !c.carl {
			if len(reads) > 0 {
				t.Errorf("%s %v: no content was read, and the log tells of %+v", c.role, c.scope, reads)
			}
			continue
		}
		if len(reads) != 1 || !strings.Contains(string(reads[0].Event.Metadata["read"]), `"by":"`+id.String()+`","command":"report case"`) {
			t.Errorf("%s %v: the log tells of the reads %+v, want one", c.role, c.scope, reads)
		}
	}
	scoped, _ := h.grant("s", "all", "model=gpt-4")
	if _, err := h.as(svc, scoped).Case(t.Context(), service.CaseRequest{User: "bob"}); !errors.Is(err, service.ErrDenied) {
		t.Errorf("Case about a user within a scope = %v, want ErrDenied", err)
	}
	if _, err := svc.Local().Case(t.Context(), service.CaseRequest{Trace: strings.Repeat("0", 31) + "1"}); !errors.Is(err, service.ErrNoCase) {
		t.Errorf("Case of nothing = %v, want ErrNoCase", err)
	}
}

// TestImpactNamesUsers holds that an impact names the users concerned to readers of
// contents alone, and who is restricted to nobody but the role privacy.
func TestImpactNamesUsers(t *testing.T) {
	h := newHouse(t)
	tracker, err := lineage.Open(t.Context(), h.log)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tracker.RegisterDataset(t.Context(), lineage.Dataset{Name: "tickets", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	run, err := tracker.RegisterTrainingRun(t.Context(), lineage.TrainingRun{Name: "r", Datasets: []string{data.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tracker.RegisterModelVersion(t.Context(), lineage.ModelVersion{Name: "bot", Version: "1", Run: run.ID}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ann", "bob"} {
		h.add(event.Event{Type: event.Response, ModelID: "bot", ModelVersion: "1", UserID: user, Response: "x"})
	}
	svc := h.serve(options())
	viewer, _ := h.grant("v", "viewer")
	auditor, _ := h.grant("a", "auditor")
	officer, _ := h.grant("o", access.Privacy)
	for token, want := range map[string][]string{viewer: nil, auditor: {"ann"}, operator: {"ann"}, officer: {"ann", "bob"}} {
		im, err := h.as(svc, token).Impact(t.Context(), service.ImpactRequest{Name: "tickets"})
		if err != nil {
			t.Fatal(err)
		}
		if im.Subjects != 2 || im.Impact.Users != nil || (im.Users == nil) != (want == nil) {
			t.Errorf("Impact = %d subjects, users %v, want 2, and %v", im.Subjects, im.Users, want)
		}
		text := fmt.Sprint(im.Users)
		for _, user := range []string{"ann", "bob"} {
			named := strings.Contains(text, user)
			if wanted := strings.Contains(strings.Join(want, " "), user); named != wanted {
				t.Errorf("Impact names %s: %v, want %v: %s", user, named, wanted, text)
			}
		}
	}
}

// TestGrants holds that nobody grants what they do not have, or in the name of
// somebody else.
func TestGrants(t *testing.T) {
	h := newHouse(t)
	svc := h.serve(options())
	manager, id := h.grant("m", roleOf(access.ManageAccess))
	s := h.as(svc, manager)
	if _, err := s.Grant(t.Context(), service.GrantRequest{Grant: access.GrantRequest{User: "e", Role: "auditor", By: access.Local}}); !errors.Is(err, service.ErrDenied) {
		t.Errorf("Grant of more than the caller has = %v, want ErrDenied", err)
	}
	g, err := s.Grant(t.Context(), service.GrantRequest{Grant: access.GrantRequest{User: "e", Role: roleOf(access.ManageAccess), By: access.Local}})
	if err != nil || g.GrantedBy != id.String() {
		t.Fatalf("Grant = %+v, %v, want it by %s", g, err, id)
	}
	gone, err := s.Revoke(t.Context(), service.RevokeRequest{User: "e", Reason: "r"})
	if err != nil || len(gone) != 1 || gone[0].RevokedBy != id.String() {
		t.Errorf("Revoke = %+v, %v", gone, err)
	}
	all, err := s.Grants(t.Context(), service.GrantsRequest{})
	if err != nil || len(all) != 2 {
		t.Errorf("Grants = %+v, %v, want 2", all, err)
	}
	n := 0
	history, err := s.GrantHistory(t.Context(), service.GrantHistoryRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range history {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 3 {
		t.Errorf("GrantHistory has %d changes, want 3", n)
	}
	d, err := s.Check(t.Context(), service.CheckRequest{Permission: access.ManageAccess})
	if err != nil || !d.Allowed || d.Grant.ID != id {
		t.Errorf("Check = %+v, %v", d, err)
	}
	who, err := s.Permit(t.Context(), service.PermitRequest{Permission: access.ManageAccess})
	if err != nil || who.By != id.String() {
		t.Errorf("Permit = %+v, %v, want %s", who, err, id)
	}
	scoped, _ := h.grant("s", "all", "model=gpt-4")
	if _, err := h.as(svc, scoped).Permit(t.Context(), service.PermitRequest{Permission: access.WriteEvents}); !errors.Is(err, service.ErrDenied) {
		t.Errorf("Permit within a scope = %v, want ErrDenied", err)
	}
	if _, err := h.as(svc, scoped).Permit(t.Context(), service.PermitRequest{Permission: access.Verify}); err != nil {
		t.Errorf("Permit to verify within a scope = %v", err)
	}
	if _, err := h.as(svc, scoped).Check(t.Context(), service.CheckRequest{Permission: access.ReadEvents, About: &event.Event{ModelID: "other"}}); !errors.Is(err, service.ErrDenied) {
		t.Errorf("Check out of scope = %v, want ErrDenied", err)
	}
	roles, err := svc.Roles(t.Context())
	if err != nil || len(roles) < 10 {
		t.Errorf("Roles = %v, %v", roles, err)
	}
}

// TestReadsAreRecorded holds what the log tells of each way to read, and of none.
func TestReadsAreRecorded(t *testing.T) {
	h := newHouse(t)
	auditor, id := h.grant("a", "auditor")
	svc := h.serve(options())
	s := h.as(svc, auditor)
	q := query.Query{Types: []event.Type{event.Prompt}}
	drain := func(l *service.Listing, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range l.All() {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	few := q
	few.Limit = 1
	for _, c := range []struct {
		name   string
		read   func()
		kind   event.Type
		reads  int // records of it
		number string
	}{
		{"Get", func() { must(s.Get(t.Context(), service.GetRequest{})) }, event.ContentRead, 1, `"command":"show","first":0,"last":0,"records":1`},
		{"Get of a restricted record", func() { must(s.Get(t.Context(), service.GetRequest{Record: service.Ref{Seq: 1}})) }, event.ContentRead, 0, ""},
		{"Get of a line", func() { must(s.Get(t.Context(), service.GetRequest{Raw: true})) }, event.ContentRead, 0, ""},
		{"Disclose", func() { must(s.Disclose(t.Context(), service.DiscloseRequest{})) }, event.DataExported, 1, `"command":"disclose","first":0,"last":0,"records":1`},
		{"Find", func() { drain(s.Find(t.Context(), service.FindRequest{Query: q})) }, event.ContentRead, 2, `"command":"query","first":0,"last":2,`},
		{"Find one", func() { drain(s.Find(t.Context(), service.FindRequest{Query: few})) }, event.ContentRead, 1, `"command":"query","first":2,"last":2,"records":1`},
		{"Tail", func() { drain(s.Tail(t.Context(), service.TailRequest{Query: q, Last: 9})) }, event.ContentRead, 1, `"command":"tail","first":0,"last":2,"records":2`},
		{"Export", func() { drain(s.Export(t.Context(), service.ExportRequest{Query: q})) }, event.DataExported, 2, `"command":"export","first":0,"last":2,`},
		{"Export of metadata", func() { drain(s.Export(t.Context(), service.ExportRequest{Query: q, MetadataOnly: true})) }, event.DataExported, 0, ""},
		{"Count", func() { must(s.Count(t.Context(), service.CountRequest{Query: q})) }, event.ContentRead, 0, ""},
		{"Explain", func() { must(s.Explain(t.Context(), service.ExplainRequest{Query: q})) }, event.ContentRead, 0, ""},
	} {
		before := len(h.events(event.ContentRead, event.DataExported))
		c.read()
		all := h.events(event.ContentRead, event.DataExported)[before:]
		if len(all) != c.reads {
			t.Errorf("%s: the log has %d records of it, want %d", c.name, len(all), c.reads)
		}
		for i, r := range all {
			if r.Event.Type != c.kind || r.Event.UserID != "a" || r.State != record.Readable {
				t.Errorf("%s: the log has %+v of it, want %s", c.name, r.Event, c.kind)
			}
			text := fmt.Sprint(string(r.Event.Metadata["read"]), string(r.Event.Metadata["export"]))
			if !strings.Contains(text, id.String()) || i == c.reads-1 && !strings.Contains(text, c.number) {
				t.Errorf("%s: the log has %s of it, want %s", c.name, text, c.number)
			}
		}
	}
}

// TestListIsReadOnce holds that a list yields its records once: a second time would
// be a read that is not recorded.
func TestListIsReadOnce(t *testing.T) {
	h := newHouse(t)
	for _, limit := range []int{0, 10} {
		l, err := h.serve(options()).Local().Find(t.Context(), service.FindRequest{Query: query.Query{Limit: limit}})
		if err != nil {
			t.Fatal(err)
		}
		all := l.All()
		for _, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		for _, again := range []func(func(*query.Hit, error) bool){all, l.All()} {
			for hit, err := range again {
				if hit != nil || err == nil {
					t.Errorf("All a second time yields %+v, %v, want an error", hit, err)
				}
			}
		}
	}
}

// TestMetadataHasNoContent holds that an export of metadata has nothing of content.
func TestMetadataHasNoContent(t *testing.T) {
	h := newHouse(t)
	l, err := h.serve(options()).Local().Export(t.Context(), service.ExportRequest{MetadataOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for hit, err := range l.All() {
		if n++; err != nil || hit.Event.Prompt != "" || hit.Event.UserID != "" || hit.State != record.Readable {
			t.Errorf("Export yields %+v, %v", hit, err)
		}
	}
	if n < 3 {
		t.Errorf("Export yields %d records", n)
	}
}
