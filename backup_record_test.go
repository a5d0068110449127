package audittrail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// TestBackupIsKnown stops the disk of the log at every operation of a backup:
// if any byte of a backup was written, the log that is opened afterwards has
// the record of the backup, and lists it.
func TestBackupIsKnown(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	options := func(disk vfs.FS) audittrail.Options {
		return audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk})
	}
	base := vfs.NewMem()
	log := logtest.Open(t, "dir", options(base))
	logtest.Append(t, log, about("ann", "one"))
	logtest.Close(t, log)
	for n := 0; ; n++ {
		disk := base.Clone()
		log := logtest.Open(t, "dir", options(disk))
		var file bytes.Buffer
		disk.FailAfter(n)
		_, err = log.BackupKeys(context.Background(), &file, id.Recipient(), time.Now().Add(time.Hour))
		done := err == nil
		after := disk.KillOnly()
		_ = log.Close() // the disk has failed
		if file.Len() == 0 {
			if done {
				t.Fatal("BackupKeys wrote nothing")
			}
			continue
		}
		what := fmt.Sprintf("stopped at operation %d, with %d bytes of a backup", n, file.Len())
		log, err = audittrail.Open("dir", options(after))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if all := backupsRecorded(t, log); len(all) != 1 {
			t.Errorf("%s: the log has recorded %v", what, all)
		}
		if all, err := log.Backups(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("%s: Backups = %v, %v", what, all, err)
		}
		logtest.Close(t, log)
		if done {
			return
		}
	}
}

func backupsRecorded(t *testing.T, log *audittrail.Log) (ids []uint64) {
	t.Helper()
	for r, err := range log.GovernanceRecords(t.Context(), 0, event.KeysBackedUp) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Seq)
	}
	return ids
}

// A recordingWriter looks at the log when the first byte comes.
type recordingWriter struct {
	look func()
	n    int
}

func (w *recordingWriter) Write(p []byte) (int, error) {
	if w.n == 0 {
		w.look()
	}
	w.n += len(p)
	return len(p), nil
}

// TestBackupIsRecordedFirst finds the record before the first byte of the file
// is written, also if the file then cannot be written.
func TestBackupIsRecordedFirst(t *testing.T) {
	log := logtest.New(t)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	looked := false
	w := &recordingWriter{look: func() {
		looked = true
		if all := backupsRecorded(t, log); len(all) != 1 {
			t.Errorf("when the first byte is written, the log has recorded %v", all)
		}
	}}
	if _, err := log.BackupKeys(t.Context(), w, id.Recipient(), time.Now().Add(time.Hour)); err != nil || !looked {
		t.Fatalf("BackupKeys: %v, wrote: %v", err, looked)
	}
	r, pipe := io.Pipe()
	_ = r.CloseWithError(errors.New("full"))
	if _, err := log.BackupKeys(t.Context(), pipe, id.Recipient(), time.Now().Add(time.Hour)); err == nil {
		t.Error("BackupKeys to a file that is full: no error")
	}
	if all := backupsRecorded(t, log); len(all) != 2 {
		t.Errorf("the log has recorded %v, want two", all)
	}
}

// TestRestoredKeyringKnowsBackups lists, after the keyring was restored from one
// backup, those that were made after it: the log knows them.
func TestRestoredKeyringKnowsBackups(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var want []record.ID
	var first bytes.Buffer
	for i := range 3 {
		w := io.Writer(io.Discard)
		if i == 0 {
			w = &first
		}
		info, err := log.BackupKeys(t.Context(), w, id.Recipient(), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, info.ID)
	}
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Restore(t.Context(), keys+"/keys", &first, id, keyring.Options{}); err != nil {
		t.Fatal(err)
	}
	restored := logtest.Open(t, dir, audittrail.Options{ReadOnly: true, KeysDir: keys + "/keys"})
	all, err := restored.Backups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []record.ID
	for _, b := range all {
		got = append(got, b.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Backups = %v, want %v", got, want)
	}
}

// TestErasureAt gets from a record the result that Erase returned.
func TestErasureAt(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, about("ann", "one"))
	logtest.Append(t, log, about("bob", "two"))
	done := erase(t, log, "ann")
	erase(t, log, "bob")
	if err := log.RotateSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*audittrail.Log{"writer": log, "reader": logtest.Open(t, dir, audittrail.Options{ReadOnly: true})} {
		o, err := l.ErasureAt(t.Context(), done.Receipt.Seq)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o.Receipt != done.Receipt || !slices.Equal(o.Subjects, done.Subjects) || o.Reason != "asked to" || o.By != "officer" {
			t.Errorf("%s: ErasureAt = %+v, want %+v", name, o, done)
		}
		if _, err := l.ProveConsistency(t.Context(), o.Before); err != nil {
			t.Errorf("%s: the log does not go on from Before: %v", name, err)
		}
		if _, err := l.ErasureAt(t.Context(), 0); err == nil {
			t.Errorf("%s: ErasureAt of a prompt: no error", name)
		}
		if _, err := l.ErasureAt(t.Context(), 99); !errors.Is(err, audittrail.ErrNoRecord) {
			t.Errorf("%s: ErasureAt of no record: %v, want ErrNoRecord", name, err)
		}
		n := 0
		for o, err := range l.Erasures(t.Context()) {
			if err != nil || len(o.Subjects) != 1 {
				t.Errorf("%s: Erasures: %+v, %v", name, o, err)
			}
			n++
		}
		if n != 2 {
			t.Errorf("%s: %d erasures, want 2", name, n)
		}
	}
}
