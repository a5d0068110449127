// Package shown makes recorded text fit to be shown: on terminals, which obey
// some characters, and in spreadsheets, which take some cells for formulas.
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

// Hides tells whether a character acts on a terminal, or on the order of what
// is shown, or cannot be seen, rather than being shown: recorded text must not
// be able to forge what a reader of the log sees.
func Hides(r rune) bool {
	switch {
	case r < 0x7f:
		return r < ' '
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	case unicode.Is(unicode.Cf, r): // directions, zero width, tags
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r) // signs of Arabic and others, which are seen
	}
	return unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) // fillers
}

// Text spells out what cannot be seen in a text, as \u202e, and bytes that are
// not UTF-8, as \x9b. Characters of keep stand as they are.
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

// A Colour is how a terminal shows text: the parameter of its SGR sequence.
type Colour string

// The colours, by what they mean everywhere in the program.
const (
	Green  Colour = "32" // good
	Yellow Colour = "33" // to be looked at
	Red    Colour = "31" // bad
	Faint  Colour = "2"
	Bold   Colour = "1"
	Found  Colour = "1;33" // what was searched for
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

// JSON escapes what cannot be seen in JSON, which stays the same value. Line
// feeds and tabs, which in JSON are never part of a text, stand as they are.
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

// numeral is what a spreadsheet takes for a number, and nothing more.
var numeral = regexp.MustCompile(`^[+-][0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// begins tells whether a spreadsheet may take a cell that begins so for a
// formula. Those of East Asia take the wide signs as well.
func begins(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", r)
}

// Cell keeps a spreadsheet from taking text for a formula, with an apostrophe
// in front. Numbers, and a dash alone, are none. [Uncell] gives the text again.
func Cell(s string) string {
	switch rest := strings.TrimLeft(s, "'"); {
	case !begins(rest), s == "-", numeral.MatchString(s):
		return s
	}
	return "'" + s
}

// Uncell returns the text that Cell made a cell of.
func Uncell(cell string) string {
	if rest := strings.TrimLeft(cell, "'"); rest != cell && begins(rest) {
		return cell[1:]
	}
	return cell
}

// A CSV writes rows of cells, each as Cell has it.
type CSV struct {
	w   *csv.Writer
	row []string
}

// NewCSV makes a writer of CSV.
func NewCSV(w io.Writer) *CSV { return &CSV{w: csv.NewWriter(w)} }

// Write adds a row.
func (c *CSV) Write(cells []string) error {
	c.row = c.row[:0]
	for _, s := range cells {
		c.row = append(c.row, Cell(s))
	}
	return c.w.Write(c.row)
}

// Flush hands on what was written, and returns the first error of all writing.
func (c *CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// Writer returns a writer that escapes what cannot be seen, as JSON does.
func Writer(w io.Writer) io.Writer { return &escaping{w: w} }

type escaping struct {
	w    io.Writer
	left []byte // the beginning of a character
}

// Write writes p but for the beginning of a character at its end.
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
