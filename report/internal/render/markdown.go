package render

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"audittrail/internal/shown"
	"audittrail/report/document"
)

// Markdown writes a report as GitHub and others take it. Charts are tables in
// it.
func Markdown(w io.Writer, f *document.File) error {
	m := &markdown{Writer: bufio.NewWriter(shown.Writer(w))}
	r := f.Report
	m.say("# %s\n\n", inline(titleOf(r)))
	for _, p := range headOf(f, false) {
		m.say("- %s: %s\n", p.Name, cellText(p.Value))
	}
	_, status := bannerOf(r)
	m.say("\n**%s**\n", inline(status))
	for _, n := range r.Notices {
		m.say("\n> %s\n", inline(n.Text))
	}
	m.attention(r)
	for i := range r.Sections {
		m.section(r, &r.Sections[i], i+1)
	}
	m.say("\n## Queries of the figures\n\nThey count the first %s records of the log and no later ones.\n\n", document.Thousands(int64(r.Size)))
	rows := make([][]string, 0, len(r.Sources))
	for _, s := range r.Sources {
		text := inline(s.Text)
		if s.Command != "" {
			text += " " + code(s.Command)
		}
		if len(s.Query) > 0 {
			text += " " + code(string(s.Query))
		}
		rows = append(rows, []string{s.ID, text, document.Thousands(int64(s.Records))})
	}
	m.table([]document.Column{{Name: "query"}, {Name: "what it asks"}, {Name: "records", Numeric: true}}, rows)
	return errors.Join(m.err, m.Flush())
}

// attention lists what needs attention, each with a link to its section.
func (m *markdown) attention(r *document.Report) {
	switch {
	case r.Attention == nil:
		return
	case len(r.Attention) == 0:
		m.say("\n%s\n", noAttention)
		return
	}
	m.say("\n**%s**\n\n", needsAttention)
	for _, a := range r.Attention {
		n := numberOf(r, a.Section)
		title := r.Sections[n-1].Title
		m.say("- %s ([%d. %s](#%d-%s))\n", inline(a.Text), n, inline(title), n, strings.ToLower(strings.ReplaceAll(title, " ", "-")))
	}
}

// markdown remembers the first error.
type markdown struct {
	*bufio.Writer
	err error
}

func (m *markdown) say(format string, args ...any) {
	if m.err == nil {
		_, m.err = fmt.Fprintf(m.Writer, format, args...)
	}
}

func (m *markdown) section(r *document.Report, s *document.Section, n int) {
	m.say("\n## %d. %s\n\n%s\n", n, inline(s.Title), inline(s.Intro))
	if by := askedBy(r, s); by != "" {
		m.say("\nAsked by %s.\n", inline(by))
	}
	if s.Failed != "" {
		m.say("\n**This section could not be computed: %s**\n", inline(s.Failed))
	}
	if len(s.Figures) > 0 {
		m.say("\n")
		rows := make([][]string, 0, len(s.Figures))
		for _, f := range s.Figures {
			label := inline(f.Label)
			if f.Note != "" {
				label += " (" + inline(f.Note) + ")"
			}
			rows = append(rows, []string{label, cellText(f.Shown()), sourcesText(f.Sources)})
		}
		m.table([]document.Column{{Name: "figure"}, {Name: "value", Numeric: true}, {Name: "from"}}, rows)
	}
	for i := range s.Charts {
		t := chartTable(&s.Charts[i])
		m.tableOf(&t)
	}
	for i := range s.Graphs {
		t := graphTable(&s.Graphs[i])
		m.tableOf(&t)
	}
	for i := range s.Tables {
		m.tableOf(&s.Tables[i])
	}
	m.say("\n**%s**\n\n", notEvidenced)
	for _, g := range s.Gaps {
		m.say("- %s\n", inline(g))
	}
}

func (m *markdown) tableOf(t *document.Table) {
	m.say("\n### %s (%s)\n\n", inline(t.Title), sourcesText(t.Sources))
	if len(t.Rows) == 0 {
		m.say("Nothing recorded.\n")
	} else {
		rows := make([][]string, len(t.Rows))
		for i, r := range t.Rows {
			for _, v := range r {
				rows[i] = append(rows[i], cellText(v))
			}
		}
		m.table(t.Columns, rows)
	}
	for _, note := range []string{shownOf(t), t.Note} {
		if note != "" {
			m.say("\n%s\n", inline(note))
		}
	}
}

func (m *markdown) table(columns []document.Column, rows [][]string) {
	for _, c := range columns {
		m.say("| %s ", inline(c.Name))
	}
	m.say("|\n")
	for _, c := range columns {
		if c.Numeric {
			m.say("| ---: ")
		} else {
			m.say("| --- ")
		}
	}
	m.say("|\n")
	for _, r := range rows {
		m.say("| %s |\n", strings.Join(r, " | "))
	}
}

// cellText is a value in a table.
func cellText(v document.Value) string {
	switch {
	case v.Kind == document.Code:
		return code(v.Text)
	case v.Kind == document.State && (v.Tone == document.Bad || v.Tone == document.Warning):
		return "**" + inline(v.Text) + "**"
	}
	return inline(v.String())
}

var inlineEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;",
	"|", `\|`, "#", `\#`, "~", `\~`, "\n", " ", "\r", " ",
)

// inline is text that stands for itself.
func inline(s string) string { return inlineEscapes.Replace(s) }

// code is text in code's type.
func code(s string) string {
	s = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

// chartTable is a chart in figures.
func chartTable(c *document.Chart) document.Table {
	t := document.Table{ID: c.ID, Title: c.Title, Sources: c.Sources, Columns: []document.Column{{Name: ""}}}
	for _, s := range c.Series {
		t.Columns = append(t.Columns, document.Column{Name: s.Name, Numeric: true})
	}
	for i, l := range c.Labels {
		row := []document.Value{document.TextOf(l)}
		for _, s := range c.Series {
			row = append(row, s.Values[i])
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// graphTable is a graph in words.
func graphTable(g *document.Graph) document.Table {
	t := document.Table{
		ID: g.ID, Title: g.Title, Sources: g.Sources, Note: g.Note,
		Columns: []document.Column{{Name: "kind"}, {Name: "name"}, {Name: "leads to"}},
	}
	next := make([][]string, len(g.Nodes))
	for _, e := range g.Edges {
		next[e[0]] = append(next[e[0]], g.Nodes[e[1]].Label)
	}
	for i, n := range g.Nodes {
		t.Rows = append(t.Rows, []document.Value{document.TextOf(n.Kind), document.TextOf(n.Label), document.TextOf(strings.Join(next[i], ", "))})
	}
	return t
}
