package event

import (
	"math"
	"strconv"
	"strings"
)

// decimal returns the JSON number s times 10^scale, rounded half away from
// zero. It computes in decimal throughout, since no binary fraction equals
// 150.1, and in time and memory that do not depend on the exponent. It returns
// false if the result is near the limits of an int64.
func decimal(s string, scale int) (int64, bool) {
	s, negative := strings.CutPrefix(s, "-")
	mantissa, exponent := s, int64(0)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], saturated(s[i+1:])
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digit := func(i int64) int64 {
		if i < int64(len(whole)) {
			return int64(whole[i] - '0')
		}
		if i -= int64(len(whole)); i < int64(len(fraction)) {
			return int64(fraction[i] - '0')
		}
		return 0
	}
	total := int64(len(whole) + len(fraction))
	point := int64(len(whole)) + exponent + int64(scale) // digits before the point
	var n int64
	for i := range point {
		if i >= total && n == 0 {
			return 0, true
		}
		if n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + digit(i)
	}
	if point >= 0 && digit(point) >= 5 {
		n++
	}
	if negative {
		n = -n
	}
	return n, true
}

// integer returns the JSON number s, and whether it is whole and fits an int64.
func integer(s string) (n int64, whole, ok bool) {
	mantissa, exponent := strings.TrimPrefix(s, "-"), int64(0)
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		mantissa, exponent = mantissa[:i], saturated(mantissa[i+1:])
	}
	digits, fraction, _ := strings.Cut(mantissa, ".")
	digits += fraction
	point := int64(len(digits)-len(fraction)) + exponent // digits before the point
	if point < int64(len(digits)) && strings.Trim(digits[max(point, 0):], "0") != "" {
		return 0, false, false
	}
	n, ok = decimal(s, 0)
	return n, true, ok
}

// saturated reads the exponent of a JSON number. All exponents that are larger
// than the longest input give the same result.
func saturated(s string) int64 {
	const limit = 1 << 40
	s, negative := strings.CutPrefix(s, "-")
	var n int64
	for _, c := range strings.TrimPrefix(s, "+") {
		if n = n*10 + int64(c-'0'); n > limit {
			n = limit
			break
		}
	}
	if negative {
		return -n
	}
	return n
}

// appendDecimal appends n / 10^scale, for n >= 0 and a scale of at most 9, as
// the shortest number that is exactly that.
func appendDecimal(dst []byte, n int64, scale int) []byte {
	unit := int64(1)
	for range scale {
		unit *= 10
	}
	dst = strconv.AppendInt(dst, n/unit, 10)
	rest := n % unit
	if rest == 0 {
		return dst
	}
	for rest%10 == 0 {
		rest /= 10
		scale--
	}
	dst = append(dst, '.')
	dst = append(dst, "000000000"[:scale]...)
	putDigits(dst[len(dst)-scale:], int(rest))
	return dst
}
