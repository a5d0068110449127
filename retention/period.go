package retention

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Period is a length of time as a calendar has it: years, months and days.
// The zero value is none.
type Period struct{ Years, Months, Days int }

// maxPeriod bounds each part of a period.
const maxPeriod = 36500

// units are what the parts of a period are called.
var units = []struct {
	names []string
	part  func(*Period) *int
	times int
}{
	{[]string{"y", "year", "years"}, func(p *Period) *int { return &p.Years }, 1},
	{[]string{"mo", "month", "months"}, func(p *Period) *int { return &p.Months }, 1},
	{[]string{"w", "week", "weeks"}, func(p *Period) *int { return &p.Days }, 7},
	{[]string{"d", "day", "days"}, func(p *Period) *int { return &p.Days }, 1},
}

// ParsePeriod reads a period: "6mo", "10 years", "1y6mo", "90d".
func ParsePeriod(text string) (Period, error) {
	var p Period
	rest := strings.TrimSpace(text)
	wrong := fmt.Errorf("%.40q is no period; write 90d, 26w, 6mo or 10y", text)
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n <= 0 {
			return Period{}, wrong
		}
		count, err := strconv.Atoi(rest[:n])
		if err != nil || count > maxPeriod {
			return Period{}, wrong
		}
		rest = strings.TrimLeft(rest[n:], " ")
		n = strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
		if n < 0 {
			n = len(rest)
		}
		part, times := unit(&p, rest[:n])
		if part == nil {
			return Period{}, wrong
		}
		if *part += count * times; *part > maxPeriod {
			return Period{}, wrong
		}
		rest = strings.TrimLeft(rest[n:], " ")
	}
	if p == (Period{}) {
		return p, fmt.Errorf("%.40q is no time at all; leave it out, and there is no limit", text)
	}
	return p, nil
}

func unit(p *Period, name string) (part *int, times int) {
	for _, u := range units {
		if slices.Contains(u.names, name) {
			return u.part(p), u.times
		}
	}
	return nil, 0
}

// String writes a period as ParsePeriod reads it; the zero value is empty.
func (p Period) String() string {
	var b strings.Builder
	for _, x := range []struct {
		n    int
		unit string
	}{{p.Years, "y"}, {p.Months, "mo"}, {p.Days, "d"}} {
		if x.n != 0 {
			fmt.Fprintf(&b, "%d%s", x.n, x.unit)
		}
	}
	return b.String()
}

// MarshalText gives what String gives.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText gives, and the other spellings.
func (p *Period) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*p = Period{}
		return nil
	}
	*p, err = ParsePeriod(string(text))
	return err
}

// IsZero tells whether it is none.
func (p Period) IsZero() bool { return p == Period{} }

// After returns the time that is so much after t.
func (p Period) After(t time.Time) time.Time { return t.UTC().AddDate(p.Years, p.Months, p.Days) }

// epoch is where periods are compared from: the months behind it are of the
// usual lengths.
var epoch = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// shorter tells whether p ends before q does.
func (p Period) shorter(q Period) bool { return p.After(epoch).Before(q.After(epoch)) }
