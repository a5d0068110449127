package index_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"audittrail"
	"audittrail/internal/index"
	"audittrail/internal/vfs"
)

// TestCrash stops the index's disk at every operation, and then loses what was
// not synced. The log goes on meanwhile, and the answers are its own.
func TestCrash(t *testing.T) {
	const step = 100 // records of a process
	for n := 0; ; n += 1 + n/8 {
		dir := t.TempDir()
		disk := vfs.NewMem()
		disk.FailAfter(n)
		x := index.New(filepath.Join(dir, "index"), index.Options{Write: true, FS: disk, BlockRows: 64})
		log, err := audittrail.Open(dir, x.Options(audittrail.Options{Create: true}))
		if err != nil {
			t.Fatal(err)
		}
		attached := x.Attach(log)
		p := &pair{log, x}
		for i := range 8 {
			p.append(t, step*i, step)
		}
		closed := errors.Join(attached, x.Close())
		if err := log.Close(); err != nil {
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
		if closed == nil && disk.Ops() < n {
			return
		}
	}
}
