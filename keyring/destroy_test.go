package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func TestDestroy(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 6)
	short := seal(t, r, "user-5", other)
	flush(t, r)
	generation := r.Generation()
	unknown := record.Subject{1, 2, 3}
	doomed := []record.Subject{all[1].subject, all[3].subject, all[1].subject, unknown}
	if err := r.Destroy(keyring.Destruction{Subjects: doomed, Classes: []string{other, "never/2020-01"}, Seq: 41, Hash: record.Hash{4, 1}}); err != nil {
		t.Fatal(err)
	}
	if r.Generation() <= generation {
		t.Error("the generation is the same after a destruction")
	}
	check := func(r *keyring.Ring) {
		t.Helper()
		for _, id := range doomed {
			_, err := r.DecryptionKey(id, class)
			var state *keyring.StateError
			if !errors.As(err, &state) || state.State != record.Erased || state.Seq != 41 || state.Subject != id {
				t.Errorf("ForOpening(erased) = %v", err)
			}
			if strings.Contains(err.Error(), id.String()) {
				t.Errorf("%q names the subject", err)
			}
			if _, err := r.User(id); !errors.Is(err, keyring.ErrErased) {
				t.Errorf("User(erased) = %v, want ErrErased", err)
			}
		}
		for _, c := range []string{other, "never/2020-01"} {
			_, err := r.DecryptionKey(short.subject, c)
			var state *keyring.StateError
			if !errors.As(err, &state) || state.State != record.Expired || state.Seq != 41 || state.Class != c {
				t.Errorf("ForOpening(expired) = %v", err)
			}
			if _, _, err := r.EncryptionKey("user-5", c); !errors.Is(err, keyring.ErrExpired) {
				t.Errorf("ForSealing(expired) = %v, want ErrExpired", err)
			}
		}
		if _, err := r.DecryptionKey(record.Subject{9}, class); !errors.Is(err, keyring.ErrLost) {
			t.Errorf("ForOpening(unknown subject) = %v, want ErrLost", err)
		}
		if _, err := r.DecryptionKey(all[0].subject, "standard/1999-01"); !errors.Is(err, keyring.ErrLost) {
			t.Errorf("ForOpening(unknown class) = %v, want ErrLost", err)
		}
		if _, ok, err := r.LookupUser("user-1"); ok || err != nil {
			t.Errorf("LookupUser(erased) = %v, %v", ok, err)
		}
		if seq, hash := r.LastDestruction(); seq != 41 || hash != (record.Hash{4, 1}) {
			t.Errorf("Applied = %d, %v", seq, hash)
		}
		checkAll(t, r, []held{all[0], all[2], all[4], all[5]})
		if subjects, classes := r.Count(); subjects != 4 || classes != 1 {
			t.Errorf("Count = %d, %d, want 4, 1", subjects, classes)
		}
	}
	check(r)
	closeRing(t, r)
	r = open(t, disk)
	check(r)

	// Again, the same and as before, costs no new generation.
	generation = r.Generation()
	for range 2 {
		if err := r.Destroy(keyring.Destruction{Subjects: doomed, Classes: []string{other}, Seq: 41, Hash: record.Hash{4, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Destroy(keyring.Destruction{Subjects: doomed[:1], Seq: 7, Hash: record.Hash{7}}); err != nil {
		t.Fatal(err)
	}
	check(r)
	if err := r.Destroy(keyring.Destruction{Seq: 50, Hash: record.Hash{5}}); err != nil {
		t.Fatal(err)
	}
	if seq, _ := r.LastDestruction(); seq != 50 || r.Generation() != generation {
		t.Errorf("Applied = %d in generation %d, want 50 in %d", seq, r.Generation(), generation)
	}

	// A user who returns after the erasure gets another subject.
	back := seal(t, r, "user-1", class)
	flush(t, r)
	if back.subject == all[1].subject || back.prk == all[1].prk {
		t.Error("an erased user came back under the old subject or key")
	}
	closeRing(t, r)
	r = open(t, disk)
	defer closeRing(t, r)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[2].subject}, Seq: 51, Hash: record.Hash{5, 1}}); err != nil {
		t.Fatal(err) // which merges the old subject's pages with the new one
	}
	second := seal(t, r, "user-2", class)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[4].subject}, Seq: 52, Hash: record.Hash{5, 2}}); err != nil {
		t.Fatal(err) // and that one with the pages of users
	}
	checkAll(t, r, []held{back, second, all[0]})
	if _, err := r.DecryptionKey(all[1].subject, class); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("ForOpening(erased) = %v, want ErrErased", err)
	}
}

// TestDestroyedKeysAreGone tries every remaining key on every byte of the disk,
// also after a power loss.
func TestDestroyedKeysAreGone(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 120)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[9].subject}, Seq: 1, Hash: record.Hash{1}}); err != nil {
		t.Fatal(err) // and now the others are in pages
	}
	late := seal(t, r, "somebody late", other)
	flush(t, r)

	before := files(t, disk)
	master := masterOf(t, before)
	ring := before[ringFile(r)]
	keys := unwrap(master, ring)
	found := frames(ring, keys)
	if len(keys) != 1 || len(found) < 7 {
		t.Fatalf("%d wrapping keys and %d frames before the destruction", len(keys), len(found))
	}
	gone := [][]byte{
		subjectKey(t, found, all[50].subject), subjectKey(t, found, late.subject), classKey(t, found, other),
		[]byte(all[50].user), []byte(late.user),
	}
	stays := [][]byte{subjectKey(t, found, all[51].subject), classKey(t, found, class)}
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[50].subject, late.subject}, Classes: []string{other}, Seq: 2, Hash: record.Hash{2}}); err != nil {
		t.Fatal(err)
	}

	disks := map[string]*vfs.Mem{"now": disk, "after a kill": disk.KillOnly(), "after a power loss": disk.Crash(nil)}
	for seed := range uint64(8) {
		disks["after a power loss, another"] = disk.Crash(rand.New(rand.NewPCG(seed, 1)))
		for when, d := range disks {
			after := files(t, d)
			left := map[[32]byte]uint64{}
			for _, data := range after {
				maps.Copy(left, unwrap(master, data))
			}
			if len(left) != 1 {
				t.Fatalf("%s: %d wrapping keys are left, want 1", when, len(left))
			}
			for old := range keys {
				if _, ok := left[old]; ok {
					t.Errorf("%s: the wrapping key is the one before", when)
				}
			}
			var plain []byte
			for name, data := range after {
				plain = append(plain, data...)
				for _, f := range frames(data, left) {
					plain = append(plain, f.payload...)
				}
				if frames(data, keys) != nil {
					t.Errorf("%s: %s holds frames under the old wrapping key", when, name)
				}
			}
			for i, secret := range gone {
				if bytes.Contains(plain, secret) {
					t.Errorf("%s: destroyed secret %d is on the disk", when, i)
				}
			}
			for i, secret := range stays {
				if !bytes.Contains(plain, secret) {
					t.Errorf("%s: key %d that is not destroyed is not found: the test does not look", when, i)
				}
			}
		}
	}
	closeRing(t, r)
}

// TestOldFilesAreOverwritten checks the bytes that are written to the file to
// be removed.
func TestOldFilesAreOverwritten(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	all := fill(t, r, 3)
	old := ringFile(r)
	size := int64(len(files(t, disk)[old]))
	var written int64
	synced, removed := false, false
	disk.Inject(func(op vfs.Op) error {
		if !strings.HasSuffix(op.Name, old) {
			return nil
		}
		switch op.Kind {
		case vfs.OpWrite:
			if op.Off == 0 || written > 0 {
				written += int64(op.Len)
			} else {
				size += int64(op.Len) // the order of the destruction
			}
		case vfs.OpSync:
			synced = written >= size
		case vfs.OpRemove:
			removed = synced
		}
		return nil
	})
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{}}); err != nil {
		t.Fatal(err)
	}
	disk.Inject(nil)
	if written < size || !synced || !removed {
		t.Errorf("%d of %d bytes overwritten, synced %v, then removed %v", written, size, synced, removed)
	}
}

// TestWipeIsTriedAgain has the old file refuse to be overwritten.
func TestWipeIsTriedAgain(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 3)
	old := ringFile(r)
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && strings.HasSuffix(op.Name, old) && op.Off == 0 {
			return errDisk
		}
		return nil
	})
	destroy := func() error {
		return r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{1}})
	}
	for range 2 {
		if err := destroy(); !errors.Is(err, errDisk) {
			t.Fatalf("Destroy = %v, want the disk's error", err)
		}
		if err := all[0].check(r); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("the subject: %v, want ErrErased", err)
		}
	}
	if _, ok := files(t, disk)[old]; !ok {
		t.Fatal("the old file is not there")
	}
	disk.Inject(nil)
	if err := destroy(); err != nil {
		t.Fatal(err)
	}
	if _, ok := files(t, disk)[old]; ok {
		t.Error("the old file is there still")
	}
	checkAll(t, r, all[1:])
	closeRing(t, r)
}

func TestDestroyMany(t *testing.T) {
	if testing.Short() {
		t.Skip("many subjects")
	}
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	keep := seal(t, r, "keep", class)
	var doomed []record.Subject
	for i := range 50_000 { // their order takes more than one frame
		doomed = append(doomed, record.Subject{1, byte(i), byte(i >> 8), byte(i >> 16)})
	}
	if err := r.Destroy(keyring.Destruction{Subjects: doomed, Seq: 3, Hash: record.Hash{3}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range doomed[:1000] {
		if _, err := r.DecryptionKey(id, class); !errors.Is(err, keyring.ErrErased) {
			t.Fatalf("ForOpening = %v, want ErrErased", err)
		}
	}
	checkAll(t, r, []held{keep})
	if _, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk, ReadOnly: true}); err != nil {
		t.Error(err)
	}
}
