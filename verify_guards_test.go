package audittrail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// twice inserts a run of lines of a specimen a second time before its middle,
// and part of the run at the end: the runs overlap, and parts of them can be
// chosen.
func (s *specimen) twice() forgery {
	f := s.forge()
	name := s.names[1]
	again := bytes.Clone(bytes.Join(f[name][2:6], nil))
	f[s.names[2]] = append([][]byte{again}, f[s.names[2]]...)
	last := s.names[len(s.names)-1]
	f[last] = append(f[last], bytes.Join(f[name][3:5], nil))
	return f
}

// under writes a forgery over a copy of the specimen's disk.
func (s *specimen) under(t *testing.T, f forgery) *vfs.Mem {
	t.Helper()
	disk := s.disk.Clone()
	for name, l := range f {
		edit(t, disk, "log/"+name, func([]byte) []byte { return bytes.Join(l, nil) })
	}
	return disk
}

// TestVerifyCalledOff calls a verification off at each of its operations: it
// returns the error of its context, or the verdict that it had reached.
func TestVerifyCalledOff(t *testing.T) {
	s := newSpecimen(t)
	left := vfs.NewMem()
	filled(t, left)
	log := openLog(t, left)
	gone := whole(t, log, 2)
	if err := log.ArchiveSegments(t.Context(), gone, place, "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	damaged := left.Clone()
	edit(t, damaged, filepath.Join("..", place, fmt.Sprintf("%020d.jsonl.zst", gone[0])), func(b []byte) []byte { return flipAt(b, len(b)/2) })
	said := func(v *audittrail.Verification) string {
		return fmt.Sprintf("%+v, missing %q, %d archived", v.Findings, v.Limitations, v.Archived)
	}
	for name, disk := range map[string]*vfs.Mem{"healthy": s.disk, "altered": s.under(t, s.twice()), "archived": left, "archive damaged": damaged} {
		want := said(verifyOn(t, disk, audittrail.VerifyOptions{}))
		for n := int64(1); ; n++ {
			ctx, cancel := context.WithCancel(t.Context())
			var ops atomic.Int64
			disk.Inject(func(vfs.Op) error {
				if ops.Add(1) == n {
					cancel()
				}
				return nil
			})
			v, err := audittrail.VerifyDir(ctx, "dir", audittrail.Options{}.With(audittrail.Seams{FS: disk}), audittrail.VerifyOptions{})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s, operation %d: %v, want context.Canceled", name, n, err)
			}
			if err == nil {
				if got := said(v); got != want {
					t.Errorf("%s, operation %d: %s, want %s", name, n, got, want)
				}
			}
			cancel()
			disk.Inject(nil)
			if ops.Load() < n {
				break
			}
		}
	}
}

// TestVerifyAlteredReadError has each read of a line, a hash or a key fail once
// while a log with duplicate lines is diagnosed: a record that cannot be read
// is never reported as missing, and a segment as unreadable only if its own
// read failed.
func TestVerifyAlteredReadError(t *testing.T) {
	s := newSpecimen(t)
	disk := s.under(t, s.twice())
	for _, part := range []string{"dir/log/", "dir/tree/entries", "dir/tree/0", "dir/keys/"} {
		for n := int64(1); ; n++ {
			var reads atomic.Int64
			disk.Inject(func(op vfs.Op) error {
				if op.Kind == vfs.OpRead && strings.HasPrefix(op.Name, part) && reads.Add(1) == n {
					return syscall.EIO
				}
				return nil
			})
			v, err := tryVerify(disk, audittrail.VerifyOptions{})
			disk.Inject(nil)
			what := fmt.Sprintf("%s, read %d", part, n)
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: %v, want that of the disk", what, err)
			}
			if err == nil && (v.Valid() || v.Count(finding.Missing)+v.Count(finding.Truncated)+v.Count(finding.Modified) > 0) {
				t.Errorf("%s: %+v, want lines that stand twice, or a file that cannot be read", what, v.Findings)
			}
			if err == nil && part != "dir/log/" && v.Count(finding.Unreadable) > 0 {
				t.Errorf("%s: %+v, want no segment called unreadable", what, v.Findings)
			}
			if reads.Load() < n {
				break
			}
		}
	}
}

// TestVerifyWithoutKeysMeanwhile makes the keyring unreadable from each
// operation of a verification on: it returns the error of the disk, or the
// verdict with the keyring.
func TestVerifyWithoutKeysMeanwhile(t *testing.T) {
	s := newSpecimen(t)
	for name, disk := range map[string]*vfs.Mem{"healthy": s.disk, "altered": s.under(t, s.twice())} {
		want := verifyOn(t, disk, audittrail.VerifyOptions{})
		for n := int64(1); ; n++ {
			var ops atomic.Int64
			disk.Inject(func(op vfs.Op) error {
				if strings.HasPrefix(op.Name, "dir/keys") && ops.Add(1) >= n {
					return syscall.EIO
				}
				return nil
			})
			v, err := tryVerify(disk, audittrail.VerifyOptions{})
			disk.Inject(nil)
			switch {
			case err == nil && (v.Records != want.Records || v.Altered() != want.Altered()):
				t.Errorf("%s, operation %d: %+v, want %d records, altered %t, or the disk's error", name, n, v, want.Records, want.Altered())
			case err != nil && !errors.Is(err, syscall.EIO):
				t.Errorf("%s, operation %d: %v, want that of the disk", name, n, err)
			}
			if ops.Load() < n {
				break
			}
		}
	}
}

// TestVerifyForgedRun replaces three lines by forged ones, each whole in
// itself, and moves the original of the middle one elsewhere: none of the three
// passes for a record.
func TestVerifyForgedRun(t *testing.T) {
	s := newSpecimen(t)
	f := s.forge()
	const from = 12
	prev := tailOf(s.line(from - 1)).Hash
	for seq := from; seq < from+3; seq++ {
		name, at := s.home(seq)
		f[name][at] = retail(rehash(s.line(seq), `"type":"prompt"`, `"type":"x.other"`), seq, prev)
		prev = tailOf(f[name][at]).Hash
	}
	last := s.names[len(s.names)-1]
	f[last] = append(f[last], s.line(from+1))
	v := s.verify(t, f, conditions{})
	expect(t, v, verdict{finding.Rewritten, from})
	for _, seq := range []uint64{from, from + 2} {
		found := false
		for _, p := range v.Findings {
			found = found || p.Kind == finding.Rewritten && p.Seq == seq
		}
		if !found {
			t.Errorf("%+v, want record %d rewritten", v.Findings, seq)
		}
	}
}

// TestVerifyFromSignedSize damages the hash of a record that is not read, since a
// verification begins where the checkpoint ends: the file is named.
func TestVerifyFromSignedSize(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, "tree/0", func(b []byte) []byte { return flipAt(b, 2*32) })
	v := verifyOn(t, disk, audittrail.VerifyOptions{From: 5})
	if v.Altered() || v.Count(finding.Derived) != 1 || v.Findings[0].File != "tree/0" {
		t.Errorf("%+v, want tree/0 named", v.Findings)
	}
	// The tree is not needed after all signed records.
	disk = signedThenMore(t)
	for _, name := range []string{"tree/0", "tree/entries"} {
		edit(t, disk, name, func(b []byte) []byte { return b[:5*32] })
	}
	if v := verifyOn(t, disk, audittrail.VerifyOptions{From: 7}); v.Altered() || v.Records != 1 {
		t.Errorf("%d records, %+v, want the one after From", v.Records, v.Findings)
	}
}

// TestVerifyWithoutSubject appends a line without a data subject after all
// signed records: it has no key, and is unauthenticated.
func TestVerifyWithoutSubject(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, "log/"+firstSegment, func(b []byte) []byte {
		l := lines(b)
		bare := append(bytes.Clone(l[7][:bytes.Index(l[7], []byte(`,"class"`))]), l[7][bytes.LastIndex(l[7], []byte(`,"seq":`)):]...)
		l[7] = placed(bare, 7, tailOf(l[7]).Logged, tailOf(l[7]).Prev)
		return bytes.Join(l, nil)
	})
	wantUnauthenticated(t, verifyOn(t, disk, audittrail.VerifyOptions{}), 7)
}

// TestVerifyCountsBesideAlterations alters one record of a log from which a segment
// was dropped: the others are counted, and those that have left.
func TestVerifyCountsBesideAlterations(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	if err := log.DropSegments(t.Context(), whole(t, log, 2)[1:2], "old"); err != nil {
		t.Fatal(err)
	}
	dropped, last := segments(t, log)[1], segments(t, log)[2]
	n := size(t, log)
	logtest.Close(t, log)
	edit(t, disk, segmentFile(last, ".jsonl"), func(b []byte) []byte {
		l := lines(b)
		l[1] = flip(l[1], `"body":"`)
		return bytes.Join(l, nil)
	})
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || v.Removed != dropped.Records || v.Records != n-dropped.Records-1 || v.FindingCount != 1 {
		t.Errorf("%d records and %d that left, %+v, %v; want %d and %d and one that is altered",
			v.Records, v.Removed, v.Findings, err, n-dropped.Records-1, dropped.Records)
	}
}

// TestVerifyCountsProblems counts each line of a run that stands a second time once,
// however many problems are kept.
func TestVerifyCountsProblems(t *testing.T) {
	s := newSpecimen(t)
	for _, kept := range []int{0, 1, 3} {
		v := verifyOn(t, s.under(t, s.twice()), audittrail.VerifyOptions{MaxFindings: kept})
		if v.FindingCount != 5 || v.Count(finding.Inserted) != 4 {
			t.Errorf("%d kept: %d problems, %+v, want 4 duplicate lines and an unauthenticated end", kept, v.FindingCount, v.Findings)
		}
	}
}

// TestVerifyImpossibleSize has the log's own key sign more records than any
// disk can store, as a mistake or an insider can: verify names the records that
// exist, and needs no more memory than these take.
func TestVerifyImpossibleSize(t *testing.T) {
	disk := signedThenMore(t)
	log := logtest.Open(t, "dir", onDisk(disk.Clone()))
	signed := audittrail.SignRoot(t, log, 1<<40, tlog.Hash{1})
	logtest.Close(t, log)
	v := verifyOn(t, disk, audittrail.VerifyOptions{Checkpoints: [][]byte{signed}})
	if !v.Altered() || v.Count(finding.Truncated) != 1 || v.Records != 8 {
		t.Errorf("%d records, %+v, want that the log is cut off", v.Records, v.Findings)
	}
}

// TestVerifyWithoutTree alters two lines in a row of a log whose tree is gone, the
// first so that it still ends as it did: their signed hashes are known all the
// same.
func TestVerifyWithoutTree(t *testing.T) {
	s := newSpecimen(t)
	f := s.put(0, flip(s.line(0), `"body":"`))
	f[s.names[0]][1] = []byte("junk\n")
	disk := s.under(t, f)
	for _, name := range []string{"tree/entries", "tree/0"} {
		remove(t, disk, name)
	}
	v := verifyOn(t, disk, audittrail.VerifyOptions{})
	if len(v.Limitations) > 0 || v.Count(finding.Modified) != 2 || v.Findings[0].Seq != 0 || v.Findings[1].Seq != 1 {
		t.Errorf("%+v, missing %q, want records 0 and 1 modified, and nothing missing", v.Findings, v.Limitations)
	}
}

// TestVerifyWhileTailIsCut cuts off an interrupted write at each operation of a
// verification, as a writer that opens the log does: nothing was altered.
func TestVerifyWhileTailIsCut(t *testing.T) {
	start := signedThenMore(t)
	whole := int64(len(readOn(t, start, "log/"+firstSegment)))
	edit(t, start, "log/"+firstSegment, func(b []byte) []byte { return append(b, lines(b)[7][:300]...) })
	for n := int64(1); ; n++ {
		disk := start.Clone()
		var ops atomic.Int64
		disk.Inject(func(vfs.Op) error {
			if ops.Add(1) != n {
				return nil
			}
			f, err := disk.OpenFile("dir/log/"+firstSegment, os.O_RDWR, 0)
			if err == nil {
				err = errors.Join(f.Truncate(whole), f.Close())
			}
			return err
		})
		v, err := tryVerify(disk, audittrail.VerifyOptions{})
		if err != nil || v.Altered() || v.Records != 8 || v.FindingCount != v.Count(finding.Torn) {
			t.Errorf("cut at operation %d: %+v, %v, want 8 records and at most a torn end", n, v, err)
		}
		if ops.Load() < n {
			return
		}
	}
}

// TestVerifyWhileErasureSigns erases somebody at each operation of a
// verification, by a writer that has not published its checkpoint yet: nothing
// was altered, and the records before the erasure count.
func TestVerifyWhileErasureSigns(t *testing.T) {
	written := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(written))
	logtest.Append(t, log, about("bob", "0"))
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign := holdSigning(written)
	logtest.Append(t, log, about("ann", "1"))
	start := written.KillOnly()
	sign()
	erase(t, log, "ann")
	after := written.KillOnly()
	logtest.Close(t, log)
	records := len(lines(readOn(t, after, "log/"+firstSegment)))
	for _, name := range dirNames(t, after, "dir/tree") { // which grows before it is signed
		if name != "checkpoint" {
			edit(t, start, "tree/"+name, func([]byte) []byte { return readOn(t, after, "tree/"+name) })
		}
	}
	// The log grows, and changed files of the keyring replace the old ones.
	grown := readOn(t, after, "log/"+firstSegment)[len(readOn(t, start, "log/"+firstSegment)):]
	happen := func(disk *vfs.Mem) error {
		f, err := disk.OpenFile("dir/log/"+firstSegment, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		end, err := f.Size()
		if err == nil {
			_, err = f.WriteAt(grown, end)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		for _, name := range dirNames(t, after, "dir/keys") {
			b := readOn(t, after, "keys/"+name)
			if old, err := vfs.ReadFile(start, "dir/keys/"+name, 1<<20); err != nil || !bytes.Equal(b, old) {
				if err := errors.Join(vfs.WriteFile(disk, "dir/new", b, 0o600), disk.Rename("dir/new", "dir/keys/"+name)); err != nil {
					return err
				}
			}
		}
		for _, name := range dirNames(t, start, "dir/keys") {
			if _, err := after.Stat("dir/keys/" + name); err != nil {
				if err := disk.Remove("dir/keys/" + name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for n := int64(1); ; n++ {
		disk := start.Clone()
		var ops atomic.Int64
		disk.Inject(func(vfs.Op) error {
			if ops.Add(1) != n {
				return nil
			}
			return happen(disk)
		})
		v, err := tryVerify(disk, audittrail.VerifyOptions{})
		if err != nil || v.FindingCount != v.Count(finding.Derived) || v.Records != 2 && v.Records != uint64(records) {
			t.Errorf("erased at operation %d: %+v, %v, want 2 records or %d, and at most a tree that is longer", n, v, err, records)
		}
		if ops.Load() < n {
			return
		}
	}
}

// TestVerifyArchiveInALongPlace archives a segment in a folder whose name is
// too long for a cleartext field: without the keyring verify says that the
// folder is not known.
func TestVerifyArchiveInALongPlace(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	long := "/archive/" + strings.Repeat("far", event.MaxClear)
	if err := vfs.MakeDir(disk, long, 0o700); err != nil {
		t.Fatal(err)
	}
	log := openLog(t, disk)
	if err := log.ArchiveSegments(t.Context(), whole(t, log, 1), long, "old"); err != nil {
		t.Fatal(err)
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	if v := verifyOn(t, disk, audittrail.VerifyOptions{}); v.Archived == 0 || len(v.Limitations) > 0 {
		t.Errorf("with the keyring: %d archived, missing %q, want the archive read", v.Archived, v.Limitations)
	}
	v := verifyOn(t, disk, audittrail.VerifyOptions{VKeys: []string{keys[0].VKey}})
	if v.Archived > 0 || len(v.Limitations) != 1 || !strings.Contains(v.Limitations[0], "its folder cannot be read without the keyring") {
		t.Errorf("without the keyring: %d archived, missing %q, want that only the keyring tells where", v.Archived, v.Limitations)
	}
}

// TestVerifyFromWithoutFiles verifies the end of a log of which no file is left.
func TestVerifyFromWithoutFiles(t *testing.T) {
	disk := signedThenMore(t)
	remove(t, disk, "log/"+firstSegment)
	v := verifyOn(t, disk, audittrail.VerifyOptions{From: 3})
	expect(t, v, verdict{finding.Truncated, 3})
}

// TestVerifyBlindComparesNothing alters lines in a row of a log whose tree is damaged,
// so that its contents are not known: no file of the tree is called wrong
// because of that.
func TestVerifyBlindComparesNothing(t *testing.T) {
	s := newSpecimen(t)
	f := s.put(3, []byte("junk\n"))
	f[s.names[0]][4] = []byte("junk\n")
	disk := s.under(t, f)
	remove(t, disk, "tree/0")
	edit(t, disk, "tree/entries", func(b []byte) []byte { return make([]byte, len(b)+64) })
	v := verifyOn(t, disk, audittrail.VerifyOptions{})
	if !v.Altered() || len(v.Limitations) != 1 || v.Count(finding.Derived) > 0 {
		t.Errorf("%+v, missing %q, want alterations, and that the hashes are missing", v.Findings, v.Limitations)
	}
}

// TestVerifyNamesFile has records missing in several places: the file that is named
// is the one in which they should be.
func TestVerifyNamesFile(t *testing.T) {
	s := newSpecimen(t)
	second, third := s.names[1], s.names[2]
	short := s.forge()
	for _, name := range s.names[2:] {
		delete(short, name)
	}
	for name, c := range map[string]struct {
		f    forgery
		want string
	}{
		"the first of all":       {s.put(0), s.names[0]},
		"the second of a file":   {s.put(s.first[second] + 1), second},
		"the second of the next": {s.put(s.first[third] + 1), third},
		"all later files":        {short, second},
	} {
		v := s.verify(t, c.f, conditions{})
		if len(v.Findings) == 0 || v.Findings[0].File != "log/"+c.want {
			t.Errorf("%s: %+v, want %s named", name, v.Findings, c.want)
		}
	}
}

// TestVerifyWithinPassesOverStrays verifies a log up to a size, with a forged
// tombstone after that size, which is not reported.
func TestVerifyWithinPassesOverStrays(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, "log/00000000000000000100.remnant", func([]byte) []byte { return []byte("junk") })
	for _, within := range []bool{false, true} {
		v := verifyOn(t, disk, audittrail.VerifyOptions{Size: 5, IgnoreUnauthenticated: within})
		if n := v.Count(finding.Unauthenticated); v.Altered() || within != (n == 0) {
			t.Errorf("within %t: %+v", within, v.Findings)
		}
	}
}

// TestVerifyTombstoneBesideTombstone names a tombstone after a record that
// belongs to another tombstone: it is not trusted, and a finding names it.
func TestVerifyTombstoneBesideTombstone(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	if err := log.DropSegments(t.Context(), whole(t, log, 2)[1:2], "old"); err != nil {
		t.Fatal(err)
	}
	g := segments(t, log)[1]
	n := size(t, log)
	logtest.Close(t, log)
	other := fmt.Sprintf("log/%020d.remnant", g.First+1)
	edit(t, disk, other, func([]byte) []byte { return readOn(t, disk, segmentFile(g, ".remnant")) })
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || v.Records+v.Removed != n || v.FindingCount != 1 || v.Count(finding.Derived) != 1 || v.Findings[0].File != other {
		t.Errorf("%+v, %v, want %s named, and all records", v, err, other)
	}
}

// TestVerifyRemnantBesideUnreadable adds a tombstone of a segment whose lines
// cannot be read: the only finding is that they cannot be read.
func TestVerifyRemnantBesideUnreadable(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	g := segments(t, log)[1]
	logtest.Close(t, log)
	lines := segmentFile(g, ".jsonl")
	edit(t, disk, segmentFile(g, ".remnant"), func([]byte) []byte { return []byte("junk") })
	disk.Inject(func(op vfs.Op) error {
		if op.Name == "dir/"+lines && (op.Kind == vfs.OpStat || op.Kind == vfs.OpOpen) {
			return syscall.EIO
		}
		return nil
	})
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || v.Altered() || v.Count(finding.Unreadable) != 1 || v.Findings[0].File != lines {
		t.Errorf("%+v, %v, want that %s cannot be read", v, err, lines)
	}
}

// TestVerifyForgedFirstBehindJunk inserts a forged record 0 after two lines of
// junk: it is assigned to the place that it claims, and they to the places that
// are left.
func TestVerifyForgedFirstBehindJunk(t *testing.T) {
	s := newSpecimen(t)
	f := s.forge()
	l := f[s.names[0]]
	l[2] = rehash(l[0], `"type":"prompt"`, `"type":"x.other"`)
	l[0], l[1] = []byte("junk\n"), []byte("junk\n")
	v := s.verify(t, f, conditions{})
	expect(t, v, verdict{finding.Rewritten, 0})
	if v.Count(finding.Modified) != 2 || v.FindingCount != 3 {
		t.Errorf("%+v, want record 0 rewritten and two that are modified", v.Findings)
	}
}

// TestVerifyFromBehindGap removes a record before From and alters one after it:
// the records before From are not checked.
func TestVerifyFromBehindGap(t *testing.T) {
	s := newSpecimen(t)
	name := s.names[1]
	f := s.forge()
	f[name][5] = flip(f[name][5], `"body":"`)
	f[name] = append(f[name][:1:1], f[name][2:]...)
	v := s.verify(t, f, conditions{from: uint64(s.first[name] + 3)})
	expect(t, v, verdict{finding.Modified, s.first[name] + 5})
	if v.FindingCount != 1 {
		t.Errorf("%+v, want one problem", v.Findings)
	}
}

// TestVerifyWithoutTreeBesideGap alters a line of a log whose tree is missing,
// and of which a segment has left: the segment's tombstone has the hashes of
// its records.
func TestVerifyWithoutTreeBesideGap(t *testing.T) {
	disk := vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	if err := log.DropSegments(t.Context(), whole(t, log, 2)[1:2], "old"); err != nil {
		t.Fatal(err)
	}
	altered := segments(t, log)[2]
	logtest.Close(t, log)
	edit(t, disk, segmentFile(altered, ".jsonl"), func(b []byte) []byte {
		l := lines(b)
		l[1] = flip(l[1], `"body":"`)
		return bytes.Join(l, nil)
	})
	for _, name := range []string{"tree/entries", "tree/0"} {
		remove(t, disk, name)
	}
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || len(v.Limitations) > 0 || v.Count(finding.Modified) != 1 || v.Findings[0].Seq != altered.First+1 {
		t.Errorf("%+v, missing %q, %v, want record %d modified and nothing missing", v.Findings, v.Limitations, err, altered.First+1)
	}
}

// TestVerifyUnreadableStatement fails every read from one on of a tombstone
// that contains the record of another segment's removal: while that record
// cannot be read, it is not reported as missing.
func TestVerifyUnreadableStatement(t *testing.T) {
	start := vfs.NewMem()
	filled(t, start)
	log := openLog(t, start)
	if err := log.DropSegments(t.Context(), whole(t, log, 2)[1:2], "old"); err != nil {
		t.Fatal(err)
	}
	before := segments(t, log)
	for len(segments(t, log)) < len(before)+2 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "user 1", Prompt: strings.Repeat("later ", 40)})
	}
	second := before[len(before)-1]
	if err := log.DropSegments(t.Context(), []uint64{second.First}, "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	edit(t, start, "log/"+firstSegment, func(b []byte) []byte { return flipAt(b, 60) })
	remnant := "dir/" + segmentFile(second, ".remnant")
	for n := int64(1); ; n++ {
		disk := start.Clone()
		var reads atomic.Int64
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && op.Name == remnant && reads.Add(1) >= n {
				return syscall.EIO
			}
			return nil
		})
		v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("read %d: %v, want that of the disk", n, err)
		}
		if err == nil && (v.Count(finding.Missing) > 0 || v.Count(finding.Modified) != 1) {
			t.Errorf("read %d: %+v, want one record modified and none missing", n, v.Findings)
		}
		if reads.Load() < n {
			return
		}
	}
}

// TestVerifyUnreadableTail makes the last segment unreadable, all of whose
// records come after the newest checkpoint: verify reports that.
func TestVerifyUnreadableTail(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", rolling(disk))
	big := event.Event{Type: event.Prompt, Prompt: strings.Repeat("x ", 700)}
	logtest.Append(t, log, big)
	logtest.Append(t, log, big)
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	sign := holdSigning(disk)
	logtest.Append(t, log, big)
	all := segments(t, log)
	last := segmentFile(all[len(all)-1], ".jsonl")
	killed := disk.KillOnly()
	sign()
	logtest.Close(t, log)
	killed.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpStat && op.Name == "dir/"+last {
			return syscall.EIO
		}
		return nil
	})
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(killed), audittrail.VerifyOptions{})
	if err != nil || len(all) != 2 || v.Altered() || v.Count(finding.Unreadable) != 1 || v.Findings[0].File != last {
		t.Errorf("%d segments, %+v, %v, want that %s cannot be read", len(all), v, err, last)
	}
}

// TestVerifyUnreadableMiddle makes a segment unreadable from an offset within
// it: the records before it are checked, and only those after it are reported
// as unreadable.
func TestVerifyUnreadableMiddle(t *testing.T) {
	start := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(start))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 24 {
		text := make([]byte, 12_000) // that cannot be made much shorter
		for i := range text {
			text[i] = byte('a' + rng.IntN(26))
		}
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: string(text)})
	}
	logtest.Close(t, log)
	length := int64(len(readOn(t, start, "log/"+firstSegment)))
	within := false
	for bad := int64(0); bad < length; bad += length / 7 {
		disk := start.Clone()
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && op.Name == "dir/log/"+firstSegment && op.Off <= bad && bad < op.Off+int64(op.Len) {
				return syscall.EIO
			}
			return nil
		})
		v, err := tryVerify(disk, audittrail.VerifyOptions{})
		if err != nil || v.Altered() || v.Count(finding.Unreadable) != 1 || v.Findings[0].Seq != v.Records {
			t.Errorf("byte %d cannot be read: %+v, %v, want an unreadable finding after the records that can be read", bad, v, err)
			continue
		}
		within = within || v.Records > 0
	}
	if !within {
		t.Errorf("no record could be read of %d bytes", length)
	}
}

// TestVerifySignedOtherForm has a holder of the signing key sign a line whose
// version is not in canonical form: the line is neither a record of the log nor
// of a newer format.
func TestVerifySignedOtherForm(t *testing.T) {
	s := newSpecimen(t)
	f := s.forge()
	var prev record.Hash
	var rng tlog.Range
	for seq := range s.n {
		name, at := s.home(seq)
		line := f[name][at]
		if seq == 7 {
			line = bytes.Replace(line, []byte(`{"v":2,`), []byte(`{"v": 2,`), 1)
		}
		f[name][at] = retail(line, seq, prev)
		prev = tailOf(f[name][at]).Hash
		rng.Append(tlog.LeafHash(prev), nil)
	}
	log := logtest.Open(t, "dir", onDisk(s.disk.Clone()))
	signed := audittrail.SignRoot(t, log, uint64(s.n), rng.Root())
	logtest.Close(t, log)
	disk := s.under(t, f)
	edit(t, disk, "tree/checkpoint", func([]byte) []byte { return signed })
	v := verifyOn(t, disk, audittrail.VerifyOptions{VKeys: []string{s.vkey}})
	if !v.Altered() || v.Findings[0].Seq != 7 {
		t.Errorf("%+v, want record 7 named", v.Findings)
	}
}
