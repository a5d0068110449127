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
			if c.Of == "" || c.AtMost == rules.Partial && c.Beyond == "" {
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
		if c, _ := p.ClockFor(kind); c.Days != want {
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
	for name, change := range map[string][2]string{
		"unknown key": {"title = \"Count\"", "titel = \"Count\""},
		"no toml":     {"id = ", "id "},
		"id":          {`id = "own"`, `id = "Own rules"`},
		"source":      {"https://example.com/rules", "rules.txt"},
		"day":         {"2026-11-25", "25.11.2026"},
		"no section":  {`["usage"]`, `[]`},
		"test":        {"> 0", "many"},
		"operator":    {"> 0", "!= 0"},
		"figure":      {"usage.calls", ""},
		"clock":       {"days = 3", "days = 0"},
		"kinds":       {`kinds = ["harm"]`, `kinds = []`},
		"at most":     {"asks =", "at_most = \"evidenced\"\nasks ="},
		"beyond":      {"asks =", "at_most = \"partial\"\nasks ="},
		"no test":     {`test = [{ figure = "usage.calls", is = "> 0" }]`, ""},
	} {
		bad := strings.Replace(own, change[0], change[1], 1)
		if bad == own {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := rules.Parse([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "rules: ") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	twice := own + own[strings.Index(own, "[[control]]"):strings.Index(own, "[[clock]]")]
	if _, err := rules.Parse([]byte(twice)); err == nil {
		t.Error("a control that is there twice: no error")
	}
	if _, err := rules.Parse(make([]byte, rules.MaxFile+1)); err == nil {
		t.Error("a file that is too long: no error")
	}
}

func TestHolds(t *testing.T) {
	for is, want := range map[string][]int64{"> 0": {1, 2}, "= 0": {0}, "< 1": {-1, 0}, ">= 1": {1, 2}, "<= 0": {-1, 0}} {
		var got []int64
		for n := int64(-1); n <= 2; n++ {
			if (rules.Test{Is: is}).Holds(n, true, false) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s holds for %v, want %v", is, got, want)
		}
	}
	if (rules.Test{Is: "= 0"}).Holds(0, false, false) {
		t.Error("what is absent counts as 0")
	}
	if !(rules.Test{Is: "good"}).Holds(0, false, true) || (rules.Test{Is: "good"}).Holds(0, true, false) {
		t.Error("good news are mistaken")
	}
}

func TestJudge(t *testing.T) {
	c := rules.Control{Tests: make([]rules.Test, 2)}
	for held, want := range []rules.Verdict{rules.NotEvidenced, rules.Partial, rules.Evidenced} {
		if got := c.Judge(held); got != want {
			t.Errorf("Judge(%d of 2) = %s, want %s", held, got, want)
		}
	}
	c.AtMost = rules.Partial
	if got := c.Judge(2); got != rules.Partial {
		t.Errorf("Judge(2 of 2) of what the log alone cannot evidence = %s, want partial", got)
	}
}
