package retention

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Period is a length of time by the calendar: years, months and days. The
// zero value is empty.
type Period struct{ Years, Months, Days int }

// maxPeriod bounds each part of a period.
const maxPeriod = 36500

// units are the names of the parts of a period.
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

// ParsePeriod parses a period: "6mo", "10 years", "1y6mo", "90d".
func ParsePeriod(text string) (Period, error) {
	var p Period
	rest := strings.TrimSpace(text)
	wrong := fmt.Errorf("invalid period %.40q: use 90d, 26w, 6mo or 10y", text)
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
		return p, fmt.Errorf("invalid period %.40q: use a longer period, or leave it out for no limit", text)
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

// String returns the period in the form that ParsePeriod parses; the zero value
// is empty.
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

// MarshalText returns the period as String does.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses the output of MarshalText, and the other forms of
// ParsePeriod.
func (p *Period) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*p = Period{}
		return nil
	}
	*p, err = ParsePeriod(string(text))
	return err
}

// IsZero reports whether there is no period.
func (p Period) IsZero() bool { return p == Period{} }

// After returns the time that is a period after t.
func (p Period) After(t time.Time) time.Time { return t.UTC().AddDate(p.Years, p.Months, p.Days) }

// epoch is the time from which periods are compared: the months after it have
// the usual lengths.
var epoch = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// shorter reports whether p ends before q does.
func (p Period) shorter(q Period) bool { return p.After(epoch).Before(q.After(epoch)) }
