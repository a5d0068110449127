package audittrail_test

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// TestRealFullDisk fills a file system of its own four times with sixteen
// writers, and frees some of it each time, while the process continues: nothing
// that was acknowledged is lost, and the log can be written, opened and
// verified.
func TestRealFullDisk(t *testing.T) {
	const writers, rounds, ballast = 16, 4, 1 << 20
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=6m,mode=0700"); err != nil {
		t.Skipf("a file system to fill cannot be mounted, which takes root on Linux: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("unmount %s: %v", disk, err)
		}
	})
	weight := func(round int) string { return filepath.Join(disk, fmt.Sprintf("ballast-%d", round)) }
	for round := range rounds {
		if err := os.WriteFile(weight(round), make([]byte, ballast), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(disk, "audit")
	o := audittrail.Options{Create: true, LockWait: -1, SegmentBytes: 64 << 10}
	log := logtest.Open(t, dir, o)
	var mu sync.Mutex
	acked := make(map[string]audittrail.Receipt)
	for round := range rounds {
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d.%d.%d", round, w, i)
					text := make([]byte, 1000+100*w) // which does not compress
					_, _ = rand.Read(text)
					r, err := log.Append(t.Context(), event.Event{ID: id, Type: event.Prompt, UserID: fmt.Sprint(w), Prompt: hex.EncodeToString(text)})
					if err != nil {
						if !errors.Is(err, syscall.ENOSPC) {
							t.Errorf("round %d: Append() = %v, want no space left", round, err)
						}
						return
					}
					mu.Lock()
					acked[id] = r
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if err := os.Remove(weight(round)); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("%d.freed", round)
		r, err := log.Append(t.Context(), event.Event{ID: id, Type: event.Prompt, Prompt: "there is space again"})
		if err != nil {
			t.Fatalf("round %d: Append() = %v after space was freed", round, err)
		}
		acked[id] = r
	}
	if err := log.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	log = logtest.Open(t, dir, o)
	for id, want := range acked {
		if got, err := log.Get(t.Context(), want.Seq); err != nil || got.Event.ID != id {
			t.Errorf("record %d, acknowledged: %v", want.Seq, err)
		}
	}
	if n := size(t, log); n != uint64(len(acked)) {
		t.Errorf("%d records, want the %d that were acknowledged", n, len(acked))
	}
	v, err := log.Verify(t.Context(), audittrail.VerifyOptions{})
	if err != nil || !v.Valid() {
		t.Errorf("verify: %+v, %v", v, err)
	}
	t.Logf("%d records were acknowledged", len(acked))
}
