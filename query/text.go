package query

import (
	"audittrail"
)

// maxMatches is how many places of a hit are told.
const maxMatches = 100

// hit makes a hit of a record that matches.
func (p *plan) hit(r *audittrail.Record, c cursors) *Hit {
	h := &Hit{Record: r, cursors: c}
	if p.text == nil {
		return h
	}
	for _, m := range p.text.Places(&r.Event, maxMatches) {
		h.Matches = append(h.Matches, Match{Field: m.Field.String(), Text: m.Text, Start: m.Start, End: m.End})
	}
	return h
}
