// Package render lays a report out: as one HTML file without a network, as PDF,
// as Markdown and CSV for pasting, and as a summary for a terminal. All of them
// say what the document says, and nothing else; the JSON form, which can be
// verified, is the document package's own. HTML and PDF carry it ([ExtractReport]).
package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"audittrail/report/document"
)

// notEvidenced is the heading of the end of every section.
const notEvidenced = "Limitations"

// titleOf names a report.
func titleOf(r *document.Report) string {
	if r.Type == "case" {
		return "Case report"
	}
	if len(r.Sections) == 1 {
		return r.Sections[0].Title + " report"
	}
	return "Compliance report"
}

// A pair is one line of the head of a report.
type pair struct {
	Name  string
	Value document.Value
}

// headOf is what a report is about, in the order of reading. Carries says that
// the form carries the signed report, so that its signature can be verified.
func headOf(f *document.File, carries bool) []pair {
	r := f.Report
	o := document.Organisation{}
	if r.Organisation != nil {
		o = *r.Organisation
	}
	head := []pair{{"Organisation", orElse(o.Name, unsaid)}}
	if o.Systems != "" {
		head = append(head, pair{"Systems", document.TextOf(o.Systems)})
	}
	head = append(head, pair{"Made for", orElse(o.For, unsaid)},
		pair{"Log", document.TextOf(r.Origin)})
	if r.Type != "case" {
		head = append(head, pair{"Period", document.TextOf(Period(r))})
	}
	if r.Model != "" {
		head = append(head, pair{"Model", document.TextOf(r.Model)})
	}
	head = append(head, pair{"Made as of", document.TextOf(madeOf(r))},
		pair{"Checkpoint", document.TextOf(checkpointOf(r))},
		pair{"Merkle root", document.CodeOf(r.Root)})
	if len(r.Rules) > 0 {
		head = append(head, pair{"Rules", document.TextOf(rulesOf(r))})
	}
	head = append(head, pair{"Computed by", document.TextOf("AuditTrail " + r.Program)})
	switch {
	case len(f.Signature) == 0:
		head = append(head, pair{"Signature", document.StateOf(document.Warning, "none: the log's keyring was not at hand")})
	case carries:
		head = append(head, pair{"Signature", document.TextOf("by the log's key, over the JSON form that this file carries: 'audittrail report verify' checks both")})
	}
	return head
}

// unsaid stands for what the organisation says of itself where it says nothing.
const unsaid = "not stated (report --organisation FILE states it)"

func orElse(s, none string) document.Value {
	if s == "" {
		return document.Value{Kind: document.Text, Text: none}
	}
	return document.TextOf(s)
}

// rulesOf names the rule files and the days of which they are.
func rulesOf(r *document.Report) string {
	var parts []string
	for i := 0; i < len(r.Rules); {
		day := r.Rules[i].AsOf
		var titles []string
		for ; i < len(r.Rules) && r.Rules[i].AsOf == day; i++ {
			titles = append(titles, r.Rules[i].Title)
		}
		parts = append(parts, strings.Join(titles, ", ")+" as of "+dayOf(day))
	}
	return strings.Join(parts, "; ")
}

// dayOf is a day of a rule file in words.
func dayOf(day string) string {
	if t, err := time.Parse(time.DateOnly, day); err == nil {
		return document.InWords(t)
	}
	return day
}

// checkpointOf is what the checkpoint of a report covers.
func checkpointOf(r *document.Report) string {
	switch r.Size {
	case 0:
		return "of a log without a record"
	case 1:
		return "the first record, with the Merkle root below"
	}
	return "the first " + document.Thousands(int64(r.Size)) + " records, with the Merkle root below"
}

// madeOf is when a report was made: no clock is read for it, and it counts what
// was logged until then.
func madeOf(r *document.Report) string {
	if r.AsOf.IsZero() {
		return "before the first record"
	}
	return document.InWords(r.AsOf.Time) + ", when the last record that it counts was logged"
}

// Period is the report's period in words, with the days on which it begins and
// ends.
func Period(r *document.Report) string {
	start, end := r.Start.UTC(), r.End.UTC()
	from, until := boundary(start), "before "+boundary(end)
	if isMidnight(end) {
		until = "until the end of " + boundary(end.AddDate(0, 0, -1))
	}
	switch {
	case r.Start.IsZero() && r.End.IsZero():
		return "the whole log" + spanOf(r)
	case r.Start.IsZero():
		return "everything " + until + ", in UTC"
	case r.End.IsZero():
		return "from " + from + " on, in UTC" + spanOf(r)
	case isMidnight(start) && end.Equal(start.AddDate(0, 0, 1)):
		return from + ", in UTC"
	case isMidnight(start) && isMidnight(end):
		return "from " + from + " to " + boundary(end.AddDate(0, 0, -1)) + ", both included, in UTC"
	}
	return "from " + from + " " + until + ", in UTC"
}

func isMidnight(t time.Time) bool { return t.Equal(t.Truncate(24 * time.Hour)) }

// boundary is the time at which a period begins or ends, to the digit.
func boundary(t time.Time) string {
	if isMidnight(t) {
		return t.Format("2 January 2006")
	}
	return t.Format("2 January 2006, 15:04:05.999999999")
}

// spanOf says when the first and the last event happened, where a report tells.
func spanOf(r *document.Report) string {
	first, _ := r.Figure("scope.first")
	last, _ := r.Figure("scope.last")
	day := func(f document.Figure) string {
		t, err := time.Parse(time.RFC3339Nano, f.Value.Text)
		if err != nil {
			return ""
		}
		return document.InWords(t.UTC().Truncate(24 * time.Hour))
	}
	from, to := day(first), day(last)
	switch {
	case from == "" || to == "":
		return ""
	case from == to:
		return ": events of " + from
	}
	return ": events from " + from + " to " + to
}

// bannerOf is how a report stands. It is good news only if the log verifies and
// nothing needs attention.
func bannerOf(r *document.Report) (document.Tone, string) {
	tone, text := statusText(r.Status)
	wary := func(t document.Tone) bool { return t == document.Warning || t == document.Bad }
	if tone == document.Good && (len(r.Attention) > 0 || slices.ContainsFunc(r.Notices, func(n document.Notice) bool { return wary(n.Tone) })) {
		tone = document.Warning
	}
	return tone, text
}

// The headings of what needs attention, and of its absence.
const (
	needsAttention = "What needs attention"
	noAttention    = "Nothing in this report needs attention."
)

// numberOf is the number of a section, from 1 on.
func numberOf(r *document.Report, id string) int {
	return slices.IndexFunc(r.Sections, func(s document.Section) bool { return s.ID == id }) + 1
}

// keyFigures are the figures of the first page of a full report.
var keyFigures = []string{
	"scope.submitted", "usage.calls", "usage.failed", "inventory.models", "incidents.incidents", "oversight.reviews",
	"controls.evidenced", "controls.failed", "controls.no_occurrences", "controls.not_applicable", "controls.outside_the_log",
}

// keysOf are the key figures that a report has.
func keysOf(r *document.Report) []document.Figure {
	if len(r.Sections) < 2 {
		return nil
	}
	var all []document.Figure
	for _, id := range keyFigures {
		if f, ok := r.Figure(id); ok {
			f.Note = ""
			all = append(all, f)
		}
	}
	return all
}

// statusText is what a report's status means.
func statusText(s document.Status) (document.Tone, string) {
	switch s {
	case document.Complete:
		return document.Good, "The log verifies, and everything in this report was computed from it."
	case document.Incomplete:
		return document.Warning, "The log was not altered, but something that belongs into this report is missing; see below."
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

// sourcesText lists queries by their ids.
func sourcesText(ids []string) string { return strings.Join(ids, ", ") }

// shownOf says what of a table is shown, if that is not all.
func shownOf(t *document.Table) string {
	if t.Total <= uint64(len(t.Rows)) {
		return ""
	}
	return fmt.Sprintf("%s of %s rows are shown.", document.Thousands(int64(len(t.Rows))), document.Thousands(int64(t.Total)))
}
