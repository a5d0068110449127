package report

import (
	"slices"
	"strings"

	"audittrail/report/document"
)

// The beginnings of notices that say how a log could be checked, and of what lies
// beyond the records that count.
const (
	notAltered = "The log was not altered, but "
	goesOn     = "The log goes on beyond its newest checkpoint"
	lacked     = "The check of the log lacked something: "
)

// circumstances splits what differs between a report that was handed out and the
// one that was computed again: what only tells how the log could be checked then
// and now, whether all that is derived from it was whole, archives were at hand,
// and what followed the records that count, is in no figure, and does not contradict
// the report. There is none of these where either says that the log was altered, or
// could not be checked.
func circumstances(was, is *document.Report, found []document.Difference) (contradicts, others []document.Difference) {
	for _, s := range []document.Status{was.Status, is.Status} {
		if s != document.Complete && s != document.Incomplete {
			return found, nil
		}
	}
	before, _ := was.Figure("integrity.state")
	after, _ := is.Figure("integrity.state")
	checked := before.Value != after.Value // by which tests of controls may be decided, or not
	for _, d := range found {
		if circumstance(d) || checked && strings.HasPrefix(d.Where, "controls.") {
			others = append(others, d)
		} else {
			contradicts = append(contradicts, d)
		}
	}
	return contradicts, others
}

func circumstance(d document.Difference) bool {
	switch {
	case d.Where == "status", d.Where == "integrity.state", d.Where == "integrity.state, words":
		return true
	case strings.HasPrefix(d.Where, "integrity.problems"):
		return true
	case d.Where == "attention of "+string(document.Unreadable):
		return true
	case d.Where == "notice":
		return slices.ContainsFunc([]string{notAltered, goesOn, lacked}, func(start string) bool {
			return strings.HasPrefix(d.Was, start) || strings.HasPrefix(d.Is, start)
		})
	}
	return false
}
