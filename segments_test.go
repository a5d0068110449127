package audittrail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// rolling are options for a log of small segments.
func rolling(disk vfs.FS) audittrail.Options {
	return audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 6000})
}

var errExpired = errors.New("its month is over")

const place = "/archive/here"

// filled creates a log of several segments, an early one of which has
// governance records.
func filled(t *testing.T, disk *vfs.Mem) []audittrail.Receipt {
	t.Helper()
	if err := vfs.MakeDir(disk, place, 0o700); err != nil {
		t.Fatal(err)
	}
	log := logtest.Open(t, "dir", rolling(disk))
	if _, err := log.AppendGovernance(t.Context(), event.Event{Type: event.AccessGranted, Labels: map[string]string{"grant": "1"}}); err != nil {
		t.Fatal(err)
	}
	var acked []audittrail.Receipt
	for i := range 40 {
		acked = append(acked, logtest.Append(t, log, event.Event{
			ID: fmt.Sprintf("event %d", i), Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), Prompt: fmt.Sprintf("prompt %d", i),
		}))
	}
	logtest.Close(t, log)
	return acked
}

func openLog(t *testing.T, disk vfs.FS) *audittrail.Log {
	t.Helper()
	return logtest.Open(t, "dir", rolling(disk))
}

func segments(t *testing.T, log *audittrail.Log) []audittrail.Segment {
	t.Helper()
	all, err := log.Segments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// whole are the segments that can leave.
func whole(t *testing.T, log *audittrail.Log, n int) []uint64 {
	t.Helper()
	all := segments(t, log)
	if len(all) < n+2 {
		t.Fatalf("%d segments, want at least %d", len(all), n+2)
	}
	firsts := make([]uint64, n)
	for i := range firsts {
		firsts[i] = all[i].First
	}
	return firsts
}

// intact verifies a log, and returns how many records have left it and how many
// of them are in archives that were read.
func intact(t *testing.T, disk vfs.FS, what string) *audittrail.Verification {
	t.Helper()
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	// A power failure may tear the newest side file, as it may the last write.
	if err != nil || v.FindingCount > v.Count(finding.Torn)+v.Count(finding.Derived) {
		t.Fatalf("%s: verify: %+v, %v", what, v, err)
	}
	return v
}

// account compares a log whose segments were moved, or whose moves were
// interrupted, with the acknowledged records: every record is in the log, or
// the log says where it is.
func account(t *testing.T, disk vfs.FS, acked []audittrail.Receipt, what string) {
	t.Helper()
	intact(t, disk, what)
	log := openLog(t, disk)
	for i, want := range acked {
		got, err := log.Get(t.Context(), want.Seq)
		var archived *audittrail.ArchivedError
		var dropped *audittrail.DroppedError
		switch {
		case errors.As(err, &archived):
			if archived.Archive != place || archived.Seq != want.Seq {
				t.Fatalf("%s: Get(%d) = %+v", what, want.Seq, archived)
			}
		case errors.As(err, &dropped):
		case err != nil:
			t.Fatalf("%s: Get(%d): %v", what, want.Seq, err)
		case got.Hash != want.Hash || got.State != record.Readable && got.State != record.Expired:
			t.Fatalf("%s: record %d is another, or %s", what, want.Seq, got.State)
		case got.State == record.Expired:
			err = errExpired
		}
		again, aerr := log.Append(t.Context(), event.Event{
			ID: fmt.Sprintf("event %d", i), Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), Prompt: fmt.Sprintf("prompt %d", i),
		})
		var conflict *audittrail.IDConflictError
		if err == nil && (aerr != nil || !again.Duplicate || again.Seq != want.Seq) ||
			err != nil && (!errors.As(aerr, &conflict) || conflict.Seq != want.Seq) {
			t.Fatalf("%s: append %d again: %+v, %v", what, i, again, aerr)
		}
	}
	granted := 0
	for r, err := range log.GovernanceRecords(t.Context(), 0) {
		if err != nil {
			t.Fatalf("%s: administrative records: %v", what, err)
		}
		if r.Event.Type == event.AccessGranted && r.Event.Labels["grant"] == "1" {
			granted++
		}
	}
	if granted != 1 {
		t.Fatalf("%s: %d grants, want 1", what, granted)
	}
	logtest.Close(t, log)
}

// TestArchive archives segments, reads the other records, and restores the
// segments.
func TestArchive(t *testing.T) {
	disk := vfs.NewMem()
	acked := filled(t, disk)
	log := openLog(t, disk)
	firsts := whole(t, log, 3)
	if err := log.ArchiveSegments(t.Context(), firsts, place, "old"); err != nil {
		t.Fatal(err)
	}
	var from uint64
	for i, s := range segments(t, log) {
		want := audittrail.SegmentHere
		if i < 3 {
			want = audittrail.SegmentArchived
			from = s.First + s.Records
			if s.Archive != place || s.Reason != "old" {
				t.Errorf("segment %d is in %q for %q", i, s.Archive, s.Reason)
			}
		}
		if s.State != want || s.LastLogged.Before(s.FirstLogged) || s.FirstLogged.IsZero() {
			t.Errorf("segment %d: %+v, want %s", i, s, want)
		}
	}
	if got := log.First(); got != from {
		t.Errorf("First() = %d, want %d", got, from)
	}
	var seen []uint64
	for r, err := range log.Records(t.Context(), 0, 1<<40) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, r.Seq)
	}
	if len(seen) < 10 || seen[0] != 0 || seen[1] != from {
		t.Errorf("Records() begins with %v, want what governs the log, and then record %d", seen[:2], from)
	}
	if err := log.ArchiveSegments(t.Context(), firsts, place, "old"); err != nil {
		t.Errorf("archive again: %v", err)
	}
	size1, _ := log.Size()
	for _, first := range firsts {
		if err := log.CheckArchive(t.Context(), first); err != nil {
			t.Error(err)
		}
	}
	logtest.Close(t, log)
	if v := intact(t, disk, "archived"); v.Removed != from || v.Archived != from {
		t.Errorf("verify: %d have left, %d are in archives, want %d", v.Removed, v.Archived, from)
	}
	account(t, disk, acked, "archived")

	// Derived files are rebuilt from the remaining lines.
	for _, name := range []string{"dir/tree/entries", "dir/tree/0"} {
		if err := disk.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	names, err := disk.ReadDir("dir/log")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if filepath.Ext(n) == ".tab" || filepath.Ext(n) == ".side" {
			if err := disk.Remove("dir/log/" + n); err != nil {
				t.Fatal(err)
			}
		}
	}
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || v.Altered() || v.Archived != from || v.Count(finding.Derived) != 2 {
		t.Errorf("without what is derived: %+v, %v, want the two files named", v, err)
	}
	logtest.Close(t, openLog(t, disk))
	account(t, disk, acked, "with what is derived made again")

	log = openLog(t, disk)
	if err := log.RestoreSegments(t.Context(), firsts); err != nil {
		t.Fatal(err)
	}
	for _, want := range acked {
		if got, err := log.Get(t.Context(), want.Seq); err != nil || got.Hash != want.Hash {
			t.Fatalf("restored: Get(%d): %v", want.Seq, err)
		}
	}
	size2, _ := log.Size()
	if size2 != size1 {
		t.Errorf("%d records, were %d: restoring adds none", size2, size1)
	}
	logtest.Close(t, log)
	account(t, disk, acked, "restored")
}

// TestCrashWhileMoving lets the disk stop at every operation while a class's
// month expires, segments are archived, one of them is dropped, and another
// dropped without an archive, as a policy has it, and then lets it be done again.
func TestCrashWhileMoving(t *testing.T) {
	start := vfs.NewMem()
	acked := filled(t, start)
	now := time.Now()
	month := record.ClassOf(audittrail.DefaultClass, now)
	move := func(disk vfs.FS) error {
		o := audittrail.Options{LockWait: -1, AcceptClock: true}.With(audittrail.Seams{
			FS: disk, Roll: 6000, Now: func() time.Time { return now.AddDate(0, 2, 0) },
		})
		log, err := audittrail.Open("dir", o)
		if err != nil {
			return err
		}
		firsts := whole(t, log, 3)
		_, err = log.Expire(context.Background(), []string{month}, "over")
		if err == nil {
			err = log.ArchiveSegments(context.Background(), firsts[:2], place, "old")
		}
		if err == nil {
			err = log.DropSegments(context.Background(), []uint64{firsts[0], firsts[2]}, "older")
		}
		return errors.Join(err, log.Close())
	}
	explore := os.Getenv("AUDITTRAIL_EXPLORE") != "" // both everywhere
	crashes := 0
	for n := 0; ; n++ {
		disk := start.Clone()
		disk.FailAfter(n)
		err := move(disk)
		if err != nil && !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("operation %d: %v, want the crash", n, err)
		}
		for seed := range uint64(2) {
			what := fmt.Sprintf("stopped at operation %d, seed %d", n, seed)
			if n%2 != int(seed) && !explore { // a killed process here, a power loss there
				continue
			}
			after := disk.Crash(rand.New(rand.NewPCG(seed, uint64(n))))
			if seed == 0 {
				after = disk.KillOnly()
			}
			account(t, after.Clone(), acked, what)
			if err := move(after); err != nil {
				t.Fatalf("%s: again: %v", what, err)
			}
			account(t, after, acked, what+", and done again")
			if v := intact(t, after, what); !v.Valid() {
				t.Fatalf("%s, and done again: verify: %+v", what, v)
			}
			log := openLog(t, after)
			s := segments(t, log)
			if s[0].State != audittrail.SegmentDropped || s[1].State != audittrail.SegmentArchived || s[2].State != audittrail.SegmentDropped {
				t.Fatalf("%s, and done again: %+v", what, s[:3])
			}
			if s[0].Leftover {
				t.Fatalf("%s: the dropped archive is still there", what)
			}
			logtest.Close(t, log)
		}
		crashes++
		if err == nil {
			break
		}
	}
	if crashes < 40 {
		t.Errorf("only %d operations", crashes)
	}
}

// TestDamagedArchive damages an archive in every part: the damage is reported,
// and no line leaves the log.
func TestDamagedArchive(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	firsts := whole(t, log, 2)
	if err := log.ArchiveSegments(t.Context(), firsts, place, "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	for _, ext := range []string{".jsonl.zst", ".archive"} {
		name := place + "/" + fmt.Sprintf("%020d", firsts[1]) + ext
		whole, err := vfs.ReadFile(disk, name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(whole); at += 1 + len(whole)/40 {
			bad := bytes.Clone(whole)
			bad[at] ^= 0x10
			again := disk.Clone()
			if err := vfs.WriteFile(again, name, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(again), audittrail.VerifyOptions{})
			if err != nil || !v.Altered() || v.Findings[0].Seq != firsts[1] {
				t.Fatalf("%s, byte %d: %+v, %v", ext, at, v, err)
			}
		}
		gone := disk.Clone()
		if err := gone.Remove(name); err != nil {
			t.Fatal(err)
		}
		v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(gone), audittrail.VerifyOptions{})
		if err != nil || !v.Valid() || len(v.Limitations) != 1 {
			t.Fatalf("%s gone: %+v, %v, want it missing", ext, v, err)
		}
	}
}

// A liar is a file system that writes wrong bytes into archives.
type liar struct{ vfs.FS }

func (l liar) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := l.FS.OpenFile(name, flag, perm)
	if err == nil && strings.Contains(name, ".zst") {
		f = liarFile{f}
	}
	return f, err
}

type liarFile struct{ vfs.File }

func (f liarFile) WriteAt(b []byte, at int64) (int, error) {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return f.File.WriteAt(b, at)
}

// TestUnwrittenArchive writes an archive to a disk that is full, or that writes
// wrong bytes: nothing leaves the log.
func TestUnwrittenArchive(t *testing.T) {
	disk := vfs.NewMem()
	acked := filled(t, disk)
	for _, fsys := range []vfs.FS{liar{disk}, disk} {
		if fsys == disk {
			disk.Inject(func(op vfs.Op) error {
				if op.Kind == vfs.OpWrite && strings.Contains(op.Name, ".zst") {
					return &vfs.Fault{Done: op.Len / 2, Err: syscall.ENOSPC}
				}
				return nil
			})
		}
		log := openLog(t, fsys)
		err := log.ArchiveSegments(t.Context(), whole(t, log, 1), place, "old")
		if fsys != disk && !errors.Is(err, audittrail.ErrArchiveDamaged) || fsys == disk && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("archive: %v", err)
		}
		if s := segments(t, log); s[0].State != audittrail.SegmentHere {
			t.Error("the segment has left")
		}
		disk.Inject(nil)
		logtest.Close(t, log)
		account(t, disk, acked, "without an archive")
	}
}

// TestReadWhileMoving reads a log, and verifies it, in this process and as
// another would, while its segments leave and are restored.
func TestReadWhileMoving(t *testing.T) {
	dir, away := t.TempDir(), t.TempDir()
	o := audittrail.Options{Create: true, SegmentBytes: 4 << 10}
	log := logtest.Open(t, dir, o)
	for i := range 60 {
		logtest.Append(t, log, event.Event{ID: fmt.Sprint(i), Type: event.Prompt, Prompt: "p"})
	}
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for _, l := range []*audittrail.Log{log, reader} {
		working.Go(func() {
			for ctx.Err() == nil {
				last := -1
				for r, err := range l.Records(ctx, 0, 60) {
					if ctx.Err() != nil {
						return
					}
					if err != nil || int(r.Seq) <= last {
						t.Errorf("Records: %v after record %d", err, last)
						return
					}
					last = int(r.Seq)
				}
				for seq := range uint64(60) {
					_, err := l.Get(ctx, seq)
					var archived *audittrail.ArchivedError
					if err != nil && !errors.As(err, &archived) && ctx.Err() == nil {
						t.Errorf("Get(%d) = %v", seq, err)
						return
					}
				}
				if r, err := l.Find(ctx, "59"); err == nil && r.Seq != 59 {
					t.Errorf("Find(59) is record %d", r.Seq)
				}
			}
		})
	}
	working.Go(func() {
		for ctx.Err() == nil {
			v, err := audittrail.VerifyDir(ctx, dir, audittrail.Options{}, audittrail.VerifyOptions{})
			if ctx.Err() == nil && (err != nil || !v.Valid()) {
				t.Errorf("verify: %+v, %v", v, err)
				return
			}
		}
	})
	for range 5 {
		firsts := whole(t, log, 5)
		if err := errors.Join(log.ArchiveSegments(t.Context(), firsts, away, ""), log.RestoreSegments(t.Context(), firsts)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	working.Wait()
	if err := errors.Join(reader.Close(), log.Close()); err != nil {
		t.Error(err)
	}
}
