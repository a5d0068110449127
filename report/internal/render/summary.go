package render

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"audittrail/internal/shown"
	"audittrail/report/document"
)

// Summary writes what a person reads of a report in a terminal: its status, its
// figures, and what the log does not evidence, in so many columns, and in colours
// where the terminal takes them.
func Summary(w io.Writer, f *document.File, width int, colours bool) error {
	s := &summary{Writer: bufio.NewWriter(w), width: max(width, 40), colours: colours}
	r := f.Report
	s.say("%s\n\n", visible(titleOf(r)))
	for _, p := range headOf(f, false) {
		s.entry("", p.Name, p.Value, 18)
	}
	tone, status := bannerOf(r)
	s.say("\n")
	s.wrapped("", tone, status)
	for _, n := range r.Notices {
		s.wrapped("  ", n.Tone, n.Text)
	}
	s.attention(r)
	for i := range r.Sections {
		s.section(&r.Sections[i], i+1)
	}
	return errors.Join(s.err, s.Flush())
}

// attention lists what needs attention, each with the number of its section.
func (s *summary) attention(r *document.Report) {
	switch {
	case r.Attention == nil:
		return
	case len(r.Attention) == 0:
		s.wrapped("", document.Plain, noAttention)
		return
	}
	s.say("\n%s\n", needsAttention)
	for _, a := range r.Attention {
		for i, line := range shown.Wrap(visible(fmt.Sprintf("%s (section %d)", a.Text, numberOf(r, a.Section))), s.width-4) {
			mark := "- "
			if i > 0 {
				mark = "  "
			}
			s.say("  %s%s\n", mark, s.paint(a.Tone, line))
		}
	}
}

type summary struct {
	*bufio.Writer
	width   int
	colours bool
	err     error
}

// paint gives text the colour of its tone.
func (s *summary) paint(t document.Tone, text string) string {
	colour := map[document.Tone]shown.Colour{
		document.Good: shown.Green, document.Warning: shown.Yellow, document.Bad: shown.Red, document.Dim: shown.Faint,
	}[t]
	if colour == "" || !s.colours {
		return text
	}
	return shown.Paint(colour, text)
}

func (s *summary) say(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.Writer, format, args...)
	}
}

// wrapped writes text with an indent.
func (s *summary) wrapped(indent string, tone document.Tone, text string) {
	for _, line := range shown.Wrap(visible(text), s.width-len(indent)) {
		s.say("%s%s\n", indent, s.paint(tone, line))
	}
}

// entry writes a name and its value, in further lines where that is long.
func (s *summary) entry(indent, name string, v document.Value, column int) {
	name = fitTo(visible(name), column)
	pad := strings.Repeat(" ", column-utf8.RuneCountInString(name)+2)
	tone := document.Plain
	if v.Kind == document.State {
		tone = v.Tone
	}
	for i, line := range shown.Wrap(visible(v.String()), s.width-len(indent)-column-2) {
		if i > 0 {
			name, pad = "", strings.Repeat(" ", column+2)
		}
		s.say("%s%s%s%s\n", indent, name, pad, s.paint(tone, line))
	}
}

func (s *summary) section(sec *document.Section, n int) {
	s.say("\n%d %s\n", n, visible(sec.Title))
	if sec.Failed != "" {
		s.wrapped("  ", document.Bad, "not computed: "+sec.Failed)
	}
	column := 0
	for _, f := range sec.Figures {
		column = max(column, utf8.RuneCountInString(f.Label))
	}
	for _, f := range sec.Figures {
		s.entry("  ", f.Label, f.Shown(), min(column, max(s.width/2, s.width-30)))
	}
	for i := range sec.Tables {
		if !strings.HasPrefix(sec.Tables[i].ID, testTables) { // which are for files
			s.table(&sec.Tables[i])
		}
	}
	if len(sec.Gaps) > 0 {
		s.wrapped("  ", document.Dim, "Limitations: "+strings.Join(sec.Gaps, " "))
	}
}

// testTables are the ids by which the tables of the tests of controls begin.
const testTables = "controls.tests_"

// short is how many rows of a table a summary shows.
const short = 5

// table writes the first rows, if they fit.
func (s *summary) table(t *document.Table) {
	if len(t.Rows) == 0 {
		return
	}
	rows := t.Rows[:min(short, len(t.Rows))]
	cells := make([][]string, len(rows))
	widths := make([]int, len(t.Columns))
	for c, column := range t.Columns {
		widths[c] = utf8.RuneCountInString(column.Name)
	}
	for i, row := range rows {
		for c, v := range row {
			text := fitTo(oneLine(v.String()), 32)
			cells[i] = append(cells[i], text)
			widths[c] = max(widths[c], utf8.RuneCountInString(text))
		}
	}
	shown := s.columns(t, widths)
	more := ""
	if hidden := max(t.Total, uint64(len(t.Rows))) - uint64(len(rows)); hidden > 0 {
		more = fmt.Sprintf(" (%s more)", document.Thousands(int64(hidden)))
	}
	s.say("\n")
	s.wrapped("  ", document.Plain, t.Title+more)
	names := make([]string, len(t.Columns))
	for c := range t.Columns {
		names[c] = t.Columns[c].Name
	}
	for i, line := range slices.Insert(cells, 0, names) {
		var b strings.Builder
		for _, c := range shown {
			text := line[c]
			pad := strings.Repeat(" ", widths[c]-utf8.RuneCountInString(text))
			if t.Columns[c].Numeric {
				text, pad = pad+text, ""
			}
			b.WriteString("  " + text + pad)
		}
		text := strings.TrimRight(b.String(), " ")
		if i == 0 {
			text = s.paint(document.Dim, text)
		}
		s.say("%s\n", text)
	}
}

// columns are those of a table that fit, in their order: the first, then those
// that hold news, then the others from the left.
func (s *summary) columns(t *document.Table, widths []int) []int {
	news := func(c int) bool {
		return slices.ContainsFunc(t.Rows, func(row []document.Value) bool { return row[c].Kind == document.State })
	}
	var shown []int
	room := s.width
	for _, wanted := range []func(c int) bool{
		func(c int) bool { return c == 0 },
		func(c int) bool { return c > 0 && news(c) },
		func(c int) bool { return c > 0 && !news(c) },
	} {
		for c, width := range widths {
			if !wanted(c) {
				continue
			}
			if room -= width + 2; room < 0 {
				break
			}
			shown = append(shown, c)
		}
	}
	slices.Sort(shown)
	return shown
}

func fitTo(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// visible spells out what a terminal would obey: recorded text must not be able
// to forge what its reader sees.
func visible(s string) string {
	return shown.Text(strings.NewReplacer("\n", " ", "\t", " ").Replace(s), "")
}

func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }
