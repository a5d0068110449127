package audittrail_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// ruin creates a log with all kinds of lost and added lines, and returns the
// records that can still be read, by id.
func ruin(t *testing.T) (*vfs.Mem, map[string]*record.Record) {
	t.Helper()
	disk := vfs.NewMem()
	o := rolling(disk)
	o.Classes = []string{"decade"}
	log := logtest.Open(t, "dir", o)
	for i := range 40 {
		e := event.Event{
			Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), SessionID: "s", Prompt: fmt.Sprintf("prompt %d", i),
			Time: time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC),
		}
		if i%2 == 0 {
			e.ID, e.RetentionClass = fmt.Sprintf("event %d", i), "decade"
		}
		logtest.Append(t, log, e)
	}
	if _, err := log.AppendGovernance(t.Context(), event.Event{Type: event.DatasetRegistered, Labels: map[string]string{"dataset": "d"}}); err != nil {
		t.Fatal(err)
	}
	if err := log.RotateSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	firsts := whole(t, log, 4)
	if err := log.DropSegments(t.Context(), firsts[1:2], "old"); err != nil {
		t.Fatal(err)
	}
	readable := map[string]*record.Record{}
	for r, err := range log.Records(t.Context(), 0, 1<<40) {
		if err != nil {
			t.Fatal(err)
		}
		if !r.Event.Type.Internal() {
			readable[r.Event.ID] = r
		}
	}
	third := segments(t, log)[3]
	logtest.Close(t, log)
	edit(t, disk, segmentFile(third, ".jsonl"), func(b []byte) []byte {
		l := lines(b)
		again := bytes.Clone(l[3])
		l[0][100] ^= 1 // altered
		l = append(l[:1:1], l[2:]...)
		return append(append(bytes.Join(l, nil), again...), "junk\n"...)
	})
	for id, r := range readable {
		if r.Seq == third.First || r.Seq == third.First+1 {
			delete(readable, id)
		}
	}
	return disk, readable
}

func rebuilding(disk vfs.FS) audittrail.RebuildOptions {
	o := audittrail.Options{LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000})
	return audittrail.RebuildOptions{From: "dir", Old: o, To: "new", New: o, Reason: "a bad sector"}
}

// rebuilt compares a new log with the records of the old one that could be
// read.
func rebuilt(t *testing.T, disk vfs.FS, readable map[string]*record.Record) *audittrail.RebuildResult {
	t.Helper()
	o := rolling(disk)
	v, err := audittrail.VerifyDir(t.Context(), "new", o, audittrail.VerifyOptions{})
	if err != nil || !v.Valid() {
		t.Fatalf("verify: %+v, %v", v, err)
	}
	log := logtest.Open(t, "new", o)
	defer logtest.Close(t, log)
	var said audittrail.RebuildResult
	n, last := 0, time.Time{}
	begun := false
	for r, err := range log.Records(t.Context(), 0, 1<<40) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.Type == event.LogRepaired {
			continue // of an interrupted one
		}
		if !begun {
			begun = true
			if r.Event.Type != event.LogRebuilt {
				t.Fatalf("record %d is %s", r.Seq, r.Event.Type)
			}
			if err := json.Unmarshal(r.Event.Metadata["rebuilt"], &said); err != nil {
				t.Fatal(err)
			}
			continue
		}
		old := readable[r.Event.ID]
		if old == nil {
			t.Fatalf("record %d, id %s, was not carried over from anywhere", r.Seq, r.Event.ID)
		}
		n++
		if diff := cmp.Diff(old.Event, r.Event); diff != "" || r.Class != old.Class || r.Hash == old.Hash || r.Logged.Before(last) {
			t.Errorf("record %d, class %s, was %d, class %s: %s", r.Seq, r.Class, old.Seq, old.Class, diff)
		}
		last = r.Logged
	}
	if n != len(readable) || said.Carried != uint64(n) {
		t.Errorf("%d records were carried over, the first says %d, want %d", n, said.Carried, len(readable))
	}
	return &said
}

func TestRebuild(t *testing.T) {
	disk, readable := ruin(t)
	before := snapshot(t, disk)
	r := rebuilding(disk)
	var seen, total uint64
	r.Progress = func(d, all uint64) { seen, total = d, all }
	got, err := audittrail.Rebuild(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 || seen != total {
		t.Errorf("progress ended at %d of %d", seen, total)
	}
	said := rebuilt(t, disk, readable)
	if diff := cmp.Diff(said, got); diff != "" {
		t.Error(diff)
	}
	if said.Reason != "a bad sector" || said.Origin == "" || said.Root == nil || said.Signed != said.Size || said.Copies != 1 || said.DamagedLines != 2 {
		t.Errorf("said: %+v", said)
	}
	counts := map[audittrail.LossReason]uint64{}
	sum := said.Carried
	for _, l := range said.Lost {
		counts[l.Reason] = l.Records
		sum += l.Records
		if len(l.Ranges) == 0 {
			t.Errorf("no ranges for %s", l.Reason)
		}
	}
	if counts[audittrail.LossDamaged] != 2 || counts[audittrail.LossInternal] != 2 || counts[audittrail.LossDropped] != 8 || sum != said.Size {
		t.Errorf("lost: %+v, %d of %d in all", said.Lost, sum, said.Size)
	}
	if diff := cmp.Diff(before, snapshot(t, disk)); diff != "" {
		t.Errorf("the old log was touched: %s", diff)
	}
	// A second rebuild finds it complete; over another log, a rebuild is
	// refused.
	if again, err := audittrail.Rebuild(t.Context(), r); err != nil || again.Carried != got.Carried {
		t.Errorf("again: %+v, %v", again, err)
	}
	rebuilt(t, disk, readable)
	r.Reason = "another"
	if _, err := audittrail.Rebuild(t.Context(), r); err == nil || !strings.Contains(err.Error(), "name an empty folder") {
		t.Errorf("over another log: %v", err)
	}
}

// snapshot returns the files of the old log's folder.
func snapshot(t *testing.T, disk vfs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, dir := range []string{"dir/log", "dir/tree", "dir/keys"} {
		names, err := disk.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := vfs.ReadFile(disk, dir+"/"+n, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			all[dir+"/"+n] = string(b)
		}
	}
	return all
}

// TestRebuildAfterCrash lets the disk stop at every third operation, and has it
// done again.
func TestRebuildAfterCrash(t *testing.T) {
	start, readable := ruin(t)
	for n := 0; ; n += 3 {
		disk := start.Clone()
		disk.FailAfter(n)
		_, err := audittrail.Rebuild(t.Context(), rebuilding(disk))
		if err != nil && !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("operation %d: %v", n, err)
		}
		after := disk.Crash(rand.New(rand.NewPCG(uint64(n), 0)))
		if _, err := audittrail.Rebuild(t.Context(), rebuilding(after)); err != nil {
			t.Fatalf("after operation %d: %v", n, err)
		}
		rebuilt(t, after, readable)
		if err == nil {
			return
		}
	}
}

func TestRebuildRefuses(t *testing.T) {
	disk, _ := ruin(t)
	for name, change := range map[string]func(*audittrail.RebuildOptions){
		"without a reason": func(r *audittrail.RebuildOptions) { r.Reason = "" },
		"onto itself":      func(r *audittrail.RebuildOptions) { r.To = "./dir/" },
		"from nothing":     func(r *audittrail.RebuildOptions) { r.From = "nowhere" },
		"without keys":     func(r *audittrail.RebuildOptions) { r.Old.KeysDir = "nowhere" },
	} {
		r := rebuilding(disk)
		change(&r)
		if _, err := audittrail.Rebuild(t.Context(), r); err == nil {
			t.Errorf("%s: Rebuild() = nil", name)
		}
		if _, err := disk.Stat("new"); err == nil {
			t.Errorf("%s: the new folder is there", name)
		}
	}
}

// TestRebuildForgets rebuilds a log in which a person was erased, a month has
// expired, and a hold keeps some records.
func TestRebuildForgets(t *testing.T) {
	disk := vfs.NewMem()
	now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000, Now: func() time.Time { return now }})
	log := logtest.Open(t, "dir", o)
	for i := range 12 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), Prompt: fmt.Sprint(i)})
	}
	hold, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "a claim", User: "user 1"})
	if err != nil {
		t.Fatal(err)
	}
	over, err := log.PlaceHold(t.Context(), governance.Hold{Reason: "another", Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.ReleaseHold(t.Context(), over.ID, "settled", ""); err != nil {
		t.Fatal(err)
	}
	now = now.AddDate(0, 1, 0)
	for i := range 3 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user %d", i), Prompt: "later"})
	}
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user 2"}, Reason: "asked", Basis: "GDPR 17"}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Expire(t.Context(), []string{"standard/2026-01"}, "over"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	r := rebuilding(disk)
	r.New = o
	got, err := audittrail.Rebuild(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[audittrail.LossReason]uint64{}
	for _, l := range got.Lost {
		counts[l.Reason] = l.Records
	}
	// Of January's twelve, four are held; of February's three, one is erased.
	if got.Carried != 4+2 || counts[audittrail.LossExpired] != 4 || counts[audittrail.LossErased] != 4+1 {
		t.Errorf("carried over %d, lost %+v", got.Carried, got.Lost)
	}
	log = logtest.Open(t, "new", o)
	holds, err := log.Holds(t.Context())
	if err != nil || len(holds) != 1 || holds[0].ID != hold.ID || holds[0].User != "user 1" || holds[0].Reason != "a claim" {
		t.Errorf("holds %+v, %v, want the one in force", holds, err)
	}
	logtest.Close(t, log)
}

// erasedAtEnd makes a log whose last records order an erasure, and returns it, its
// keyring from before that, and the offset of the order in the last segment.
func erasedAtEnd(t *testing.T) (disk *vfs.Mem, keys map[string][]byte, segment string, order int) {
	t.Helper()
	disk = vfs.NewMem()
	o := audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk})
	log := logtest.Open(t, "dir", o)
	for i := range 12 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), Prompt: fmt.Sprint(i)})
	}
	logtest.Close(t, log)
	keys = map[string][]byte{}
	names, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if keys[n], err = vfs.ReadFile(disk, "dir/keys/"+n, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	if log, err = audittrail.Open("dir", o); err != nil {
		t.Fatal(err)
	}
	done, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user 2"}, Reason: "asked", Basis: "GDPR 17"})
	if err != nil {
		t.Fatal(err)
	}
	logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "user 1", Prompt: "later"})
	segment = segmentFile(segments(t, log)[0], ".jsonl")
	logtest.Close(t, log)
	return disk, keys, segment, int(done.Receipt.Seq)
}

// TestRebuildBringsNobodyBack rebuilds a log whose order to erase somebody is
// missing, with the keyring that carried it out and with an older one.
func TestRebuildBringsNobodyBack(t *testing.T) {
	start, keys, segment, order := erasedAtEnd(t)
	whole := func(b []byte) []byte { return b }
	cutOff := func(b []byte) []byte { return bytes.Join(lines(b)[:order], nil) }
	altered := func(b []byte) []byte {
		l := lines(b)
		l[order] = flipAt(l[order], 60)
		return bytes.Join(l, nil)
	}
	zeroed := func(b []byte) []byte {
		l := lines(b)
		clear(l[order][:len(l[order])-1])
		return bytes.Join(l, nil)
	}
	for _, c := range []struct {
		name    string
		change  func([]byte) []byte
		older   bool
		missing uint64 // of 14 signed
	}{
		{"whole", whole, false, 0},
		{"whole, older keyring", whole, true, 0},
		{"cut off", cutOff, false, 2},
		{"cut off, older keyring", cutOff, true, 2},
		{"the order altered", altered, false, 0},
		{"the order altered, older keyring", altered, true, 1},
		{"the order zeroed, older keyring", zeroed, true, 1},
	} {
		for _, tree := range []bool{true, false} {
			disk := start.Clone()
			edit(t, disk, segment, c.change)
			if c.older {
				for n, b := range keys {
					edit(t, disk, "keys/"+n, func([]byte) []byte { return b })
				}
			}
			if !tree {
				for _, n := range []string{"entries", "0"} {
					if err := disk.Remove("dir/tree/" + n); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := rebuilding(disk)
			got, err := audittrail.Rebuild(t.Context(), r)
			var truncated *audittrail.TruncatedError
			if c.missing > 0 {
				if !errors.As(err, &truncated) || truncated.Missing != c.missing || truncated.Signed != 14 {
					t.Errorf("%s, tree %t: Rebuild() = %v, want a TruncatedError of %d", c.name, tree, err, c.missing)
				}
				if _, err := disk.Stat("new/log"); err == nil {
					t.Errorf("%s: it was begun", c.name)
				}
				r.AcceptTruncated = true
				got, err = audittrail.Rebuild(t.Context(), r)
			}
			if err != nil {
				t.Errorf("%s, tree %t: %v", c.name, tree, err)
				continue
			}
			if got.Missing != c.missing || got.Signed != 14 || got.Size != 14 {
				t.Errorf("%s, tree %t: %+v, want %d of 14 missing", c.name, tree, got, c.missing)
			}
			if c.missing == 0 && got.Carried != 9 {
				t.Errorf("%s, tree %t: %d carried over, want the 9 that are not erased: %+v", c.name, tree, got.Carried, got)
			}
		}
	}
}

// TestRebuildReadError fails each read of the old log once: the rebuild fails
// or is complete, and reports no damage.
func TestRebuildReadError(t *testing.T) {
	start, _, _, _ := erasedAtEnd(t)
	for n := 0; ; n++ {
		disk := start.Clone()
		reads, failed := 0, false
		disk.Inject(func(op vfs.Op) error {
			if op.Kind != vfs.OpRead || !strings.HasPrefix(op.Name, "dir/") {
				return nil
			}
			if reads++; reads == n+1 {
				failed = true
				return syscall.EIO
			}
			return nil
		})
		got, err := audittrail.Rebuild(t.Context(), rebuilding(disk))
		switch {
		case err != nil && !errors.Is(err, syscall.EIO):
			t.Errorf("read %d fails: %v, want that of the disk", n, err)
		case err == nil && (got.Carried != 9 || got.DamagedLines != 0 || got.Missing != 0):
			t.Errorf("read %d fails: %+v", n, got)
		}
		if !failed {
			return
		}
	}
}

// TestRebuildBelievesNoTombstone rebuilds a log of which a segment was replaced by
// its tombstone, without a record that says so: the new log does not say that its
// records are in an archive, and with a keyring from before them nothing is rebuilt,
// since they may have ordered an erasure.
func TestRebuildBelievesNoTombstone(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	g := segments(t, log)[1]
	logtest.Close(t, log)
	takeOut(t, disk, g)
	found, err := audittrail.Rebuild(t.Context(), audittrail.RebuildOptions{
		From: "dir", Old: rolling(disk), To: "new", New: rolling(disk), Reason: "a segment is missing",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := audittrail.LossRange{First: g.First, Last: g.First + g.Records - 1}
	for _, l := range found.Lost {
		switch {
		case l.Reason == audittrail.LossDamaged && slices.Contains(l.Ranges, want):
			return
		case l.Reason == audittrail.LossArchived || l.Reason == audittrail.LossDropped:
			t.Errorf("%d records are said to be %s", l.Records, l.Reason)
		}
	}
	t.Errorf("lost are %+v, want records %d to %d damaged", found.Lost, want.First, want.Last)
}

// TestRebuildOlderKeyringNoTombstone does the same to the records that a keyring
// from before an erasure has not heard of.
func TestRebuildOlderKeyringNoTombstone(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	keys := map[string][]byte{}
	names, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if keys[n], err = vfs.ReadFile(disk, "dir/keys/"+n, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	log := openLog(t, disk)
	first := size(t, log)
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user 2"}, Reason: "asked", Basis: "GDPR 17"}); err != nil {
		t.Fatal(err)
	}
	order := func() audittrail.Segment {
		for _, g := range segments(t, log) {
			if g.First+g.Records > uint64(first) {
				return g
			}
		}
		return audittrail.Segment{}
	}
	// The segment of the order is full, so that another one follows.
	for segs := len(segments(t, log)); len(segments(t, log)) < segs+1; {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "user 1", Prompt: strings.Repeat("later ", 40)})
	}
	g := order()
	logtest.Close(t, log)
	takeOut(t, disk, g)
	now, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range now {
		if _, ok := keys[n]; !ok {
			if err := disk.Remove("dir/keys/" + n); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n, b := range keys {
		if err := vfs.WriteFile(disk, "dir/keys/"+n, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = audittrail.Rebuild(t.Context(), audittrail.RebuildOptions{
		From: "dir", Old: rolling(disk), To: "new", New: rolling(disk), Reason: "an order is missing",
	})
	var truncated *audittrail.TruncatedError
	if !errors.As(err, &truncated) {
		t.Errorf("Rebuild() = %v, want that it is refused", err)
	}
}

// takeOut replaces a segment by a tombstone that keeps none of its lines, which
// needs no keys.
func takeOut(t *testing.T, disk vfs.FS, g audittrail.Segment) {
	t.Helper()
	b, err := vfs.ReadFile(disk, "dir/"+segmentFile(g, ".jsonl"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	all := lines(b)
	left := append([]byte("audittrail-remnant/v1"), make([]byte, 3)...)
	for _, n := range []uint64{
		g.First, uint64(len(all)), 0, 0, uint64(len(b)),
		uint64(tailOf(all[0]).Logged.UnixNano()), uint64(tailOf(all[len(all)-1]).Logged.UnixNano()),
	} {
		left = binary.BigEndian.AppendUint64(left, n)
	}
	for _, line := range all {
		hash := tailOf(line).Hash
		left = append(left, hash[:]...)
	}
	left = append(left, make([]byte, 16*len(all))...) // no ids
	sum := sha256.Sum256(left)
	if err := vfs.WriteFile(disk, "dir/"+segmentFile(g, ".remnant"), append(left, sum[:]...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := disk.Remove("dir/" + segmentFile(g, ".jsonl")); err != nil {
		t.Fatal(err)
	}
}
