package bench

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// records is the length of the log that the benchmarks of verification read.
func records(b *testing.B) int {
	b.Helper()
	text := cmp.Or(os.Getenv("AUDITTRAIL_BENCH_RECORDS"), "50000")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("AUDITTRAIL_BENCH_RECORDS = %q, want a positive number", text)
	}
	return n
}

// A rate is what one run of a load gave.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
}

// load calls op for every i below n from the given number of goroutines, each
// of which waits for its call to return before it makes the next one, so that
// inFlight calls are open at any time.
func load(n, inFlight int, op func(i int) error) (rate, error) {
	took := make([]time.Duration, n)
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	start := time.Now()
	for range min(inFlight, n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				began := time.Now()
				if err := op(i); err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if first != nil {
		return rate{}, first
	}
	slices.Sort(took)
	return rate{
		perSecond: float64(n) / elapsed.Seconds(),
		p50:       took[n/2],
		p99:       took[n*99/100],
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
