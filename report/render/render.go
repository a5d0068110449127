// Package render lays a report out: as one HTML file without a network, as PDF,
// as Markdown and CSV for pasting, and as a summary for a terminal. All of them
// say what the document says, and nothing else; the JSON form, which can be
// verified, is the document package's own.
package render

import (
	"fmt"
	"strings"

	"audittrail/report/document"
)

// notEvidenced is the heading of the end of every section.
const notEvidenced = "What the log does not evidence"

// titleOf names a report.
func titleOf(r *document.Report) string {
	if len(r.Sections) == 1 {
		return r.Sections[0].Title + " report"
	}
	return "Compliance report"
}

// A pair is one line of what stands at the head of a report.
type pair struct {
	Name  string
	Value document.Value
}

// headOf is what a report is about, in the order of reading.
func headOf(f *document.File) []pair {
	r := f.Report
	head := []pair{
		{"Log", document.TextOf(r.Origin)},
		{"Period", document.TextOf(Period(r))},
		{"Records that count", document.CountOf(r.Size)},
		{"Root of their tree", document.CodeOf(r.Root)},
		{"Last record logged", document.TimeOf(r.AsOf.Time)},
	}
	if r.Model != "" {
		head = append(head, pair{"Model", document.TextOf(r.Model)})
	}
	for _, rules := range r.Rules {
		head = append(head, pair{"Rules", document.TextOf(rules.Title + ", as of " + rules.AsOf)})
	}
	head = append(head, pair{"Computed by", document.TextOf("AuditTrail " + r.Program)})
	if len(f.Signature) == 0 {
		return append(head, pair{"Signature", document.StateOf(document.Wary, "none: the log's keyring was not at hand")})
	}
	return append(head, pair{"Signature", document.TextOf("by the log's key; the JSON form can be verified")})
}

// Period is the report's period in words.
func Period(r *document.Report) string {
	day := func(t document.Time) string {
		if s := t.UTC().Format("2006-01-02T15:04:05.999999999Z"); !strings.HasSuffix(s, "T00:00:00Z") {
			return s
		}
		return t.UTC().Format("2006-01-02")
	}
	switch {
	case r.Start.IsZero() && r.End.IsZero():
		return "the whole log"
	case r.Start.IsZero():
		return "up to " + day(r.End) + " (exclusive, UTC)"
	case r.End.IsZero():
		return "from " + day(r.Start) + " on (UTC)"
	}
	return fmt.Sprintf("%s to %s (exclusive, UTC)", day(r.Start), day(r.End))
}

// statusText is what a report's status means.
func statusText(s document.Status) (document.Tone, string) {
	switch s {
	case document.Sound:
		return document.Good, "The log verifies, and everything in this report was computed from it."
	case document.Incomplete:
		return document.Wary, "The log was not altered, but something that belongs into this report is missing; see below."
	case document.Altered:
		return document.Bad, "THE LOG WAS ALTERED. Nothing in this report can be relied upon beyond what the integrity section says."
	}
	return document.Bad, "Whether the log was altered could not be found out; see below."
}

// askedBy is the citations of a section in one line.
func askedBy(r *document.Report, s *document.Section) string {
	var parts []string
	for _, rules := range r.Rules {
		var places []string
		for _, c := range s.AskedBy {
			if c.Rules == rules.ID {
				places = append(places, c.Place)
			}
		}
		if len(places) > 0 {
			parts = append(parts, rules.Title+": "+strings.Join(places, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// sourcesText names the queries behind something.
func sourcesText(ids []string) string { return strings.Join(ids, ", ") }

// shownOf says what of a table is shown, if that is not all.
func shownOf(t *document.Table) string {
	if t.Total <= uint64(len(t.Rows)) {
		return ""
	}
	return fmt.Sprintf("%s of %s rows are shown.", document.Thousands(int64(len(t.Rows))), document.Thousands(int64(t.Total)))
}
