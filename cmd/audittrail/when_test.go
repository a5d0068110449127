package main

import (
	"testing"
	"time"
)

// TestDaysWithoutMidnight begin when the clock was put forward, and end when the
// next one begins.
func TestDaysWithoutMidnight(t *testing.T) {
	for _, c := range []struct{ zone, text, want string }{
		{"America/Santiago", "2026-09-06", "2026-09-06T01:00:00-03:00"},
		{"America/Santiago", "2026-09-05", "2026-09-05T00:00:00-04:00"},
		{"America/Havana", "2026-03-08", "2026-03-08T01:00:00-04:00"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"},
		{"Europe/Berlin", "2026-03-29 02:30", "2026-03-29T03:00:00+02:00"},
		{"Europe/Berlin", "2026-03-29", "2026-03-29T00:00:00+01:00"},
		{"UTC", "2026-03-29", "2026-03-29T00:00:00Z"},
		{"America/Santiago", "today", "2026-09-06T01:00:00-03:00"},
		{"America/Santiago", "yesterday", "2026-09-05T00:00:00-04:00"},
	} {
		zone, err := zoneOf(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 9, 6, 18, 0, 0, 0, time.UTC)
		got, err := parseWhen("start", c.text, now, zone)
		if err != nil || got.Format(time.RFC3339) != c.want {
			t.Errorf("%s in %s = %s, %v, want %s", c.text, c.zone, got.Format(time.RFC3339), err, c.want)
		}
	}
}
