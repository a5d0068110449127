package report

import (
	"cmp"
	"slices"
	"strings"

	"audittrail/query"
	"audittrail/report/document"
	"audittrail/report/rules"
)

// controls finds the state of each control of the rules from the figures of all
// other sections.
func (m *maker) controls(s *document.Section) error {
	q := m.source("rules", "the figures of this report by the tests of the rule files", nil, query.Grouping{}, m.o.Size)
	found := matrix{states: make(map[rules.State]int)}
	for _, p := range m.o.Rules {
		found.rows, found.tests = nil, nil
		for i := range p.Controls {
			m.control(p, &p.Controls[i], &found)
		}
		if len(found.rows) == 0 {
			continue
		}
		note := "Source: " + p.Source + ", compared with it on " + p.AsOf + "."
		if p.Note != "" {
			note += " " + p.Note
		}
		add(s, "matrix_"+p.ID, cmp.Or(p.Full, p.Title), columns("place", "control", "asks", "state", "why", "remains to be shown", "applies from"), found.rows, note, q)
		if len(found.tests) > 0 {
			add(s, "tests_"+p.ID, p.Title+": the tests of the controls", columns("place", "figure", "value", "asked", "result", "why not decided"), found.tests, "", q)
		}
	}
	for _, state := range rules.States() {
		figure(s, strings.ReplaceAll(string(state), " ", "_"), "Controls: "+string(state), document.CountOf(found.states[state]), stateNotes[state], q)
	}
	for _, f := range found.failed {
		m.attend(document.FailedTest, document.Bad, s.ID, "%s", f)
	}
	return nil
}

// A matrix is what controls came to: of one rule file its rows, and of all of
// them how many have each state, and which tests do not hold.
type matrix struct {
	rows, tests [][]document.Value
	states      map[rules.State]int
	failed      failedTests
}

// control finds the state of one control, and why it has that.
func (m *maker) control(p *rules.Catalogue, c *rules.Control, found *matrix) {
	state, results := c.Evaluate(m.figureOf)
	reason, applies := m.notApplicable(p, c)
	if !applies {
		state = rules.NotApplicable
	}
	found.states[state]++
	var why []string
	for _, r := range results {
		if state == rules.Failed && r.Decision == rules.DoesNotHold {
			f, _ := m.doc.Figure(r.Figure)
			section, _, _ := strings.Cut(r.Figure, ".")
			found.failed.add(p, c, r, m.doc.Section(section).Title, f)
		}
		if r.Decision != rules.Holds {
			why = append(why, m.why(r))
		}
		found.tests = append(found.tests, m.testRow(c, r))
	}
	switch {
	case !applies:
		why = []string{reason}
	case c.State == rules.OutsideLog:
		why = []string{"no log can show it"}
	}
	found.rows = append(found.rows, []document.Value{
		document.TextOf(c.Place), document.TextOf(c.Title), document.TextOf(asksOf(c)), stateValue(state), document.TextOf(strings.Join(why, "; ")), document.TextOf(c.NotInLog), document.TextOf(c.AppliesFrom),
	})
}

// asksOf is what a control asks, and of whom.
func asksOf(c *rules.Control) string {
	if c.AppliesTo == "" {
		return c.Requirement
	}
	return c.Requirement + " Of: " + c.AppliesTo + "."
}

// stateNotes say what the states mean.
var stateNotes = map[rules.State]string{
	rules.Evidenced:     "Every test that this log can decide holds, and there was something to decide.",
	rules.Failed:        "A test does not hold.",
	rules.NoOccurrences: "Nothing happened that the control is about.",
	rules.NotApplicable: "By the organisation's own word.",
	rules.OutsideLog:    "No log can show it, or the figures are not known.",
}

func stateValue(state rules.State) document.Value {
	tone := document.Plain
	switch state {
	case rules.Evidenced:
		tone = document.Good
	case rules.Failed:
		tone = document.Bad
	}
	return document.StateOf(tone, string(state))
}

// figureOf is what this report says of a figure. Of a log that was altered, or
// that could not be checked, nothing is known but that.
func (m *maker) figureOf(id string) rules.Figure {
	section, _, _ := strings.Cut(id, ".")
	switch {
	case section == "integrity":
	case m.doc.Status == document.Altered:
		return rules.Figure{Unknown: "the log was altered"}
	case m.doc.Status == document.Unchecked:
		return rules.Figure{Unknown: "the log could not be checked"}
	}
	f, ok := m.doc.Figure(id)
	_, number := f.Value.Float()
	switch {
	case !ok:
		if s := m.doc.Section(section); s != nil && s.Failed != "" {
			return rules.Figure{Unknown: "its section could not be computed: " + s.Failed}
		}
		return rules.Figure{Unknown: "this report does not have it"}
	case number:
		return rules.Figure{N: f.Value.N}
	case f.Value.Kind != document.State:
		return rules.Figure{Unknown: strings.TrimSuffix(strings.TrimPrefix(f.Note, "Not known: "), ".")}
	case f.Value.Tone == document.Good || f.Value.Tone == document.Bad && m.doc.Status == document.Altered:
		return rules.Figure{State: true, Good: f.Value.Tone == document.Good}
	}
	return rules.Figure{State: true, Unknown: f.Value.Text}
}

// notApplicable tells whether a control applies, and if the organisation says
// that it does not, why.
func (m *maker) notApplicable(p *rules.Catalogue, c *rules.Control) (reason string, applies bool) {
	if m.doc.Organisation == nil {
		return "", true
	}
	for _, n := range m.doc.Organisation.NotApplicable {
		if n.Rules == p.ID && (n.Place == "" || n.Place == c.Place) {
			return n.Reason, false
		}
	}
	return "", true
}

// why is what a test that does not hold came to, in one clause.
func (m *maker) why(r rules.Result) string {
	label, value := m.shown(r.Figure)
	if r.Decision == rules.DoesNotHold {
		return label + ": " + value.String() + ", asked: " + r.Asked()
	}
	if r.Empty {
		return m.empty(r)
	}
	return label + ": " + r.Reason
}

// empty says that there is none of what a test is about.
func (m *maker) empty(r rules.Result) string {
	label, _ := m.shown(cmp.Or(r.Given, r.Figure))
	return label + ": 0"
}

// shown is the label and the value of a figure.
func (m *maker) shown(id string) (string, document.Value) {
	if f, ok := m.doc.Figure(id); ok {
		return f.Label, f.Value
	}
	return id, document.Value{}
}

// testRow is a test and what it came to.
func (m *maker) testRow(c *rules.Control, r rules.Result) []document.Value {
	label, value := m.shown(r.Figure)
	asked := r.Asked()
	if r.Given != "" {
		given, _ := m.shown(r.Given)
		asked += ", given: " + given
	}
	if label != r.Figure {
		label += " (" + r.Figure + ")"
	}
	reason := r.Reason
	if r.Empty {
		reason = m.empty(r)
	}
	result := document.StateOf(document.Plain, string(r.Decision))
	switch r.Decision {
	case rules.Holds:
		result.Tone = document.Good
	case rules.DoesNotHold:
		result.Tone = document.Bad
	}
	return []document.Value{document.TextOf(c.Place), document.TextOf(label), value, document.TextOf(asked), result, document.TextOf(reason)}
}

// applicable keeps of what the organisation says only what is about the rules of
// this report.
func applicable(o *document.Organisation, packs []*rules.Catalogue) *document.Organisation {
	if o == nil {
		return nil
	}
	kept := *o
	kept.NotApplicable = slices.DeleteFunc(slices.Clone(o.NotApplicable), func(n document.NotApplicable) bool {
		return !slices.ContainsFunc(packs, func(p *rules.Catalogue) bool { return p.ID == n.Rules })
	})
	return &kept
}
