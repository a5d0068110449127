package bench

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
)

// BenchmarkVerify measures how fast a whole log is verified, compared with
// SHA-256 alone on all cores. A record of AuditTrail is larger than the event
// in it, since it is encrypted and encoded as text; MB/s counts the bytes on
// disk.
func BenchmarkVerify(b *testing.B) {
	var bare float64
	b.Run("sha256-all-cores", func(b *testing.B) { bare = benchmarkSHA256(b) })
	b.Run("tessera-fsck", func(b *testing.B) {
		n := records(b)
		l := fillTessera(b, b.TempDir(), n)
		verify(b, n, int64(n)*(eventBytes+2), bare, func() error { // two bytes hold a length
			return l.fsck(b.Context(), runtime.GOMAXPROCS(0))
		})
	})
	b.Run("audittrail", func(b *testing.B) {
		n, dir := records(b), b.TempDir()
		l := fillAudittrail(b, dir, n)
		verify(b, n, sizeOf(b, filepath.Join(dir, "log")), bare, func() error {
			v, err := l.Verify(b.Context(), audittrail.VerifyOptions{})
			if err == nil && (!v.Valid() || v.Records < uint64(n)) {
				err = fmt.Errorf("%d records verified, valid: %v", v.Records, v.Valid())
			}
			return err
		})
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// benchmarkSHA256 hashes blocks of an event's size on every core, and returns
// the bytes per second.
func benchmarkSHA256(b *testing.B) float64 {
	const blocks = 1 << 16
	block := make([]byte, eventBytes)
	for b.Loop() {
		var wg sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for range blocks {
					sha256.Sum256(block)
				}
			})
		}
		wg.Wait()
	}
	hashed := float64(b.N) * blocks * eventBytes * float64(runtime.GOMAXPROCS(0))
	perSecond := hashed / b.Elapsed().Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(perSecond/1e6, "MB/s")
	return perSecond
}

// verify measures check, which reads n records of size bytes together.
func verify(b *testing.B, n int, size int64, bare float64, check func() error) {
	b.Helper()
	for b.Loop() {
		if err := check(); err != nil {
			b.Fatal(err)
		}
	}
	rounds := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rounds*float64(n), "records/s")
	b.ReportMetric(rounds*float64(size)/1e6, "MB/s")
	if bare > 0 {
		b.ReportMetric(rounds*float64(size)/bare, "x-sha256")
	}
}

// sizeOf adds up the files below dir.
func sizeOf(b *testing.B, dir string) int64 {
	b.Helper()
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return size
}

func fillTessera(b *testing.B, dir string, n int) *tesseraLog {
	b.Helper()
	pool := events(b)
	l := openTessera(b, dir, batching{2048, 100 * time.Millisecond})
	_, err := load(n, 4096, func(i int) error { return l.add(b.Context(), pool[i%len(pool)].json) })
	if err != nil {
		b.Fatal(err)
	}
	if err := l.close(); err != nil {
		b.Fatal(err)
	}
	return l
}

func fillAudittrail(b *testing.B, dir string, n int) *audittrail.Log {
	b.Helper()
	pool := events(b)
	l := openAudittrail(b, dir)
	for done := 0; done < n; {
		batch := make([]event.Event, min(n-done, len(pool)))
		for i := range batch {
			batch[i] = pool[i].event
		}
		if _, err := l.AppendBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		done += len(batch)
	}
	return l
}
