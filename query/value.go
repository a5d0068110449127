package query

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"time"
)

// A Kind is the type of a Value.
type Kind uint8

// The kinds of values, in the order in which they sort.
const (
	Text    Kind = iota + 1
	Integer      // a whole number
	Decimal      // a number with a few decimal places, exactly
	Float        // a number that was computed, such as an average
	Instant      // a time
	Bucket       // an hour, day, week or month
	Absent  Kind = 0
)

// A Value is one cell of a Table. The zero Value is absent: the value is not
// known, which differs from zero.
type Value struct {
	kind  Kind
	scale uint8 // decimal places of n
	n     int64
	f     float64
	s     string
	t     time.Time
}

// TextValue returns a text value; an empty text is absent.
func TextValue(s string) Value {
	if s == "" {
		return Value{}
	}
	return Value{kind: Text, s: s}
}

// IntegerValue returns the value of a whole number.
func IntegerValue(n int64) Value { return Value{kind: Integer, n: n} }

// FloatValue returns the value of a computed number.
func FloatValue(f float64) Value { return Value{kind: Float, f: f} }

// InstantValue returns the value of a time.
func InstantValue(t time.Time) Value { return Value{kind: Instant, t: t} }

// decimalValue returns the value n / 10^scale.
func decimalValue(n int64, scale int) Value {
	if scale == 0 {
		return IntegerValue(n)
	}
	return Value{kind: Decimal, n: n, scale: uint8(scale)}
}

// Kind returns the type of the value.
func (v Value) Kind() Kind { return v.kind }

// Int returns a whole number, or the whole part of any other number.
func (v Value) Int() int64 {
	switch v.kind {
	case Integer:
		return v.n
	case Decimal:
		return v.n / pow10(v.scale)
	}
	return int64(v.f)
}

// Float returns a number.
func (v Value) Float() float64 {
	switch v.kind {
	case Integer:
		return float64(v.n)
	case Decimal:
		return float64(v.n) / float64(pow10(v.scale))
	}
	return v.f
}

// Time returns an instant, or the beginning of a bucket.
func (v Value) Time() time.Time { return v.t }

func pow10(n uint8) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// String returns the value for people and for CSV: numbers without an exponent,
// times in RFC 3339 form, and an empty string for an absent value.
func (v Value) String() string {
	switch v.kind {
	case Text, Bucket:
		return v.s
	case Integer:
		return strconv.FormatInt(v.n, 10)
	case Decimal:
		return string(appendDecimal(nil, v.n, int(v.scale)))
	case Float:
		return strconv.FormatFloat(v.f, 'f', -1, 64)
	case Instant:
		return v.t.Format(time.RFC3339Nano)
	}
	return ""
}

// appendDecimal appends n / 10^scale as the shortest number that is exactly
// that.
func appendDecimal(dst []byte, n int64, scale int) []byte {
	digits := strconv.AppendInt(nil, n, 10)
	if n < 0 {
		dst = append(dst, '-')
		digits = digits[1:]
	}
	for len(digits) <= scale {
		digits = append([]byte{'0'}, digits...)
	}
	whole, fraction := digits[:len(digits)-scale], bytes.TrimRight(digits[len(digits)-scale:], "0")
	dst = append(dst, whole...)
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst
}

// MarshalJSON writes texts and times as strings, numbers as numbers, and an
// absent value as null.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case Absent:
		return []byte("null"), nil
	case Text, Bucket, Instant:
		return json.Marshal(v.String())
	}
	return []byte(v.String()), nil
}

// Compare orders values: texts by their bytes, numbers and times by size,
// absent ones last.
func (v Value) Compare(w Value) int {
	if v.kind == Absent || w.kind == Absent {
		return cmp.Compare(b2i(v.kind == Absent), b2i(w.kind == Absent))
	}
	switch {
	case v.kind == Bucket && w.kind == Bucket, v.kind == Instant && w.kind == Instant:
		return v.t.Compare(w.t)
	case v.kind == Text && w.kind == Text:
		return cmp.Compare(v.s, w.s)
	case v.isNumber() && w.isNumber():
		if v.kind == w.kind && v.scale == w.scale && v.kind != Float {
			return cmp.Compare(v.n, w.n)
		}
		return cmp.Compare(v.Float(), w.Float())
	}
	return cmp.Compare(v.kind, w.kind)
}

func (v Value) isNumber() bool { return v.kind == Integer || v.kind == Decimal || v.kind == Float }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
