package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

var errDisk = errors.New("the disk said no")

// failOn makes operations of one kind on files with a name like that fail.
func failOn(disk *vfs.Mem, kind vfs.OpKind, name string, err error) {
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == kind && strings.Contains(op.Name, name) {
			return err
		}
		return nil
	})
}

func TestFailedSync(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 3)
	h := seal(t, r, "late", class)
	failOn(disk, vfs.OpSync, "ring-", errDisk)
	if err := r.Flush(); !errors.Is(err, keyring.ErrFailed) || !errors.Is(err, errDisk) {
		t.Fatalf("Flush = %v, want ErrFailed for the disk's reason", err)
	}
	disk.Inject(nil)
	// The disk works again, but its content is not known.
	for range 2 {
		if err := r.Flush(); !errors.Is(err, keyring.ErrFailed) {
			t.Errorf("Flush after a failed one = %v, want ErrFailed", err)
		}
	}
	if _, _, err := r.EncryptionKey("late", class); !errors.Is(err, keyring.ErrFailed) {
		t.Errorf("ForSealing after a failed Flush = %v, want ErrFailed", err)
	}
	for what, err := range map[string]error{
		"Destroy":      r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{}}),
		"SetSigned":    r.SetSigned(1, [32]byte{}),
		"RotateMaster": r.RotateMaster(context.Background(), nil),
	} {
		if !errors.Is(err, keyring.ErrFailed) {
			t.Errorf("%s after a failed Flush = %v, want ErrFailed", what, err)
		}
	}
	checkAll(t, r, all)
	closeRing(t, r)

	r = open(t, disk.Crash(nil))
	checkAll(t, r, all)
	if err := h.check(r); !errors.Is(err, keyring.ErrLost) {
		t.Errorf("a key whose sync failed: %v, want ErrLost", err)
	}
	closeRing(t, r)
}

// TestFailedSyncAnywhere lets every sync fail, one after the other.
func TestFailedSyncAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		syncs := 0
		disk.Inject(func(op vfs.Op) error {
			if op.Kind != vfs.OpSync && op.Kind != vfs.OpSyncDir {
				return nil
			}
			if syncs++; syncs == n+1 {
				return errDisk
			}
			return nil
		})
		var a acked
		err := a.live(disk)
		if err != nil && !errors.Is(err, errDisk) {
			t.Fatalf("sync %d: %v", n, err)
		}
		disk.Inject(nil)
		for what, after := range map[string]*vfs.Mem{"kill": disk.KillOnly(), "power loss": disk.Crash(nil)} {
			if err := a.clone().check(after); err != nil {
				t.Fatalf("failed sync %d, then %s: %v", n, what, err)
			}
		}
		if syncs <= n {
			return
		}
	}
}

func TestFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 5)
	checkAll(t, r, all) // and now they are cached
	used := 0
	for _, data := range files(t, disk) {
		used += len(data)
	}
	disk.Capacity(int64(used + 20)) // room for a part of a frame
	late := seal(t, r, "late", class)
	for range 3 {
		if err := r.Flush(); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, keyring.ErrFailed) {
			t.Fatalf("Flush on a full disk = %v, want ENOSPC", err)
		}
	}
	if err := open(t, disk.KillOnly()).Close(); err != nil {
		t.Errorf("the ring does not open on a full disk: %v", err)
	}
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{1}}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Destroy on a full disk = %v, want ENOSPC", err)
	}
	disk.Capacity(int64(used + 400)) // room for the order, not for carrying it out
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{1}}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Destroy on a nearly full disk = %v, want ENOSPC", err)
	}
	if _, err := r.DecryptionKey(all[0].subject, class); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("a subject whose destruction is not complete: %v, want ErrErased", err)
	}
	if seq, hash := r.LastDestruction(); seq != 0 || hash != (record.Hash{}) {
		t.Errorf("Applied = %d, but the key is still in the file", seq)
	}
	// The next process to open the ring finds an unfinished destruction, and a
	// full disk.
	again := open(t, func() *vfs.Mem { c := disk.KillOnly(); c.Capacity(int64(used + 400)); return c }())
	if err := all[0].check(again); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("the same after opening again: %v, want ErrErased", err)
	}
	closeRing(t, again)

	// With free space, opening the ring completes the destruction.
	roomy := disk.KillOnly()
	roomy.Capacity(-1)
	again = open(t, roomy)
	if _, ok := files(t, roomy)[ringFile(r)]; ok || again.Generation() == r.Generation() {
		t.Error("opening did not finish the destruction")
	}
	closeRing(t, again)

	disk.Capacity(-1)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{1}}); err != nil {
		t.Fatalf("Destroy when there is room = %v", err)
	}
	if seq, _ := r.LastDestruction(); seq != 1 {
		t.Errorf("Applied = %d, want 1", seq)
	}
	flush(t, r)
	checkAll(t, r, append(all[1:], late))
	closeRing(t, r)
	r = open(t, disk)
	checkAll(t, r, append(all[1:], late))
	closeRing(t, r)
}

// TestFailedWriteAnywhere lets every write fail halfway, and tries again.
func TestFailedWriteAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		r := create(t, disk)
		all := fill(t, r, 2)
		writes := 0
		disk.Inject(func(op vfs.Op) error {
			if op.Kind != vfs.OpWrite || !strings.Contains(op.Name, "ring-") {
				return nil
			}
			if writes++; writes == n+1 {
				return &vfs.Fault{Done: op.Len / 2, Err: syscall.EIO}
			}
			return nil
		})
		failed := 0
		twice := func(what string, f func() error) {
			err := f()
			if err != nil {
				failed++
				if !errors.Is(err, syscall.EIO) || errors.Is(err, keyring.ErrFailed) {
					t.Fatalf("write %d: %s = %v", n, what, err)
				}
				err = f()
			}
			if err != nil {
				t.Fatalf("write %d: second %s = %v", n, what, err)
			}
		}
		all = append(all, seal(t, r, "late", class))
		twice("Flush", r.Flush)
		twice("Destroy", func() error {
			return r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{1}})
		})
		k, err := r.NewSigner()
		if err != nil {
			t.Fatal(err)
		}
		twice("CommitSigner", func() error { return r.CommitSigner(k, 1, nil) })
		tries := 0
		twice("RotateMaster", func() error { tries++; return r.RotateMaster(context.Background(), nil) })
		if got := len(r.Signers()); got != 2 {
			t.Fatalf("write %d: %d signers, want 2", n, got)
		}
		closeRing(t, r)
		for _, after := range []*vfs.Mem{disk.KillOnly(), disk.Crash(nil)} {
			r := open(t, after)
			checkAll(t, r, all[1:])
			if got := fmt.Sprint(len(files(t, after))); got != "4" {
				t.Fatalf("write %d: %s files are left", n, got)
			}
			closeRing(t, r)
		}
		if writes <= n {
			return
		}
		if failed != 1 {
			t.Fatalf("write %d: %d operations failed", n, failed)
		}
	}
}
