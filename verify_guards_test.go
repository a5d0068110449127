package audittrail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// twice puts a run of lines of a specimen a second time in front of its middle,
// and part of it at the end: runs that overlap, of which parts can be taken.
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
// returns that, or the verdict that it came to before.
func TestVerifyCalledOff(t *testing.T) {
	s := newSpecimen(t)
	for name, disk := range map[string]*vfs.Mem{"healthy": s.disk, "altered": s.under(t, s.twice())} {
		want := fmt.Sprintf("%+v", verifyOn(t, disk, audittrail.VerifyOptions{}).Problems)
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
				if got := fmt.Sprintf("%+v", v.Problems); got != want {
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

// TestVerifyAlteredReadError has each read of a line fail once while a log is sorted
// out in which lines stand twice: what cannot be read is never said to be missing.
func TestVerifyAlteredReadError(t *testing.T) {
	s := newSpecimen(t)
	disk := s.under(t, s.twice())
	for n := int64(1); ; n++ {
		var reads atomic.Int64
		disk.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, ".jsonl") && reads.Add(1) == n {
				return syscall.EIO
			}
			return nil
		})
		v, err := tryVerify(disk, audittrail.VerifyOptions{})
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Errorf("read %d: %v, want that of the disk", n, err)
		}
		if err == nil && (v.Valid() || v.Count(audittrail.KindMissing)+v.Count(audittrail.KindTruncated)+v.Count(audittrail.KindModified) > 0) {
			t.Errorf("read %d: %+v, want lines that stand twice, or a file that cannot be read", n, v.Problems)
		}
		disk.Inject(nil)
		if reads.Load() < n {
			return
		}
	}
}

// TestVerifyForgedRun makes three lines anew, each whole in itself, and puts the true
// one of the middle elsewhere: none of the three passes for a record.
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
	expect(t, v, verdict{audittrail.KindRewritten, from})
	for _, seq := range []uint64{from, from + 2} {
		found := false
		for _, p := range v.Problems {
			found = found || p.Kind == audittrail.KindRewritten && p.Seq == seq
		}
		if !found {
			t.Errorf("%+v, want record %d rewritten", v.Problems, seq)
		}
	}
}

// TestVerifyFromSignedSize damages the hash of a record that is not read, since a
// verification begins where the checkpoint ends: the file is named.
func TestVerifyFromSignedSize(t *testing.T) {
	disk := signedThenMore(t)
	edit(t, disk, "tree/0", func(b []byte) []byte { return flipAt(b, 2*32) })
	v := verifyOn(t, disk, audittrail.VerifyOptions{From: 5})
	if v.Altered() || v.Count(audittrail.KindDerived) != 1 || v.Problems[0].File != "tree/0" {
		t.Errorf("%+v, want tree/0 named", v.Problems)
	}
	// Nothing of the tree is needed behind all that was signed.
	disk = signedThenMore(t)
	for _, name := range []string{"tree/0", "tree/entries"} {
		edit(t, disk, name, func(b []byte) []byte { return b[:5*32] })
	}
	if v := verifyOn(t, disk, audittrail.VerifyOptions{From: 7}); v.Altered() || v.Records != 1 {
		t.Errorf("%d records, %+v, want the one behind From", v.Records, v.Problems)
	}
}

// TestVerifyWithoutSubject has a holder of the signing key sign a line that has no
// data subject: there is no key to look for.
func TestVerifyWithoutSubject(t *testing.T) {
	s := newSpecimen(t)
	f := s.forge()
	var prev record.Hash
	var rng tlog.Range
	for seq := range s.n {
		name, at := s.home(seq)
		if seq == 7 {
			line := s.line(seq)
			i := bytes.Index(line, []byte(`,"class"`))
			j := bytes.LastIndex(line, []byte(`,"seq":`))
			f[name][at] = append(bytes.Clone(line[:i]), line[j:]...)
		}
		f[name][at] = retail(f[name][at], seq, prev)
		prev = tailOf(f[name][at]).Hash
		rng.Append(tlog.LeafHash(prev), nil)
	}
	log, err := audittrail.Open("dir", onDisk(s.disk.Clone()))
	if err != nil {
		t.Fatal(err)
	}
	signed := audittrail.SignRoot(t, log, uint64(s.n), rng.Root())
	mustClose(t, log)
	disk := s.under(t, f)
	edit(t, disk, "tree/checkpoint", func([]byte) []byte { return signed })
	v := verifyOn(t, disk, audittrail.VerifyOptions{VKeys: []string{s.vkey}})
	if v.Altered() || v.Records != uint64(s.n) || v.Count(audittrail.KindDerived) != v.ProblemCount {
		t.Errorf("%d records, %+v, want nothing but derived files that are of the log before", v.Records, v.Problems)
	}
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
	mustClose(t, log)
	edit(t, disk, segmentFile(last, ".jsonl"), func(b []byte) []byte {
		l := lines(b)
		l[1] = flip(l[1], `"body":"`)
		return bytes.Join(l, nil)
	})
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || v.Left != dropped.Records || v.Records != n-dropped.Records-1 || v.ProblemCount != 1 {
		t.Errorf("%d records and %d that left, %+v, %v; want %d and %d and one that is altered",
			v.Records, v.Left, v.Problems, err, n-dropped.Records-1, dropped.Records)
	}
}

// TestVerifyCountsProblems counts each line of a run that stands a second time once,
// however many problems are kept.
func TestVerifyCountsProblems(t *testing.T) {
	s := newSpecimen(t)
	for _, kept := range []int{0, 1, 3} {
		v := verifyOn(t, s.under(t, s.twice()), audittrail.VerifyOptions{MaxProblems: kept})
		if v.ProblemCount != 5 || v.Count(audittrail.KindInserted) != 4 {
			t.Errorf("%d kept: %d problems, %+v, want 4 lines that stand twice and an end that nobody vouches for", kept, v.ProblemCount, v.Problems)
		}
	}
}
