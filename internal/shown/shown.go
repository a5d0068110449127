// Package shown escapes recorded text for terminals, which act on control
// characters, and for spreadsheets, which take some cells for formulas.
package shown

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hides reports whether a character controls a terminal or the order of text,
// or is invisible: recorded text must not be able to forge the output that a
// reader of the log sees.
func Hides(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	case unicode.Is(unicode.Cf, r): // directions, zero width, tags
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r) // signs of Arabic and others, which are visible
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) // fillers
}

// Text escapes the characters of a text for which Hides is true, as \u202e, and
// bytes that are not UTF-8, as \x9b. Characters of keep are unchanged.
func Text(s, keep string) string {
	hidden := func(r rune) bool { return (Hides(r) || r == utf8.RuneError) && !strings.ContainsRune(keep, r) }
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !hidden(r) || r == utf8.RuneError:
			b.WriteString(s[:n])
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// A Colour is a colour on a terminal: the parameter of its SGR sequence.
type Colour string

// The colours, with their meaning everywhere in the program.
const (
	Green  Colour = "32" // good
	Yellow Colour = "33" // needs attention
	Red    Colour = "31" // bad
	Faint  Colour = "2"
	Bold   Colour = "1"
	Found  Colour = "1;33" // a match of a search
)

// Paint returns text in a colour, for a terminal that takes colours.
func Paint(c Colour, text string) string { return "\x1b[" + string(c) + "m" + text + "\x1b[0m" }

// Wrap breaks text into lines of at most so many characters, at spaces where
// there are any.
func Wrap(text string, width int) []string {
	width = max(width, 1)
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for utf8.RuneCountInString(word) > width {
			room := width
			if line != "" {
				room = width - utf8.RuneCountInString(line) - 1
			}
			if room < width/3 {
				lines, line = append(lines, line), ""
				continue
			}
			r := []rune(word)
			lines = append(lines, strings.TrimLeft(line+" "+string(r[:room]), " "))
			line, word = "", string(r[room:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// JSON escapes the characters in JSON for which Hides is true, which does not
// change the value. Line feeds and tabs, which in JSON are never part of a
// text, are unchanged.
func JSON(in []byte) []byte {
	hidden := func(r rune) bool { return Hides(r) && r != '\n' && r != '\t' || r == utf8.RuneError }
	if bytes.IndexFunc(in, hidden) < 0 {
		return in
	}
	out := make([]byte, 0, len(in)+64)
	for len(in) > 0 {
		r, n := utf8.DecodeRune(in)
		switch {
		case !hidden(r), r == utf8.RuneError && n > 1:
			out = append(out, in[:n]...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		in = in[n:]
	}
	return out
}

// numeral matches cells that spreadsheets take for a number.
var numeral = regexp.MustCompile(`^[+-][0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// begins reports whether a spreadsheet may take a cell with this beginning for
// a formula. East Asian ones accept the full-width signs as well.
func begins(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", r)
}

// Cell puts an apostrophe before a text that a spreadsheet may take for a
// formula. Numbers, and a dash alone, are unchanged. [Uncell] returns the text.
func Cell(s string) string {
	switch rest := strings.TrimLeft(s, "'"); {
	case !begins(rest), s == "-", numeral.MatchString(s):
		return s
	}
	return "'" + s
}

// Uncell returns the text from which Cell made a cell.
func Uncell(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); rest != cell && begins(rest) {
		return cell[1:]
	}
	return cell
}

// A CSV writes rows of cells, each in the form of Cell.
type CSV struct {
	w   *csv.Writer
	row []string
}

// NewCSV returns a writer of CSV.
func NewCSV(w io.Writer) *CSV { return &CSV{w: csv.NewWriter(w)} }

// Write adds a row.
func (c *CSV) Write(cells []string) error {
	c.row = c.row[:0]
	for _, s := range cells {
		c.row = append(c.row, Cell(s))
	}
	return c.w.Write(c.row)
}

// Flush writes the buffered rows, and returns the first error of all writes.
func (c *CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// Writer returns a writer that escapes characters as JSON does.
func Writer(w io.Writer) io.Writer { return &escaping{w: w} }

type escaping struct {
	w    io.Writer
	left []byte // an incomplete character
}

// Write writes p, except for an incomplete character at its end.
func (t *escaping) Write(p []byte) (int, error) {
	all := append(t.left, p...)
	whole := len(all)
	for n := 1; n < utf8.UTFMax && n <= len(all); n++ {
		if utf8.RuneStart(all[len(all)-n]) {
			if !utf8.FullRune(all[len(all)-n:]) {
				whole -= n
			}
			break
		}
	}
	if _, err := t.w.Write(JSON(all[:whole])); err != nil {
		return 0, err
	}
	t.left = append([]byte(nil), all[whole:]...)
	return len(p), nil
}
