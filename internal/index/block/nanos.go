package block

import (
	"math"
	"time"
)

// The times that nanoseconds since 1970 can tell.
var (
	firstNano = time.Unix(0, math.MinInt64)
	lastNano  = time.Unix(0, math.MaxInt64)
)

// Nanos is a time in nanoseconds since 1970. What is before 1677 or after 2262
// counts as the first or last one that there is.
func Nanos(t time.Time) int64 {
	switch {
	case t.Before(firstNano):
		return math.MinInt64
	case t.After(lastNano):
		return math.MaxInt64
	}
	return t.UnixNano()
}
