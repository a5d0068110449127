package main

import (
	"strings"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/query"
)

// Marks around matches in the cells of a table. They are replaced by the escape
// sequences of the terminal once the cell has been laid out.
const (
	markStart = display.MarkStart
	markEnd   = display.MarkEnd
)

var unmarked = strings.NewReplacer(string(markStart), "", string(markEnd), "")

// colours tells whether the terminal and the user take them.
func (e *env) colours() bool {
	return e.outTerminal && !e.noColor && e.getenv("NO_COLOR") == ""
}

// marked replaces the marks in a cell, which may have been cut off within one,
// by escape sequences of the terminal.
func (e *env) marked(cell string) string {
	if !strings.ContainsRune(cell, markStart) {
		return cell
	}
	if !e.colours() {
		return unmarked.Replace(cell)
	}
	if strings.Count(cell, string(markStart)) > strings.Count(cell, string(markEnd)) {
		cell += string(markEnd)
	}
	return strings.NewReplacer(string(markStart), "\x1b["+string(found)+"m", string(markEnd), "\x1b[0m").Replace(cell)
}

// snippet is the text around the first place that matches, with marks around
// the places. The first is within so many columns, if it is not longer.
func snippet(matches []query.Match, columns int) string {
	const after = 240 // bytes
	first := matches[0]
	before := max(0, min(24, (columns-display.Columns(first.Text[first.Start:first.End])-1)/2))
	from := first.Start
	for room := before; from > 0 && room > 0; room-- {
		for from--; from > 0 && !startsRune(first.Text[from]); {
			from--
		}
	}
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
	}
	at := from
	for _, m := range matches {
		if m.Field != first.Field || m.Text != first.Text || m.Start < at {
			break
		}
		b.WriteString(unmarked.Replace(first.Text[at:m.Start]))
		b.WriteString(string(markStart) + unmarked.Replace(first.Text[m.Start:m.End]) + string(markEnd))
		at = m.End
	}
	end := min(len(first.Text), at+after)
	for end < len(first.Text) && !startsRune(first.Text[end]) {
		end++
	}
	b.WriteString(unmarked.Replace(first.Text[at:end]))
	return display.OneLine(b.String())
}

func startsRune(b byte) bool { return b&0xc0 != 0x80 }
