package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"audittrail/internal/vfs"
)

// hash measures SHA-256 over blocks of a record's size on a number of cores,
// in MB/s.
func (b *bench) hash(cores int) figure {
	var blocks atomic.Int64
	var group sync.WaitGroup
	began := b.Now()
	for range cores {
		group.Go(func() {
			block := bytes.Repeat([]byte("audittrail"), b.result.RecordBytes/10+1)[:b.result.RecordBytes]
			for b.Now().Sub(began) < hashFor {
				const some = 64
				for range some {
					sum := sha256.Sum256(block)
					block[0] = sum[0] // so that it is not computed in vain
				}
				blocks.Add(some)
			}
		})
	}
	group.Wait()
	return perSecond(blocks.Load()*int64(b.result.RecordBytes), b.Now().Sub(began)) / 1e6
}

// A bareWriter appends blocks to a file and syncs each.
type bareWriter struct {
	file  vfs.File
	block []byte
	at    int64
}

func (b *bench) bareWriter() (*bareWriter, error) {
	file, err := b.scratch()
	return &bareWriter{file: file, block: incompressible(b.result.RecordBytes)}, err
}

func (w *bareWriter) write(int) error {
	if _, err := w.file.WriteAt(w.block, w.at); err != nil {
		return err
	}
	w.at += int64(len(w.block))
	return w.file.Sync()
}

func (w *bareWriter) close() error { return w.file.Close() }

func (b *bench) scratch() (vfs.File, error) {
	return vfs.OS.OpenFile(filepath.Join(b.dir, "scratch"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// incompressible is bytes that no disk makes less of.
func incompressible(n int) []byte {
	block := make([]byte, n)
	sum := sha256.Sum256(nil)
	for i := 0; i < n; {
		i += copy(block[i:], sum[:])
		sum = sha256.Sum256(sum[:])
	}
	return block
}

// longWrite measures how fast the disk takes as many bytes as the log has, in
// large pieces and with one sync, in MB/s.
func (b *bench) longWrite(ctx context.Context) (figure, error) {
	file, err := b.scratch()
	if err != nil {
		return 0, err
	}
	const longest = 2 * time.Second
	block := incompressible(1 << 20)
	total := int64(b.o.Events) * int64(b.result.RecordBytes)
	began, at := b.Now(), int64(0)
	for at < total && err == nil && b.Now().Sub(began) < longest {
		_, err = file.WriteAt(block[:min(int64(len(block)), total-at)], at)
		at = min(at+int64(len(block)), total)
		if err == nil {
			err = ctx.Err()
		}
	}
	if err == nil {
		err = file.Sync()
	}
	took := b.Now().Sub(began)
	return perSecond(at, took) / 1e6, errors.Join(err, file.Close())
}

// perSecond is a rate.
func perSecond[N ~int | ~int64 | ~uint64](n N, took time.Duration) figure {
	return figure(n) / figure(max(took, time.Nanosecond).Seconds())
}

// A memoryUse is how much memory the process took, and how that is known.
type memoryUse struct {
	Bytes uint64 `json:"bytes"`
	What  string `json:"what"`
}

// peakMemory asks Linux for the most that the process had; elsewhere Go tells
// what it has now.
func peakMemory() memoryUse {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		for line := range strings.Lines(string(status)) {
			f := strings.Fields(line)
			if len(f) == 3 && f[0] == "VmHWM:" && f[2] == "kB" {
				if kb, err := strconv.ParseUint(f[1], 10, 64); err == nil {
					return memoryUse{kb << 10, "the process at its largest, what made the load included"}
				}
			}
		}
	}
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return memoryUse{s[0].Value.Uint64() - s[1].Value.Uint64(), "what the Go runtime held at the end, what made the load included"}
}
