package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"

	"audittrail"
	"audittrail/internal/vfs"
)

// BenchmarkAppend measures durable appends: each call returns when its event
// would survive a loss of power. The peer comes first, and later runs report
// their ratio to it.
func BenchmarkAppend(b *testing.B) {
	var bare rate
	b.Run("sync/1", func(b *testing.B) { bare = benchmarkSync(b) })
	for _, v := range []struct {
		inFlight int
		peer     batching
	}{
		// A single caller waits for the batch to age: it is faster without
		// batches.
		{1, batching{1, tessera.DefaultBatchMaxAge}},
		// The defaults do as well here as any other batch does.
		{512, batching{tessera.DefaultBatchMaxSize, tessera.DefaultBatchMaxAge}},
		// The settings with the highest rate.
		{4096, batching{2048, 100 * time.Millisecond}},
	} {
		var peer rate
		b.Run(fmt.Sprintf("tessera/%d", v.inFlight), func(b *testing.B) {
			peer = benchmarkTessera(b, v.inFlight, v.peer)
		})
		b.Run(fmt.Sprintf("audittrail/%d", v.inFlight), func(b *testing.B) {
			r := benchmarkAudittrail(b, v.inFlight)
			if peer.perSecond > 0 {
				b.ReportMetric(r.perSecond/peer.perSecond, "x-tessera")
			}
			if v.inFlight == 1 && bare.p50 > 0 {
				b.ReportMetric(float64(r.p50)/float64(bare.p50), "x-sync-p50")
			}
		})
	}
}

// benchmarkSync writes and syncs as many bytes at a time as an event has:
// what a disk allows to one writer.
func benchmarkSync(b *testing.B) rate {
	f, err := vfs.OS.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, eventBytes)
	return measure(b, 1, f.Close, func(i int) error {
		if _, err := f.WriteAt(block, int64(i)*eventBytes); err != nil {
			return err
		}
		return f.Sync()
	})
}

func benchmarkTessera(b *testing.B, inFlight int, how batching) rate {
	pool := events(b)
	l := openTessera(b, b.TempDir(), how)
	return measure(b, inFlight, l.close, func(i int) error {
		return l.add(b.Context(), pool[i%len(pool)].json)
	})
}

func benchmarkAudittrail(b *testing.B, inFlight int) rate {
	pool := events(b)
	l := openAudittrail(b, b.TempDir())
	return measure(b, inFlight, l.Close, func(i int) error {
		_, err := l.Append(b.Context(), pool[i%len(pool)].event)
		return err
	})
}

func openAudittrail(b *testing.B, dir string) *audittrail.Log {
	b.Helper()
	l, err := audittrail.Open(dir, audittrail.Options{Create: true, Origin: "audittrail.bench.example", NoIndex: true})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// measure reports the rate and latencies of b.N calls of op.
func measure(b *testing.B, inFlight int, closeLog func() error, op func(i int) error) rate {
	b.Helper()
	b.ResetTimer()
	r, err := load(b.N, inFlight, op)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	if err := closeLog(); err != nil {
		b.Fatal(err)
	}
	// The time per call is not meaningful if many are open at once.
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(r.perSecond, "events/s")
	b.ReportMetric(milliseconds(r.p50), "p50-ms")
	b.ReportMetric(milliseconds(r.p99), "p99-ms")
	return r
}
