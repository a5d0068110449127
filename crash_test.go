package audittrail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// appendAll opens a log on disk and appends events until the disk fails. It
// returns the ids of the acknowledged ones, in order, and whether all were.
func appendAll(disk vfs.FS, n int) (acked []audittrail.Receipt, done bool) {
	log, err := audittrail.Open("dir", audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000}))
	if err != nil {
		return nil, false
	}
	defer func() {
		if err := log.Close(); err != nil {
			done = false
		}
	}()
	for i := range n {
		// Single records, and batches with new people.
		events := make([]event.Event, 1+i%3)
		for j := range events {
			events[j] = event.Event{
				ID: fmt.Sprintf("event %d.%d", i, j), Type: event.Prompt,
				UserID: fmt.Sprintf("user %d", (i+j)/2), Prompt: fmt.Sprintf("prompt %d", i),
			}
		}
		receipts, err := log.AppendBatch(context.Background(), events)
		if err != nil {
			return acked, false
		}
		acked = append(acked, receipts...)
		if i == n/2 {
			if _, err := log.Checkpoint(context.Background()); err != nil {
				return acked, false
			}
		}
	}
	return acked, true
}

// check opens the log after a crash and looks for all acknowledged records.
func check(t *testing.T, disk vfs.FS, acked []audittrail.Receipt, what string) {
	t.Helper()
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000})
	log, err := audittrail.Open("dir", o)
	if err != nil {
		t.Fatalf("%s: open: %v", what, err)
	}
	for _, want := range acked {
		got, err := log.Get(context.Background(), want.Seq)
		if err != nil {
			t.Fatalf("%s: Get(%d): %v", what, want.Seq, err)
		}
		if got.Hash != want.Hash || got.State != record.Readable {
			t.Fatalf("%s: record %d is %v (%v), acknowledged as %v", what, want.Seq, got.Hash, got.State, want.Hash)
		}
	}
	// The log can be written, remembers ids, and verifies.
	if len(acked) > 0 {
		again, err := log.Append(context.Background(), event.Event{ID: "event 0.0", Type: event.Prompt, UserID: "user 0", Prompt: "prompt 0"})
		if err != nil || !again.Duplicate || again.Seq != acked[0].Seq {
			t.Fatalf("%s: append again: %+v, %v, want a duplicate of record %d", what, again, err, acked[0].Seq)
		}
	}
	if _, err := log.Append(context.Background(), event.Event{Type: event.Prompt, Prompt: "after"}); err != nil {
		t.Fatalf("%s: append: %v", what, err)
	}
	v, err := log.Verify(context.Background(), audittrail.VerifyOptions{})
	if err != nil || !v.Valid() {
		t.Fatalf("%s: verify: %+v, %v", what, v, err)
	}
	if err := log.Close(); err != nil {
		t.Fatalf("%s: close: %v", what, err)
	}
}

// TestCrashEverywhere lets the disk stop at every single operation, and checks
// the log after the process was killed, and after a power loss.
func TestCrashEverywhere(t *testing.T) {
	const events = 12
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		disk.FailAfter(n)
		acked, done := appendAll(disk, events)
		check(t, disk.KillOnly(), acked, fmt.Sprintf("kill at operation %d", n))
		for seed := range uint64(6) {
			after := disk.Crash(rand.New(rand.NewPCG(seed, 0)))
			check(t, after, acked, fmt.Sprintf("power loss at operation %d, seed %d", n, seed))
		}
		if done {
			return
		}
	}
}

// TestCrashWhileRecovering lets the disk stop again while the log is brought
// in order after a first crash.
func TestCrashWhileRecovering(t *testing.T) {
	disk := vfs.NewMem()
	disk.FailAfter(90)
	acked, _ := appendAll(disk, 12)
	first := disk.Crash(rand.New(rand.NewPCG(3, 0)))
	for n := 0; ; n++ {
		again := first.Clone()
		again.FailAfter(n)
		log, err := audittrail.Open("dir", audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: again, Roll: 6000}))
		if err == nil {
			err = log.Close()
		}
		check(t, again.Crash(rand.New(rand.NewPCG(uint64(n), 0))), acked, fmt.Sprintf("second crash at operation %d", n))
		if err == nil {
			return
		}
		if !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("operation %d: open: %v, want the crash", n, err)
		}
	}
}

// TestBatchOutOfOrder has the disk lose the middle of a batch whose end it
// kept. The batch had not been acknowledged, so that it does not count as
// damage.
func TestBatchOutOfOrder(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	for i := range 3 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: fmt.Sprint(i)})
	}
	batch := make([]event.Event, 5)
	for i := range batch {
		batch[i] = event.Event{Type: event.Prompt, Prompt: fmt.Sprint(3 + i)}
	}
	sign := holdSigning(disk)
	logtest.AppendBatch(t, log, batch...)
	killed := disk.KillOnly() // before a checkpoint covers it
	sign()
	logtest.Close(t, log)
	for first := 3; first < 7; first++ {
		after := killed.Clone()
		edit(t, after, "log/"+firstSegment, func(b []byte) []byte {
			l := lines(b)
			clear(l[first][100:200]) // zeros, as of a sector that was not written
			return bytes.Join(l, nil)
		})
		log, err := audittrail.Open("dir", onDisk(after))
		if err != nil {
			t.Errorf("record %d of the batch lost: Open() = %v, want it cut off", first, err)
			continue
		}
		if n, r := size(t, log), first; n != uint64(r)+1 {
			t.Errorf("record %d of the batch lost: %d records, want those before it and the repair", r, n)
		}
		logtest.Close(t, log)
		check(t, after, nil, "after a batch out of order")
	}
}

// TestCrashWhileRotating lets the disk stop at every operation while the
// signer's key is replaced. The remaining log verifies with the first key.
func TestCrashWhileRotating(t *testing.T) {
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		log := logtest.Open(t, "dir", onDisk(disk))
		acked := []audittrail.Receipt{logtest.Append(t, log, event.Event{ID: "event 0.0", Type: event.Prompt, UserID: "user 0", Prompt: "prompt 0"})}
		if _, err := log.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		keys, err := log.Keys()
		if err != nil {
			t.Fatal(err)
		}
		disk.FailAfter(disk.Ops() + n)
		err = log.RotateSigner(t.Context())
		if cerr := log.Close(); err == nil {
			err = cerr
		}
		for seed := range uint64(4) {
			what := fmt.Sprintf("rotation stopped at operation %d, seed %d", n, seed)
			after := disk.Crash(rand.New(rand.NewPCG(seed, 0)))
			check(t, after, acked, what)
			v, err := audittrail.VerifyDir(t.Context(), "dir", onDisk(after), audittrail.VerifyOptions{VKeys: []string{keys[0].VKey}})
			if err != nil || !v.Valid() {
				t.Fatalf("%s: verify with the first key: %+v, %v", what, v, err)
			}
		}
		if err == nil {
			return
		}
	}
}
