// Package timebucket divides time into the hours, days, weeks and months of a
// time zone.
package timebucket

import (
	"fmt"
	"time"
)

// Span returns the hour, day, week (from Monday on) or month that contains a
// time, by the clocks of its zone.
func Span(name string, t time.Time) (start, end time.Time) {
	zone := t.Location()
	year, month, day := t.Date()
	switch name {
	case "month":
		return midnight(year, month, 1, zone), midnight(year, month+1, 1, zone)
	case "week":
		day -= (int(t.Weekday()) + 6) % 7
		return midnight(year, month, day, zone), midnight(year, month, day+7, zone)
	case "day":
		return midnight(year, month, day, zone), midnight(year, month, day+1, zone)
	}
	// A change of the zone's offset can cut an hour of the wall clock short: it
	// begins where minutes and seconds were last 0, or the offset changed.
	start = t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	end = start.Add(time.Hour)
	from, to := t.ZoneBounds()
	if !from.IsZero() && from.After(start) {
		start = from
	}
	if !to.IsZero() && to.Before(end) {
		end = to
	}
	return start.In(zone), end.In(zone)
}

// midnight is the first instant of a day. There are days without a midnight,
// where summer time begins with them, and days with two.
func midnight(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	from, to := t.ZoneBounds()
	if t.Hour() > 12 && !to.IsZero() {
		return to.In(zone) // the clock went from before midnight to after it
	}
	if !from.IsZero() {
		_, offset := t.Zone()
		_, before := from.Add(-1).Zone()
		if first := t.Add(-time.Duration(before-offset) * time.Second); first.Before(from) && first.Day() == t.Day() {
			return first
		}
	}
	return t
}

// Label names a time bucket by its beginning: weeks are numbered as in ISO
// 8601.
func Label(name string, start time.Time) string {
	switch name {
	case "month":
		return start.Format("2006-01")
	case "week":
		year, week := start.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week)
	case "day":
		return start.Format("2006-01-02")
	}
	return start.Format("2006-01-02T15:04Z07:00")
}
