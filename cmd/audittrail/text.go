package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"audittrail/internal/shown"
)

// visible spells out the characters that a terminal would obey, or that nobody
// would see, but for line feeds and tabs.
func visible(s string) string { return shown.Text(s, "\n\t") }

// oneLine is visible for the cell of a table.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\n\t") {
		s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\t' }), " ")
	}
	return shown.Text(s, "")
}

// fit cuts text to a number of columns.
func fit(s string, width int) string {
	if len(s) <= width || columnsOf(s) <= width {
		return s
	}
	at := 1 // of the mark that something is missing
	for i, r := range s {
		if at += columnsOfRune(r); at > width {
			return s[:i] + "…"
		}
	}
	return s
}

// columnsOf is how many columns of a terminal text takes.
func columnsOf(s string) int {
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
	if r == markStart || r == markEnd {
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

// number writes a count with its thousands apart.
func number[N ~int | ~int64 | ~uint64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText writes a number of bytes as people do.
func bytesText(n int64) string {
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

// count names a number of things.
func count[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	return number(n) + " " + oneOrMany(n, one, many)
}

// oneOrMany is the word for so many.
func oneOrMany[N ~int | ~int64 | ~uint64](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// timeText writes a time for people: in UTC, to the millisecond.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}
