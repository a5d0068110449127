package bench

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"audittrail/event"
)

// poolUsers is how many people the events are about.
const poolUsers = 256

// eventPool returns the events that are appended in turn, of size bytes each
// in their JSON form.
func eventPool(size int) []event.Event {
	const most = 16 << 20 // bytes of them all
	rng := rand.New(rand.NewPCG(3, 4))
	words := make([]string, 4096)
	for i := range words {
		word := make([]byte, 2+rng.IntN(9))
		for j := range word {
			word[j] = byte('a' + rng.IntN(26))
		}
		words[i] = string(word)
	}
	pool := make([]event.Event, max(1, min(4*poolUsers, most/size)))
	for i := range pool {
		ev := event.Event{Type: event.Prompt, UserID: fmt.Sprintf("u%03d", i%poolUsers)}
		if size >= 256 {
			ev.ModelID, ev.ModelVersion, ev.Provider = "gpt-4", "4.0", "openai"
			ev.SessionID = fmt.Sprintf("session-%04d", i)
		}
		var text strings.Builder
		for text.Len() < size {
			text.WriteString(words[rng.IntN(len(words))] + " ")
		}
		ev.Prompt = "x"
		ev.Prompt = text.String()[:max(1, size+1-len(event.AppendJSON(nil, &ev)))]
		pool[i] = ev
	}
	return pool
}

// load calls op n times from that many goroutines at once, each of which waits
// for its call to return before it makes the next one.
func (b *bench) load(ctx context.Context, n, writers int, op func(i int) error) (*latencies, time.Duration, error) {
	took := new(latencies)
	var next atomic.Int64
	var group sync.WaitGroup
	var once sync.Once
	var first error
	began := b.Now()
	for range min(writers, n) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				start := b.Now()
				err := op(i)
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
				took.add(b.Now().Sub(start))
			}
		})
	}
	group.Wait()
	return took, b.Now().Sub(began), first
}

// each calls op n times, one after the other.
func (b *bench) each(ctx context.Context, n int, took *latencies, op func(i int) error) error {
	for i := range n {
		began := b.Now()
		if err := op(i); err != nil {
			return err
		}
		took.add(b.Now().Sub(began))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// latencies is a histogram of durations, to better than one part in 128, so
// that measuring many takes no memory that would be measured in turn.
type latencies struct {
	counts [latencyBuckets]atomic.Uint32
	max    atomic.Int64
}

const (
	latencyBits    = 7 // of precision
	latencyBuckets = (64 - latencyBits) << latencyBits
)

func (l *latencies) add(d time.Duration) {
	n := uint64(max(0, d))
	shift := max(0, bits.Len64(n)-latencyBits-1)
	l.counts[uint64(shift)<<latencyBits+n>>shift].Add(1)
	for {
		most := l.max.Load()
		if int64(d) <= most || l.max.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// at returns the duration that a part of all are at most as long as.
func (l *latencies) at(part float64) time.Duration {
	var all, below uint64
	for i := range l.counts {
		all += uint64(l.counts[i].Load())
	}
	want := uint64(float64(all) * part)
	for i := range l.counts {
		if below += uint64(l.counts[i].Load()); below > want {
			shift := max(0, i>>latencyBits-1)
			return time.Duration(uint64(i-shift<<latencyBits) << shift)
		}
	}
	return time.Duration(l.max.Load())
}

// A latency is what is said of many durations, in milliseconds.
type latency struct {
	P50 figure `json:"p50_ms"`
	P99 figure `json:"p99_ms"`
	Max figure `json:"max_ms"`
}

func (l *latencies) summary() latency {
	return latency{milliseconds(l.at(0.5)), milliseconds(l.at(0.99)), milliseconds(time.Duration(l.max.Load()))}
}

// milliseconds are rounded to what a clock can tell.
func milliseconds(d time.Duration) figure {
	return figure(d.Round(100*time.Nanosecond)) / figure(time.Millisecond)
}
