package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// whenHelp describes in the help of a command how to write times.
const whenHelp = `Times are RFC 3339, a date or a date and time in --zone, today, yesterday, or
how long ago: 90m, 24h, 7d, 2w. The start is inclusive, the end exclusive.`

// zoneOf parses the time zone of --zone.
func zoneOf(name string) (*time.Location, error) {
	switch name {
	case "":
		return time.UTC, nil
	case "local":
		return time.Local, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("read --zone: unknown time zone %q: use a name such as Europe/Berlin, UTC or local", name)
	}
	return zone, nil
}

// timeForms are the forms of a time that names no offset.
var timeForms = []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"}

// ago are the units of times that are given as how long ago.
var ago = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// parseWhen parses the time that a flag gives; an empty value gives none.
func parseWhen(flag, text string, now time.Time, zone *time.Location) (time.Time, error) {
	now = now.In(zone)
	switch text {
	case "":
		return time.Time{}, nil
	case "now":
		return now, nil
	case "today":
		text = now.Format(time.DateOnly)
	case "yesterday": // every day has a noon, but not every day has a midnight
		text = time.Date(now.Year(), now.Month(), now.Day()-1, 12, 0, 0, 0, zone).Format(time.DateOnly)
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, form := range timeForms {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return behindGap(t, form, text), nil
		}
	}
	last := len(text) - 1
	if unit := ago[text[last]]; unit > 0 {
		n, err := strconv.ParseInt(text[:last], 10, 32)
		if err == nil && n >= 0 && n <= int64(200*366*24*time.Hour/unit) && !strings.HasPrefix(text, "+") {
			return now.Add(-time.Duration(n) * unit), nil
		}
	}
	return time.Time{}, fmt.Errorf("read --%s: invalid time %q: use 2026-11-02T15:04:05Z, 2026-11-02, yesterday, or how long ago, such as 7d", flag, text)
}

// behindGap returns t if a clock shows text at t. If the clock was put forward
// past text, it returns the moment of that change, at which a day without a
// midnight begins.
func behindGap(t time.Time, form, text string) time.Time {
	shown := t.Format(form)
	from, to := t.ZoneBounds()
	switch {
	case shown < text && !to.IsZero():
		return to
	case shown > text && !from.IsZero():
		return from
	}
	return t
}
