package audittrail_test

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// TestWhyALineDoesNotCount checks that readers and verify say what is wrong
// with lines beyond the newest checkpoint.
func TestWhyALineDoesNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l [][]byte) [][]byte
		seq    uint64
		want   string
	}{
		"a newer format": {func(l [][]byte) [][]byte {
			l[7] = rehash(l[7], `{"v":2`, `{"v":3`)
			return l
		}, 7, "3"},
		"a type of the log's own": {func(l [][]byte) [][]byte {
			l[7] = rehash(l[7], `"type":"prompt"`, `"type":"log_repaired"`)
			return l
		}, 7, "claims to be one of the log's own records"},
		"a copy of one before it": {func(l [][]byte) [][]byte {
			return append(l, placed(l[6], 8, tailOf(l[7]).Logged, tailOf(l[7]).Hash))
		}, 8, "it is a copy of record 6"},
	} {
		disk := signedThenMore(t)
		edit(t, disk, "log/"+firstSegment, func(b []byte) []byte { return bytes.Join(c.change(lines(b)), nil) })
		o := onDisk(disk)
		o.ReadOnly, o.Create = true, false
		reader := logtest.Open(t, "dir", o)
		b, err := reader.Beyond(t.Context())
		if err != nil || b.Size != c.seq || b.Records != 1 || !strings.Contains(b.Detail, c.want) {
			t.Errorf("%s: Beyond() = %+v, %v, want one line that does not count, since %q", name, b, err, c.want)
		}
		logtest.Close(t, reader)
		v := verifyOn(t, disk, audittrail.VerifyOptions{})
		wantUnauthenticated(t, v, int(c.seq))
		if !strings.Contains(v.Findings[0].Detail, c.want) {
			t.Errorf("%s: verify: %+v, want %q", name, v.Findings, c.want)
		}
	}
}

// TestErasedBeforeItCounted has a record be about somebody whose key was destroyed
// before it was signed.
func TestErasedBeforeItCounted(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, about("bob", "0"))
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign := holdSigning(disk)
	logtest.Append(t, log, about("ann", "1"))
	before := disk.KillOnly()
	sign()
	erase(t, log, "ann")
	logtest.Close(t, log)
	// The log of before, and the keys of now.
	for _, name := range dirNames(t, disk, "dir/keys") {
		if name == "signed" {
			continue // what was signed before
		}
		b := readOn(t, disk, "keys/"+name)
		edit(t, before, "keys/"+name, func([]byte) []byte { return b })
	}
	o := onDisk(before)
	o.ReadOnly, o.Create = true, false
	reader := logtest.Open(t, "dir", o)
	b, err := reader.Beyond(t.Context())
	if err != nil || b.Size != 1 || b.Records != 1 || !strings.Contains(b.Detail, "a data subject who was erased before") {
		t.Errorf("Beyond() = %+v, %v, want one line that does not count, about somebody who was erased", b, err)
	}
	logtest.Close(t, reader)
}

// TestExpiredBeforeItCounted has a record be of a month whose keys were destroyed before
// it was signed.
func TestExpiredBeforeItCounted(t *testing.T) {
	disk := vfs.NewMem()
	c := &clock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
	log := aYear(t, disk, c, audittrail.Options{})
	logtest.Append(t, log, about("bob", "0"))
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign := holdSigning(disk)
	logtest.Append(t, log, about("ann", "1"))
	before := disk.KillOnly()
	sign()
	c.set(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	if _, err := log.Expire(t.Context(), []string{"standard/2026-01"}, "r"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	for _, name := range dirNames(t, disk, "dir/keys") {
		if name == "signed" {
			continue // what was signed before
		}
		b := readOn(t, disk, "keys/"+name)
		edit(t, before, "keys/"+name, func([]byte) []byte { return b })
	}
	reader := aYear(t, before, c, audittrail.Options{ReadOnly: true})
	b, err := reader.Beyond(t.Context())
	if err != nil || b.Size != 1 || b.Records != 1 || !strings.Contains(b.Detail, "of a month that had expired before") {
		t.Errorf("Beyond() = %+v, %v, want one line that does not count, of a month that is over", b, err)
	}
	logtest.Close(t, reader)
}

// TestErasedByOrder has an authentic record be about somebody whose erasure the log
// orders, while the keyring of before still has the key.
func TestErasedByOrder(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, about("ann", "0"))
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	fork := disk.KillOnly()
	keys := map[string][]byte{}
	for _, name := range dirNames(t, fork, "dir/keys") {
		keys[name] = readOn(t, fork, "keys/"+name)
	}
	erase(t, log, "ann")
	n := size(t, log)
	logtest.Close(t, log)
	other := logtest.Open(t, "dir", onDisk(fork))
	logtest.Append(t, other, about("ann", "of the fork"))
	logtest.Close(t, other)
	forked := lines(readOn(t, fork, "log/"+firstSegment))[1]
	edit(t, disk, "log/"+firstSegment, func(b []byte) []byte {
		l := lines(b)
		end := tailOf(l[len(l)-1])
		return append(b, placed(forked, n, end.Logged, end.Hash)...)
	})
	for name, b := range keys {
		edit(t, disk, "keys/"+name, func([]byte) []byte { return b })
	}
	o := onDisk(disk)
	o.ReadOnly, o.Create = true, false
	reader := logtest.Open(t, "dir", o)
	b, err := reader.Beyond(t.Context())
	if err != nil || b.Size != n || b.Records != 1 || !strings.Contains(b.Detail, "a data subject who was erased before") {
		t.Errorf("Beyond() = %+v, %v, want one line that does not count, about somebody who was erased", b, err)
	}
	logtest.Close(t, reader)
	wantUnauthenticated(t, verifyOn(t, disk, audittrail.VerifyOptions{}), int(n))
}

// TestReadErrorIsNoLicence fails each read of a reader once, of a log to which a copy of
// one of its records was added: the copy counts in no case.
func TestReadErrorIsNoLicence(t *testing.T) {
	start := vfs.NewMem()
	log := logtest.Open(t, "dir", rolling(start))
	for range 20 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: strings.Repeat("x ", 300)})
	}
	n := size(t, log)
	last := segmentFile(segments(t, log)[len(segments(t, log))-1], ".jsonl")
	logtest.Close(t, log)
	original := lines(readOn(t, start, "log/"+firstSegment))[1]
	edit(t, start, last, func(b []byte) []byte {
		l := lines(b)
		end := tailOf(l[len(l)-1])
		return append(b, placed(original, n, end.Logged, end.Hash)...)
	})
	for at := int64(1); ; at++ {
		disk := start.Clone()
		var reads atomic.Int64
		disk.Inject(func(op vfs.Op) error {
			if (op.Kind == vfs.OpRead || op.Kind == vfs.OpOpen) && strings.HasPrefix(op.Name, "dir/log/") && reads.Add(1) == at {
				return syscall.EIO
			}
			return nil
		})
		o := rolling(disk)
		o.ReadOnly, o.Create = true, false
		reader, err := audittrail.Open("dir", o)
		if err == nil {
			var b audittrail.Beyond
			if b, err = reader.Beyond(t.Context()); err == nil && b.Size != n {
				t.Errorf("read %d: Beyond() = %+v, want %d records that count", at, b, n)
			}
			logtest.Close(t, reader)
		}
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("read %d: %v, want that of the disk", at, err)
		}
		if reads.Load() < at {
			return
		}
	}
}
