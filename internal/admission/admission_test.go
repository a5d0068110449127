package admission_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/admission"
	"audittrail/internal/logtest"
	"audittrail/internal/segment"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// The records of the log that made makes.
const (
	aliceSeq = iota
	bobSeq
	erasedSeq // of alice
	laterSeq
	size
)

// made makes a log and returns its folder and its lines.
func made(t *testing.T) (dir string, lines [][]byte) {
	t.Helper()
	dir = t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	for _, user := range []string{"alice", "bob"} {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: user, Prompt: "x"})
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"alice"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "bob", Prompt: "y"})
	logtest.Close(t, log)
	b, err := os.ReadFile(segmentOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	if lines = bytes.SplitAfter(b, []byte("\n")); len(lines) != size+1 {
		t.Fatalf("the log has %d lines, want %d", len(lines)-1, size)
	}
	return dir, lines[:size]
}

func segmentOf(dir string) string { return filepath.Join(dir, "log", "00000000000000000000.jsonl") }

// opened opens a log's keyring, and its lines up to a size.
func opened(t *testing.T, dir string) (*keyring.Ring, *segment.Store) {
	t.Helper()
	ring, err := keyring.Open(t.Context(), filepath.Join(dir, "keys"), keyring.Options{
		FS: vfs.OS, Master: keyring.MasterFile(vfs.OS, filepath.Join(dir, "keys", "master.key")), ReadOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := segment.Open(vfs.OS, filepath.Join(dir, "log"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(store.Close(), ring.Close()); err != nil {
			t.Error(err)
		}
	})
	return ring, store
}

// forged is a line like another one, with changes, as the record that follows last.
func forged(t *testing.T, line, last []byte, change ...string) []byte {
	t.Helper()
	tail, ok := record.ParseChainLink(bytes.TrimSuffix(last, []byte("\n")))
	if !ok {
		t.Fatalf("not a record: %s", last)
	}
	s := string(line[:bytes.LastIndex(line, []byte(`,"seq":`))])
	for ; len(change) > 0; change = change[2:] {
		if !strings.Contains(s, change[0]) {
			t.Fatalf("the line has no %s: %s", change[0], s)
		}
		s = strings.Replace(s, change[0], change[1], 1)
	}
	s += fmt.Sprintf(`,"seq":%d,"logged":"%s","prev":"%s"`, tail.Seq+1, event.AppendTime(nil, tail.Logged), tail.Hash)
	sum := sha256.Sum256([]byte(s))
	return []byte(s + `,"hash":"` + hex.EncodeToString(sum[:]) + "\"}\n")
}

func idOf(line []byte) string {
	at := bytes.Index(line, []byte(`"id":"`))
	return string(line[at : at+len(`"id":"`)+36])
}

func subjectOf(line []byte) string {
	at := bytes.Index(line, []byte(`"subject":"`))
	return string(line[at : at+len(`"subject":"`)+32])
}

const fresh = `"id":"0a0b0c0d-0000-4000-8000-00000000beef`

// TestReject has lines judged that follow those of a log.
func TestReject(t *testing.T) {
	dir, lines := made(t)
	ring, store := opened(t, dir)
	if err := store.Refresh(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	bob, last := lines[bobSeq], lines[laterSeq]
	next := func(change ...string) []byte { return forged(t, bob, last, change...) }
	for _, c := range []struct {
		name  string
		lines [][]byte
		n     int
		why   string
	}{
		{"none", nil, 0, ""},
		{"the log's own", lines[bobSeq:], 3, ""},
		{"about somebody erased", [][]byte{forged(t, lines[aliceSeq], last, idOf(lines[aliceSeq]), fresh)}, 0, "erased before"},
		{"a copy of somebody erased", [][]byte{forged(t, lines[aliceSeq], last)}, 0, "erased before"},
		{"a copy", [][]byte{next()}, 0, "a copy of record 1"},
		{"a copy after the original", [][]byte{bob, lines[erasedSeq], last, next()}, 3, "a copy of record 1"},
		{"under another id", [][]byte{next(idOf(bob), fresh)}, 0, "does not open"},
		{"of another type", [][]byte{next(`"type":"prompt"`, `"type":"response"`)}, 0, "does not open"},
		{"about somebody unknown", [][]byte{next(subjectOf(bob), `"subject":"`+strings.Repeat("ab", 16))}, 0, "absent"},
		{"the log's own type", [][]byte{next(`"type":"prompt"`, `"type":"segments_dropped"`)}, 0, "the log's own records"},
		{"a newer format", [][]byte{next(`{"v":2,`, `{"v":99,`)}, 0, "99"},
		{"no format", [][]byte{next(`{"v":2,`, `{"v":1e0,`)}, 0, "canonical"},
		{"junk", [][]byte{[]byte("junk\n")}, 0, "canonical"},
		{"good, then bad", [][]byte{bob, []byte("junk\n"), last}, 1, "canonical"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var bare [][]byte
			for _, line := range c.lines {
				bare = append(bare, bytes.TrimSuffix(line, []byte("\n")))
			}
			j := &admission.Judge{Ring: ring, Store: store}
			if n, why, err := j.Reject(t.Context(), bare); n != c.n || !strings.Contains(why, c.why) || (why == "") != (c.why == "") || err != nil {
				t.Errorf("Reject = %d, %q, %v; want %d, %q", n, why, err, c.n, c.why)
			}
			// An order that readers see refuses a key that the keyring still has.
			j = &admission.Judge{Ring: ring, Store: store, Orders: orders(func(record.Subject, string) (record.State, error) { return record.Erased, nil })}
			if n, why, err := j.Reject(t.Context(), bare); len(bare) > 0 && (n > 0 || why == "") || err != nil {
				t.Errorf("Reject, all erased = %d, %q, %v; want none to count", n, why, err)
			}
		})
	}
}

// orders are a function that says what was ordered.
type orders func(record.Subject, string) (record.State, error)

func (o orders) Refused(s record.Subject, class string) (record.State, error) { return o(s, class) }

// erasedOnce makes a log of one record and of the erasure of whom it is about, and a
// copy of its folder from before the erasure.
func erasedOnce(t *testing.T) (dir, before string) {
	t.Helper()
	dir = t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "alice", Prompt: "x"})
	before = filepath.Join(t.TempDir(), "before")
	if err := os.CopyFS(before, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keys", "keys/master.key"} {
		if err := os.Chmod(filepath.Join(before, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"alice"}, Reason: "r", Basis: "b"}); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	return dir, before
}

// TestRejectErasedBehind judges lines, one of which is an erasure, with the
// keys from before it: a record after the erasure about the erased person does
// not count.
func TestRejectErasedBehind(t *testing.T) {
	dir, before := erasedOnce(t)
	b, err := os.ReadFile(segmentOf(dir))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	ring, store := opened(t, before)
	if err := store.Refresh(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		lines [][]byte
		n     int
	}{
		"before it":              {lines[:2], 2},
		"after it":               {[][]byte{lines[1], lines[0]}, 1},
		"before it and after it": {[][]byte{lines[0], lines[1], lines[0]}, 2},
	} {
		j := &admission.Judge{Ring: ring, Store: store}
		if n, why, err := j.Reject(t.Context(), c.lines); n != c.n || strings.Contains(why, "erased before") != (n < len(c.lines)) || err != nil {
			t.Errorf("%s: Reject = %d, %q, %v; want %d that count", name, n, why, err, c.n)
		}
	}
}

// TestLookBesideErasure looks at a log in which somebody is erased meanwhile:
// the record that can no longer be decrypted was signed before, and counts.
func TestLookBesideErasure(t *testing.T) {
	dir, before := erasedOnce(t)
	b, err := os.ReadFile(segmentOf(dir))
	if err == nil {
		err = os.WriteFile(segmentOf(before), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ring, store := opened(t, before)
	erased := false
	r := &admission.Reader{FS: vfs.OS, Tree: filepath.Join(before, "tree"), Store: store, Ring: ring}
	r.Orders = orders(func(record.Subject, string) (record.State, error) {
		if erased {
			return record.Readable, errors.New("asked about a record that was signed")
		}
		erased = true
		for _, name := range []string{"tree", "keys"} {
			files, err := os.ReadDir(filepath.Join(dir, name))
			if err != nil {
				return record.Readable, err
			}
			for _, f := range files {
				b, err := os.ReadFile(filepath.Join(dir, name, f.Name()))
				if err == nil && f.Name() != "master.key" {
					err = os.WriteFile(filepath.Join(before, name, f.Name()), b, 0o600)
				}
				if err != nil {
					return record.Readable, err
				}
			}
		}
		return record.Erased, nil
	})
	found, err := r.Look(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Beyond(); !erased || got.Records > 0 || got.Detail != "" || got.Size != 2 {
		t.Errorf("Beyond = %+v of %d; want 2 records that count, and nothing beyond", got, found)
	}
}

// TestRejectWithoutOrders judges lines while the orders of the log cannot be
// read: none counts, unless the Judge is Lenient because the log is damaged.
func TestRejectWithoutOrders(t *testing.T) {
	dir, lines := made(t)
	ring, store := opened(t, dir)
	if err := store.Refresh(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	line := [][]byte{bytes.TrimSuffix(lines[bobSeq], []byte("\n"))}
	failed := errors.New("cannot be read")
	ctx, cancel := context.WithCancel(t.Context())
	j := &admission.Judge{Ring: ring, Store: store, Orders: orders(func(record.Subject, string) (record.State, error) {
		return record.Readable, failed
	})}
	if n, _, err := j.Reject(ctx, line); n != 0 || !errors.Is(err, failed) {
		t.Errorf("Reject = %d, %v; want 0, %v", n, err, failed)
	}
	j.Lenient = true
	if n, why, err := j.Reject(ctx, line); n != 1 || why != "" || err != nil {
		t.Errorf("Reject, leniently = %d, %q, %v; want 1", n, why, err)
	}
	j.Orders = orders(func(record.Subject, string) (record.State, error) {
		cancel()
		return record.Readable, ctx.Err()
	})
	if n, _, err := j.Reject(ctx, line); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Reject, called off = %d, %v; want 0, %v", n, err, context.Canceled)
	}
}

// TestLook looks at logs that somebody without keys has added to or cut, with the
// keyring and without it.
func TestLook(t *testing.T) {
	plain, lines := made(t)
	checkpoint := filepath.Join("tree", "checkpoint")
	for _, c := range []struct {
		name            string
		file            string
		do              func(b []byte) []byte
		size, records   uint64 // with the keyring
		detail          string
		behind          uint64
		damage          bool   // of the checkpoint
		wrong           string // why it does not count
		sizeWithoutRing uint64
	}{
		{name: "nothing", file: checkpoint, do: func(b []byte) []byte { return b }, size: 4, sizeWithoutRing: 4},
		{name: "a copy", file: "", do: func(b []byte) []byte { return append(b, forged(t, lines[bobSeq], lines[laterSeq])...) }, size: 4, records: 1, detail: "a copy of record 1", sizeWithoutRing: 4},
		{name: "the last line again", file: "", do: func(b []byte) []byte { return append(b, lines[laterSeq]...) }, size: 4, records: 1, detail: "does not continue", sizeWithoutRing: 4},
		{name: "half a line", file: "", do: func(b []byte) []byte { return append(b, lines[laterSeq][:40]...) }, size: 4, sizeWithoutRing: 4},
		{name: "cut off", file: "", do: func(b []byte) []byte { return b[:len(b)-len(lines[laterSeq])] }, size: 3, behind: 1, sizeWithoutRing: 3},
		{name: "no checkpoint", file: checkpoint, do: func([]byte) []byte { return nil }, size: 4, damage: true, wrong: "malformed"},
		{name: "another signature", file: checkpoint, do: func(b []byte) []byte { b[len(b)-20] = other(b[len(b)-20]); return b }, size: 4, damage: true, wrong: "malformed", sizeWithoutRing: 4},
		{name: "of more than there is", file: checkpoint, do: func(b []byte) []byte { return bytes.Replace(b, []byte("\n4\n"), []byte("\n5\n"), 1) }, size: 4, wrong: "signature does not verify", sizeWithoutRing: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "log")
			if err := os.CopyFS(dir, os.DirFS(plain)); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"keys", "keys/master.key"} {
				if err := os.Chmod(filepath.Join(dir, name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			name := segmentOf(dir)
			if c.file != "" {
				name = filepath.Join(dir, c.file)
			}
			b, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(name, c.do(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			ring, store := opened(t, dir)
			r := &admission.Reader{FS: vfs.OS, Tree: filepath.Join(dir, "tree"), Store: store, Ring: ring}
			if _, err := r.Look(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			got := r.Beyond()
			if got.Size != c.size || store.Size() != c.size || got.Records != c.records || !strings.Contains(got.Detail, c.detail) || got.Behind != c.behind || (got.Damage != "") != c.damage {
				t.Errorf("Beyond = %+v; want %d that count, %d beyond them: %q, %d missing, damage %t", got, c.size, c.records, c.detail, c.behind, c.damage)
			}
			if _, err := r.Checkpoint(); (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("Checkpoint = %v; want %q", err, c.wrong)
			}
			r = &admission.Reader{FS: vfs.OS, Tree: filepath.Join(dir, "tree"), Store: store}
			if _, err := r.Look(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if got := r.Beyond(); got.Size != c.sizeWithoutRing || got.Unchecked == "" {
				t.Errorf("without the keyring, Beyond = %+v; want %d that count, at the checkpoint's word", got, c.sizeWithoutRing)
			}
		})
	}
}

// other is another letter of base64.
func other(b byte) byte {
	if b == 'A' {
		return 'B'
	}
	return 'A'
}
