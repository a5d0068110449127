package access

import "time"

// WithClock sets the clock of options.
func WithClock(o Options, now func() time.Time) Options {
	o.testOnlyNow = now
	return o
}
