package keyring_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func newFileKey(t testing.TB, r *keyring.Ring) fileKey {
	t.Helper()
	id, key, err := r.NewFileKey()
	if err != nil {
		t.Fatalf("NewFileKey: %v", err)
	}
	return fileKey{id, key}
}

func checkFileKeys(t testing.TB, r *keyring.Ring, here, gone []fileKey) {
	t.Helper()
	for _, f := range here {
		if key, err := r.FileKey(f.id); err != nil || key != f.key {
			t.Errorf("FileKey = another, %v", err)
		}
	}
	for _, f := range gone {
		if _, err := r.FileKey(f.id); !errors.Is(err, keyring.ErrLost) {
			t.Errorf("FileKey(gone) = %v, want ErrLost", err)
		}
	}
	ids, err := r.FileKeys()
	if err != nil || len(ids) != len(here) {
		t.Errorf("FileKeys = %d, %v, want %d", len(ids), err, len(here))
	}
}

func TestFileKeys(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	all := fill(t, r, 3)
	a, b, c := newFileKey(t, r), newFileKey(t, r), newFileKey(t, r)
	ro := openReader(t, disk)
	defer closeRing(t, ro)
	check := func(here, gone []fileKey) {
		t.Helper()
		checkFileKeys(t, r, here, gone)
		checkFileKeys(t, ro, here, gone)
		closeRing(t, r)
		r = open(t, disk)
		checkFileKeys(t, r, here, gone)
	}
	check([]fileKey{a, b, c}, nil)
	generation := r.Generation()
	if err := r.DropFileKeys(a.id, a.id, keyring.FileID{1}); err != nil {
		t.Fatal(err)
	}
	if r.Generation() != generation {
		t.Error("dropping a file's key cost a generation")
	}
	if _, err := ro.Refresh(); err != nil {
		t.Fatal(err)
	}
	check([]fileKey{b, c}, []fileKey{a})
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Files: []keyring.FileID{b.id}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if r.Generation() != generation+1 {
		t.Errorf("subject and file cost %d generations, want 1", r.Generation()-generation)
	}
	d := newFileKey(t, r)
	if _, err := ro.Refresh(); err != nil {
		t.Fatal(err)
	}
	check([]fileKey{c, d}, []fileKey{a, b})
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[1].subject}, AllFiles: true, Seq: 2}); err != nil {
		t.Fatal(err)
	}
	check(nil, []fileKey{a, b, c, d})
	closeRing(t, r)
	if _, err := r.FileKey(a.id); !errors.Is(err, keyring.ErrClosed) && !errors.Is(err, keyring.ErrLost) {
		t.Errorf("FileKey after Close = %v", err)
	}
	if _, _, err := r.NewFileKey(); !errors.Is(err, keyring.ErrClosed) {
		t.Errorf("NewFileKey after Close = %v, want ErrClosed", err)
	}
	if _, _, err := ro.NewFileKey(); !errors.Is(err, keyring.ErrReadOnly) {
		t.Errorf("NewFileKey of a reader = %v, want ErrReadOnly", err)
	}
	if err := ro.DropFileKeys(a.id); !errors.Is(err, keyring.ErrReadOnly) {
		t.Errorf("DropFileKeys of a reader = %v, want ErrReadOnly", err)
	}
}

func TestFileKeyHidesItself(t *testing.T) {
	key := keyring.FileKey{0xfe, 0xed}
	text := fmt.Sprintf("%v %x %#v %s %d", key, key, key, key, key)
	if strings.Contains(text, "fe") || strings.Contains(text, "254") {
		t.Errorf("a key prints as %s", text)
	}
	if b, err := key.MarshalJSON(); err != nil || string(b) != `"[redacted]"` {
		t.Errorf("MarshalJSON = %s, %v", b, err)
	}
	if got := key.LogValue().String(); got != "[redacted]" {
		t.Errorf("LogValue = %s", got)
	}
}

// TestFileKeysAreGone looks for keys that were dropped, and for an escrow's that
// was replaced, on every byte of the disk.
func TestFileKeysAreGone(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	all := fill(t, r, 3)
	a, b, c := newFileKey(t, r), newFileKey(t, r), newFileKey(t, r)
	old := keyring.Escrow{Class: other, File: keyring.FileID{1}, Key: keyring.FileKey(bytes.Repeat([]byte{0x5a}, 32)), Seq: 4}
	if err := r.SetEscrows(old); err != nil {
		t.Fatal(err)
	}
	if err := r.DropFileKeys(a.id); err != nil {
		t.Fatal(err)
	}
	plain := func() []byte {
		var plain []byte
		now := files(t, disk)
		master := masterOf(t, now)
		keys := map[[32]byte]uint64{}
		for _, data := range now {
			maps.Copy(keys, unwrap(master, data))
		}
		for _, data := range now {
			plain = append(plain, data...)
			for _, f := range frames(data, keys) {
				plain = append(plain, f.payload...)
			}
		}
		return plain
	}
	if p := plain(); !bytes.Contains(p, a.key[:]) || !bytes.Contains(p, old.Key[:]) {
		t.Fatal("the test does not find what is there")
	}
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Files: []keyring.FileID{b.id}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	p := plain()
	if bytes.Contains(p, a.key[:]) || bytes.Contains(p, b.key[:]) {
		t.Error("a file's key is on the disk after a destruction")
	}
	if !bytes.Contains(p, c.key[:]) || !bytes.Contains(p, old.Key[:]) {
		t.Error("a key that stays is gone")
	}
	next := old
	next.File, next.Key, next.Seq = keyring.FileID{2}, keyring.FileKey(bytes.Repeat([]byte{0xa5}, 32)), 5
	if err := r.SetEscrows(next); err != nil {
		t.Fatal(err)
	}
	if e, ok, err := r.Escrow(other); err != nil || !ok || e != next {
		t.Errorf("Escrow = %v, %v, %v", e, ok, err)
	}
	if p := plain(); bytes.Contains(p, old.Key[:]) || !bytes.Contains(p, next.Key[:]) {
		t.Error("the escrow's old key is on the disk, or the new one is not")
	}
	if err := r.SetEscrows(keyring.Escrow{Class: other, Seq: 6}); err != nil {
		t.Fatal(err)
	}
	if p := plain(); bytes.Contains(p, next.Key[:]) {
		t.Error("the key of an escrow that was let go is on the disk")
	}
	if all, err := r.Escrows(); err != nil || len(all) > 0 {
		t.Errorf("Escrows = %v, %v, want none", all, err)
	}
}

// TestGovernanceIsForGood: an old ring must read what was ordered since.
func TestGovernanceIsForGood(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	fill(t, r, 1)
	var backup bytes.Buffer
	id := identity(t)
	if _, err := r.Backup(&backup, id.Recipient(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	later := seal(t, r, "", "governance/2031-05")
	flush(t, r)
	if err := r.Destroy(keyring.Destruction{Classes: []string{"governance/2031-05"}, Seq: 1}); err == nil {
		t.Error("Destroy takes a class that governs the log")
	}
	closeRing(t, r)
	r = open(t, disk)
	defer closeRing(t, r)
	if err := later.check(r); err != nil {
		t.Error(err)
	}
	o := keyring.Options{FS: vfs.NewMem()}
	if err := keyring.Restore(context.Background(), dir, &backup, id, o); err != nil {
		t.Fatal(err)
	}
	old, err := keyring.Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeRing(t, old)
	if err := later.check(old); err != nil {
		t.Errorf("a ring from before: %v", err)
	}
	if prk, err := old.DecryptionKey(later.subject, "governance/2031-06"); err != nil || prk == later.prk {
		t.Errorf("the key of another month is the same, %v", err)
	}
}

// TestDerivedKeyStays gets the key of derived files after every operation that
// replaces keys, and from a restored ring.
func TestDerivedKeyStays(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	fill(t, r, 1)
	want := r.DerivedKey()
	var backup bytes.Buffer
	id := identity(t)
	if _, err := r.Backup(&backup, id.Recipient(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy(keyring.Destruction{Classes: []string{"standard/2031-05"}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if r.DerivedKey() != want {
		t.Error("a destruction replaces the key of what is derived")
	}
	closeRing(t, r)
	r = open(t, disk)
	defer closeRing(t, r)
	o := keyring.Options{FS: vfs.NewMem()}
	if err := keyring.Restore(context.Background(), dir, &backup, id, o); err != nil {
		t.Fatal(err)
	}
	old, err := keyring.Open(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeRing(t, old)
	if r.DerivedKey() != want || old.DerivedKey() != want {
		t.Error("another generation, or a restored ring, has another key of what is derived")
	}
	other := create(t, vfs.NewMem())
	defer closeRing(t, other)
	if other.DerivedKey() == want {
		t.Error("two rings have the same key of what is derived")
	}
	if s := fmt.Sprintf("%v %x %s", want, want, want); strings.Contains(s, hex.EncodeToString(want[:2])) {
		t.Errorf("the key prints as %s", s)
	}
}

// TestSignedNow follows the state that a writer has signed, and ignores a file
// with an older one.
func TestSignedNow(t *testing.T) {
	disk := vfs.NewMem()
	w := create(t, disk)
	defer closeRing(t, w)
	ro, err := keyring.Open(context.Background(), dir, keyring.Options{FS: disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeRing(t, ro)
	name := filepath.Join(dir, "signed")
	older, err := vfs.ReadFile(disk, name, 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.SetSigned(7, [32]byte{7}); err != nil {
		t.Fatal(err)
	}
	if size, _ := ro.Signed(); size != 0 {
		t.Errorf("Signed() = %d, want what was there when it was opened", size)
	}
	for _, now := range [][]byte{nil, older, []byte("nonsense")} {
		if now != nil {
			if err := vfs.WriteFile(disk, name, now, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if size, root, err := ro.CurrentSigned(); size != 7 || root != [32]byte{7} || err != nil {
			t.Errorf("SignedNow() = %d, %x, %v, want 7", size, root[:1], err)
		}
	}
	if size, _, err := w.CurrentSigned(); size != 7 || err != nil {
		t.Errorf("the writer: SignedNow() = %d, %v, want 7", size, err)
	}
}
