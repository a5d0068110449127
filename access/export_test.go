package access

import (
	"io"
	"time"
)

// WithSeams sets the clock and the random numbers of options.
func WithSeams(o Options, now func() time.Time, random io.Reader) Options {
	o.testOnlyNow, o.testOnlyRand = now, random
	return o
}
