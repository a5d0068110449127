package rules_test

import (
	"slices"
	"strings"
	"testing"

	"audittrail/report/rules"
)

const own = `id = "own"
title = "House rules"
full_title = "House rules of Example"
source = "https://example.com/rules"
as_of = "2026-11-25"
[[control]]
place = "1"
title = "Count"
asks = "Calls are counted."
sections = ["usage"]
test = [{ figure = "usage.calls", is = "> 0" }]
[[clock]]
place = "2"
title = "harm"
days = 3
kinds = ["harm"]
`

func TestBuiltin(t *testing.T) {
	for _, name := range rules.Names() {
		p, err := rules.Builtin(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.ID != name || p.Full == "" {
			t.Errorf("%s: id %q, full title %q", name, p.ID, p.Full)
		}
		for _, c := range p.Controls {
			if c.AppliesTo == "" || c.NotInLog == "" {
				t.Errorf("%s, %s: whom it binds, or what remains to be shown, is missing", name, c.Place)
			}
		}
	}
	if _, err := rules.Builtin("../rules"); err == nil || !strings.Contains(err.Error(), "ai-act") {
		t.Errorf("Builtin of no pack: %v", err)
	}
}

// TestClocks holds the reporting clocks of Article 73 of the AI Act.
func TestClocks(t *testing.T) {
	p, err := rules.Builtin("ai-act")
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"serious": 15, "death": 10, "widespread": 2, "critical_infrastructure": 2, "none": 0} {
		if c, _ := p.DeadlineFor(kind); c.Days != want {
			t.Errorf("ClockFor(%s) is %d days, want %d", kind, c.Days, want)
		}
	}
}

func TestParse(t *testing.T) {
	p, err := rules.Parse([]byte(own))
	if err != nil {
		t.Fatal(err)
	}
	if q, err := rules.Parse([]byte(own + "\n")); err != nil || q.Digest == p.Digest {
		t.Errorf("another file has the same digest, or %v", err)
	}
	const test = `test = [{ figure = "usage.calls", is = "> 0" }]`
	for name, c := range map[string]struct{ old, new, want string }{
		"key of the file":     {"as_of =", "asof =", `the file: unknown key "asof": allowed are id, title, full_title`},
		"key of a control":    {"title = \"Count\"", "titel = \"Count\"", `control 1, "1": unknown key "titel": allowed are place, title, asks`},
		"key in capitals":     {"title = \"Count\"", "Title = \"Count\"", `control 1, "1": unknown key "Title"`},
		"key of a test":       {"is =", "si =", `control 1, "1", test 1: unknown key "si": allowed are figure, is, given`},
		"key of a clock":      {"days =", "day =", `clock 1, "2": unknown key "day": allowed are place, title, days, kinds`},
		"old key":             {"asks =", "at_most = \"partial\"\nasks =", `control 1, "1": unknown key "at_most"`},
		"no toml":             {"id = ", "id ", `line 1: `},
		"another kind":        {"days = 3", "days = \"3\"", `days`},
		"id":                  {`id = "own"`, `id = "Own rules"`, `id is "Own rules"`},
		"source":              {"https://example.com/rules", "rules.txt", `source is "rules.txt"`},
		"day":                 {"2026-11-25", "25.11.2026", `as_of is "25.11.2026"`},
		"no section":          {`["usage"]`, `[]`, `control 1, "1": sections is empty: name sections of the report: scope, integrity`},
		"unknown section":     {`["usage"]`, `["useage"]`, `control 1, "1": unknown section "useage": allowed are scope, integrity`},
		"section twice":       {`["usage"]`, `["usage", "usage"]`, `section "usage" is there twice`},
		"test":                {"> 0", "many", `control 1, "1": test 1: is = "many": allowed are "good", or one of =, >, <`},
		"operator":            {"> 0", "!= 0", `is = "!= 0": allowed are`},
		"number":              {"> 0", "> +0", `is = "> +0": allowed are`},
		"no figure":           {"usage.calls", "", `control 1, "1": test 1: unknown figure "": allowed are figures of the sections`},
		"unknown figure":      {"usage.calls", "usage.cals", `control 1, "1": test 1: unknown figure "usage.cals": allowed are usage.calls, usage.calls_unknown`},
		"figure of nothing":   {"usage.calls", "use.calls", `unknown figure "use.calls": allowed are figures of the sections scope`},
		"given":               {"is =", "given = \"usage.cals\", is =", `unknown figure "usage.cals"`},
		"given a state":       {"is =", "given = \"integrity.state\", is =", `given = "integrity.state": it is a state`},
		"number asked well":   {"> 0", "good", `is = "good" cannot be asked of the figure usage.calls`},
		"state compared":      {"usage.calls", "integrity.state", `is = "> 0" cannot be asked of the figure integrity.state`},
		"days":                {"days = 3", "days = 0", `clock 1, "2": place, title, days (1 to 3650)`},
		"kinds":               {`kinds = ["harm"]`, `kinds = []`, `clock 1, "2": place, title, days`},
		"kind twice":          {`kinds = ["harm"]`, `kinds = ["harm", "harm"]`, `clock 1, "2": kind "harm" is empty, or in a clock already`},
		"no test":             {test, "", `control 1, "1": no tests: give test = [`},
		"empty tests":         {test, "test = []", `control 1, "1": no tests: give test = [`},
		"test twice":          {test, `test = [{ figure = "usage.calls", is = "> 0" }, { figure = "usage.calls", is = "> 0" }]`, `test 2: the same test is there before`},
		"state":               {test, "state = \"outside\"", `control 1, "1": state is "outside": allowed is "outside the log"`},
		"state of a test":     {test, "state = \"evidenced\"", `state is "evidenced": allowed is "outside the log"`},
		"state and tests":     {test, test + "\nstate = \"outside the log\"", `a control that is "outside the log" has no tests`},
		"state without words": {test, "state = \"outside the log\"", `state is "outside the log" without beyond`},
	} {
		bad := strings.Replace(own, c.old, c.new, 1)
		if bad == own {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := rules.Parse([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "rules: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %s", name, err, c.want)
		}
	}
	control := own[strings.Index(own, "[[control]]"):strings.Index(own, "[[clock]]")]
	clock := own[strings.Index(own, "[[clock]]"):]
	for name, text := range map[string]string{"control": own + control, "clock": own + strings.Replace(clock, `["harm"]`, `["loss"]`, 1)} {
		if _, err := rules.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), name+" 2, ") || !strings.Contains(err.Error(), "each place is there once") {
			t.Errorf("a %s that is there twice: %v", name, err)
		}
	}
	if _, err := rules.Parse(make([]byte, rules.MaxFile+1)); err == nil {
		t.Error("a file that is too long: no error")
	}
}

// figures are those of a report: numbers, of which all others are 0, and words
// for those that are not known.
type figures struct {
	n       map[string]int64
	unknown map[string]string
	bad     bool // whether the log is altered
}

func (f figures) of(id string) rules.Figure {
	state := id == "integrity.state"
	return rules.Figure{Unknown: f.unknown[id], N: f.n[id], State: state, Good: state && !f.bad}
}

func TestHolds(t *testing.T) {
	for is, want := range map[string][]int64{"> 0": {1, 2}, "= 0": {0}, "< 1": {-1, 0}, ">= 1": {1, 2}, "<= 0": {-1, 0}} {
		c := rules.Control{Tests: []rules.Test{{Figure: "usage.failed", Condition: is, Given: "usage.calls"}}}
		var got []int64
		for n := int64(-1); n <= 2; n++ {
			if state, _ := c.Evaluate(figures{n: map[string]int64{"usage.calls": 1, "usage.failed": n}}.of); state == rules.Evidenced {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s holds for %v, want %v", is, got, want)
		}
	}
}

func TestJudge(t *testing.T) {
	good := rules.Test{Figure: "lineage.versions", Condition: "> 0"}
	bad := rules.Test{Figure: "lineage.versions_without_data", Condition: "= 0"}
	given := rules.Test{Figure: "oversight.reviews", Condition: "> 0", Given: "oversight.decisions"}
	intact := rules.Test{Figure: "integrity.state", Condition: "good"}
	n := func(of ...any) map[string]int64 {
		m := make(map[string]int64)
		for i := 0; i < len(of); i += 2 {
			m[of[i].(string)] = int64(of[i+1].(int))
		}
		return m
	}
	for name, c := range map[string]struct {
		tests []rules.Test
		of    figures
		state rules.State
		each  string // what each test came to: h, d or n
	}{
		"nothing there":                {[]rules.Test{good, bad}, figures{}, rules.NoOccurrences, "nn"},
		"both hold":                    {[]rules.Test{good, bad}, figures{n: n("lineage.versions", 2)}, rules.Evidenced, "hh"},
		"one does not":                 {[]rules.Test{good, bad}, figures{n: n("lineage.versions", 2, "lineage.versions_without_data", 1)}, rules.Failed, "hd"},
		"absence alone":                {[]rules.Test{bad}, figures{}, rules.NoOccurrences, "n"},
		"presence alone":               {[]rules.Test{bad}, figures{n: n("lineage.versions_without_data", 1)}, rules.Failed, "d"},
		"given nothing":                {[]rules.Test{given}, figures{n: n("oversight.reviews", 3)}, rules.NoOccurrences, "n"},
		"given something":              {[]rules.Test{given}, figures{n: n("oversight.decisions", 3)}, rules.Failed, "d"},
		"given both":                   {[]rules.Test{given}, figures{n: n("oversight.decisions", 3, "oversight.reviews", 1)}, rules.Evidenced, "h"},
		"given what is not known":      {[]rules.Test{given}, figures{unknown: map[string]string{"oversight.decisions": "why"}}, rules.OutsideLog, "n"},
		"what is not known":            {[]rules.Test{given}, figures{n: n("oversight.decisions", 3), unknown: map[string]string{"oversight.reviews": "why"}}, rules.OutsideLog, "n"},
		"not known, given nothing":     {[]rules.Test{given}, figures{unknown: map[string]string{"oversight.reviews": "why"}}, rules.NoOccurrences, "n"},
		"not known beside what holds":  {[]rules.Test{good, given}, figures{n: n("lineage.versions", 2), unknown: map[string]string{"oversight.decisions": "why"}}, rules.Evidenced, "hn"},
		"not known beside what fails":  {[]rules.Test{good, bad, given}, figures{n: n("lineage.versions_without_data", 2), unknown: map[string]string{"oversight.decisions": "why"}}, rules.Failed, "ddn"},
		"an intact log without events": {[]rules.Test{intact}, figures{n: n("scope.events", 9)}, rules.NoOccurrences, "n"},
		"events of the log itself":     {[]rules.Test{{Figure: "scope.events", Condition: "> 0"}}, figures{n: n("scope.events", 2, "integrity.records", 2)}, rules.NoOccurrences, "n"},
		"reports":                      {[]rules.Test{{Figure: "access.reports", Condition: "> 0"}}, figures{n: n("access.reports", 2, "scope.submitted", 1)}, rules.NoOccurrences, "n"},
		"given reports":                {[]rules.Test{{Figure: "usage.calls", Condition: "> 0", Given: "access.reports"}}, figures{n: n("access.reports", 2, "usage.calls", 1)}, rules.NoOccurrences, "n"},
		"reports beside what fails":    {[]rules.Test{{Figure: "access.reports", Condition: "= 0"}, bad}, figures{n: n("access.reports", 2, "lineage.versions_without_data", 1)}, rules.Failed, "nd"},
		"an intact log":                {[]rules.Test{intact}, figures{n: n("scope.submitted", 9)}, rules.Evidenced, "h"},
		"an altered log":               {[]rules.Test{intact}, figures{bad: true, unknown: map[string]string{"scope.submitted": "altered"}}, rules.Failed, "d"},
		"alterations":                  {[]rules.Test{{Figure: "integrity.alterations", Condition: "= 0"}}, figures{n: n("integrity.alterations", 3), unknown: map[string]string{"scope.submitted": "altered"}}, rules.Failed, "d"},
		"no alterations of nothing":    {[]rules.Test{{Figure: "integrity.alterations", Condition: "= 0"}}, figures{n: n("integrity.records", 3)}, rules.NoOccurrences, "n"},
		"an unchecked log":             {[]rules.Test{intact}, figures{n: n("scope.submitted", 9), unknown: map[string]string{"integrity.state": "not checked"}}, rules.OutsideLog, "n"},
	} {
		state, results := (&rules.Control{Tests: c.tests}).Evaluate(c.of.of)
		var each strings.Builder
		for _, r := range results {
			each.WriteString(map[rules.Decision]string{rules.Holds: "h", rules.DoesNotHold: "d", rules.NotDecided: "n"}[r.Decision])
			if (r.Reason != "") != (r.Decision == rules.NotDecided) {
				t.Errorf("%s: %s for the reason %q", name, r.Decision, r.Reason)
			}
		}
		if state != c.state || each.String() != c.each {
			t.Errorf("%s: %s (%s), want %s (%s)", name, state, each.String(), c.state, c.each)
		}
	}
	outside := rules.Control{State: rules.OutsideLog}
	if state, _ := outside.Evaluate(figures{}.of); state != rules.OutsideLog {
		t.Errorf("a control that no log can show is %s", state)
	}
}

// TestBuiltinTests holds every test of every control: of nothing it decides
// nothing; with all tests held the control is evidenced; and with this one test
// changed to its opposite it is not.
func TestBuiltinTests(t *testing.T) {
	opposite := map[string]string{"=": ">", ">": "=", "<": ">=", ">=": "<", "<=": ">"}
	for _, name := range rules.Names() {
		p, err := rules.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Controls {
			where := name + ", " + c.Place
			if c.State == rules.OutsideLog {
				continue
			}
			if state, _ := c.Evaluate(figures{}.of); state != rules.NoOccurrences {
				t.Errorf("%s: where nothing happened it is %s", where, state)
			}
			if state, _ := c.Evaluate(figures{n: map[string]int64{"scope.events": 3, "integrity.records": 3, "access.reports": 3}}.of); state != rules.NoOccurrences {
				t.Errorf("%s: by reports alone it is %s", where, state)
			}
			held := figures{n: make(map[string]int64)}
			for _, test := range c.Tests {
				held.n[test.Given] = 1
				if op, _, _ := strings.Cut(test.Condition, " "); op == ">" {
					held.n[test.Figure] = 1
				}
			}
			if state, _ := c.Evaluate(held.of); state != rules.Evidenced {
				t.Errorf("%s: with all tests held it is %s", where, state)
			}
			for i, test := range c.Tests {
				mutant := c
				mutant.Tests = slices.Clone(c.Tests)
				if test.Condition == "good" {
					altered := held
					altered.bad = true
					if state, _ := c.Evaluate(altered.of); state != rules.Failed {
						t.Errorf("%s: of an altered log it is %s", where, state)
					}
					continue
				}
				op, number, _ := strings.Cut(test.Condition, " ")
				mutant.Tests[i].Condition = opposite[op] + " " + number
				if state, _ := mutant.Evaluate(held.of); state != rules.Failed {
					t.Errorf("%s: with test %d asking the opposite it is %s", where, i+1, state)
				}
			}
		}
	}
}

// Whatever a file holds, it is refused or gives controls with a state each.
func FuzzParse(f *testing.F) {
	f.Add([]byte(own))
	f.Add([]byte("control = [1, { test = [2, { figure = 3 }] }]"))
	f.Add([]byte("[[control]]\nstate = \"outside the log\"\n[[clock]]\ndays = -1"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := rules.Parse(in)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "rules: ") {
				t.Errorf("error is %v", err)
			}
			return
		}
		for _, c := range p.Controls {
			if state, _ := c.Evaluate(figures{}.of); !slices.Contains(rules.States(), state) {
				t.Errorf("%s is %q", c.Place, state)
			}
		}
	})
}
