package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func TestReaderFollows(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	all := fill(t, r, 3)
	ro := openReader(t, disk)
	defer closeRing(t, ro)
	checkAll(t, ro, all)

	// Appended keys are found when they are looked up.
	fresh := seal(t, r, "fresh", other)
	if err := fresh.check(ro); !errors.Is(err, keyring.ErrLost) {
		t.Errorf("a key that is not flushed: %v, want ErrLost", err)
	}
	flush(t, r)
	checkAll(t, ro, []held{fresh})
	if err := r.SetSigned(5, [32]byte{5}); err != nil {
		t.Fatal(err)
	}
	if changed, err := ro.Refresh(); !changed || err != nil {
		t.Errorf("Refresh = %v, %v, want true", changed, err)
	}
	if changed, err := ro.Refresh(); changed || err != nil {
		t.Errorf("second Refresh = %v, %v, want false", changed, err)
	}
	if size, root := ro.Signed(); size != 5 || root != [32]byte{5} {
		t.Errorf("Signed = %d, %x", size, root)
	}

	// A destroyed key is absent at once, though it was cached.
	checkAll(t, ro, all)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ro.DecryptionKey(all[0].subject, class); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("ForOpening after a destruction elsewhere = %v, want ErrErased", err)
	}
	if _, ok, err := ro.LookupUser(all[0].user); ok || err != nil {
		t.Errorf("LookupUser after a destruction elsewhere = %v, %v", ok, err)
	}
	if ro.Generation() != r.Generation() {
		t.Errorf("Generation = %d, the writer's is %d", ro.Generation(), r.Generation())
	}
	checkAll(t, ro, append(all[1:], fresh))

	// Changes by other generations are visible at once, too: a master key, a
	// signer.
	if err := r.RotateMaster(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	checkAll(t, ro, append(all[1:], fresh))
	k, err := r.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CommitSigner(k, 9, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ro.Refresh(); err != nil {
		t.Fatal(err)
	}
	if got := ro.Signers(); len(got) != 2 || got[1].VKey != k.VKey() {
		t.Errorf("Signers = %v", got)
	}
}

// TestReaderWritesNothing opens a ring that a crash left in disorder.
func TestReaderWritesNothing(t *testing.T) {
	s := newSpecimen(t, false)
	disk := s.with(t, s.ring[:len(s.ring)-1])
	overwrite(t, disk, "ring-0000000000000001", []byte("left over"))
	before := disk.Ops()
	r := openReader(t, disk)
	checkAll(t, r, s.base)
	if _, err := r.DecryptionKey(s.frames[1][0].subject, other); !errors.Is(err, keyring.ErrLost) {
		t.Errorf("a key in a torn frame: %v, want ErrLost", err)
	}
	closeRing(t, r)
	if got := disk.Ops() - before; got != 0 {
		t.Errorf("a reader changed the disk %d times", got)
	}
}

// TestReaderOfNoFolder: a reader gets an error, and creates no folder.
func TestReaderOfNoFolder(t *testing.T) {
	disk := vfs.NewMem()
	_, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk, ReadOnly: true})
	if !errors.Is(err, keyring.ErrNoKeyring) || disk.Ops() != 0 {
		t.Errorf("Open = %v after %d operations, want ErrNoKeyring after none", err, disk.Ops())
	}
	if _, err := keyring.Create(context.Background(), dir, "x", keyring.Options{FS: disk, ReadOnly: true}); !errors.Is(err, keyring.ErrReadOnly) {
		t.Errorf("Create = %v, want ErrReadOnly", err)
	}
}

// TestReaderMeetsReplacement replaces the ring at every step of a reader that
// opens it and looks keys up.
func TestReaderMeetsReplacement(t *testing.T) {
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		r := create(t, disk)
		all := fill(t, r, 120)
		if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{}}); err != nil {
			t.Fatal(err) // the others are in pages now
		}
		steps := 0
		destroy := func() {
			if steps++; steps == n+1 {
				disk.Inject(nil)
				if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[1].subject}, Seq: 2, Hash: record.Hash{}}); err != nil {
					t.Error(err)
				}
			}
		}
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead || op.Kind == vfs.OpSize || op.Kind == vfs.OpOpen || op.Kind == vfs.OpReadDir {
				destroy()
			}
			return nil
		})
		ro := openReader(t, disk)
		for _, h := range all[2:10] {
			if err := h.check(ro); err != nil {
				t.Fatalf("replaced at step %d: %v", n, err)
			}
		}
		disk.Inject(nil)
		if steps > n {
			if err := all[1].check(ro); !errors.Is(err, keyring.ErrErased) {
				t.Fatalf("replaced at step %d: %v, want ErrErased", n, err)
			}
		}
		closeRing(t, ro)
		closeRing(t, r)
		if steps <= n {
			return
		}
	}
}

// TestReadersBesideAWriter is for the race detector, and finds readers that use
// a key after it was destroyed.
func TestReadersBesideAWriter(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	const rounds = 40
	all := fill(t, r, rounds)
	ro := openReader(t, disk)
	var mu sync.RWMutex // held for writing while a subject is destroyed
	destroyed := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				mu.RLock()
				n := destroyed
				mu.RUnlock()
				if n == rounds {
					return
				}
				h := all[i%rounds]
				prk, err := ro.DecryptionKey(h.subject, class)
				switch {
				case i%rounds < n && !errors.Is(err, keyring.ErrErased):
					t.Errorf("subject %d of %d destroyed: %v, want ErrErased", i%rounds, n, err)
				case err == nil && prk != h.prk:
					t.Errorf("subject %d: another key", i%rounds)
				case err != nil && !errors.Is(err, keyring.ErrErased):
					t.Errorf("subject %d: %v", i%rounds, err)
				}
			}
		})
	}
	for i, h := range all {
		if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{h.subject}, Seq: uint64(i), Hash: record.Hash{}}); err != nil {
			t.Error(err)
		}
		seal(t, r, fmt.Sprintf("new-%d", i), class)
		flush(t, r)
		mu.Lock()
		destroyed++
		mu.Unlock()
	}
	wg.Wait()
	closeRing(t, ro)
	closeRing(t, r)
}

// TestReaderWithoutRing: the ring vanished under a reader.
func TestReaderWithoutRing(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 1)
	closeRing(t, r)
	ro := openReader(t, disk)
	defer closeRing(t, ro)
	for name := range files(t, disk) {
		if strings.HasPrefix(name, "ring-") {
			if err := disk.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkAll(t, ro, all)
	if _, err := ro.DecryptionKey(record.Subject{1}, class); !errors.Is(err, keyring.ErrNoKeyring) {
		t.Errorf("ForOpening of an unknown subject = %v, want ErrNoKeyring", err)
	}
}
