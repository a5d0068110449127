package report

import (
	"strings"

	"audittrail/query"
	"audittrail/report/document"
	"audittrail/report/rules"
)

// controls holds the figures of all other sections against the rules.
func (m *maker) controls(s *document.Section) error {
	q := m.source("rules", "the figures of this report against the rule files", nil, query.Grouping{}, m.o.Size)
	tally := make(map[rules.Verdict]int)
	for _, p := range m.o.Rules {
		var rows [][]document.Value
		for i := range p.Controls {
			c := &p.Controls[i]
			verdict, shown := m.judge(c)
			tally[verdict]++
			rows = append(rows, []document.Value{
				document.TextOf(c.Place), document.TextOf(c.Title), document.TextOf(c.Asks), verdictValue(verdict), document.TextOf(strings.Join(shown, "; ")), document.TextOf(c.Beyond), document.TextOf(c.From),
			})
		}
		if len(rows) > 0 {
			note := "Source: " + p.Source + ", held against it on " + p.AsOf + "."
			if p.Note != "" {
				note += " " + p.Note
			}
			add(s, p.ID, p.Full, columns("place", "control", "asks", "in this log", "figures", "remains to be shown", "applies from"), rows, note, q)
		}
	}
	for _, v := range []rules.Verdict{rules.Evidenced, rules.Partial, rules.NotEvidenced} {
		id := strings.ReplaceAll(string(v), " ", "_")
		figure(s, id, "Controls "+string(v), document.CountOf(tally[v]), "", q)
	}
	return nil
}

func verdictValue(v rules.Verdict) document.Value {
	switch v {
	case rules.Evidenced:
		return document.StateOf(document.Good, string(v))
	case rules.Partial:
		return document.StateOf(document.Wary, string(v))
	}
	return document.StateOf(document.Bad, string(v))
}

// judge is the verdict on a control, and the figures that speak to it. A log
// that was altered, or that nobody could check, evidences nothing.
func (m *maker) judge(c *rules.Control) (rules.Verdict, []string) {
	held := 0
	var shown []string
	for _, t := range c.Tests {
		f, ok := m.doc.Figure(t.Figure)
		text := t.Figure + " is not computed"
		if ok {
			text = f.Label + ": " + f.Value.String()
		}
		_, number := f.Value.Float()
		if ok && t.Holds(f.Value.N, number, f.Value.Kind == document.State && f.Value.Tone == document.Good) {
			held++
		} else {
			text += " (wanted " + t.Is + ")"
		}
		shown = append(shown, text)
	}
	if m.doc.Status == document.Altered || m.doc.Status == document.Unchecked {
		return rules.NotEvidenced, append(shown, "the log does not verify")
	}
	return c.Judge(held), shown
}
