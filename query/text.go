package query

import (
	"audittrail/record"
)

// maxMatches is the most matches that a hit lists.
const maxMatches = 100

// hit makes a hit of a record that matches.
func (p *plan) hit(r *record.Record, c cursors) (h *Hit, ok bool) {
	if !p.fits(r) {
		return nil, false
	}
	h = &Hit{Record: r, cursors: c}
	if p.text == nil {
		return h, true
	}
	places, ok := p.text.Find(r, maxMatches)
	for _, m := range places {
		h.Matches = append(h.Matches, Match{Field: m.Field.String(), Text: m.Text, Start: m.Start, End: m.End})
	}
	return h, ok
}
