package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func TestReopen(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	system := seal(t, r, "", class)
	if system.subject != r.System() {
		t.Errorf("ForSealing of the system = %v, want %v", system.subject, r.System())
	}
	all := append(fill(t, r, 5), seal(t, r, "user-1", other), seal(t, r, "Ünïcode \x00 user", class), system)
	if all[0].prk == all[1].prk || all[1].prk == all[5].prk {
		t.Error("two pairs of subject and class have one key")
	}
	if all[1].subject != all[5].subject {
		t.Error("one user has two subjects")
	}
	flush(t, r)
	checkAll(t, r, all)
	session, id, vkey := r.Session("s-1"), r.DeriveRecordID("c-1"), r.Signers()[0].VKey
	closeRing(t, r)

	r = open(t, disk)
	checkAll(t, r, all)
	for _, h := range all {
		if got := seal(t, r, h.user, h.class); got != h {
			t.Errorf("ForSealing(%q) gives another key after opening again", h.user)
		}
	}
	if r.Origin() != "example.com/log" || r.Signers()[0].VKey != vkey || r.Signer().Name() != r.Origin() {
		t.Errorf("origin or signer are others after opening again")
	}
	if r.Session("s-1") != session || r.DeriveRecordID("c-1") != id {
		t.Error("Session or ClientID are others after opening again")
	}
	if r.Session("s-2") == session || r.DeriveRecordID("c-2") == id || [16]byte(r.DeriveRecordID("s-1")) == session {
		t.Error("two ids have one hash")
	}
	if got := id.String(); got[14] != '8' || !strings.ContainsRune("89ab", rune(got[19])) {
		t.Errorf("ClientID = %v, want a UUID of version 8", got)
	}
	if subjects, classes := r.Count(); subjects != 6 || classes != 2 {
		t.Errorf("Count = %d, %d, want 6, 2", subjects, classes)
	}
	closeRing(t, r)
}

func TestUnflushedKeysAreGone(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	h := seal(t, r, "user", class)
	closeRing(t, r)
	r = open(t, disk)
	defer closeRing(t, r)
	if _, err := r.DecryptionKey(h.subject, class); !errors.Is(err, keyring.ErrLost) {
		t.Errorf("ForOpening of a key that was not flushed = %v, want ErrLost", err)
	}
}

// TestManySubjects goes through merges of the journal into the base.
func TestManySubjects(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	n := 9000
	if testing.Short() {
		n = 4500
	}
	var all []held
	for i := range n {
		all = append(all, seal(t, r, fmt.Sprintf("user-%d", i), class))
		if i%100 == 99 {
			flush(t, r)
		}
	}
	flush(t, r)
	if r.Generation() < 2 {
		t.Errorf("Generation = %d after %d subjects: the journal was not merged", r.Generation(), n)
	}
	checkAll(t, r, all)
	closeRing(t, r)
	r = open(t, disk)
	checkAll(t, r, all)
	if subjects, _ := r.Count(); subjects != n {
		t.Errorf("Count = %d, want %d", subjects, n)
	}
	if _, ok, err := r.LookupUser("nobody"); ok || err != nil {
		t.Errorf("LookupUser(nobody) = %v, %v", ok, err)
	}
	var some []record.Subject
	for i := 0; i < n; i += 7 {
		some = append(some, all[i].subject)
	}
	if err := r.Destroy(keyring.Destruction{Subjects: some, Seq: 1, Hash: record.Hash{1}}); err != nil {
		t.Fatal(err)
	}
	for i, h := range all {
		err := h.check(r)
		if i%7 != 0 && err != nil || i%7 == 0 && !errors.Is(err, keyring.ErrErased) {
			t.Fatalf("subject %d: %v", i, err)
		}
	}
	closeRing(t, r)
	if names, _ := disk.ReadDir(dir); len(names) != 4 { // LOCK, master.key, ring, signed
		t.Errorf("folder holds %v", names)
	}
}

func TestErrors(t *testing.T) {
	ctx := context.Background()
	disk := vfs.NewMem()
	o := keyring.Options{FS: disk}
	if _, err := keyring.Open(ctx, dir, o); !errors.Is(err, keyring.ErrNoKeyring) {
		t.Errorf("Open of nothing = %v, want ErrNoKeyring", err)
	}
	for _, origin := range []string{"a b", "a+b", "a\nb", `a"b`, `a\b`, "a\u2028b", strings.Repeat("x", 256), "\xff"} {
		if _, err := keyring.Create(ctx, dir, origin, o); err == nil {
			t.Errorf("Create accepts the origin %q", origin)
		}
	}
	r := create(t, disk)
	if _, err := keyring.Create(ctx, dir, "x", o); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("Create beside a writer = %v, want ErrLocked", err)
	}
	if _, err := keyring.Open(ctx, dir, o); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("Open beside a writer = %v, want ErrLocked", err)
	}
	for _, bad := range []struct{ user, class string }{
		{"\xff", class},
		{strings.Repeat("x", 1025), class},
		{"u", ""},
		{"u", "standard"},
		{"u", "standard/2026-13"},
		{"u", "STANDARD/2026-12"},
		{"u", "standard/2026-1"},
	} {
		if _, _, err := r.EncryptionKey(bad.user, bad.class); err == nil {
			t.Errorf("ForSealing(%.20q, %q) = nil", bad.user, bad.class)
		}
	}
	seal(t, r, strings.Repeat("x", 1024), class)
	flush(t, r)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{r.System()}, Seq: 1, Hash: record.Hash{}}); err == nil {
		t.Error("Destroy erases the system")
	}
	ro := openReader(t, disk)
	if _, _, err := ro.EncryptionKey("u", class); !errors.Is(err, keyring.ErrReadOnly) {
		t.Errorf("ForSealing of a reader = %v, want ErrReadOnly", err)
	}
	for what, err := range map[string]error{
		"Destroy":      ro.Destroy(keyring.Destruction{Seq: 1, Hash: record.Hash{}}),
		"SetSigned":    ro.SetSigned(1, [32]byte{}),
		"RotateMaster": ro.RotateMaster(ctx, nil),
		"CommitSigner": ro.CommitSigner(keyring.SignerKey{}, 0, nil),
	} {
		if !errors.Is(err, keyring.ErrReadOnly) {
			t.Errorf("%s of a reader = %v, want ErrReadOnly", what, err)
		}
	}
	closeRing(t, ro)
	closeRing(t, r)
	if err := r.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	_, _, sealErr := r.EncryptionKey("u", class)
	_, openErr := r.DecryptionKey(r.System(), class)
	_, refreshErr := r.Refresh()
	_, _, lookupErr := r.LookupUser("u")
	for what, err := range map[string]error{
		"ForSealing": sealErr, "ForOpening": openErr, "Refresh": refreshErr, "LookupUser": lookupErr,
		"Destroy": r.Destroy(keyring.Destruction{Seq: 1, Hash: record.Hash{}}), "SetSigned": r.SetSigned(1, [32]byte{}),
	} {
		if !errors.Is(err, keyring.ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", what, err)
		}
	}
	if _, err := keyring.Create(ctx, dir, "x", o); !errors.Is(err, keyring.ErrExists) {
		t.Errorf("Create over a keyring = %v, want ErrExists", err)
	}
}

func TestRandomOrigin(t *testing.T) {
	r, err := keyring.Create(context.Background(), dir, "", keyring.Options{
		FS: vfs.NewMem(), Rand: bytes.NewReader(bytes.Repeat([]byte{0xab}, 4096)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeRing(t, r)
	if want := "audittrail/abababababababab"; r.Origin() != want {
		t.Errorf("Origin = %q, want %q", r.Origin(), want)
	}
}

// TestConcurrentSealing has many goroutines get the same keys and others, with
// flushes, destructions and signing in between.
func TestConcurrentSealing(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	const writers, rounds = 16, 60
	results := make([][]held, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				for _, user := range []string{"shared", fmt.Sprintf("user-%d-%d", w, i), fmt.Sprintf("user-%d", i)} {
					sub, prk, err := r.EncryptionKey(user, class)
					if err == nil {
						err = r.Flush()
					}
					if err != nil {
						t.Errorf("seal: %v", err)
						return
					}
					results[w] = append(results[w], held{user, class, sub, prk})
				}
				if _, err := r.DecryptionKey(results[w][i].subject, class); err != nil {
					t.Errorf("ForOpening: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range uint64(rounds) {
			sub, _, err := r.EncryptionKey(fmt.Sprintf("doomed-%d", i), class)
			if err == nil {
				err = r.Destroy(keyring.Destruction{Subjects: []record.Subject{sub}, Seq: i, Hash: record.Hash{1}})
			}
			if err == nil {
				err = r.SetSigned(i, [32]byte{byte(i)})
			}
			if err != nil {
				t.Errorf("destroy: %v", err)
				return
			}
		}
	})
	wg.Wait()
	closeRing(t, r)
	r = open(t, disk)
	defer closeRing(t, r)
	for _, all := range results {
		checkAll(t, r, all)
	}
	if subjects, _ := r.Count(); subjects != 1+rounds+writers*rounds {
		t.Errorf("Count = %d, want %d", subjects, 1+rounds+writers*rounds)
	}
}
