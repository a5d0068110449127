package index_test

import (
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/internal/vfs"
)

// TestCrash stops the index's disk at every operation, and then loses what was
// not synced. The log continues meanwhile, and the results are those of the
// log.
func TestCrash(t *testing.T) {
	const step = 100 // records of a process
	for n := 0; ; n += 1 + n/8 {
		dir := t.TempDir()
		disk := vfs.NewMem()
		disk.FailAfter(n)
		var said syncBuffer
		p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{FS: disk, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		for i := range 8 {
			p.append(t, step*i, step)
		}
		closed := p.x.Close()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(5, uint64(n)))
		for _, left := range []*vfs.Mem{disk.KillOnly(), disk.Crash(rng)} {
			reader := openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{FS: left})
			hold(t, reader)
			reader.close(t)
			p := openPair(t, dir, audittrail.Options{}, index.Options{FS: left})
			hold(t, p)
			p.close(t)
			reader = openPair(t, dir, audittrail.Options{ReadOnly: true}, index.Options{FS: left})
			if got, want := hold(t, reader), 8*step; got != want {
				t.Errorf("crash at operation %d: %d of %d records are indexed in the end", n, got, want)
			}
			reader.close(t)
		}
		if closed == nil && said.String() == "" && disk.Ops() < n {
			return
		}
	}
}

// TestBrokenDisk has a disk that cannot be written to: there is not a message
// for every record, and the results are those of the log.
func TestBrokenDisk(t *testing.T) {
	dir := t.TempDir()
	disk := vfs.NewMem()
	var said syncBuffer
	p := openPair(t, dir, audittrail.Options{Create: true}, index.Options{
		FS: disk, BlockRows: 4, Logger: slog.New(slog.NewTextHandler(&said, nil)),
	})
	disk.FailAfter(disk.Ops())
	for i := range 1500 {
		p.append(t, i, 1)
	}
	hold(t, p)
	if n := strings.Count(said.String(), "build index"); n == 0 || n > 30 {
		t.Errorf("it said %d times that the index cannot be built, want some", n)
	}
	if err := p.x.Close(); err == nil {
		t.Error("Close = nil, of an index that could not be written")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
