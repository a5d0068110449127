package audittrail_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

const firstSegment = "00000000000000000000.jsonl"

// signedThenMore leaves a log of five records that a checkpoint covers and
// three later ones, as a killed process does.
func signedThenMore(t *testing.T) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	for i := range 5 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: fmt.Sprint(i)})
	}
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign := holdSigning(disk)
	for i := range 3 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: fmt.Sprint(5 + i)})
	}
	killed := disk.KillOnly()
	sign()
	logtest.Close(t, log)
	return killed
}

// holdSigning keeps the writer of a log from signing what is appended from now on,
// as it does within a second, and at once when a segment ends, until the returned
// function is called.
func holdSigning(disk *vfs.Mem) (release func()) {
	held := make(chan struct{})
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "dir/tree/") {
			<-held
		}
		return nil
	})
	return func() {
		close(held)
		disk.Inject(nil)
	}
}

// edit rewrites a file of a log.
func edit(t *testing.T, disk vfs.FS, name string, f func([]byte) []byte) {
	t.Helper()
	path := filepath.Join("dir", name)
	b, err := vfs.ReadFile(disk, path, 1<<30)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(disk, path, f(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lines splits the bytes of a segment into lines, each with its LF.
func lines(b []byte) [][]byte {
	l := bytes.SplitAfter(b, []byte("\n"))
	return l[:len(l)-1]
}

// rehash makes a line consistent with itself, as anybody can.
func rehash(line []byte, from, to string) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = []byte(strings.Replace(string(line), from, to, 1))
	covered, _ := record.HashedBytes(line)
	sum := sha256.Sum256(covered)
	return append(bytes.Clone(covered), `,"hash":"`+hex.EncodeToString(sum[:])+"\"}\n"...)
}

// TestForgeryBeforeRestart lets somebody who can write to log/ and tree/, but
// has no keys, change records that no checkpoint covers yet, and signed ones.
func TestForgeryBeforeRestart(t *testing.T) {
	segment := filepath.Join("log", firstSegment)
	var damaged *audittrail.DamagedError
	var behind *audittrail.RollbackError
	for name, c := range map[string]struct {
		file string
		f    func([]byte) []byte
		want any
	}{
		"a field, the hash made anew": {segment, func(b []byte) []byte {
			l := lines(b)
			l[7] = rehash(l[7], `"type":"prompt"`, `"type":"x.other"`)
			return bytes.Join(l, nil)
		}, &damaged},
		"a record again": {segment, func(b []byte) []byte {
			l := lines(b)
			return append(b, l[7]...)
		}, &damaged},
		"a record of an earlier place": {segment, func(b []byte) []byte {
			return append(b, rehash(lines(b)[2], `"seq":2`, `"seq":8`)...)
		}, &damaged},
		"an authentic record in a second place": {segment, func(b []byte) []byte {
			l := lines(b)
			last, _ := record.ParseChainLink(bytes.TrimSuffix(l[7], []byte("\n")))
			of := func(line []byte, name string) string {
				_, rest, _ := strings.Cut(string(line), `"`+name+`":"`)
				value, _, _ := strings.Cut(rest, `"`)
				return value
			}
			replay := bytes.Replace(l[2], []byte(of(l[2], "prev")), []byte(last.Hash.String()), 1)
			replay = bytes.Replace(replay, []byte(of(l[2], "logged")), []byte(of(l[7], "logged")), 1)
			return append(b, rehash(replay, `"seq":2`, `"seq":8`)...)
		}, &damaged},
		"a record taken out": {segment, func(b []byte) []byte {
			l := lines(b)
			return bytes.Join(append(l[:5:5], l[6:]...), nil)
		}, &damaged},
		"cut off below the checkpoint": {segment, func(b []byte) []byte {
			return bytes.Join(lines(b)[:3], nil)
		}, &behind},
		"the last signed one replaced": {segment, func(b []byte) []byte {
			l := lines(b)
			l[4] = rehash(l[4], `"type":"prompt"`, `"type":"x.other"`)
			return bytes.Join(l, nil)
		}, &behind},
		"nothing left": {segment, func([]byte) []byte { return nil }, &behind},
	} {
		t.Run(name, func(t *testing.T) {
			disk := signedThenMore(t)
			edit(t, disk, c.file, c.f)
			before, err := vfs.ReadFile(disk, filepath.Join("dir", c.file), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			_, err = audittrail.Open("dir", onDisk(disk))
			if !errors.As(err, c.want) {
				t.Errorf("Open() = %v, want a %T", err, c.want)
			}
			after, err := vfs.ReadFile(disk, filepath.Join("dir", c.file), 1<<20)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the refused log was changed (%v)", err)
			}
		})
	}
}

// TestTreeIsDerived damages and deletes the tree's files.
func TestTreeIsDerived(t *testing.T) {
	for _, name := range []string{"entries", "0", "checkpoint"} {
		disk := signedThenMore(t)
		if err := disk.Remove(filepath.Join("dir", "tree", name)); err != nil {
			t.Fatal(err)
		}
		check(t, disk, nil, "without tree/"+name)
	}
	for _, name := range []string{"entries", "0"} {
		disk := signedThenMore(t)
		edit(t, disk, filepath.Join("tree", name), func(b []byte) []byte {
			b[40] ^= 1
			return b
		})
		check(t, disk, nil, "with another tree/"+name)
	}
}

func TestForeignFiles(t *testing.T) {
	disk := signedThenMore(t)
	other := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(other))
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "of another log"})
	logtest.Close(t, log)
	foreign, err := vfs.ReadFile(other, "dir/tree/checkpoint", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	// The keyring and the lines show which log it is: the file is put aside.
	edit(t, disk, "tree/checkpoint", func([]byte) []byte { return foreign })
	check(t, disk, nil, "with another log's checkpoint")
	names, err := disk.ReadDir("dir/tree")
	if err != nil || !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "torn-checkpoint-") }) {
		t.Errorf("another log's checkpoint: tree/ has %v, %v; want it put aside", names, err)
	}

	disk = signedThenMore(t)
	names, err = other.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	mine, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range mine {
		if err := disk.Remove(filepath.Join("dir/keys", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		b, err := vfs.ReadFile(other, filepath.Join("dir/keys", name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		edit(t, disk, filepath.Join("keys", name), func([]byte) []byte { return b })
	}
	if _, err := audittrail.Open("dir", onDisk(disk)); err == nil {
		t.Error("another log's keyring: Open() succeeded")
	}
}

// TestRepair cuts off a damaged end on request, keeps a copy, and records that.
func TestRepair(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte {
		l := lines(b)
		l[6][30] ^= 1
		return bytes.Join(l, nil)
	})
	o := onDisk(disk)
	o.Repair = true
	log := logtest.Open(t, "dir", o)
	r, err := log.Get(t.Context(), 6)
	if err != nil || r.Event.Type != event.LogRepaired {
		t.Errorf("record 6 is %+v, %v, want the record of the repair", r, err)
	}
	if n := size(t, log); n != 7 {
		t.Errorf("%d records, want 6 and the repair", n)
	}
	logtest.Close(t, log)
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(names, " "), "torn-00000000000000000006-") {
		t.Errorf("log/ holds %v, want what was cut off", names)
	}
	check(t, disk, nil, "after the repair")
}

func TestNewerFormat(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte {
		l := lines(b)
		l[7] = rehash(l[7], `{"v":2`, `{"v":3`)
		return bytes.Join(l, nil)
	})
	o := onDisk(disk)
	o.Repair = true // not even then
	var version *record.VersionError
	if _, err := audittrail.Open("dir", o); !errors.As(err, &version) || version.Version != 3 {
		t.Errorf("Open() = %v, want a VersionError", err)
	}
}

// TestLostKeyring deletes the keyring of a log that has records.
func TestLostKeyring(t *testing.T) {
	disk := signedThenMore(t)
	names, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := disk.Remove(filepath.Join("dir/keys", name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := audittrail.Open("dir", onDisk(disk)); err == nil || !strings.Contains(err.Error(), "keyring") {
		t.Errorf("Open() = %v, want an error that names the keyring", err)
	}
	// A reader can read the structure, and sees that contents are sealed.
	log := logtest.Open(t, "dir", audittrail.Options{ReadOnly: true}.With(audittrail.Seams{FS: disk}))
	r, err := log.Get(t.Context(), 2)
	if err != nil || r.State != record.Sealed || r.Event.Type != event.Prompt || r.Event.Prompt != "" {
		t.Errorf("Get(2) = %+v, %v, want it sealed", r, err)
	}
	logtest.Close(t, log)
}

// TestAlteredIsNotAbsent has a reader meet a line whose length was changed.
func TestAlteredIsNotAbsent(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, filepath.Join("log", firstSegment), func(b []byte) []byte {
		l := lines(b)
		l[3] = bytes.Replace(l[3], []byte(`"type":"prompt"`), []byte(`"type":"x.prompt"`), 1)
		return bytes.Join(l, nil)
	})
	log := logtest.Open(t, "dir", audittrail.Options{ReadOnly: true}.With(audittrail.Seams{FS: disk}))
	if r, err := log.Get(t.Context(), 2); err != nil || r.Seq != 2 {
		t.Errorf("Get(2) = %+v, %v: the records in front of it are whole", r, err)
	}
	var line *record.CorruptError
	for _, seq := range []uint64{3, 4, 7} {
		if _, err := log.Get(t.Context(), seq); !errors.As(err, &line) || errors.Is(err, audittrail.ErrNoRecord) {
			t.Errorf("Get(%d) = %v, want a CorruptError", seq, err)
		}
	}
	if n, err := log.Size(); !errors.As(err, &line) {
		t.Errorf("Size() = %d, %v, want a CorruptError", n, err)
	}
	if _, err := log.Stat(t.Context()); !errors.As(err, &line) {
		t.Errorf("Stat() = %v, want a CorruptError", err)
	}
	logtest.Close(t, log)
}

func TestNamedMasterMustBeThere(t *testing.T) {
	disk := signedThenMore(t)
	o := audittrail.Options{ReadOnly: true, Master: keyring.MasterText("")}.With(audittrail.Seams{FS: disk})
	if _, err := audittrail.Open("dir", o); err == nil {
		t.Error("Open() took a master key that is none for an absent keyring")
	}
}
