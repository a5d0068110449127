package block

import (
	"math"
	"time"
)

// The first and the last time that 64-bit nanoseconds since 1970 can express.
var (
	firstNano = time.Unix(0, math.MinInt64)
	lastNano  = time.Unix(0, math.MaxInt64)
)

// Nanos returns a time in nanoseconds since 1970. Times before 1677 or after
// 2262 give the first or the last one that can be expressed.
func Nanos(t time.Time) int64 {
	switch {
	case t.Before(firstNano):
		return math.MinInt64
	case t.After(lastNano):
		return math.MaxInt64
	}
	return t.UnixNano()
}
