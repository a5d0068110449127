package audittrail_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/governance"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// TestEraseOnFullDisk has the keyring's disk fill up between order and deed:
// what was ordered happens once there is room, and nothing comes in between.
func TestEraseOnFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	var full atomic.Bool // the signer writes beside this test
	o := audittrail.Options{Create: true, LockWait: -1, Purge: func(context.Context, audittrail.Doomed) ([]keyring.FileID, error) {
		full.Store(true)
		return nil, nil
	}}
	disk.Inject(func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "ring-") {
			return syscall.ENOSPC
		}
		return nil
	})
	log, err := audittrail.Open("dir", o.With(audittrail.Seams{FS: disk}))
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, log)
	a := mustAppend(t, log, about("ann", "one")).Seq
	b := mustAppend(t, log, about("bob", "two")).Seq
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r"}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Erase on a full disk = %v, want ENOSPC", err)
	}
	n := size(t, log)
	if _, err := log.Append(t.Context(), about("ann", "in between")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Append about her = %v, want why it cannot be", err)
	}
	if _, err := log.PlaceHold(t.Context(), governance.Hold{User: "bob", Reason: "r"}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("PlaceHold before it is done = %v, want ENOSPC", err)
	}
	if size(t, log) != n {
		t.Errorf("%d records, want %d", size(t, log), n)
	}
	mustAppend(t, log, about("bob", "goes on"))

	full.Store(false)
	o.Purge = nil
	disk.Inject(nil)
	hold(t, log, governance.Hold{User: "bob"}) // whose turn finishes what was left
	wantStates(t, log, map[uint64]record.State{a: record.Erased, b: record.Readable})
	back := mustAppend(t, log, about("ann", "back")).Seq
	wantStates(t, log, map[uint64]record.State{back: record.Readable})
}
