package audittrail_test

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"audittrail"
	"audittrail/event"
)

// benchLog makes a log of events of about 1 KB and returns its folder and the
// bytes of its lines.
func benchLog(b *testing.B, records int) (dir string, bytes int64) {
	b.Helper()
	dir = b.TempDir()
	log, err := audittrail.Open(dir, audittrail.Options{Create: true})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 1000
	for i := 0; i < records; i += batch {
		events := make([]event.Event, batch)
		for j := range events {
			events[j] = kilobyte(i + j)
		}
		if _, err := log.AppendBatch(context.Background(), events); err != nil {
			b.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "log", "*.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range segments {
		info, err := os.Stat(name)
		if err != nil {
			b.Fatal(err)
		}
		bytes += info.Size()
	}
	return dir, bytes
}

// BenchmarkVerify checks a log of 100,000 records. Its rate is to be compared
// with that of BenchmarkSHA256BothCores in the same run.
func BenchmarkVerify(b *testing.B) {
	const records = 100_000
	dir, bytes := benchLog(b, records)
	for _, keys := range []string{"with", "without"} {
		b.Run("keys="+keys, func(b *testing.B) {
			o, vo := audittrail.Options{}, audittrail.VerifyOptions{}
			if keys == "without" {
				o.KeysDir, vo.VKeys = b.TempDir(), []string{vkeyOf(b, dir)}
			}
			b.SetBytes(bytes)
			b.ReportAllocs()
			for b.Loop() {
				v, err := audittrail.VerifyDir(context.Background(), dir, o, vo)
				if err != nil || !v.Valid() || v.Records != records {
					b.Fatalf("VerifyDir() = %+v, %v", v, err)
				}
			}
			b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func vkeyOf(tb testing.TB, dir string) string {
	tb.Helper()
	log, err := audittrail.Open(dir, audittrail.Options{ReadOnly: true})
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := log.Keys()
	if err != nil {
		tb.Fatal(err)
	}
	if err := log.Close(); err != nil {
		tb.Fatal(err)
	}
	return keys[0].VKey
}

// BenchmarkSHA256BothCores hashes messages of the length of a line on all
// processors, from their caches: an upper bound for the speed of any
// verification.
func BenchmarkSHA256BothCores(b *testing.B) {
	const messages = 4096
	message := []byte(strings.Repeat("x", 1700))
	workers := runtime.GOMAXPROCS(0)
	b.SetBytes(int64(workers * messages * len(message)))
	for b.Loop() {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range messages {
					sha256.Sum256(message)
				}
			})
		}
		wg.Wait()
	}
}
