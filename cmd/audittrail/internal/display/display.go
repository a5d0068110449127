// Package display writes numbers, sizes, times and recorded text for people who
// read a terminal.
package display

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"audittrail/internal/shown"
)

// Visible replaces characters that a terminal would obey, or that are invisible,
// by escapes, except for line feeds and tabs.
func Visible(s string) string { return shown.Text(s, "\n\t") }

// OneLine is Visible for the cell of a table.
func OneLine(s string) string {
	if strings.ContainsAny(s, "\n\t") {
		s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
	}
	return shown.Text(s, "")
}

// Marks around part of a text, which code that lays out the text finds. They are
// not characters (Unicode reserves them for use within a program), and have no
// width.
const (
	MarkStart = '\ufdd0'
	MarkEnd   = '\ufdd1'
)

// Fit cuts text to a number of columns.
func Fit(s string, width int) string {
	if len(s) <= width || Columns(s) <= width {
		return s
	}
	at := 1 // width of the ellipsis
	for i, r := range s {
		if at += columnsOfRune(r); at > width {
			return s[:i] + "…"
		}
	}
	return s
}

// Columns returns how many columns of a terminal text takes.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += columnsOfRune(r)
	}
	return n
}

// wide are the characters that take two columns: UAX #11 Wide and Fullwidth,
// in the ranges that matter.
var wide = [][2]rune{
	{0x1100, 0x115f},
	{0x2e80, 0x303e},
	{0x3041, 0x33ff},
	{0x3400, 0x4dbf},
	{0x4e00, 0x9fff},
	{0xa000, 0xa4cf},
	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},
	{0xff00, 0xff60},
	{0xffe0, 0xffe6},
	{0x1f300, 0x1f64f},
	{0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
}

func columnsOfRune(r rune) int {
	if r < 0x300 {
		return 1
	}
	if r == MarkStart || r == MarkEnd {
		return 0
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

// Number returns a count with separated thousands.
func Number[N ~int | ~int64 | ~uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Bytes returns a number of bytes with a unit.
func Bytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n), -1
	for f >= unit && i < 4 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTP"[i])
}

// Count returns a number with the noun that it counts.
func Count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	return Number(n) + " " + OneOrMany(n, one, many)
}

// OneOrMany returns the singular or the plural word for a number.
func OneOrMany[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Time returns a time for people: in UTC, to the millisecond.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}

// Wrap breaks text at spaces into lines of at most width columns.
func Wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && Columns(line)+1+Columns(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// JSON prints a value in one line, with invisible characters escaped.
func JSON(out io.Writer, value any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return err
	}
	_, err := out.Write(shown.JSON(b.Bytes()))
	return err
}
