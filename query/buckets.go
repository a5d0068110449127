package query

import (
	"time"

	"audittrail/query/internal/timebucket"
)

// TimeBuckets returns the hours, days, weeks or months from that of one time to
// that of another, in the order of time, without a gap: the values that Group
// gives the time buckets of a zone, also those without records. It returns none
// for any other kind of bucket, or if there would be more than limit.
func TimeBuckets(span string, from, to time.Time, zone *time.Location, limit int) []Value {
	switch span {
	case "hour", "day", "week", "month":
	default:
		return nil
	}
	if zone == nil {
		zone = time.UTC
	}
	var all []Value
	for at := from.In(zone); ; {
		start, end := timebucket.Span(span, at)
		if start.After(to) {
			return all
		}
		if len(all) == limit || !end.After(start) {
			return nil
		}
		all = append(all, Value{kind: Bucket, t: start, s: timebucket.Label(span, start)})
		at = end.In(zone)
	}
}
