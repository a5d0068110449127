package retention_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/retention"
)

func period(t testing.TB, text string) retention.Period {
	t.Helper()
	p, err := retention.ParsePeriod(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePeriod(t *testing.T) {
	for text, want := range map[string]string{
		"6mo": "6mo", "6 months": "6mo", "10y": "10y", "1 year 6 months": "1y6mo", "90d": "90d", "2w": "14d", "1d1d": "2d",
	} {
		if got, err := retention.ParsePeriod(text); err != nil || got.String() != want {
			t.Errorf("ParsePeriod(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0d", "0y0mo", "6", "mo", "-1d", "1h", "1.5y", "99999999999999999999d", "36501d", "30000w", "1 y x", "six months"} {
		if got, err := retention.ParsePeriod(text); err == nil {
			t.Errorf("ParsePeriod(%q) = %v, want an error", text, got)
		}
	}
	at := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	if got := period(t, "6mo").After(at); got != time.Date(2026, 7, 31, 0, 0, 0, 0, time.UTC) {
		t.Errorf("six months after %v is %v", at, got)
	}
}

func FuzzPeriod(f *testing.F) {
	for _, s := range []string{"6mo", "1y6mo3d", "10 years", "0d", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := retention.ParsePeriod(text)
		if err != nil {
			return
		}
		again, err := retention.ParsePeriod(p.String())
		if err != nil || again != p || p.IsZero() {
			t.Errorf("%q is %v, which reads as %v, %v", text, p, again, err)
		}
	})
}

func TestPolicyCheck(t *testing.T) {
	type class = retention.Class
	type rule = retention.Rule
	ok := class{Name: "decade", KeepFor: period(t, "10y"), ArchiveAfter: period(t, "1y"), ArchiveTo: "/srv/archive", DropAfter: period(t, "11y")}
	for name, c := range map[string]struct {
		policy retention.Policy
		want   string // part of the error
	}{
		"empty": {},
		"good": {policy: retention.Policy{Classes: []class{ok}, Rules: []rule{
			{Class: "decade", Types: []string{"safety_incident"}, Models: []string{"gpt-4*"}, Labels: map[string]string{"team": "credit"}},
			{Class: "standard", Models: []string{"*"}},
		}}},
		"kept for good, archived": {policy: retention.Policy{Classes: []class{{Name: "a", ArchiveAfter: period(t, "1d"), ArchiveTo: "/a"}}}},
		"twice":                   {retention.Policy{Classes: []class{ok, ok}}, "twice"},
		"name":                    {retention.Policy{Classes: []class{{Name: "Bad Name"}}}, "invalid class name"},
		"governance":              {retention.Policy{Classes: []class{{Name: "governance", KeepFor: period(t, "1d")}}}, "kept permanently"},
		"no target":               {retention.Policy{Classes: []class{{Name: "a", ArchiveAfter: period(t, "1d")}}}, "archive_to is missing"},
		"no time":                 {retention.Policy{Classes: []class{{Name: "a", ArchiveTo: "/a"}}}, "archive_after is missing"},
		"relative":                {retention.Policy{Classes: []class{{Name: "a", ArchiveTo: "a/b", ArchiveAfter: period(t, "1d")}}}, "not an absolute path"},
		"drop first":              {retention.Policy{Classes: []class{{Name: "a", KeepFor: period(t, "1d"), ArchiveAfter: period(t, "2mo"), ArchiveTo: "/a", DropAfter: period(t, "1mo")}}}, "before they are archived"},
		"drop what is kept":       {retention.Policy{Classes: []class{{Name: "a", KeepFor: period(t, "1y"), DropAfter: period(t, "11mo")}}}, "while they must be kept"},
		"drop for good":           {retention.Policy{Classes: []class{{Name: "a", DropAfter: period(t, "1y")}}}, "keep_for is missing"},
		"unknown class":           {retention.Policy{Rules: []rule{{Class: "decade", Types: []string{"prompt"}}}}, "unknown"},
		"no condition":            {retention.Policy{Rules: []rule{{Class: "standard"}}}, "no condition"},
		"unknown type":            {retention.Policy{Rules: []rule{{Class: "standard", Types: []string{"promt"}}}}, "unknown event type"},
		"reserved type":           {retention.Policy{Rules: []rule{{Class: "standard", Types: []string{"hold_placed"}}}}, "kept permanently"},
		"model":                   {retention.Policy{Rules: []rule{{Class: "standard", Models: []string{"a*b"}}}}, "invalid model"},
		"label":                   {retention.Policy{Rules: []rule{{Class: "standard", Labels: map[string]string{"": "x"}}}}, "invalid label key"},
	} {
		err := c.policy.Check()
		var bad *retention.PolicyError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: Check() = %v, want %q", name, err, c.want)
		}
	}
}

func TestChoose(t *testing.T) {
	p := retention.Policy{Rules: []retention.Rule{
		{Class: "a", Types: []string{"prompt"}, Models: []string{"gpt-4*", "claude"}},
		{Class: "b", Labels: map[string]string{"team": "credit", "env": "prod"}},
	}}
	for _, c := range []struct {
		e    event.Event
		want string
	}{
		{event.Event{Type: event.Prompt, ModelID: "gpt-4o"}, "a"},
		{event.Event{Type: event.Prompt, ModelID: "claude"}, "a"},
		{event.Event{Type: event.Prompt, ModelID: "claude-2"}, "standard"},
		{event.Event{Type: event.Response, ModelID: "gpt-4"}, "standard"},
		{event.Event{Type: event.Response, Labels: map[string]string{"team": "credit", "env": "prod", "x": "y"}}, "b"},
		{event.Event{Type: event.Response, Labels: map[string]string{"team": "credit"}}, "standard"},
		{event.Event{Type: event.Prompt, ModelID: "gpt-4", Labels: map[string]string{"team": "credit", "env": "prod"}}, "a"},
	} {
		if got := p.Choose(&c.e); got != c.want {
			t.Errorf("Choose(%s %s %v) = %s, want %s", c.e.Type, c.e.ModelID, c.e.Labels, got, c.want)
		}
	}
}

// TestFloors compares the data with what it must have.
func TestFloors(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range retention.StatutoryMinimums() {
		_, err := time.Parse(time.DateOnly, f.Applies)
		if seen[f.ID] || f.ID == "" || f.Framework == "" || f.Rule == "" || f.Source == "" || f.AtLeast.IsZero() ||
			f.Of != retention.ForLogs && f.Of != retention.ForDocuments || f.Applies != "" && err != nil {
			t.Errorf("floor %+v", f)
		}
		seen[f.ID] = true
	}
	if !seen["ai-act-19"] || !seen["ai-act-26-6"] {
		t.Error("the AI Act's floors are not there")
	}
	p := retention.Policy{Classes: []retention.Class{
		{Name: "short", KeepFor: period(t, "5mo")}, {Name: "enough", KeepFor: period(t, "6mo")}, {Name: "ever"},
	}}
	for framework, want := range map[string]int{"ai-act": 2, "hipaa": 2, "none": 0} {
		if got := p.MinimumViolations([]string{framework}); len(got) != want {
			t.Errorf("Shortfalls(%s) = %v, want %d", framework, got, want)
		}
	}
}

// TestManager sets policies, which count for later events, and finds the last
// one again.
func TestManager(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	m, err := retention.Open(t.Context(), log, retention.Options{})
	if err != nil {
		t.Fatal(err)
	}
	class := func(want string) {
		t.Helper()
		r := logtest.Append(t, log, event.Event{Type: event.SafetyIncident})
		got, err := log.Get(t.Context(), r.Seq)
		if err != nil || !strings.HasPrefix(got.Class, want+"/") {
			t.Fatalf("class %s, %v, want %s", got.Class, err, want)
		}
	}
	class("standard")
	p := retention.Policy{
		Classes: []retention.Class{{Name: "incidents", KeepFor: period(t, "3mo")}},
		Rules:   []retention.Rule{{Class: "incidents", Types: []string{"safety_incident"}}},
	}
	short, err := m.Set(t.Context(), p, "Ada")
	if err != nil || len(short) != 2 {
		t.Fatalf("Set() = %v, %v, want two shortfalls", short, err)
	}
	class("incidents")
	before, _ := log.Size()
	if _, err := m.Set(t.Context(), p, "Ada"); err != nil {
		t.Fatal(err)
	}
	if after, _ := log.Size(); after != before {
		t.Error("the policy in force was recorded again")
	}
	bad := retention.Policy{Rules: []retention.Rule{{Class: "nowhere", Types: []string{"prompt"}}}}
	if _, err := m.Set(t.Context(), bad, ""); err == nil {
		t.Error("a policy with an unknown class was set")
	}
	strict, err := retention.Open(t.Context(), log, retention.Options{Strict: true, Frameworks: []string{"ai-act", "hipaa"}})
	if err != nil {
		t.Fatal(err)
	}
	var below *retention.MinimumError
	if _, err := strict.Set(t.Context(), p, ""); !errors.As(err, &below) || len(below.Violations) != 3 {
		t.Errorf("Set(strict) = %v, want three shortfalls", err)
	}
	if _, err := retention.Open(t.Context(), log, retention.Options{Frameworks: []string{"gdpr"}}); err == nil {
		t.Error("a framework without floors is accepted")
	}
	if after, _ := log.Size(); after != before {
		t.Error("a refused policy was recorded")
	}
	logtest.Close(t, log)
	log = logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	m, err = retention.Open(t.Context(), log, retention.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, set := m.Policy()
	if diff := cmp.Diff(p, got); diff != "" || set.By != "Ada" || set.Time.IsZero() {
		t.Errorf("policy set %+v differs: %s", set, diff)
	}
	b, err := json.Marshal(got)
	if err != nil || string(b) != `{"class":[{"name":"incidents","keep_for":"3mo"}],"rule":[{"class":"incidents","types":["safety_incident"]}]}` {
		t.Errorf("JSON: %s, %v", b, err)
	}
}
