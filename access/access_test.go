package access_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/logtest"
)

func openAccess(t testing.TB, log *audittrail.Log, o access.Options) *access.Controller {
	t.Helper()
	c, err := access.Open(t.Context(), log, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeAccess(t testing.TB, c *access.Controller) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func mustGrant(t testing.TB, c *access.Controller, r access.GrantRequest) (string, *access.Grant) {
	t.Helper()
	token, g, err := c.Grant(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return token.Reveal(), g
}

// matrix is the table of roles, cell by cell, as docs/md has it.
var matrix = map[string]string{ //            wr re rc ex ve vr ml ma mr mh dd mk
	access.Admin:   "x x x x x x x x x x x x",
	access.Auditor: "- x x x x x - - - - - -",
	access.Viewer:  "- x - - x x - - - - - -",
	access.Writer:  "x - - - - - - - - - - -",
	access.Privacy: "- x x x x x - - x - x -",
}

// separated is the same where duties are separate.
var separated = map[string]string{
	access.Admin:   "x x - - x x x x x x x x",
	access.Auditor: "- x x x x x - - - - - -",
	access.Viewer:  "- x - - x x - - - - - -",
	access.Writer:  "x - - - - - - - - - - -",
	access.Privacy: "- x x x x x - - - - x -",
}

// TestRoles checks every permission of every role with a token of its own.
func TestRoles(t *testing.T) {
	for separate, want := range map[bool]map[string]string{false: matrix, true: separated} {
		log := logtest.New(t)
		c := openAccess(t, log, access.Options{Rules: access.Rules{SeparateDuties: separate}})
		for role, cells := range want {
			token, _ := mustGrant(t, c, access.GrantRequest{User: "user of " + role, Role: role})
			for i, cell := range strings.Fields(cells) {
				p := access.Permissions()[i]
				if d := c.Check(token, p, nil); d.Allowed != (cell == "x") || !d.Allowed && d.Reason != access.NotPermitted {
					t.Errorf("separate duties %v, %s, %s: %+v", separate, role, p, d)
				}
			}
		}
		closeAccess(t, c)
	}
}

// TestNobodyGrantsMore refuses a grant of what the giver does not have, but by
// the local operator, and whatever the giver was.
func TestNobodyGrantsMore(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{Rules: access.Rules{Custom: map[string]access.CustomRole{
		"usher":  {Permissions: []access.Permission{access.ManageAccess}},
		"usher2": {Permissions: []access.Permission{access.ManageAccess, access.ReadEvents, access.Verify, access.ViewReports}},
	}}})
	defer closeAccess(t, c)
	grant := func(by, role string, scope ...string) (*access.Grant, error) {
		s, err := access.ParseScope(scope)
		if err != nil {
			t.Fatal(err)
		}
		_, g, err := c.Grant(t.Context(), access.GrantRequest{User: "eve", Role: role, By: by, Scope: s})
		return g, err
	}
	give := func(role string) string {
		t.Helper()
		g, err := grant(access.Local, role)
		if err != nil {
			t.Fatal(err)
		}
		return g.ID.String()
	}
	usher, usher2, admin, viewer, revoked := give("usher"), give("usher2"), give(access.Admin), give(access.Viewer), give(access.Admin)
	id, err := access.ParseID(revoked)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Revoke(t.Context(), id, "", ""); err != nil {
		t.Fatal(err)
	}
	for _, g := range []struct {
		by, role, scope string
		want            bool
	}{
		{usher, access.Admin, "", false},
		{usher, access.Viewer, "", false},
		{usher, access.Auditor, "model=m", false},
		{usher, "usher", "", true},
		{usher, "usher2", "", false},
		{usher2, access.Viewer, "", true},
		{usher2, access.Auditor, "", false},
		{usher2, access.Viewer, "model=m", true},
		{admin, access.Admin, "", true},
		{viewer, access.Viewer, "", false}, // who may grant nothing
		{revoked, access.Viewer, "", false},
		{"t-0000000000000000", access.Viewer, "", false},
		{"somebody", access.Viewer, "", false},
		{"", access.Admin, "", true},
	} {
		var scope []string
		if g.scope != "" {
			scope = []string{g.scope}
		}
		_, err := grant(g.by, g.role, scope...)
		if (err == nil) != g.want {
			t.Errorf("grant of %s %s by %s: %v, want it to succeed: %v", g.role, g.scope, g.by, err, g.want)
		}
		if err != nil && g.by != "somebody" && !errors.Is(err, access.ErrDenied) {
			t.Errorf("grant of %s by %s: %v, want ErrDenied", g.role, g.by, err)
		}
	}
}

// TestGrantsSurvive reads recorded grants and revocations, in the process that
// writes and in a concurrent reader.
func TestGrantsSurvive(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	first, g := mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Auditor, By: access.Local})
	second, _ := mustGrant(t, c, access.GrantRequest{User: "ann", Role: access.Viewer})
	other, _ := mustGrant(t, c, access.GrantRequest{User: "bob", Role: access.Viewer})

	reader := openAccess(t, logtest.Open(t, dir, audittrail.Options{ReadOnly: true}), access.Options{PollInterval: time.Hour})
	defer closeAccess(t, reader)
	check := func(who *access.Controller, token string, want bool) {
		t.Helper()
		if d := who.Check(token, access.ReadEvents, nil); d.Allowed != want {
			t.Errorf("Check = %+v, want %v", d, want)
		}
	}
	for _, token := range []string{first, second, other} {
		check(c, token, true)
		check(reader, token, true)
	}
	if _, err := c.Revoke(t.Context(), g.ID, "lost", ""); err != nil {
		t.Fatal(err)
	}
	check(c, first, false)
	check(c, second, true)
	if err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(reader, first, false)
	gone, err := c.RevokeUser(t.Context(), "ann", "", "")
	if err != nil || len(gone) != 1 {
		t.Fatalf("RevokeUser = %v, %v, want one grant", gone, err)
	}
	if _, err := c.RevokeUser(t.Context(), "ann", "", ""); err == nil {
		t.Error("RevokeUser of a user without grants: no error")
	}
	again := openAccess(t, logtest.Open(t, dir, audittrail.Options{ReadOnly: true}), access.Options{})
	defer closeAccess(t, again)
	check(again, first, false)
	check(again, second, false)
	check(again, other, true)
	var got []string
	for ch, err := range again.History(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s", ch.Type, ch.User, ch.Role, ch.By, ch.Reason))
	}
	want := []string{
		"access_granted ann auditor local ", "access_granted ann viewer local ", "access_granted bob viewer local ",
		"access_revoked ann  local lost", "access_revoked ann  local ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("History = %q, want %q", got, want)
	}
	var states []access.State
	for _, u := range again.List() {
		states = append(states, u.State)
	}
	if !slices.Equal(states, []access.State{access.Revoked, access.Revoked, access.Active}) {
		t.Errorf("List has states %v", states)
	}
}

// TestReasons gives each way of failing its own reason.
func TestReasons(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var later atomic.Int64 // denials are recorded meanwhile
	log := logtest.New(t)
	c := openAccess(t, log, access.WithClock(access.Options{}, func() time.Time { return now.Add(time.Duration(later.Load())) }))
	defer closeAccess(t, c)
	live, _ := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer, For: time.Hour})
	scoped, _ := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Auditor, Scope: access.Scope{
		Models: []string{"gpt-4"}, Labels: map[string][]string{"team": {"a", "b"}}, From: now, Until: now.Add(time.Hour),
	}})
	revoked, g := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	if _, err := c.Revoke(t.Context(), g.ID, "", ""); err != nil {
		t.Fatal(err)
	}
	about := func(model, team string, at time.Time) *event.Event {
		return &event.Event{Type: event.Prompt, ModelID: model, Labels: map[string]string{"team": team}, Time: at}
	}
	other := flip(live)
	for _, c2 := range []struct {
		what, token string
		p           access.Permission
		about       *event.Event
		later       time.Duration
		want        access.Reason
	}{
		{"live", live, access.ReadEvents, nil, 0, ""},
		{"at its end", live, access.ReadEvents, nil, time.Hour, access.HasExpired},
		{"just before", live, access.ReadEvents, nil, time.Hour - 1, ""},
		{"not permitted", live, access.ReadContent, nil, 0, access.NotPermitted},
		{"no permission", live, "fly", nil, 0, access.NotPermitted},
		{"revoked", revoked, access.ReadEvents, nil, 0, access.WasRevoked},
		{"mistyped", other, access.ReadEvents, nil, 0, access.Malformed},
		{"empty", "", access.ReadEvents, nil, 0, access.Malformed},
		{"stranger", "atk_0000000000000000000000000000000000000000000" + sum("atk_0000000000000000000000000000000000000000000"), access.ReadEvents, nil, 0, access.Unknown},
		{"in scope", scoped, access.ReadContent, about("gpt-4", "b", now), 0, ""},
		{"in general", scoped, access.ReadContent, nil, 0, ""},
		{"other model", scoped, access.ReadContent, about("gpt-5", "b", now), 0, access.OutOfScope},
		{"other label", scoped, access.ReadContent, about("gpt-4", "c", now), 0, access.OutOfScope},
		{"too late", scoped, access.ReadContent, about("gpt-4", "a", now.Add(time.Hour)), 0, access.OutOfScope},
		{"too early", scoped, access.ReadContent, about("gpt-4", "a", now.Add(-1)), 0, access.OutOfScope},
		{"whole log", scoped, access.ViewReports, nil, 0, access.NotPermitted},
	} {
		later.Store(int64(c2.later))
		d := c.Check(c2.token, c2.p, c2.about)
		if d.Reason != c2.want || d.Allowed != (c2.want == "") {
			t.Errorf("%s: %+v, want reason %q", c2.what, d, c2.want)
		}
		if err := d.Err(); (err == nil) != d.Allowed || err != nil && (!errors.Is(err, access.ErrDenied) || c2.token != "" && strings.Contains(err.Error(), c2.token)) {
			t.Errorf("%s: Err() = %v", c2.what, err)
		}
	}
}

// sum is the checksum of a token's front, as docs/format/token.md describes it,
// found by trying: the package's own is not asked.
func sum(front string) string {
	crc := ^uint32(0)
	for _, b := range []byte(front) {
		crc ^= uint32(b)
		for range 8 {
			crc = crc>>1 ^ 0xedb88320*(crc&1)
		}
	}
	crc = ^crc
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := make([]byte, 6)
	for i := 5; i >= 0; i-- {
		out[i] = digits[crc%62]
		crc /= 62
	}
	return string(out)
}

// flip changes one letter in the middle of a token.
func flip(token string) string {
	b := []byte(token)
	if b[20]++; b[20] == '9'+1 || b[20] == 'Z'+1 || b[20] == 'z'+1 {
		b[20] = '0'
	}
	return string(b)
}

// TestGrantRefuses leaves the log as it was.
func TestGrantRefuses(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{Rules: access.Rules{
		SeparateDuties: true, Custom: map[string]access.CustomRole{"keeper": {Permissions: []access.Permission{access.ManageRetention}}},
	}})
	defer closeAccess(t, c)
	mustGrant(t, c, access.GrantRequest{User: "ann", Role: "keeper"})
	size, err := log.Size()
	if err != nil {
		t.Fatal(err)
	}
	for what, r := range map[string]access.GrantRequest{
		"no such role":        {User: "u", Role: "boss"},
		"no user":             {Role: access.Viewer},
		"negative time":       {User: "u", Role: access.Viewer, For: -1},
		"separate duties":     {User: "ann", Role: access.Auditor},
		"nothing in scope":    {User: "u", Role: "keeper", Scope: access.Scope{Models: []string{"m"}}},
		"unknown type":        {User: "u", Role: access.Viewer, Scope: access.Scope{Types: []event.Type{"promt"}}},
		"backwards":           {User: "u", Role: access.Viewer, Scope: access.Scope{From: time.Unix(2, 0), Until: time.Unix(1, 0)}},
		"user id too long":    {User: strings.Repeat("u", event.MaxPerson+1), Role: access.Viewer},
		"model name too long": {User: "u", Role: access.Viewer, Scope: access.Scope{Models: []string{strings.Repeat("m", 129)}}},
	} {
		if _, _, err := c.Grant(t.Context(), r); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	for what, rules := range map[string]access.Rules{
		"built in":      {Custom: map[string]access.CustomRole{"admin": {Permissions: []access.Permission{access.Verify}}}},
		"no permission": {Custom: map[string]access.CustomRole{"x": {}}},
		"unknown":       {Custom: map[string]access.CustomRole{"x": {Permissions: []access.Permission{"fly"}}}},
		"name":          {Custom: map[string]access.CustomRole{"X y": {Permissions: []access.Permission{access.Verify}}}},
	} {
		if _, err := access.Open(t.Context(), log, access.Options{Rules: rules}); err == nil {
			t.Errorf("rules with %s: no error", what)
		}
	}
	if now, err := log.Size(); now != size || err != nil {
		t.Errorf("the log has %d records, want %d (%v)", now, size, err)
	}
}

// TestRoleThatGrew does not widen the tokens that were given before; one that
// shrank narrows them at once.
func TestRoleThatGrew(t *testing.T) {
	dir := t.TempDir()
	with := func(p ...access.Permission) access.Options {
		return access.Options{Rules: access.Rules{Custom: map[string]access.CustomRole{"analyst": {Permissions: p}}}}
	}
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	c := openAccess(t, log, with(access.ReadEvents, access.ViewReports))
	token, _ := mustGrant(t, c, access.GrantRequest{User: "u", Role: "analyst"})
	closeAccess(t, c)
	c = openAccess(t, log, with(access.ReadEvents, access.ReadContent))
	defer closeAccess(t, c)
	for p, want := range map[access.Permission]bool{access.ReadEvents: true, access.ReadContent: false, access.ViewReports: false} {
		if d := c.Check(token, p, nil); d.Allowed != want {
			t.Errorf("%s: %+v, want %v", p, d, want)
		}
	}
}

// TestDenialsDoNotFlood counts what is repeated.
func TestDenialsDoNotFlood(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	token, _ := mustGrant(t, c, access.GrantRequest{User: "u", Role: access.Viewer})
	const tries = 5000
	for range tries {
		c.Check(token, access.DeleteData, nil)
		c.Check("atk_guess", access.ReadContent, nil)
	}
	for i := range 2000 { // names of permissions that there are not
		c.Check(token, access.Permission(fmt.Sprint("p", i)), nil)
	}
	closeAccess(t, c)
	counts := map[string]int64{}
	var records int
	for r, err := range log.Records(t.Context(), 0, 1<<40) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.Type != event.AccessDenied {
			continue
		}
		records++
		var d struct {
			Token, Reason string
			Count         int64
		}
		if err := json.Unmarshal(r.Event.Metadata["denial"], &d); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(r.Event.Metadata["denial"]), "atk_") {
			t.Error("a denial has a token in it")
		}
		counts[r.Event.Category] += d.Count
	}
	if counts["delete_data"] != tries || counts["read_content"] != tries {
		t.Errorf("counted %d and %d denials, want %d each", counts["delete_data"], counts["read_content"], tries)
	}
	if records > 1100 {
		t.Errorf("%d records of %d denials", records, 2*tries+2000)
	}
}

// TestTokensHide prints a token in every way there is.
func TestTokensHide(t *testing.T) {
	log := logtest.New(t)
	c := openAccess(t, log, access.Options{})
	defer closeAccess(t, c)
	token, g, err := c.Grant(t.Context(), access.GrantRequest{User: "u", Role: access.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %q %x", token, token, token, token, token, token), string(text),
		token.String(), token.LogValue().String(), fmt.Sprintf("%+v", g), fmt.Sprintf("%+v", struct{ T access.Token }{token}),
	} {
		if strings.Contains(s, token.Reveal()[8:20]) {
			t.Errorf("%s shows the token", s)
		}
	}
}

func FuzzToken(f *testing.F) {
	front := "atk_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
	f.Add(front + sum(front))
	f.Add(flip(front + sum(front)))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := access.ParseToken(s)
		if err == nil && (token.Reveal() != s || len(s) != 53 || sum(s[:47]) != s[47:]) {
			t.Errorf("ParseToken accepted %q", s)
		}
	})
}

func FuzzScope(f *testing.F) {
	f.Add("model=gpt-4\ntype=prompt\nlabel:team=a=b\nfrom=2026-01-01\nuntil=2026-02-01T00:00:00.5Z")
	f.Fuzz(func(t *testing.T, s string) {
		scope, err := access.ParseScope(strings.Split(s, "\n"))
		if err != nil {
			return
		}
		again, err := access.ParseScope(scope.Terms())
		if err != nil || !slices.Equal(again.Terms(), scope.Terms()) {
			t.Errorf("ParseScope(%q) gives %q, which it reads as %q, %v", s, scope.Terms(), again.Terms(), err)
		}
	})
}

func TestIDs(t *testing.T) {
	for text, want := range map[string]bool{
		"t-0123456789abcdef": true, "t-0123456789ABCDEF": false, "t-0123456789abcde": false, "0123456789abcdef": false,
		"t-0123456789abcdef0": false, "": false, "t-": false,
	} {
		if id, err := access.ParseID(text); (err == nil) != want || want && id.String() != text {
			t.Errorf("ParseID(%q) = %v, %v", text, id, err)
		}
	}
}

// BenchmarkCheck decides among 100,000 grants.
func BenchmarkCheck(b *testing.B) {
	log := logtest.Open(b, b.TempDir(), audittrail.Options{Create: true})
	c := openAccess(b, log, access.Options{PollInterval: time.Hour})
	defer closeAccess(b, c)
	const grants = 100_000
	tokens := make([]string, grants)
	work := make(chan int)
	done := make(chan error)
	for range 64 {
		go func() {
			var err error
			for i := range work {
				var token access.Token
				token, _, err = c.Grant(b.Context(), access.GrantRequest{User: fmt.Sprint("user-", i), Role: access.Viewer})
				tokens[i] = token.Reveal()
			}
			done <- err
		}()
	}
	for i := range grants {
		work <- i
	}
	close(work)
	for range 64 {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	about := &event.Event{Type: event.Prompt, ModelID: "gpt-4", Time: time.Now()}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if d := c.Check(tokens[i*7919%grants], access.ReadEvents, about); !d.Allowed {
			b.Fatal(d.Err())
		}
	}
	b.StopTimer()
	start := time.Now()
	again := openAccess(b, log, access.Options{})
	b.ReportMetric(time.Since(start).Seconds(), "s/open")
	closeAccess(b, again)
}
