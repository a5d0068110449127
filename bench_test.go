package audittrail_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
)

// kilobyte is an event of about 1 KB, as its producer would write it.
func kilobyte(i int) event.Event {
	return event.Event{
		Type: event.Prompt, ModelID: "gpt-4", ModelVersion: "4.0", Provider: "openai",
		UserID: fmt.Sprintf("user-%04d", i%1000), SessionID: fmt.Sprintf("session-%d", i/10),
		Prompt:      strings.Repeat("The quick brown fox jumps over it. ", 12),
		Response:    strings.Repeat("And the lazy dog does not mind at all. ", 9),
		InputTokens: new(int64(120)), OutputTokens: new(int64(80)), Latency: new(150500 * time.Microsecond),
		Outcome: "success", FinishReason: "stop",
	}
}

// BenchmarkAppend appends to a log without an index.
func BenchmarkAppend(b *testing.B) {
	benchmarkAppend(b, audittrail.Options{Create: true, NoIndex: true})
}

// BenchmarkAppendIndexed appends while the index is kept. It does not wait until
// the events are in the index.
func BenchmarkAppendIndexed(b *testing.B) { benchmarkAppend(b, audittrail.Options{Create: true}) }

func benchmarkAppend(b *testing.B, o audittrail.Options) {
	for _, writers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			log, err := audittrail.Open(b.TempDir(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := log.Close(); err != nil {
					b.Error(err)
				}
			}()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if _, err := log.Append(context.Background(), kilobyte(int(i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer() // closing writes what is not in the index yet
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRecords reads a log of 100,000 records, each checked and opened.
func BenchmarkRecords(b *testing.B) {
	const records = 100_000
	dir, bytes := benchLog(b, records)
	log, err := audittrail.Open(dir, audittrail.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }() // only read from
	b.SetBytes(bytes)
	for b.Loop() {
		n := 0
		for _, err := range log.Records(b.Context(), 0, records) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != records {
			b.Fatalf("%d records, want %d", n, records)
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
