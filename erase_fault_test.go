package audittrail_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// TestEraseOnFullDisk has the keyring's disk fill up between the order and the
// destruction of keys: the order is carried out once there is space, and
// nothing is recorded in between.
func TestEraseOnFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	var erasing, full atomic.Bool // the signer writes concurrently
	o := audittrail.Options{Create: true, LockWait: -1}
	disk.Inject(func(op vfs.Op) error {
		if erasing.Load() && op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, ".jsonl") {
			full.Store(true) // with the order
		}
		if full.Load() && op.Kind == vfs.OpWrite && strings.Contains(op.Name, "ring-") {
			return syscall.ENOSPC
		}
		return nil
	})
	log := logtest.Open(t, "dir", o.With(audittrail.Seams{FS: disk}))
	defer logtest.Close(t, log)
	grants, err := access.Open(t.Context(), log, access.Options{PollInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := grants.Grant(t.Context(), access.GrantRequest{User: "ann", Role: access.Viewer, By: access.Local})
	if err != nil {
		t.Fatal(err)
	}
	a := logtest.Append(t, log, about("ann", "one")).Seq
	b := logtest.Append(t, log, about("bob", "two")).Seq
	erasing.Store(true)
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"ann"}, Reason: "r"}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Erase on a full disk = %v, want ENOSPC", err)
	}
	// Her grants end with the order, not with her keys.
	if d := grants.Check(token.Reveal(), access.ReadEvents, nil); !d.Allowed {
		t.Fatalf("her grant, before it was looked at again: %+v; this test looks at nothing", d)
	}
	if err := grants.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := grants.Check(token.Reveal(), access.ReadEvents, nil); d.Allowed {
		t.Errorf("her grant after the order: %+v", d)
	}
	if err := grants.Close(); err != nil {
		t.Fatal(err)
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
	logtest.Append(t, log, about("bob", "goes on"))

	disk.Inject(nil)
	hold(t, log, governance.Hold{User: "bob"}) // whose turn finishes what was left
	wantStates(t, log, map[uint64]record.State{a: record.Erased, b: record.Readable})
	back := logtest.Append(t, log, about("ann", "back")).Seq
	wantStates(t, log, map[uint64]record.State{back: record.Readable})
}
