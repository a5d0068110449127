package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
)

// A Kind says what a value is, and so how it is written.
type Kind string

// The kinds of values.
const (
	Absent  Kind = ""      // nothing is known, which is not zero
	Count   Kind = "count" // a number of things
	Micros  Kind = "us"    // a duration in microseconds
	Money   Kind = "nano"  // 10^-9 of the currency that Text names
	Share   Kind = "ppm"   // millionths of a whole
	Bytes   Kind = "bytes" // a length
	Instant Kind = "time"  // Text is a time in the form of event.AppendTime
	Text    Kind = "text"  // words
	Code    Kind = "code"  // a hash, an id, a key
	State   Kind = "state" // a word that is good or bad news; N is not set

)

// maxInt is the largest number that JSON holds exactly for everybody.
const maxInt = 1<<53 - 1

// A Value is one cell of a report. There are no floats in it, so that it has
// one encoding.
type Value struct {
	Kind Kind
	N    int64
	Text string
	Tone Tone // of a State
}

// CountOf is a number of things.
func CountOf[N ~int | ~int64 | ~uint64](n N) Value { return Value{Kind: Count, N: int64(n)} }

// MicrosOf is a duration.
func MicrosOf(us int64) Value { return Value{Kind: Micros, N: us} }

// MoneyOf is an amount of money.
func MoneyOf(nano int64, currency string) Value {
	return Value{Kind: Money, N: nano, Text: currency}
}

// ShareOf is a part of a whole; of nothing there is no share.
func ShareOf(part, whole uint64) Value {
	if whole == 0 {
		return Value{}
	}
	// In floating point this is exact enough for six digits, and it cannot
	// overflow.
	return Value{Kind: Share, N: int64(float64(part)/float64(whole)*1e6 + 0.5)}
}

// BytesOf is a length.
func BytesOf(n int64) Value { return Value{Kind: Bytes, N: n} }

// TimeOf is a time; the zero time is absent.
func TimeOf(t time.Time) Value {
	if t.IsZero() {
		return Value{}
	}
	return Value{Kind: Instant, Text: string(event.AppendTime(nil, t))}
}

// TextOf is words; none are absent.
func TextOf(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{Kind: Text, Text: clean(s)}
}

// CodeOf is a hash, an id or a key; an empty one is absent.
func CodeOf(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{Kind: Code, Text: clean(s)}
}

// StateOf is good or bad news.
func StateOf(t Tone, s string) Value { return Value{Kind: State, Text: s, Tone: t} }

func clean(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// MarshalJSON gives one member named after the kind, and what belongs to it.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Kind {
	case Absent:
		return []byte("null"), nil
	case Count, Micros, Share, Bytes:
		return fmt.Appendf(nil, `{%q:%d}`, string(v.Kind), v.N), nil
	case Money:
		return json.Marshal(struct {
			Currency string `json:"currency"`
			Nano     int64  `json:"nano"`
		}{v.Text, v.N})
	case State:
		return json.Marshal(struct {
			State string `json:"state"`
			Tone  Tone   `json:"tone"`
		}{v.Text, v.Tone})
	}
	return json.Marshal(map[string]string{string(v.Kind): v.Text})
}

var errValue = errors.New("not a value of a report")

// UnmarshalJSON reads what MarshalJSON gives. Other spellings are found by
// Decode, which encodes again.
func (v *Value) UnmarshalJSON(in []byte) error {
	*v = Value{}
	if string(in) == "null" {
		return nil
	}
	var m struct {
		Count, US, PPM, Bytes, Nano *int64
		Time, Text, Code            *string
		State, Tone, Currency       *string
	}
	d := json.NewDecoder(bytes.NewReader(in))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return err
	}
	for kind, n := range map[Kind]*int64{Count: m.Count, Micros: m.US, Share: m.PPM, Bytes: m.Bytes, Money: m.Nano} {
		if n != nil {
			if *n > maxInt || *n < -maxInt {
				return errValue
			}
			v.Kind, v.N = kind, *n
		}
	}
	for kind, s := range map[Kind]*string{Instant: m.Time, Text: m.Text, Code: m.Code, State: m.State} {
		if s != nil {
			v.Kind, v.Text = kind, *s
		}
	}
	switch {
	case v.Kind == Absent, (v.Kind == Money) != (m.Currency != nil), (v.Kind == State) != (m.Tone != nil):
		return errValue
	case v.Kind == Money:
		v.Text = *m.Currency
	case v.Kind == State:
		v.Tone = Tone(*m.Tone)
	case v.Kind == Instant:
		if _, err := event.ParseTime(v.Text); err != nil {
			return errValue
		}
	}
	return nil
}

// String is the value as people read it.
func (v Value) String() string {
	switch v.Kind {
	case Absent:
		return "–"
	case Count:
		return Thousands(v.N)
	case Micros:
		return duration(v.N)
	case Money:
		return money(v.N) + " " + v.Text
	case Share:
		return percent(v.N) + " %"
	case Bytes:
		return bytesText(v.N)
	case Instant:
		if t, err := event.ParseTime(v.Text); err == nil {
			return t.UTC().Format("2006-01-02 15:04:05Z")
		}
	}
	return v.Text
}

// InWords is a time as people write it: "1 November 2026", and with the time of
// day if that is not midnight, in UTC.
func InWords(t time.Time) string {
	t = t.UTC()
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format("2 January 2006")
	}
	return t.Format("2 January 2006, 15:04 UTC")
}

// Plain is the value for programs: without units, separators and rounding.
func (v Value) Plain() string {
	switch v.Kind {
	case Count, Bytes:
		return strconv.FormatInt(v.N, 10)
	case Micros:
		return decimal(v.N, 6, 6)
	case Money:
		return decimal(v.N, 9, 9)
	case Share:
		return decimal(v.N, 6, 6)
	}
	return v.Text
}

// Float is the value as a number to draw, and whether it is one.
func (v Value) Float() (float64, bool) {
	switch v.Kind {
	case Count, Bytes, Micros, Money, Share:
		return float64(v.N), true
	}
	return 0, false
}

// Thousands writes a number with its thousands apart.
func Thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// decimal writes n / 10^scale with that number of digits after the point, truncated.
func decimal(n int64, scale, digits int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%0*d", scale+1, n)
	whole, fraction := s[:len(s)-scale], s[len(s)-scale:]
	return sign + whole + "." + fraction[:digits]
}

// percent rounds millionths to hundredths of a percent. Only nothing is 0.00, and
// only the whole is 100.00.
func percent(n int64) string {
	rounded := (n + 50) / 100
	if n > 0 {
		rounded = max(rounded, 1)
	}
	if n < 1e6 {
		rounded = min(rounded, 9999)
	}
	return decimal(rounded, 2, 2)
}

// money writes an amount with as many digits as small amounts need.
func money(nano int64) string {
	digits := 2
	if nano != 0 && nano < 1e9 && nano > -1e9 {
		digits = 6
	}
	s := decimal(nano, 9, digits)
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return s
	}
	if n == 0 {
		return s
	}
	return Thousands(n) + "." + fraction
}

func duration(us int64) string {
	const s, m, h, d = int64(1e6), int64(60e6), int64(3600e6), int64(86400e6)
	switch {
	case us < 1000 && us > -1000:
		return fmt.Sprintf("%d µs", us)
	case us < s:
		return decimal(us, 3, 1) + " ms"
	case us < m:
		return decimal(us, 6, 2) + " s"
	case us < h:
		return fmt.Sprintf("%d min %d s", us/m, us%m/s)
	case us < 2*d:
		return fmt.Sprintf("%d h %d min", us/h, us%h/m)
	}
	return fmt.Sprintf("%d d %d h", us/d, us%d/h)
}

func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n), -1
	for f >= 1000 && i < 4 {
		f, i = f/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTP"[i])
}
