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
	goesOn     = "The log has lines after its newest checkpoint"
	lacked     = "The check of the log lacked something: "
)

// circumstances splits the differences between a report that was handed out and the
// one that was computed again. Others are those that only tell how the log could be
// checked, then and now: whether derived files were whole and archives at hand, and
// whether records follow those that count. They are in no figure, and do not
// contradict the report. There are none if either report says that the log was
// altered or could not be checked.
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
