package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"audittrail/report/document"
	"audittrail/report/rules"
)

// attend notes what somebody must look at.
func (m *maker) attend(kind document.Concern, tone document.Tone, section, format string, args ...any) {
	m.concerns = append(m.concerns, document.Attention{Kind: kind, Tone: tone, Section: section, Text: fmt.Sprintf(format, args...)})
}

// maxNamed is how many of a kind are named one by one where a report lists what
// needs attention; its sections list more.
const maxNamed = 5

// attendEach notes one line for each, up to so many, and one for all others.
func (m *maker) attendEach(kind document.Concern, tone document.Tone, section string, lines []string, others string) {
	for _, line := range lines[:min(len(lines), maxNamed)] {
		m.attend(kind, tone, section, "%s", line)
	}
	if n := len(lines) - maxNamed; n > 0 {
		m.attend(kind, tone, section, "%s more %s.", document.Thousands(int64(n)), others)
	}
}

// attention puts what needs attention into the report: of the sections that it
// has, by the order of concerns.
func (m *maker) attention() {
	m.doc.Attention = make([]document.Attention, 0)
	for _, a := range m.concerns {
		if m.doc.Section(a.Section) != nil {
			m.doc.Attention = append(m.doc.Attention, a)
		}
	}
	order := document.Concerns()
	slices.SortStableFunc(m.doc.Attention, func(a, b document.Attention) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
}

// A failure is a test that does not hold, and the controls that ask it.
type failure struct {
	test   rules.Test
	where  string // title of the section that has the figure
	label  string
	value  document.Value
	places map[string][]string // by title of the rule file
	titles []string            // of the rule files, in their order
}

// failedTests gathers failed tests, each once.
type failedTests []*failure

func (all *failedTests) add(p *rules.Catalogue, c *rules.Control, r rules.Result, where string, f document.Figure) {
	at := slices.IndexFunc(*all, func(have *failure) bool { return have.test.Figure == r.Figure && have.test.Condition == r.Condition })
	if at < 0 {
		at = len(*all)
		*all = append(*all, &failure{test: r.Test, where: where, label: f.Label, value: f.Value, places: make(map[string][]string)})
	}
	have := (*all)[at]
	if !slices.Contains(have.titles, p.Title) {
		have.titles = append(have.titles, p.Title)
	}
	have.places[p.Title] = append(have.places[p.Title], c.Place)
}

// String names the test, what it found, and the controls that fail by it.
func (f *failure) String() string {
	parts := make([]string, len(f.titles))
	for i, title := range f.titles {
		parts[i] = title + " " + strings.Join(f.places[title], ", ")
	}
	return fmt.Sprintf("%s, %q: %s, where %s is asked. Controls that fail by it: %s.", f.where, f.label, f.value, f.test.Asked(), strings.Join(parts, "; "))
}
