package audittrail_test

import (
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// oneShort makes a log of one record of the class "short", closes it, and copies
// its keyring to kept.
func oneShort(t *testing.T) (dir, kept string, seq uint64) {
	t.Helper()
	dir, kept = t.TempDir(), filepath.Join(t.TempDir(), "keys")
	log := logtest.Open(t, dir, audittrail.Options{Create: true, Classes: []string{"short"}})
	e := about("bob", "three")
	e.RetentionClass = "short"
	seq = logtest.Append(t, log, e).Seq
	logtest.Close(t, log)
	copyTree(t, filepath.Join(dir, "keys"), kept)
	return dir, kept, seq
}

// TestExpiredStaysExpired has a month expire, places a hold later that matches
// its records, and restores the earlier keyring: the hold does not keep records
// that had expired when it was placed.
func TestExpiredStaysExpired(t *testing.T) {
	dir, kept, c := oneShort(t)
	log := logtest.Open(t, dir, audittrail.Options{})
	classes, _ := log.Classes()
	if _, err := log.Expire(t.Context(), classes[:1], "r"); err != nil {
		t.Fatal(err)
	}
	wantStates(t, log, map[uint64]record.State{c: record.Expired})
	hold(t, log, governance.Hold{}) // keeps everything that there is still
	wantStates(t, log, map[uint64]record.State{c: record.Expired})
	logtest.Close(t, log)

	bringBackKeys(t, dir, kept)
	log = logtest.Open(t, dir, audittrail.Options{})
	wantStates(t, log, map[uint64]record.State{c: record.Expired})
	logtest.Close(t, log)
}

// TestHoldsOneAfterAnother restores the earlier keyring of a log in which one
// hold and then another kept a record: the record stays readable.
func TestHoldsOneAfterAnother(t *testing.T) {
	dir, kept, c := oneShort(t)
	log := logtest.Open(t, dir, audittrail.Options{})
	classes, _ := log.Classes()
	h1 := hold(t, log, governance.Hold{Model: "gpt-4"})
	if _, err := log.Expire(t.Context(), classes[:1], "r"); err != nil {
		t.Fatal(err)
	}
	hold(t, log, governance.Hold{})
	release(t, log, h1.ID)
	wantStates(t, log, map[uint64]record.State{c: record.Readable})
	logtest.Close(t, log)
	bringBackKeys(t, dir, kept)
	log = logtest.Open(t, dir, audittrail.Options{})
	wantStates(t, log, map[uint64]record.State{c: record.Readable})
	logtest.Close(t, log)
}

// TestReleaseIsCarriedOut releases a hold while the keyring cannot be written:
// records that only that hold kept cannot be read all the same, and their keys
// are destroyed at the next call.
func TestReleaseIsCarriedOut(t *testing.T) {
	disk := vfs.NewMem()
	c := &clock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
	log := aYear(t, disk, c, audittrail.Options{})
	a := logtest.Append(t, log, about("ann", "january")).Seq
	b := logtest.Append(t, log, about("bob", "january")).Seq
	c.set(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	h1 := hold(t, log, governance.Hold{User: "ann"})
	if _, err := log.Expire(t.Context(), []string{"standard/2026-01"}, "r"); err != nil {
		t.Fatal(err)
	}
	wantStates(t, log, map[uint64]record.State{a: record.Readable, b: record.Expired})
	var full atomic.Bool
	full.Store(true)
	disk.Inject(func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "ring-") {
			return syscall.ENOSPC
		}
		return nil
	})
	_, err := log.ReleaseHold(t.Context(), h1.ID, "settled", "counsel")
	t.Log("release:", err)
	full.Store(false)
	disk.Inject(nil)
	// There is room again. Other things happen.
	hold(t, log, governance.Hold{User: "bob"})
	_, err = log.ReleaseHold(t.Context(), h1.ID, "settled", "counsel")
	t.Log("release again:", err)
	reader := aYear(t, disk, c, audittrail.Options{ReadOnly: true})
	t.Log("reader:", stateOf(t, reader, a))
	logtest.Close(t, reader)
	wantStates(t, log, map[uint64]record.State{a: record.Expired})
	erase(t, log, "ann")
	ring, err := keyring.Open(t.Context(), "dir/keys", keyring.Options{FS: disk, ReadOnly: true})
	if err != nil {
		t.Log(err)
	} else {
		es, err := ring.Escrows()
		if len(es) > 0 {
			t.Errorf("ann is erased, and the key of her record is in escrow still: %d, %v", len(es), err)
		}
		_ = ring.Close()
	}
	logtest.Close(t, log)
}
