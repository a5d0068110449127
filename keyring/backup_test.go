package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestBackup(t *testing.T) {
	ctx := context.Background()
	disk := vfs.NewMem()
	r := create(t, disk)
	all := append(fill(t, r, 150), seal(t, r, "", other))
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Classes: []string{"gone/2020-01"}, Seq: 5, Hash: record.Hash{5}}); err != nil {
		t.Fatal(err)
	}
	all = append(all[1:], seal(t, r, "pending", class))
	if err := r.SetSigned(12, [32]byte{12}); err != nil {
		t.Fatal(err)
	}
	id, expires := identity(t), time.Now().Add(time.Hour).UTC()
	var file bytes.Buffer
	info, err := r.Backup(&file, id.Recipient(), expires)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Backups(); len(got) != 1 || got[0] != info || !info.Expires.Equal(expires) {
		t.Errorf("Backups = %+v, want %+v", got, info)
	}
	if bytes.Contains(file.Bytes(), []byte("user-")) {
		t.Error("the backup holds user ids in the clear")
	}
	if _, err := r.Backup(io.Discard, id.Recipient(), time.Now()); err == nil {
		t.Error("Backup that has expired = nil")
	}
	later := fill(t, r, 1)
	closeRing(t, r)

	fresh := vfs.NewMem()
	restore := func(fsys vfs.FS, in []byte, id age.Identity, now time.Time) error {
		return keyring.Restore(ctx, dir, bytes.NewReader(in), id, keyring.Options{FS: fsys, Now: func() time.Time { return now }})
	}
	if err := restore(fresh, file.Bytes(), identity(t), time.Now()); err == nil {
		t.Error("Restore with another identity = nil")
	}
	if err := restore(fresh, file.Bytes(), id, expires); !errors.Is(err, keyring.ErrBackupExpired) {
		t.Errorf("Restore of an expired backup = %v, want ErrBackupExpired", err)
	}
	for n := 0; n < file.Len(); n += 501 {
		if err := restore(fresh, file.Bytes()[:n], id, time.Now()); err == nil {
			t.Fatalf("Restore of %d bytes of %d = nil", n, file.Len())
		}
		bad := bytes.Clone(file.Bytes())
		bad[n] ^= 1
		if err := restore(fresh, bad, id, time.Now()); err == nil {
			t.Fatalf("Restore with byte %d changed = nil", n)
		}
	}
	if _, err := keyring.Open(ctx, dir, keyring.Options{FS: fresh}); !errors.Is(err, keyring.ErrNoKeyring) {
		t.Fatalf("Open after attempts to restore = %v, want ErrNoKeyring", err)
	}
	if err := restore(fresh, file.Bytes(), id, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := restore(fresh, file.Bytes(), id, time.Now()); !errors.Is(err, keyring.ErrExists) {
		t.Errorf("second Restore = %v, want ErrExists", err)
	}
	back := open(t, fresh)
	defer closeRing(t, back)
	checkAll(t, back, all)
	if err := later[0].check(back); err == nil {
		t.Error("what came after the backup is in it")
	}
	if _, err := back.DecryptionKey(all[3].subject, "gone/2020-01"); !errors.Is(err, keyring.ErrExpired) {
		t.Errorf("an expired class: %v, want ErrExpired", err)
	}
	if seq, hash := back.LastDestruction(); seq != 5 || hash != (record.Hash{5}) {
		t.Errorf("Applied = %d, %v", seq, hash)
	}
	if size, root := back.Signed(); size != 12 || root != [32]byte{12} {
		t.Errorf("Signed = %d, %x", size, root)
	}
	if back.Origin() != r.Origin() || back.System() != r.System() || back.Session("s") != r.Session("s") {
		t.Error("the restored ring is of another log")
	}
	if len(back.Backups()) != 1 {
		t.Errorf("Backups = %v", back.Backups())
	}
	if bytes.Equal(files(t, disk)["master.key"], files(t, fresh)["master.key"]) {
		t.Error("the restored ring has the old master key")
	}
}

func TestBackupsExpire(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	r, err := keyring.Create(context.Background(), dir, "x", keyring.Options{FS: vfs.NewMem(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeRing(t, r)
	id := identity(t)
	for _, hours := range []time.Duration{1, 3} {
		if _, err := r.Backup(io.Discard, id.Recipient(), now.Add(hours*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(r.Backups()); got != 2 {
		t.Errorf("%d backups, want 2", got)
	}
	now = now.Add(2 * time.Hour)
	if got := len(r.Backups()); got != 1 {
		t.Errorf("%d backups after two hours, want 1", got)
	}
	if _, err := r.Backup(io.Discard, id.Recipient(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := len(r.Backups()); got != 2 {
		t.Errorf("%d backups, want 2", got)
	}
}

// A tripwire calls f at the first write.
type tripwire struct {
	bytes.Buffer
	f func()
}

func (w *tripwire) Write(p []byte) (int, error) {
	if w.f != nil {
		f := w.f
		w.f = nil
		f()
	}
	return w.Buffer.Write(p)
}

// TestBackupMeetsDestruction destroys a key while it is being backed up.
func TestBackupMeetsDestruction(t *testing.T) {
	disk := vfs.NewMem()
	r := create(t, disk)
	defer closeRing(t, r)
	all := fill(t, r, 200)
	if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[0].subject}, Seq: 1, Hash: record.Hash{}}); err != nil {
		t.Fatal(err)
	}
	w := &tripwire{f: func() {
		if err := r.Destroy(keyring.Destruction{Subjects: []record.Subject{all[1].subject}, Seq: 2, Hash: record.Hash{}}); err != nil {
			t.Error(err)
		}
	}}
	if _, err := r.Backup(w, identity(t).Recipient(), time.Now().Add(time.Hour)); err == nil {
		t.Error("Backup during a destruction = nil")
	}
	if len(r.Backups()) != 1 {
		t.Error("a backup that failed is not remembered, though a part of it is somewhere")
	}
	// Keys that are made meanwhile do no harm.
	w = &tripwire{f: func() { fill(t, r, 3) }}
	if _, err := r.Backup(w, identity(t).Recipient(), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
}
