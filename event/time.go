package event

import (
	"errors"
	"time"
)

// timeLen is the length of a time in its canonical form,
// 2006-01-02T15:04:05.000000000Z. It is part of the format.
const timeLen = 30

var errTime = errors.New("not a time in the form 2006-01-02T15:04:05.000000000Z")

// AppendTime appends t in its canonical form: UTC, nine digits of a second,
// always 30 bytes. It panics if the year in UTC is not 1 to 9999, which
// [Validate] refuses.
func AppendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 1 || year > 9999 {
		panic("event: time outside the years 1 to 9999")
	}
	hour, minute, second := t.Clock()
	b := [timeLen]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 29: 'Z'}
	putDigits(b[0:4], year)
	putDigits(b[5:7], int(month))
	putDigits(b[8:10], day)
	putDigits(b[11:13], hour)
	putDigits(b[14:16], minute)
	putDigits(b[17:19], second)
	putDigits(b[20:29], t.Nanosecond())
	return append(dst, b[:]...)
}

// putDigits fills b with the decimal digits of v and leading zeros.
func putDigits(b []byte, v int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + v%10)
		v /= 10
	}
}

// ParseTime reads the one form that [AppendTime] writes, and refuses others.
func ParseTime(s string) (time.Time, error) {
	if len(s) != timeLen || s[10] != 'T' || s[19] != '.' || s[29] != 'Z' {
		return time.Time{}, errTime
	}
	t, ok := parseDateTime(s[:19])
	nanos, valid := parseDigits(s[20:29])
	if !ok || !valid {
		return time.Time{}, errTime
	}
	return t.Add(time.Duration(nanos)), nil
}

// parseDateTime reads the 19 bytes of 2006-01-02T15:04:05, as UTC. The caller
// must check the byte in the middle.
func parseDateTime(s string) (time.Time, bool) {
	year, ok0 := parseDigits(s[0:4])
	month, ok1 := parseDigits(s[5:7])
	day, ok2 := parseDigits(s[8:10])
	hour, ok3 := parseDigits(s[11:13])
	minute, ok4 := parseDigits(s[14:16])
	second, ok5 := parseDigits(s[17:19])
	if !ok0 || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 ||
		s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	if year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC), true
}

func daysIn(year, month int) int {
	switch time.Month(month) {
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// parseDigits reads s, at most nine bytes of it, as a decimal number.
func parseDigits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, s != ""
}

// A zoneRule says whether a timestamp must name its offset from UTC.
type zoneRule bool

const (
	zoneWanted zoneRule = true
	zoneOrUTC  zoneRule = false
)

var (
	errTimestamp = errors.New("not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z")
	errNoZone    = errors.New("no offset from UTC at the end, such as Z or +01:00")
	errFraction  = errors.New("more than nine digits of a second")
)

// parseTimestamp reads a time of RFC 3339, with any offset and up to nine
// digits of a second, and returns it in UTC. A leap second is refused, since no
// canonical time distinguishes it from the second after.
func parseTimestamp(s string, zone zoneRule) (time.Time, error) {
	const head = len("2006-01-02T15:04:05")
	if len(s) < head || s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return time.Time{}, errTimestamp
	}
	t, ok := parseDateTime(s[:head])
	if !ok {
		return time.Time{}, errTimestamp
	}
	s = s[head:]
	if s != "" && s[0] == '.' {
		n := 1
		for n < len(s) && '0' <= s[n] && s[n] <= '9' {
			n++
		}
		if n > 10 {
			return time.Time{}, errFraction
		}
		nanos, ok := parseDigits(s[1:n])
		if !ok {
			return time.Time{}, errTimestamp
		}
		for range 10 - n {
			nanos *= 10
		}
		t = t.Add(time.Duration(nanos))
		s = s[n:]
	}
	offset, err := parseOffset(s, zone)
	return t.Add(-offset), err
}

func parseOffset(s string, zone zoneRule) (time.Duration, error) {
	switch {
	case s == "Z" || s == "z":
		return 0, nil
	case s == "" && zone == zoneOrUTC:
		return 0, nil
	case s == "":
		return 0, errNoZone
	case len(s) != len("+01:00") || s[0] != '+' && s[0] != '-' || s[3] != ':':
		return 0, errTimestamp
	}
	hours, ok0 := parseDigits(s[1:3])
	minutes, ok1 := parseDigits(s[4:6])
	if !ok0 || !ok1 || hours > 23 || minutes > 59 {
		return 0, errTimestamp
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		return -offset, nil
	}
	return offset, nil
}
