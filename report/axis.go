package report

import (
	"fmt"
	"time"

	"audittrail/query"
	"audittrail/report/document"
)

// maxSpans is how many hours, days, weeks or months a chart has at most: twenty
// years of months.
const maxSpans = 240

// An axis is the time of a chart: all spans from the first to the last, also
// those in which nothing happened.
type axis struct {
	span   string
	labels []string
	at     map[string]int // of labels
	// outside is how much was not put on the axis: events of times that are
	// centuries away from all others, as of a clock that was never set.
	outside int64
}

// axisOf is the axis of what happened between two times, or if nothing did, of
// nothing. Where the report has a period, the axis reaches over all of it that
// the log has seen.
func (m *maker) axisOf(first, last query.Value) *axis {
	x := &axis{span: "day", at: make(map[string]int)}
	if first.Kind() == query.Absent {
		return x
	}
	from, to := first.Time(), last.Time()
	if seen := m.doc.AsOf.AddDate(0, 0, 1); !m.doc.AsOf.IsZero() && to.After(seen) && from.Before(seen) {
		to = seen // later ones are of clocks that are ahead
	}
	if !m.o.End.IsZero() {
		if end := earlier(m.o.End.Add(-1), m.doc.AsOf.Time); end.After(to) {
			to = end
		}
	}
	if !m.o.Start.IsZero() && m.o.Start.Before(from) {
		from = m.o.Start
	}
	if most := to.AddDate(0, 1-maxSpans, 0); from.Before(most) {
		from = most
	}
	x.span = spanOf(from, to)
	for _, v := range query.TimeBuckets(x.span, from, to, nil, maxSpans) {
		x.at[v.String()] = len(x.labels)
		x.labels = append(x.labels, v.String())
	}
	return x
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// spanOf is the span of time by which a period is shown, so that there are
// neither too few nor too many.
func spanOf(from, to time.Time) string {
	switch length := to.Sub(from); {
	case length <= 48*time.Hour:
		return "hour"
	case length <= 100*24*time.Hour:
		return "day"
	case length <= 2*366*24*time.Hour:
		return "week"
	}
	return "month"
}

// place returns the position of a span on the axis. Spans without one are counted.
func (x *axis) place(label query.Value, n int64) (int, bool) {
	i, ok := x.at[label.String()]
	if !ok {
		x.outside += n
	}
	return i, ok
}

// title is a chart's, with what it leaves out.
func (x *axis) title(of string) string {
	title := of + " by " + x.span
	if x.outside > 0 {
		title += fmt.Sprintf(" (without %s at times before or after these)", document.Thousands(x.outside))
	}
	return title
}

// zeros are values of a series of counts on an axis, nothing counted yet. Where
// records have left the log, none is not 0.
func (m *maker) zeros(x *axis) []document.Value {
	all := make([]document.Value, len(x.labels))
	for i := range all {
		if m.gone == 0 {
			all[i] = document.CountOf(0)
		}
	}
	return all
}

// addTo adds to a value of a series.
func addTo(series []document.Value, at int, n int64) {
	series[at].Kind, series[at].N = document.Count, series[at].N+n
}
