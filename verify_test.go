package audittrail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
	"audittrail/record"
	"audittrail/tlog"
)

// verifyOn verifies the log "dir" on a disk.
func verifyOn(t *testing.T, disk vfs.FS, vo audittrail.VerifyOptions) *audittrail.Verification {
	t.Helper()
	v, err := tryVerify(disk, vo)
	if err != nil {
		t.Fatalf("VerifyDir() = %v", err)
	}
	return v
}

// tryVerify leaves the keyring out if verifier keys are given.
func tryVerify(disk vfs.FS, vo audittrail.VerifyOptions) (*audittrail.Verification, error) {
	o := audittrail.Options{}
	if len(vo.VKeys) > 0 {
		o.KeysDir = "nowhere"
	}
	return audittrail.VerifyDir(context.Background(), "dir", o.With(audittrail.Seams{FS: disk}), vo)
}

func wantValid(t *testing.T, v *audittrail.Verification, records int) {
	t.Helper()
	if !v.Valid() || v.Altered() || len(v.Limitations) > 0 || v.Records != uint64(records) {
		t.Errorf("got %d records, %d problems %+v, missing %q; want %d and none", v.Records, v.FindingCount, v.Findings, v.Limitations, records)
	}
}

func TestVerifyIntact(t *testing.T) {
	s := newSpecimen(t)
	signed := s.read(t, "tree/checkpoint")
	c, err := tlog.ReadCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	var checkpoints [][]byte
	for size := range uint64(s.n + 1) {
		checkpoints = append(checkpoints, s.checkpoint(t, size))
	}
	for from := range s.n {
		for _, vkeys := range [][]string{nil, {s.vkey}} {
			var last, all uint64
			v := verifyOn(t, s.disk, audittrail.VerifyOptions{
				From: uint64(from), VKeys: vkeys, Checkpoints: checkpoints,
				Progress: func(done, total uint64) {
					if done < last || done > total {
						t.Errorf("progress went from %d to %d of %d", last, done, total)
					}
					last, all = done, total
				},
			})
			wantValid(t, v, s.n-from)
			if v.Root != c.Root || v.CheckpointSize != c.Size || v.Unsigned != 0 || v.First != uint64(from) || v.Sealed != (vkeys != nil) {
				t.Errorf("from %d: %+v, want root %v of size %d", from, v, c.Root, c.Size)
			}
			if from == 0 && (last != all || v.Bytes != all) {
				t.Errorf("progress ended at %d of %d bytes, %d were read", last, all, v.Bytes)
			}
		}
	}
	if _, err := tryVerify(s.disk, audittrail.VerifyOptions{From: uint64(s.n + 1)}); !errors.Is(err, audittrail.ErrNoRecord) {
		t.Errorf("from after the end: %v, want ErrNoRecord", err)
	}
}

// TestVerifyOpen verifies logs that are open, for writing and for reading.
func TestVerifyOpen(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true}.With(audittrail.Seams{Roll: 3000}))
	reader := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	for i := range 20 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: fmt.Sprint(i)})
		for name, l := range map[string]*audittrail.Log{"writer": log, "reader": reader} {
			v, err := l.Verify(t.Context(), audittrail.VerifyOptions{})
			if err != nil {
				t.Fatalf("%s: Verify() = %v", name, err)
			}
			wantValid(t, v, i+1)
			if v.Unsigned+v.CheckpointSize != v.Records {
				t.Errorf("%s: %d of %d records are unsigned, and %d signed", name, v.Unsigned, v.Records, v.CheckpointSize)
			}
		}
	}
	logtest.Close(t, log)
	if _, err := log.Verify(t.Context(), audittrail.VerifyOptions{}); !errors.Is(err, audittrail.ErrClosed) {
		t.Errorf("Verify after Close = %v, want ErrClosed", err)
	}
}

// TestVerifyBesideWriter verifies again and again while records are written
// and segments begun.
func TestVerifyBesideWriter(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true}.With(audittrail.Seams{Roll: 20_000}))
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "first"})
	vkey := vkeyOf(t, dir)
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			events := []event.Event{{Type: event.Prompt, UserID: fmt.Sprint(i), Prompt: strings.Repeat("x", i%5000)}, {Type: event.Response}}
			if _, err := log.AppendBatch(context.Background(), events); err != nil {
				done <- err
				return
			}
		}
	}()
	for i := range 60 {
		vo := audittrail.VerifyOptions{}
		if i%2 == 1 {
			vo.VKeys = []string{vkey}
		}
		v, err := audittrail.VerifyDir(t.Context(), dir, audittrail.Options{}, vo)
		if err != nil || !v.Valid() {
			t.Errorf("VerifyDir() beside a writer = %+v, %v", v, err)
			break
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestVerifyAnyEdit makes random edits and compares the first problem with the
// first line that is another.
func TestVerifyAnyEdit(t *testing.T) {
	s := newSpecimen(t)
	type place struct {
		file string
		line string
	}
	layout := func(f forgery) (all []place) {
		for _, name := range s.names {
			for _, line := range f[name] {
				all = append(all, place{name, string(line)})
			}
		}
		return all
	}
	before := layout(s.forge())
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := s.forge()
		for range 1 + rng.IntN(4) {
			s.editAny(f, rng)
		}
		after := layout(f)
		want := 0
		for want < min(len(before), len(after)) && before[want] == after[want] {
			want++
		}
		c := conditions{keyless: seed%2 == 0}
		v := s.verify(t, f, c)
		if want == len(before) && want == len(after) {
			wantValid(t, v, s.n) // one edit undid another
			continue
		}
		if v.Valid() || !v.Altered() && want < s.n {
			t.Errorf("seed %d: an edit at record %d was not found: %+v", seed, want, v.Findings)
			continue
		}
		if got := v.Findings[0].Seq; got != uint64(want) {
			t.Errorf("seed %d: the first problem is at record %d, want %d: %+v", seed, got, want, v.Findings)
		}
		if n := v.Count(finding.Unreadable) + v.Count(finding.Lost); n > 0 || v.Count(finding.Torn) > 0 && want < s.n && v.FindingCount == 1 {
			t.Errorf("seed %d: taken for something else: %+v", seed, v.Findings)
		}
	}
}

// editAny makes one edit of the lines.
func (s *specimen) editAny(f forgery, rng *rand.Rand) {
	name := s.names[rng.IntN(len(s.names))]
	if len(f[name]) == 0 {
		return
	}
	at := rng.IntN(len(f[name]))
	line := f[name][at]
	switch rng.IntN(6) {
	case 0: // change a byte, but no line's end
		out := bytes.Clone(line)
		if len(out) > 1 {
			out[rng.IntN(len(out)-1)] ^= 0x80
		}
		f[name][at] = out
	case 1:
		f[name] = slices.Delete(slices.Clone(f[name]), at, at+1)
	case 2: // a line twice, or somewhere else
		other := s.names[rng.IntN(len(s.names))]
		f[other] = slices.Insert(slices.Clone(f[other]), rng.IntN(len(f[other])+1), line)
		if rng.IntN(2) == 0 {
			i := slices.IndexFunc(f[name], func(l []byte) bool { return &l[0] == &line[0] })
			f[name] = slices.Delete(slices.Clone(f[name]), i, i+1)
		}
	case 3:
		f[name] = slices.Insert(slices.Clone(f[name]), at, []byte("junk\n"))
	case 4:
		f[name] = slices.Insert(slices.Clone(f[name]), at, s.madeUp(rng.IntN(s.n)))
	case 5: // turn a few lines round
		to := min(at+1+rng.IntN(4), len(f[name]))
		f[name] = slices.Clone(f[name])
		slices.Reverse(f[name][at:to])
	}
}

// wantDerived checks that a log is called unaltered, and one derived file damaged.
func wantDerived(t *testing.T, v *audittrail.Verification, records int, file string) {
	t.Helper()
	if v.Altered() || v.Valid() || v.Records != uint64(records) || v.FindingCount != 1 ||
		v.Findings[0].Kind != finding.Derived || v.Findings[0].File != file {
		t.Errorf("got %d records, %d problems %+v; want %d and %s named as derived", v.Records, v.FindingCount, v.Findings, records, file)
	}
}

// TestVerifyTreeFiles alters the files of the tree.
func TestVerifyTreeFiles(t *testing.T) {
	s := newSpecimen(t)
	for _, name := range []string{"tree/entries", "tree/0"} {
		for _, how := range []func([]byte) []byte{
			func(b []byte) []byte { return flipAt(b, len(b)*2/3) },
			func(b []byte) []byte { return b[:len(b)/3] },
			func(b []byte) []byte { return append(b, make([]byte, 32)...) },
			func([]byte) []byte { return nil },
		} {
			for _, from := range []uint64{0, 17} {
				disk := s.disk.Clone()
				edit(t, disk, name, how)
				// It is derived: the lines give the root that was signed.
				wantDerived(t, verifyOn(t, disk, audittrail.VerifyOptions{From: from}), s.n-int(from), name)
				wantDerived(t, verifyOn(t, disk, audittrail.VerifyOptions{From: from, VKeys: []string{s.vkey}}), s.n-int(from), name)
			}
		}
	}
	checkpoint := s.read(t, "tree/checkpoint")
	for i := range checkpoint {
		disk := s.disk.Clone()
		edit(t, disk, "tree/checkpoint", func(b []byte) []byte { return flipAt(b, i) })
		// The keyring knows what was signed. A checkpoint that claims no more
		// is irrelevant.
		want := finding.Derived
		c, damaged := tlog.ReadCheckpoint(flipAt(checkpoint, i))
		if damaged == nil && c.Size > uint64(s.n) {
			want = finding.Rewritten
		}
		v := verifyOn(t, disk, audittrail.VerifyOptions{})
		if v.Altered() != (want == finding.Rewritten) || v.Findings[0].Kind != want || v.Findings[0].File != "tree/checkpoint" || v.Records != uint64(s.n) {
			t.Errorf("a bit of byte %d of the checkpoint flipped: %+v, want it %s", i, v, want)
		}
		v, err := tryVerify(disk, audittrail.VerifyOptions{VKeys: []string{s.vkey}})
		if err == nil && (!v.Altered() || damaged != nil) || err != nil && damaged == nil && !errors.Is(err, tlog.ErrUnknownKey) {
			t.Errorf("without keys: a bit of byte %d of the checkpoint flipped: %+v, %v", i, v, err)
		}
	}
}

// TestVerifyCheckpoints puts other checkpoints into the place of the newest.
func TestVerifyCheckpoints(t *testing.T) {
	s := newSpecimen(t)
	vo := audittrail.VerifyOptions{VKeys: []string{s.vkey}}

	older := s.disk.Clone()
	edit(t, older, "tree/checkpoint", func([]byte) []byte { return s.checkpoint(t, 30) })
	wantValid(t, verifyOn(t, older, audittrail.VerifyOptions{}), s.n) // the keyring knows better
	v := verifyOn(t, older, vo)
	if !v.Valid() || v.CheckpointSize != 30 || v.Unsigned != 10 || len(v.Limitations) != 1 || !strings.Contains(v.Limitations[0], "chained, but unauthenticated") {
		t.Errorf("with a checkpoint of size 30: %+v, want 10 unsigned records that are unauthenticated", v)
	}

	gone := s.disk.Clone()
	remove(t, gone, "tree/checkpoint")
	if v := verifyOn(t, gone, audittrail.VerifyOptions{}); !v.Valid() || len(v.Limitations) != 1 || v.CheckpointSize != uint64(s.n) {
		t.Errorf("without a checkpoint: %+v", v)
	}
	if v, err := tryVerify(gone, vo); err == nil {
		t.Errorf("without a checkpoint and keys: %+v, want an error", v)
	}
	vo.Checkpoints = [][]byte{s.checkpoint(t, 12)}
	if v := verifyOn(t, gone, vo); !v.Valid() || len(v.Limitations) != 2 || v.CheckpointSize != 12 {
		t.Errorf("with a checkpoint that was given: %+v", v)
	}
	vo.Checkpoints = nil

	stranger, _, err := note.GenerateKey(nil, mustOrigin(t, s))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(stranger)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tlog.ReadCheckpoint(s.read(t, "tree/checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := tlog.Sign(c, signer)
	if err != nil {
		t.Fatal(err)
	}
	other := s.disk.Clone()
	edit(t, other, "tree/checkpoint", func([]byte) []byte { return signed })
	wantDerived(t, verifyOn(t, other, audittrail.VerifyOptions{}), s.n, "tree/checkpoint")
	if c.Size++; err == nil {
		signed, err = tlog.Sign(c, signer)
	}
	if err != nil {
		t.Fatal(err)
	}
	more := s.disk.Clone()
	edit(t, more, "tree/checkpoint", func([]byte) []byte { return signed })
	expect(t, verifyOn(t, more, audittrail.VerifyOptions{}), verdict{finding.Rewritten, s.n + 1})
	if _, err := tryVerify(other, vo); !errors.Is(err, tlog.ErrUnknownKey) {
		t.Errorf("a stranger's checkpoint, without keys: %v, want ErrUnknownKey", err)
	}
	if _, err := tryVerify(s.disk, audittrail.VerifyOptions{Checkpoints: [][]byte{signed}}); !errors.Is(err, tlog.ErrUnknownKey) {
		t.Errorf("a stranger's checkpoint, given: %v, want ErrUnknownKey", err)
	}
}

func mustOrigin(t *testing.T, s *specimen) string {
	t.Helper()
	c, err := tlog.ReadCheckpoint(s.read(t, "tree/checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Origin
}

// TestVerifyReplaced replaces the log by an older copy, or by another log,
// which only a checkpoint that was stored elsewhere reveals.
func TestVerifyReplaced(t *testing.T) {
	s := newSpecimen(t)
	newest := s.read(t, "tree/checkpoint")
	vo := audittrail.VerifyOptions{VKeys: []string{s.vkey}}

	// Lines, tree and checkpoint are all those of an earlier day.
	f := s.forge()
	for _, name := range s.names {
		f[name] = f[name][:max(0, min(len(f[name]), 25-s.first[name]))]
		if len(f[name]) == 0 {
			delete(f, name)
		}
	}
	old := s.disk.Clone()
	for _, name := range s.names {
		remove(t, old, "log/"+name)
		remove(t, old, "log/"+strings.TrimSuffix(name, ".jsonl")+".side")
	}
	for name, l := range f {
		edit(t, old, "log/"+name, func([]byte) []byte { return bytes.Join(l, nil) })
	}
	for _, name := range []string{"tree/entries", "tree/0"} {
		edit(t, old, name, func(b []byte) []byte { return b[:25*32] })
	}
	edit(t, old, "tree/checkpoint", func([]byte) []byte { return s.checkpoint(t, 25) })
	wantValid(t, verifyOn(t, old, vo), 25)
	expect(t, verifyOn(t, old, audittrail.VerifyOptions{}), verdict{finding.Truncated, 25})
	vo.Checkpoints = [][]byte{s.checkpoint(t, 10), newest}
	expect(t, verifyOn(t, old, vo), verdict{finding.Truncated, 25})

	// The same keys signed another log of the same size.
	fork := s.disk.KillOnly()
	for _, name := range []string{"log", "tree"} {
		names, err := fork.ReadDir("dir/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range names {
			remove(t, fork, name+"/"+file)
		}
	}
	if err := fork.Remove("dir/keys/signed"); err != nil {
		t.Fatal(err)
	}
	edit(t, fork, "keys/signed", func([]byte) []byte { return s.signedAtFirst })
	log := logtest.Open(t, "dir", onDisk(fork))
	for i := range s.n {
		logtest.Append(t, log, event.Event{Type: event.Response, Response: fmt.Sprint("another story ", i)})
	}
	logtest.Close(t, log)
	wantValid(t, verifyOn(t, fork, audittrail.VerifyOptions{}), s.n)
	for _, size := range []uint64{1, 25, 40} {
		vo := audittrail.VerifyOptions{Checkpoints: [][]byte{s.checkpoint(t, size)}}
		expect(t, verifyOn(t, fork, vo), verdict{finding.Rewritten, 0})
	}
}

// TestVerifyTorn cuts and damages the last write, which no checkpoint covers.
func TestVerifyTorn(t *testing.T) {
	killed := signedThenMore(t)
	segment := filepath.Join("log", firstSegment)
	all := lines(readOn(t, killed, segment))
	last := len(all) - 1
	whole := bytes.Join(all, nil)
	start := len(whole) - len(all[last])
	torn := func(what string, b []byte) {
		t.Helper()
		disk := killed.KillOnly()
		edit(t, disk, segment, func([]byte) []byte { return b })
		v := verifyOn(t, disk, audittrail.VerifyOptions{})
		// The tree's files may have been written for the last record before.
		found := slices.DeleteFunc(slices.Clone(v.Findings), func(p finding.Finding) bool { return p.Kind == finding.Derived })
		if v.Altered() || len(found) != 1 || v.Records != uint64(last) {
			t.Fatalf("%s: %+v, want one torn record", what, v)
		}
		if p := found[0]; p.Kind != finding.Torn || p.Seq != uint64(last) || p.Offset != int64(start) {
			t.Errorf("%s: %+v, want torn record %d at byte %d", what, p, last, start)
		}
	}
	wantValid(t, verifyOn(t, killed.KillOnly(), audittrail.VerifyOptions{}), last+1)
	for n := start + 1; n < len(whole); n++ {
		torn(fmt.Sprintf("cut at byte %d", n), whole[:n])
	}
	for n := start; n < len(whole); n += 97 {
		torn(fmt.Sprintf("zeros from byte %d", n), append(bytes.Clone(whole[:n]), make([]byte, len(whole)-n)...))
		torn(fmt.Sprintf("a bit of byte %d", n), flipAt(whole, n))
	}

	// Damage before a whole record of a later write is not a torn write. None
	// of these records was signed: they are unauthenticated.
	for _, line := range [][]byte{
		flipAt(all[last-1], 300), []byte("x\n"), nil, slices.Concat([]byte("x\n"), all[last-1]), all[last-2], all[0],
	} {
		disk := killed.KillOnly()
		edit(t, disk, segment, func([]byte) []byte {
			return slices.Concat(bytes.Join(all[:last-1], nil), line, all[last])
		})
		wantUnauthenticated(t, verifyOn(t, disk, audittrail.VerifyOptions{}), last-1)
	}
	// Nor is a whole record that was not written with the keys, nor a record
	// that continues it. They are unauthenticated, and no signed record was
	// altered.
	disk := killed.KillOnly()
	edit(t, disk, segment, func([]byte) []byte {
		return slices.Concat(bytes.Join(all[:last-1], nil), rehash(all[last-1], `"type":"prompt"`, `"type":"x.other"`), all[last])
	})
	wantUnauthenticated(t, verifyOn(t, disk, audittrail.VerifyOptions{}), last-1)
	disk = killed.KillOnly()
	edit(t, disk, segment, func(b []byte) []byte {
		return append(b, retail(rehash(all[0], `"type":"prompt"`, `"type":"x.other"`), last+1, tailOf(all[last]).Hash)...)
	})
	wantUnauthenticated(t, verifyOn(t, disk, audittrail.VerifyOptions{}), last+1)
}

// wantUnauthenticated checks that a log is intact except for unauthenticated
// lines from a record on, whose hashes the files of the tree may contain.
func wantUnauthenticated(t *testing.T, v *audittrail.Verification, seq int) {
	t.Helper()
	if v.Altered() || v.Valid() || v.FindingCount != v.Count(finding.Unauthenticated)+v.Count(finding.Derived) ||
		v.Findings[0].Seq != uint64(seq) || v.Records != uint64(seq) {
		t.Errorf("%d records, problems %+v, want unauthenticated lines from record %d on", v.Records, v.Findings, seq)
	}
}

func readOn(t *testing.T, disk vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(disk, filepath.Join("dir", name), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVerifyUnreadable makes single files unreadable, which does not count as
// tampering.
func TestVerifyUnreadable(t *testing.T) {
	s := newSpecimen(t)
	for k, name := range s.names {
		for _, kind := range []vfs.OpKind{vfs.OpOpen, vfs.OpRead, vfs.OpStat} {
			disk := s.disk.Clone()
			disk.Inject(func(op vfs.Op) error {
				if op.Kind == kind && filepath.Base(op.Name) == name {
					return fs.ErrPermission
				}
				return nil
			})
			v := verifyOn(t, disk, audittrail.VerifyOptions{})
			if v.Altered() || v.FindingCount != 1 || v.Findings[0].Kind != finding.Unreadable ||
				v.Findings[0].Seq != uint64(s.first[name]) || v.Records != uint64(s.n-len(s.lines[name])) {
				t.Errorf("%s of %s fails: %+v", kind, name, v)
			}
			// The others are checked all the same.
			other := s.names[(k+1)%len(s.names)]
			edit(t, disk, "log/"+other, func(b []byte) []byte { return flipAt(b, 200) })
			v = verifyOn(t, disk, audittrail.VerifyOptions{})
			if !v.Altered() || v.FindingCount != 2 || v.Count(finding.Modified) != 1 || v.Count(finding.Unreadable) != 1 {
				t.Errorf("%s of %s fails, and %s is altered: %+v", kind, name, other, v.Findings)
			}
		}
	}
	disk := s.disk.Clone()
	disk.Inject(func(op vfs.Op) error {
		if op.Kind == vfs.OpReadDir && filepath.Base(op.Name) == "log" {
			return fs.ErrPermission
		}
		return nil
	})
	if v, err := tryVerify(disk, audittrail.VerifyOptions{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("the folder cannot be read: %+v, %v, want an error", v, err)
	}
}

// TestVerifyFrom checks the end of a log whose start is altered, and the
// reverse.
func TestVerifyFrom(t *testing.T) {
	s := newSpecimen(t)
	for _, at := range []int{3, 12, 25, 39} {
		f := s.put(at, flip(s.line(at), `"body":"`))
		for from := range s.n {
			v := s.verify(t, f, conditions{from: uint64(from)})
			if from > at {
				wantValid(t, v, s.n-from)
			} else {
				expect(t, v, verdict{finding.Modified, at})
			}
		}
		f = s.forge()
		for _, name := range s.names {
			f[name] = f[name][:max(0, min(len(f[name]), at-s.first[name]))]
		}
		for from := range s.n {
			expect(t, s.verify(t, f, conditions{from: uint64(from)}), verdict{finding.Truncated, max(at, from)})
		}
	}
}

func TestVerifyMaxProblems(t *testing.T) {
	s := newSpecimen(t)
	f := s.forge()
	s.rewrite(f, 10)
	disk := s.disk.Clone()
	for name, l := range f {
		edit(t, disk, "log/"+name, func([]byte) []byte { return bytes.Join(l, nil) })
	}
	v := verifyOn(t, disk, audittrail.VerifyOptions{MaxFindings: 3})
	if len(v.Findings) != 3 || v.FindingCount != 30 || v.Count(finding.Rewritten) != 30 {
		t.Errorf("%d problems kept of %d, want 3 of 30: %+v", len(v.Findings), v.FindingCount, v.Findings)
	}
	for i, p := range v.Findings {
		name, at := s.home(10 + i)
		offset := len(bytes.Join(f[name][:at], nil))
		if p.Seq != uint64(10+i) || p.File != "log/"+name || p.Offset != int64(offset) {
			t.Errorf("problem %d: %+v, want record %d in %s at byte %d", i, p, 10+i, name, offset)
		}
	}
}

// TestVerifyRotated follows signers from one to the next.
func TestVerifyRotated(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	old, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: fmt.Sprint(i)})
		if err := log.RotateSigner(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	logtest.Append(t, log, event.Event{Type: event.Prompt})
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	wantValid(t, verifyOn(t, disk, audittrail.VerifyOptions{Checkpoints: [][]byte{old}}), 7)
	for _, k := range keys {
		wantValid(t, verifyOn(t, disk, audittrail.VerifyOptions{VKeys: []string{k.VKey}, Checkpoints: [][]byte{old}}), 7)
	}
	other := newSpecimen(t)
	if _, err := tryVerify(disk, audittrail.VerifyOptions{VKeys: []string{other.vkey}}); !errors.Is(err, tlog.ErrUnknownKey) {
		t.Errorf("with another log's key: %v, want ErrUnknownKey", err)
	}
	notes := readOn(t, disk, "tree/signers")
	for i := 0; i < len(notes); i += 7 {
		damaged := disk.Clone()
		edit(t, damaged, "tree/signers", func(b []byte) []byte { return flipAt(b, i) })
		// The keyring has them, and decides.
		const want = finding.Derived
		v := verifyOn(t, damaged, audittrail.VerifyOptions{})
		if v.Altered() || v.FindingCount != 1 || v.Findings[0].File != "tree/signers" || v.Findings[0].Kind != want {
			t.Errorf("a bit of byte %d of the signers flipped: %+v, want it %s", i, v, want)
		}
		v, err := tryVerify(damaged, audittrail.VerifyOptions{VKeys: []string{keys[len(keys)-1].VKey}})
		if err != nil || v.Verdict() == audittrail.VerdictIntact || v.Findings[0].File != "tree/signers" || v.Findings[0].Kind != want && v.Findings[0].Kind != finding.Modified {
			t.Errorf("without keys: a bit of byte %d of the signers flipped: %+v, %v", i, v, err)
		}
	}
	// A note after those of the log, which its signers did not sign, is dropped
	// when the log is opened.
	junk := disk.Clone()
	edit(t, junk, "tree/signers", func(b []byte) []byte { return append(bytes.Clone(b), "4\njunk"...) })
	if v := verifyOn(t, junk, audittrail.VerifyOptions{}); v.Altered() || v.Count(finding.Derived) != 1 {
		t.Errorf("a note that nobody signed: %+v", v)
	}
	log = logtest.Open(t, "dir", onDisk(junk))
	logtest.Close(t, log)
	wantValid(t, verifyOn(t, junk, audittrail.VerifyOptions{}), 7)
}

// TestVerifyLostKeys restores a keyring from before some records.
func TestVerifyLostKeys(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "early"})
	logtest.Close(t, log)
	before := disk.KillOnly()
	log = logtest.Open(t, "dir", onDisk(disk))
	for _, user := range []string{"early", "late", "late", "early"} {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: user, Labels: map[string]string{
			// As in the fields that identify a key.
			"class": "standard/2026-01", "key": strings.Repeat("0", 64), "subject": strings.Repeat("0", 32),
			"z\",\"subject\":\"": "0",
		}})
	}
	logtest.Close(t, log)
	names, err := disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := vfs.ReadFile(before, "dir/keys/"+name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		edit(t, disk, "keys/"+name, func([]byte) []byte { return b })
	}
	for _, alter := range []bool{false, true} {
		if alter {
			edit(t, disk, "log/"+firstSegment, func(b []byte) []byte { return flipAt(b, 300) })
		}
		v := verifyOn(t, disk, audittrail.VerifyOptions{})
		if v.Altered() != alter || v.Count(finding.Lost) != 2 {
			t.Errorf("altered %t: %+v, want two lost keys", alter, v)
		}
		for _, p := range v.Findings {
			if p.Kind == finding.Lost && p.Seq != 2 && p.Seq != 3 {
				t.Errorf("lost: %+v, want records 2 and 3", p)
			}
		}
	}
}

// TestVerifyNewerFormat checks a log in which there are records of a version
// that came later.
func TestVerifyNewerFormat(t *testing.T) {
	s := newSpecimen(t)
	f := s.forge()
	var prev record.Hash
	var rng tlog.Range
	var entries, leaves []byte
	for seq := range s.n {
		name, at := s.home(seq)
		line := f[name][at]
		if seq%10 == 7 {
			line = []byte(strings.Replace(string(line), `{"v":2,`, `{"v":12,"new":{},`, 1))
		}
		f[name][at] = retail(line, seq, prev)
		prev = tailOf(f[name][at]).Hash
		leaf := tlog.LeafHash(prev)
		rng.Append(leaf, nil)
		entries, leaves = append(entries, prev[:]...), append(leaves, leaf[:]...)
	}
	disk := s.disk.Clone()
	log := logtest.Open(t, "dir", onDisk(disk.Clone()))
	signed := audittrail.SignRoot(t, log, uint64(s.n), rng.Root())
	logtest.Close(t, log)
	for name, l := range f {
		edit(t, disk, "log/"+name, func([]byte) []byte { return bytes.Join(l, nil) })
		remove(t, disk, "log/"+strings.TrimSuffix(name, ".jsonl")+".side")
	}
	edit(t, disk, "tree/checkpoint", func([]byte) []byte { return signed })
	edit(t, disk, "tree/entries", func([]byte) []byte { return entries })
	edit(t, disk, "tree/0", func([]byte) []byte { return leaves })
	v := verifyOn(t, disk, audittrail.VerifyOptions{VKeys: []string{s.vkey}})
	if !v.Valid() || len(v.Limitations) != 1 || !strings.HasPrefix(v.Limitations[0], "4 records of a newer format") {
		t.Errorf("%+v, want a valid log with 4 records that are not understood", v)
	}
}

func TestVerifyImpossible(t *testing.T) {
	s := newSpecimen(t)
	if _, err := audittrail.VerifyDir(t.Context(), t.TempDir(), audittrail.Options{}, audittrail.VerifyOptions{}); !errors.Is(err, audittrail.ErrNoLog) {
		t.Errorf("an empty folder: %v, want ErrNoLog", err)
	}
	o := audittrail.Options{KeysDir: "nowhere"}.With(audittrail.Seams{FS: s.disk})
	if _, err := audittrail.VerifyDir(t.Context(), "dir", o, audittrail.VerifyOptions{}); !errors.Is(err, audittrail.ErrNoVerifierKey) {
		t.Errorf("no key at all: %v, want ErrNoVerifierKey", err)
	}
	if _, err := tryVerify(s.disk, audittrail.VerifyOptions{VKeys: []string{"x"}}); !errors.Is(err, tlog.ErrMalformed) {
		t.Errorf("no verifier key: %v, want ErrMalformed", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audittrail.VerifyDir(ctx, "dir", audittrail.Options{}.With(audittrail.Seams{FS: s.disk}), audittrail.VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v, want context.Canceled", err)
	}
	// So is another log's verifier key, also where the keyring is at hand.
	other := newSpecimen(t)
	seams := audittrail.Options{}.With(audittrail.Seams{FS: s.disk})
	for _, keys := range [][]string{{other.vkey}, {s.vkey, other.vkey}} {
		v, err := audittrail.VerifyDir(t.Context(), "dir", seams, audittrail.VerifyOptions{VKeys: keys})
		if len(keys) == 1 && !errors.Is(err, tlog.ErrUnknownKey) || len(keys) == 2 && err != nil {
			t.Errorf("another log's verifier key, one of %d: %+v, %v, want ErrUnknownKey if it is the only one", len(keys), v, err)
		}
	}
	// A witness's signature shows that it has seen a checkpoint, not that the
	// log's key signed it.
	witness, wkey, err := note.GenerateKey(nil, "witness.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(witness)
	if err != nil {
		t.Fatal(err)
	}
	witnessed := s.disk.Clone()
	edit(t, witnessed, "tree/checkpoint", func(b []byte) []byte {
		n, err := note.Open(b, nil)
		var unverified *note.UnverifiedNoteError
		if !errors.As(err, &unverified) {
			t.Fatalf("%v, %v", n, err)
		}
		b, err = note.Sign(unverified.Note, signer)
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
	if v, err := tryVerify(witnessed, audittrail.VerifyOptions{VKeys: []string{wkey}}); !errors.Is(err, tlog.ErrOrigin) {
		t.Errorf("a witness's key alone: %+v, %v, want ErrOrigin", v, err)
	}
	// Another log's keyring is a mistake, and no tampering.
	mixed := s.disk.Clone()
	names, err := other.disk.ReadDir("dir/keys")
	if err != nil {
		t.Fatal(err)
	}
	if err := mixed.MkdirAll("dir/other", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		edit(t, mixed, "other/"+name, func([]byte) []byte { return other.read(t, "keys/"+name) })
	}
	o = audittrail.Options{KeysDir: "dir/other"}.With(audittrail.Seams{FS: mixed})
	if v, err := audittrail.VerifyDir(t.Context(), "dir", o, audittrail.VerifyOptions{}); !errors.Is(err, tlog.ErrOrigin) {
		t.Errorf("another log's keyring: %+v, %v, want ErrOrigin", v, err)
	}
	// A log that was deleted, except for its keys, is not reported as a new
	// log.
	disk := s.disk.Clone()
	for _, name := range s.names {
		remove(t, disk, "log/"+name)
	}
	expect(t, verifyOn(t, disk, audittrail.VerifyOptions{}), verdict{finding.Truncated, 0})
}

// TestVerifyEmpty verifies a log without records.
func TestVerifyEmpty(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	wantValid(t, verifyOn(t, disk, audittrail.VerifyOptions{}), 0)
	logtest.Close(t, log)
	wantValid(t, verifyOn(t, disk, audittrail.VerifyOptions{}), 0)
}

// TestVerifyFirstWrite has the very first write of a log interrupted, of which
// a checkpoint over no record is published: nobody altered it.
func TestVerifyFirstWrite(t *testing.T) {
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	if _, err := log.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	edit(t, disk, "log/"+firstSegment, func([]byte) []byte { return []byte(`{"v":1,"id":"01a2`) })
	v, err := audittrail.VerifyDir(t.Context(), "dir", onDisk(disk), audittrail.VerifyOptions{})
	if err != nil || v.Altered() || v.FindingCount != 1 || v.Count(finding.Torn) != 1 {
		t.Errorf("VerifyDir() = %+v, %v, want one torn write", v, err)
	}
	check(t, disk, nil, "after a torn first write")
}
