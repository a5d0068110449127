package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A State says what a log shows of a control.
type State string

// The states. A control has exactly one.
const (
	// Evidenced controls have tests that hold, and none that does not.
	Evidenced State = "evidenced"
	// Failed controls have a test that does not hold.
	Failed State = "failed"
	// NoOccurrences says that nothing happened that the control is about.
	NoOccurrences State = "no occurrences"
	// NotApplicable says that the organisation declared so, with its reason.
	NotApplicable State = "not applicable"
	// OutsideLog says that no log can show it, or not this one.
	OutsideLog State = "outside the log"
)

// States returns the states in the order in which reports count them.
func States() []State {
	return []State{Evidenced, Failed, NoOccurrences, NotApplicable, OutsideLog}
}

// A Decision says what a test came to.
type Decision string

// The decisions.
const (
	Holds       Decision = "holds"
	DoesNotHold Decision = "does not hold"
	NotDecided  Decision = "not decided"
)

// A Figure is what a report says of a figure, as far as tests need it.
type Figure struct {
	// Unknown is why the figure is not known; empty if it is known.
	Unknown string
	N       int64 // of a number
	State   bool  // whether it is a state, and not a number
	Good    bool  // of a state
}

// A Result is a test and what it came to. Its Given is the figure that the test
// is about also where the test itself names none.
type Result struct {
	Test
	Decision Decision
	Reason   string // why it is not decided
	Empty    bool   // whether that is because nothing happened that it is about
}

// Evaluate returns the state of the control by the figures of a report, and what
// each of its tests came to.
//
// A test decides nothing where its figure is not known, or where the figure that
// it is given is 0 or not known. A test of a number that names no such figure is
// about what the figures of these tests count: it decides something where one of
// them is not 0. So the absence of a bad thing does not count as evidence where
// the good thing is absent as well. A test of the scope or the integrity of the
// log that names none is about the events that producers submitted: what the log
// records of itself, such as that a report was made, does not count. A state that
// is bad, or a number of the integrity that does not hold, fails in any case.
func (c *Control) Evaluate(figure func(id string) Figure) (State, []Result) {
	if c.State != "" {
		return c.State, nil
	}
	something := slices.ContainsFunc(c.Tests, func(t Test) bool {
		f := figure(t.Figure)
		return t.given() == "" && t.Figure != reports && f.Unknown == "" && !f.State && f.N != 0
	})
	results := make([]Result, len(c.Tests))
	var held, failed, unknown bool
	for i, t := range c.Tests {
		r := t.decide(figure, something)
		held = held || r.Decision == Holds
		failed = failed || r.Decision == DoesNotHold
		unknown = unknown || r.Decision == NotDecided && !r.Empty && r.Reason != itself
		results[i] = r
	}
	switch {
	case failed:
		return Failed, results
	case held:
		return Evidenced, results
	case unknown:
		return OutsideLog, results
	}
	return NoOccurrences, results
}

// Why a test decides nothing where everything is known.
const (
	nothing = "nothing happened that it is about"
	itself  = "a report is not evidence of itself"
)

// given is the figure that counts what the test is about, if there is one.
func (t Test) given() string {
	section, _, _ := strings.Cut(t.Figure, ".")
	if t.Given == "" && t.Figure != submitted && (section == "scope" || section == "integrity") {
		return submitted
	}
	return t.Given
}

// decide returns what the test comes to. Something says whether the tests of the
// control that name no figure of their own have something to count.
func (t Test) decide(figure func(id string) Figure, something bool) Result {
	f, given := figure(t.Figure), t.given()
	own := t.Given != "" // or else it is about the log as a whole
	t.Given = given
	not := func(reason string) Result { return Result{t, NotDecided, reason, reason == nothing} }
	switch {
	case t.Figure == reports || given == reports:
		return not(itself)
	case f.Unknown == "" && f.State && !f.Good,
		f.Unknown == "" && !own && strings.HasPrefix(t.Figure, "integrity.") && f.N != 0 && !t.holds(f):
		return Result{Test: t, Decision: DoesNotHold}
	case given != "":
		if of := figure(given); of.Unknown != "" {
			return not("not known: " + of.Unknown)
		} else if of.N == 0 {
			return not(nothing)
		}
	case !something && f.Unknown == "":
		return not(nothing)
	}
	if f.Unknown != "" {
		return not("not known: " + f.Unknown)
	}
	if t.holds(f) {
		return Result{Test: t, Decision: Holds}
	}
	return Result{Test: t, Decision: DoesNotHold}
}

func (t Test) holds(f Figure) bool {
	w, err := t.parse()
	switch {
	case err != nil || f.State != (w.op == good):
		return false
	case f.State:
		return f.Good
	}
	switch w.op {
	case "=":
		return f.N == w.n
	case "<":
		return f.N < w.n
	case ">":
		return f.N > w.n
	case "<=":
		return f.N <= w.n
	}
	return f.N >= w.n
}

// good asks for a state that is good news.
const good = "good"

// A wish is what a test asks, made ready.
type wish struct {
	op string // good, or a comparison
	n  int64
}

var comparisons = map[string]string{"=": "", ">": "more than ", "<": "less than ", ">=": "at least ", "<=": "at most "}

func (t Test) parse() (wish, error) {
	if t.Condition == good {
		return wish{op: good}, nil
	}
	op, number, _ := strings.Cut(t.Condition, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if _, ok := comparisons[op]; err != nil || !ok || strconv.FormatInt(n, 10) != number {
		return wish{}, fmt.Errorf("is = %q: allowed are \"good\", or one of =, >, <, >= and <=, a space and a whole number, as \"> 0\"", t.Condition)
	}
	return wish{op, n}, nil
}

// Asked returns what the test asks in words, as "more than 0".
func (t Test) Asked() string {
	w, err := t.parse()
	switch {
	case err != nil:
		return t.Condition
	case w.op == good:
		return good
	}
	return comparisons[w.op] + strconv.FormatInt(w.n, 10)
}

func (t Test) check() error {
	w, err := t.parse()
	if err == nil {
		err = knownFigure(t.Figure)
	}
	if err == nil && t.Given != "" {
		err = knownFigure(t.Given)
	}
	switch {
	case err != nil:
		return err
	case (w.op == good) != slices.Contains(stateFigures, t.Figure):
		return fmt.Errorf("is = %q cannot be asked of the figure %s: %s", t.Condition, t.Figure, map[bool]string{true: "it is a number, which is compared, as \"> 0\"", false: "it is a state, which is asked to be \"good\""}[w.op == good])
	case slices.Contains(stateFigures, t.Given):
		return fmt.Errorf("given = %q: it is a state; give a figure that counts what the test is about", t.Given)
	}
	return nil
}
