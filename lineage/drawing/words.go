package drawing

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"audittrail/internal/shown"
	"audittrail/lineage"
)

// hides tells whether a character acts on what shows it, rather than being
// shown: controls, what directs the order of text, and what is not seen at all.
// The joiners stay in pictures, without which some scripts cannot be written.
func hides(r rune) bool {
	if r == '\u200c' || r == '\u200d' {
		return false
	}
	return r&0xfffe == 0xfffe || shown.Hides(r)
}

// seen is plain for terminals, where joiners are spelled out as well.
func seen(s string) string { return shown.Text(plain(s), "") }

// plain spells out invisible characters, and bytes that are not text. Line feeds and tabs become
// blanks.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if !strings.ContainsFunc(s, hides) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case hides(r):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// columns is how many columns of a terminal a text takes.
func columns(s string) int { return uniseg.StringWidth(s) }

// fit cuts a text to a number of columns, between characters as people see
// them.
func fit(s string, width int) string {
	if len(s) <= width || columns(s) <= width {
		return s
	}
	at, rest, state, end := 1, s, -1, 0 // 1 for the mark that something is missing
	for rest != "" {
		var cluster string
		var wide int
		cluster, rest, wide, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if at += wide; at > width {
			break
		}
		end += len(cluster)
	}
	return s[:end] + "…"
}

// facts returns the main properties of an entity other than its name, in a few
// words each.
func facts(n *lineage.Node) []string {
	var out []string
	add := func(before, s string) {
		if s != "" {
			out = append(out, before+plain(s))
		}
	}
	if n.Retired != nil {
		add("retired ", date(n.Retired.At))
	}
	switch t := n.Entity.(type) {
	case *lineage.Dataset:
		if t.RecordCount != nil {
			add("", count(*t.RecordCount, "record", "records"))
		}
		if t.PersonalData != nil && *t.PersonalData {
			add("", "personal data")
		}
		add("", t.Licence)
	case *lineage.TrainingRun:
		add("ended ", date(t.End))
	case *lineage.ModelVersion:
		add("risk: ", t.RiskTier)
		add("", t.Format)
	case *lineage.Evaluation:
		add("", t.Result)
		add("ended ", date(t.End))
	case *lineage.Deployment:
		if !strings.Contains(n.Label(), t.Environment) {
			add("", t.Environment)
		}
		add("from ", date(t.From))
		add("to ", date(t.To))
	}
	return out
}

// date is the day of a time, in UTC.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// instant writes a time for programs.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// count names a number of things.
func count[N ~int | ~int64](n N, one, many string) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n == 1 {
		return s + " " + one
	}
	return s + " " + many
}
