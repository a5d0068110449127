package audittrail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// copyTree copies the files of a folder.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// bringBackKeys puts a copy of the keyring of before in the place of the log's.
func bringBackKeys(t *testing.T, dir, kept string) {
	t.Helper()
	keys := filepath.Join(dir, "keys")
	if err := os.RemoveAll(keys); err != nil {
		t.Fatal(err)
	}
	copyTree(t, kept, keys)
}

// TestErasedIsGone looks for erased contents in every byte of the disk, with
// every key that is left.
func TestErasedIsGone(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	e := about("zoe-the-secret", "the moon is made of cheese")
	e.ID, e.Response = "zoe's own id", strings.Repeat("cheese and wine ", 1000)
	e.Metadata = map[string]json.RawMessage{"address": json.RawMessage(`"zoe-lane 7"`)}
	gone := []uint64{logtest.Append(t, log, e).Seq}
	logtest.Append(t, log, about("bob", "harmless"))
	gone = append(gone, logtest.Append(t, log, about("zoe-the-secret", "cheese again")).Seq)
	h := hold(t, log, governance.Hold{User: "zoe-the-secret"})
	gone = append(gone, h.Seq)
	release(t, log, h.ID)
	subject, _, err := log.Subject("zoe-the-secret")
	if err != nil {
		t.Fatal(err)
	}
	erase(t, log, "zoe-the-secret")
	logtest.Close(t, log)

	// Long enough that no key or sealed text has one of them by chance.
	secrets := []string{"zoe-the-secret", "zoe's own id", "moon is made", "cheese and wine", "cheese again", "zoe-lane 7"}
	plain := 0
	err = filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		plain += len(b)
		for _, s := range secrets {
			if strings.Contains(name, s) || bytes.Contains(bytes.ToLower(b), []byte(s)) {
				t.Errorf("%s holds %q", name, s)
			}
		}
		return nil
	})
	if err != nil || plain == 0 {
		t.Fatalf("looked at %d bytes, %v", plain, err)
	}

	// Every key that the ring gives out, on every sealed body.
	ring, err := keyring.Open(t.Context(), filepath.Join(dir, "keys"), keyring.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ring.Close(); err != nil {
			t.Error(err)
		}
	}()
	bob, _, err := ring.LookupUser("bob")
	if err != nil {
		t.Fatal(err)
	}
	classes, err := ring.Classes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.User(subject); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("User(erased) = %v, want ErrErased", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "log", firstSegment))
	if err != nil {
		t.Fatal(err)
	}
	opened, tried := 0, 0
	for seq, line := range lines(text) {
		r, err := record.Decode(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []record.Subject{bob, ring.System(), subject} {
			for _, c := range append(classes, audittrail.GovernanceClass+"/0001-01") {
				prk, err := ring.DecryptionKey(s, c)
				if err != nil {
					continue
				}
				tried++
				if r.Open(prk) != nil {
					continue
				}
				opened++
				for _, g := range gone {
					if uint64(seq) == g {
						t.Errorf("record %d of the person opens", seq)
					}
				}
			}
		}
	}
	if opened != len(lines(text))-len(gone) || tried == 0 {
		t.Errorf("%d of %d records open, %d are of the person", opened, len(lines(text)), len(gone))
	}
}

// TestOlderKeyring restores the keyring from before an erasure, with the
// present log.
func TestOlderKeyring(t *testing.T) {
	dir, kept := t.TempDir(), filepath.Join(t.TempDir(), "keys")
	log := logtest.Open(t, dir, audittrail.Options{Create: true, Classes: []string{"short"}})
	a := logtest.Append(t, log, about("ann", "one")).Seq
	b := logtest.Append(t, log, about("bob", "two")).Seq
	e := about("bob", "three")
	e.RetentionClass = "short"
	c := logtest.Append(t, log, e).Seq
	logtest.Close(t, log)
	copyTree(t, filepath.Join(dir, "keys"), kept)

	// The class is removed from the log's classes, so that its month may expire
	// early.
	log = logtest.Open(t, dir, audittrail.Options{})
	subject, _, err := log.Subject("ann")
	if err != nil {
		t.Fatal(err)
	}
	erase(t, log, "ann")
	classes, err := log.Classes()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Expire(t.Context(), classes[:1], "r"); err != nil {
		t.Fatal(err)
	}
	states := map[uint64]record.State{a: record.Erased, b: record.Readable, c: record.Expired}
	wantStates(t, log, states)
	logtest.Close(t, log)

	bringBackKeys(t, dir, kept)
	// A reader refuses a record whose key the keyring still has.
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	wantStates(t, reader, states)
	if _, ok, err := reader.Subject("ann"); ok || err != nil {
		t.Errorf("reader: Subject = %v, %v, want none", ok, err)
	}
	if user, state, err := reader.User(subject); user != "" || state != record.Erased || err != nil {
		t.Errorf("reader: User = %q, %v, %v, want erased", user, state, err)
	}
	if _, err := reader.Disclose(t.Context(), a); err == nil {
		t.Error("reader: Disclose(erased) = nil, want an error")
	}
	for r, err := range reader.Records(t.Context(), 0, 100) {
		if err != nil || strings.Contains(r.Event.Prompt, "one") {
			t.Errorf("reader: record %d: %v", r.Seq, err)
		}
	}
	// A writer destroys the keys again before anything is read.
	log = logtest.Open(t, dir, audittrail.Options{})
	wantStates(t, log, states)
	logtest.Close(t, log)
	ring, err := keyring.Open(t.Context(), filepath.Join(dir, "keys"), keyring.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ring.Close() }()
	if _, err := ring.User(subject); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("the keyring that was brought back: User = %v, want ErrErased", err)
	}
	wantStates(t, reader, states)
}

// governed erases, expires, and places and releases holds, until the disk
// fails. It returns the calls that succeeded.
type certain struct {
	ann, bob, old uint64 // records of ann, of bob, and of a month that is over
	begun         bool   // all three are acknowledged
	erased        bool   // Erase returned
	expired       bool
	placed        bool
	released      bool
}

func govern(disk vfs.FS, c *clock) (k certain, err error) {
	o := audittrail.Options{Create: true, LockWait: -1, Classes: []string{"short"}}
	log, err := audittrail.Open("dir", o.With(audittrail.Seams{FS: disk, Now: c.Now, Roll: 4000}))
	if err != nil {
		return k, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ctx := context.Background()
	put := func(e event.Event, at *uint64) {
		if err == nil {
			var r audittrail.Receipt
			r, err = log.Append(ctx, e)
			*at = r.Seq
		}
	}
	short := about("bob", "old")
	short.RetentionClass = "short"
	put(about("ann", "of ann"), &k.ann)
	put(about("bob", "of bob"), &k.bob)
	put(short, &k.old)
	if err != nil {
		return k, err
	}
	k.begun = true
	if err := log.SetClasses(nil, nil); err != nil { // so that "short" may expire
		return k, err
	}
	if _, _, err := audittrail.Ring(log).NewFileKey(); err != nil {
		return k, err
	}
	h, err := log.PlaceHold(ctx, governance.Hold{User: "bob", Reason: "r"})
	if err != nil {
		return k, err
	}
	k.placed = true
	if _, err := log.Erase(ctx, audittrail.Erasure{Users: []string{"ann"}, Reason: "r"}); err != nil {
		return k, err
	}
	k.erased = true
	classes, err := log.Classes()
	if err != nil {
		return k, err
	}
	if _, err := log.Expire(ctx, classes[:1], "r"); err != nil {
		return k, err
	}
	k.expired = true
	if _, err := log.ReleaseHold(ctx, h.ID, "r", ""); err != nil {
		return k, err
	}
	k.released = true
	return k, nil
}

// TestCrashWhileErasing lets the disk stop at every operation of erasing,
// expiring, holding and releasing.
func TestCrashWhileErasing(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)}
	for n := 0; ; n++ {
		disk := vfs.NewMem()
		disk.FailAfter(n)
		k, err := govern(disk, c)
		if err != nil && !errors.Is(err, vfs.ErrCrashed) && !strings.Contains(err.Error(), "unknown state") {
			t.Fatalf("operation %d: %v", n, err)
		}
		checkGoverned(t, disk.KillOnly(), c, k, fmt.Sprintf("kill at operation %d", n))
		for seed := range uint64(3) {
			after := disk.Crash(rand.New(rand.NewPCG(seed, 0)))
			checkGoverned(t, after, c, k, fmt.Sprintf("power loss at operation %d, seed %d", n, seed))
		}
		if err == nil {
			t.Logf("%d operations", n)
			return
		}
	}
}

func checkGoverned(t *testing.T, disk *vfs.Mem, c *clock, k certain, what string) {
	t.Helper()
	if !k.begun {
		return // of what comes before, other tests tell
	}
	disk.FailAfter(-1)
	o := audittrail.Options{LockWait: -1}.With(audittrail.Seams{FS: disk, Now: c.Now, Roll: 4000})
	ro := o
	ro.ReadOnly = true
	reader, err := audittrail.Open("dir", ro)
	if err != nil {
		t.Fatalf("%s: open to read: %v", what, err)
	}
	// Read before a writer has put anything in order.
	first := seen(t, reader, k, what)
	logtest.Close(t, reader)
	log, err := audittrail.Open("dir", o)
	if err != nil {
		t.Fatalf("%s: open: %v", what, err)
	}
	got := seen(t, log, k, what)
	// The orders are carried out, and both logs show that.
	ordered := map[event.Type]bool{}
	for r, err := range log.GovernanceRecords(t.Context(), 0) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ordered[r.Event.Type] = true
	}
	want := [3]record.State{}
	if ordered[event.SubjectErased] {
		want[0] = record.Erased
	}
	if ordered[event.ClassExpired] && (ordered[event.HoldReleased] || !ordered[event.HoldPlaced]) {
		want[2] = record.Expired
	}
	if got != want {
		t.Fatalf("%s: ann's, bob's and the old record are %v, want %v", what, got, want)
	}
	if first[0] != want[0] || first[1] != want[1] || want[2] == record.Expired && first[2] != want[2] {
		t.Fatalf("%s: a reader sees %v, a writer %v", what, first, got)
	}
	for done, kind := range map[*bool]event.Type{&k.erased: event.SubjectErased, &k.expired: event.ClassExpired, &k.placed: event.HoldPlaced, &k.released: event.HoldReleased} {
		if *done && !ordered[kind] {
			t.Fatalf("%s: %s returned, and is not in the log", what, kind)
		}
	}
	if _, err := log.Append(t.Context(), about("ann", "back")); err != nil {
		t.Fatalf("%s: append: %v", what, err)
	}
	if v, err := log.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() {
		t.Fatalf("%s: verify: %+v, %v", what, v, err)
	}
	logtest.Close(t, log)
}

func seen(t *testing.T, log *audittrail.Log, k certain, what string) (states [3]record.State) {
	t.Helper()
	for i, seq := range []uint64{k.ann, k.bob, k.old} {
		r, err := log.Get(t.Context(), seq)
		if err != nil {
			t.Fatalf("%s: Get(%d): %v", what, seq, err)
		}
		states[i] = r.State
	}
	return states
}

// TestEraseRaces appends about people and reads, here and as another process,
// while they are erased again and again.
func TestEraseRaces(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	logtest.Append(t, log, about("ann", "first"))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := log.Append(context.WithoutCancel(ctx), about([]string{"ann", "bob"}[w%2], fmt.Sprint(i))); err != nil {
					t.Errorf("Append: %v", err)
					return
				}
			}
		})
	}
	for _, l := range []*audittrail.Log{log, reader} {
		wg.Go(func() {
			for ctx.Err() == nil {
				for _, err := range l.Records(context.WithoutCancel(ctx), 0, record.MaxSeq) {
					if err != nil {
						t.Errorf("Records: %v", err)
						return
					}
				}
			}
		})
	}
	barriers := map[record.Subject]uint64{}
	for i := range 8 {
		logtest.Append(t, log, about("ann", fmt.Sprint("back again ", i))) // the others may not have had their turn
		done := erase(t, log, "ann")
		for _, s := range done.Subjects {
			barriers[s] = done.Receipt.Seq
		}
		// Records are erased for both logs as soon as Erase has returned.
		for _, l := range []*audittrail.Log{log, reader} {
			for r, err := range l.Records(t.Context(), 0, done.Receipt.Seq) {
				if _, gone := barriers[r.Subject]; err != nil || gone && r.State != record.Erased {
					t.Errorf("record %d is %v, %v, want erased", r.Seq, r.State, err)
				}
			}
		}
	}
	stop()
	wg.Wait()
	if len(barriers) < 8 {
		t.Errorf("%d subjects were erased, want one each time", len(barriers))
	}
	for r, err := range log.Records(t.Context(), 0, record.MaxSeq) {
		if err != nil {
			t.Fatal(err)
		}
		if at, gone := barriers[r.Subject]; gone && r.Seq > at {
			t.Errorf("record %d is about a subject that record %d erased", r.Seq, at)
		}
	}
	if v, err := log.Verify(t.Context(), audittrail.VerifyOptions{}); err != nil || !v.Valid() {
		t.Errorf("Verify = %+v, %v", v, err)
	}
}

// TestErasedInArchives erases a person, archives the order and the erased
// records, and restores the keyring from an earlier backup: the order has
// stayed in the log, and is carried out again, also on records that are
// restored from the archive.
func TestErasedInArchives(t *testing.T) {
	dir, to := t.TempDir(), t.TempDir()
	o := audittrail.Options{Create: true}.With(audittrail.Seams{Roll: 6000})
	log := logtest.Open(t, dir, o)
	a := logtest.Append(t, log, about("zoe-the-secret", "cheese")).Seq
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if _, err := log.BackupKeys(t.Context(), &backup, id.Recipient(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	subject, _, err := log.Subject("zoe-the-secret")
	if err != nil {
		t.Fatal(err)
	}
	order := erase(t, log, "zoe-the-secret").Receipt.Seq
	for i := range 30 {
		logtest.Append(t, log, about("", fmt.Sprint(i)))
	}
	firsts := whole(t, log, 1)
	if err := log.ArchiveSegments(t.Context(), firsts, to, "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Restore(t.Context(), filepath.Join(dir, "keys"), &backup, id, keyring.Options{}); err != nil {
		t.Fatal(err)
	}
	check := func(l *audittrail.Log) {
		t.Helper()
		if user, state, err := l.User(subject); user != "" || state != record.Erased || err != nil {
			t.Errorf("User = %q, %v, %v, want erased", user, state, err)
		}
		wantStates(t, l, map[uint64]record.State{order: record.Readable})
	}
	check(logtest.Open(t, dir, audittrail.Options{ReadOnly: true}))
	log = logtest.Open(t, dir, o)
	check(log)
	if err := log.RestoreSegments(t.Context(), firsts); err != nil {
		t.Fatal(err)
	}
	wantStates(t, log, map[uint64]record.State{a: record.Erased})
}

// TestAppliedAdvances checks that governance records that destroy no keys are
// not read again at every opening.
func TestAppliedAdvances(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	a := logtest.Append(t, log, about("ann", "one")).Seq
	var wg sync.WaitGroup
	for range 600 {
		wg.Go(func() {
			if _, err := log.AppendGovernance(context.WithoutCancel(t.Context()), grant("")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	logtest.Close(t, log)
	for range 2 {
		log = logtest.Open(t, dir, audittrail.Options{})
		wantStates(t, log, map[uint64]record.State{a: record.Readable})
		logtest.Close(t, log)
	}
	ring, err := keyring.Open(t.Context(), filepath.Join(dir, "keys"), keyring.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	seq, _ := ring.LastDestruction()
	if err := ring.Close(); err != nil || seq != 600 {
		t.Errorf("Applied = %d, %v, want 600", seq, err)
	}
	log = logtest.Open(t, dir, audittrail.Options{})
	erase(t, log, "ann")
	wantStates(t, log, map[uint64]record.State{a: record.Erased})
}

// TestOlderKeyringOnDamage checks that a reader of a damaged log does not show
// erased persons, either.
func TestOlderKeyringOnDamage(t *testing.T) {
	dir, kept := t.TempDir(), filepath.Join(t.TempDir(), "keys")
	o := audittrail.Options{Create: true}.With(audittrail.Seams{Roll: 3000})
	log := logtest.Open(t, dir, o)
	a := logtest.Append(t, log, about("ann", "one")).Seq
	b := logtest.Append(t, log, about("bob", "two")).Seq
	logtest.Close(t, log)
	copyTree(t, filepath.Join(dir, "keys"), kept)
	log = logtest.Open(t, dir, o)
	erase(t, log, "ann")
	for i := range 12 {
		logtest.Append(t, log, about("", fmt.Sprint(i)))
	}
	logtest.Close(t, log)
	bringBackKeys(t, dir, kept)
	// The first segment loses its side file, and bob's line its end.
	name := filepath.Join(dir, "log", firstSegment)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := len(lines(text)[0]) + len(lines(text)[1]) - 10
	text[at] ^= 1
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(strings.TrimSuffix(name, ".jsonl") + ".side"); err != nil {
		t.Fatal(err)
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	wantStates(t, reader, map[uint64]record.State{a: record.Erased})
	if _, err := reader.Get(t.Context(), b); err == nil {
		t.Error("the damaged record is read")
	}
}
