package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail/internal/vfs"
	"audittrail/keyring"
)

func TestMasterPassphrase(t *testing.T) {
	ctx := context.Background()
	disk := vfs.NewMem()
	file := filepath.Join(dir, "master.age")
	options := func(passphrase string) keyring.Options {
		return keyring.Options{FS: disk, Master: keyring.MasterPassphrase(disk, file, passphrase)}
	}
	if _, err := keyring.Create(ctx, dir, "example.com/log", options("short")); err == nil || !strings.Contains(err.Error(), "12") {
		t.Fatalf("Create with a short passphrase = %v", err)
	}
	r, err := keyring.Create(ctx, dir, "example.com/log", options("correct horse battery"))
	if err != nil {
		t.Fatal(err)
	}
	h := seal(t, r, "user", class)
	flush(t, r)
	closeRing(t, r)
	sealed := files(t, disk)["master.age"]
	if !bytes.HasPrefix(sealed, []byte("age-encryption.org/v1\n-> scrypt ")) || bytes.Contains(sealed, []byte("audittrail-master")) {
		t.Errorf("the file is %.60q", sealed)
	}
	for passphrase, want := range map[string]error{"incorrect horse battery": keyring.ErrMasterFormat, "": keyring.ErrNoMaster} {
		_, err := keyring.Open(ctx, dir, options(passphrase))
		if !errors.Is(err, want) || passphrase != "" && strings.Contains(err.Error(), passphrase) {
			t.Errorf("Open with %q = %v, want %v", passphrase, err, want)
		}
	}
	if r, err = keyring.Open(ctx, dir, options("correct horse battery")); err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, []held{h})

	// Another passphrase in the same place: a new key, and the old passphrase
	// opens nothing any more.
	if err := r.RotateMaster(ctx, keyring.MasterPassphrase(disk, file, "another horse entirely")); err != nil {
		t.Fatal(err)
	}
	closeRing(t, r)
	if _, err := keyring.Open(ctx, dir, options("correct horse battery")); !errors.Is(err, keyring.ErrMasterFormat) {
		t.Errorf("Open with the old passphrase = %v, want ErrMasterFormat", err)
	}
	if r, err = keyring.Open(ctx, dir, options("another horse entirely")); err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, []held{h})
	closeRing(t, r)
}

// TestPassphraseCrash cuts the power at some operations while a passphrase is
// replaced, at all of them if AUDITTRAIL_EXPLORE is set, since each passphrase
// costs a second: one of the two opens the ring.
func TestPassphraseCrash(t *testing.T) {
	step := 13
	if os.Getenv("AUDITTRAIL_EXPLORE") != "" {
		step = 1
	}
	ctx := context.Background()
	start := vfs.NewMem()
	file := filepath.Join(dir, "master.age")
	master := func(disk vfs.FS, p string) keyring.Master { return keyring.MasterPassphrase(disk, file, p) }
	r, err := keyring.Create(ctx, dir, "example.com/log", keyring.Options{FS: start, Master: master(start, "correct horse battery")})
	if err != nil {
		t.Fatal(err)
	}
	h := seal(t, r, "user", class)
	flush(t, r)
	closeRing(t, r)
	for n := 0; ; n += step {
		disk := start.Clone()
		r, err := keyring.Open(ctx, dir, keyring.Options{FS: disk, Master: master(disk, "correct horse battery")})
		if err != nil {
			t.Fatal(err)
		}
		disk.FailAfter(disk.Ops() + n)
		failed := r.RotateMaster(ctx, master(disk, "another horse entirely"))
		_ = r.Close() // the disk may be gone
		after := disk.Crash(nil)
		after.FailAfter(-1)
		back, err := keyring.Open(ctx, dir, keyring.Options{FS: after, Master: master(after, "another horse entirely")})
		if err != nil && failed != nil {
			back, err = keyring.Open(ctx, dir, keyring.Options{FS: after, Master: master(after, "correct horse battery")})
		}
		if err != nil {
			t.Fatalf("after operation %d: neither passphrase opens the ring: %v", n, err)
		}
		checkAll(t, back, []held{h})
		closeRing(t, back)
		if failed == nil {
			return
		}
	}
}
