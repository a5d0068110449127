package event_test

import (
	"testing"
	"time"

	"audittrail/event"
)

const layout = "2006-01-02T15:04:05.000000000Z"

func TestTime(t *testing.T) {
	zone := time.FixedZone("", -7*3600)
	for _, tt := range []struct {
		in   time.Time
		want string
	}{
		{time.Date(2026, 11, 23, 12, 34, 56, 789, time.UTC), "2026-11-23T12:34:56.000000789Z"},
		{time.Date(2026, 12, 31, 23, 0, 0, 999_999_999, zone), "2027-01-01T06:00:00.999999999Z"},
		{time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), "2024-02-29T00:00:00.000000000Z"},
		{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "0001-01-01T00:00:00.000000000Z"},
		{time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), "9999-12-31T23:59:59.999999999Z"},
		{time.Unix(-1, 1), "1969-12-31T23:59:59.000000001Z"},
	} {
		if got := string(event.AppendTime(nil, tt.in)); got != tt.want {
			t.Errorf("AppendTime(%v) = %s, want %s", tt.in, got, tt.want)
		}
		back, err := event.ParseTime(tt.want)
		if err != nil || !back.Equal(tt.in) || back.Location() != time.UTC {
			t.Errorf("ParseTime(%s) = %v, %v, want %v", tt.want, back, err, tt.in.UTC())
		}
	}
	for _, s := range []string{
		"",
		"2026-11-23T12:34:56Z",
		"2026-11-23T12:34:56.00000000Z",
		"2026-11-23T12:34:56.0000000000Z",
		"2026-11-23T12:34:56.000000000z",
		"2026-11-23t12:34:56.000000000Z",
		"2026-11-23 12:34:56.000000000Z",
		"2026-11-23T12:34:56,000000000Z",
		"2026-11-23T12:34:56.00000000+Z",
		"2026-02-29T00:00:00.000000000Z",
		"2100-02-29T00:00:00.000000000Z",
		"2026-04-31T00:00:00.000000000Z",
		"2026-00-01T00:00:00.000000000Z",
		"2026-13-01T00:00:00.000000000Z",
		"2026-01-00T00:00:00.000000000Z",
		"2026-01-01T24:00:00.000000000Z",
		"2026-01-01T00:60:00.000000000Z",
		"2026-01-01T00:00:60.000000000Z",
		"0000-01-01T00:00:00.000000000Z",
		"+026-01-01T00:00:00.000000000Z",
		"2026-1 -01T00:00:00.000000000Z",
		"2026-01-01T00:00:00.000000000\x00",
	} {
		if got, err := event.ParseTime(s); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", s, got)
		}
	}
}

// The calendar is checked by hand; the standard library must agree on each day.
func TestEveryDay(t *testing.T) {
	for day := time.Date(1896, 1, 1, 1, 2, 3, 4, time.UTC); day.Year() < 2105; day = day.AddDate(0, 0, 1) {
		s := string(event.AppendTime(nil, day))
		if want := day.Format(layout); s != want {
			t.Fatalf("AppendTime = %s, want %s", s, want)
		}
		if back, err := event.ParseTime(s); err != nil || back != day {
			t.Fatalf("ParseTime(%s) = %v, %v", s, back, err)
		}
	}
}

func TestAppendTimePanics(t *testing.T) {
	for _, year := range []int{-1, 0, 10000} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AppendTime in the year %d did not panic", year)
				}
			}()
			event.AppendTime(nil, time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC))
		}()
	}
}
