package audittrail_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"audittrail"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
)

// gapped makes a log whose second segment was archived and whose third was
// dropped, and returns checkpoints from when it was smaller.
func gapped(t *testing.T) (disk *vfs.Mem, segs []audittrail.Segment, older [][]byte) {
	t.Helper()
	disk = vfs.NewMem()
	filled(t, disk)
	log := openLog(t, disk)
	firsts := whole(t, log, 3)
	if err := log.ArchiveSegments(t.Context(), firsts[1:2], place, "old"); err != nil {
		t.Fatal(err)
	}
	signed, err := log.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := log.DropSegments(t.Context(), firsts[2:], "older"); err != nil {
		t.Fatal(err)
	}
	segs = segments(t, log)
	logtest.Close(t, log)
	return disk, segs, [][]byte{signed}
}

func segmentFile(s audittrail.Segment, ext string) string {
	return "log/" + fmt.Sprintf("%020d", s.First) + ext
}

// TestTamperAroundGaps alters a log of which segments have left: the findings
// are the same as if they had not left.
func TestTamperAroundGaps(t *testing.T) {
	disk, segs, older := gapped(t)
	before, gone, behind := segs[0], segs[1], segs[3]
	remove := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { l := lines(b); return bytes.Join(append(l[:n:n], l[n+1:]...), nil) }
	}
	swap := func(b []byte) []byte {
		l := lines(b)
		l[1], l[2] = l[2], l[1]
		return bytes.Join(l, nil)
	}
	twice := func(b []byte) []byte { l := lines(b); return append(bytes.Clone(l[0]), b...) }
	flip := func(at int) func([]byte) []byte { return func(b []byte) []byte { b[at] ^= 1; return b } }
	resum := func(b []byte) []byte {
		sum := sha256.Sum256(b[:len(b)-32])
		return append(b[:len(b)-32], sum[:]...)
	}
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
		seq        uint64
		kind       finding.Kind
	}{
		{"a bit in front of the gap", segmentFile(before, ".jsonl"), flip(100), before.First, finding.Modified},
		{"a bit after the gap", segmentFile(behind, ".jsonl"), flip(100), behind.First, finding.Modified},
		{"a line after the gap removed", segmentFile(behind, ".jsonl"), remove(0), behind.First, finding.Missing},
		{"the last line in front of the gap removed", segmentFile(before, ".jsonl"), remove(int(before.Records) - 1), before.First + before.Records - 1, finding.Missing},
		{"lines after the gap swapped", segmentFile(behind, ".jsonl"), swap, behind.First + 1, finding.Reordered},
		{"a line doubled", segmentFile(behind, ".jsonl"), twice, behind.First + 1, finding.Inserted},
		{"the end cut off", segmentFile(segs[len(segs)-1], ".jsonl"), remove(0), segs[len(segs)-1].First, finding.Missing},
		{"a bit of the tombstone's hashes", segmentFile(gone, ".remnant"), flip(100), gone.First, finding.Modified},
		{"a hash in the tombstone, and its sum", segmentFile(gone, ".remnant"), func(b []byte) []byte { return resum(flip(100)(b)) }, gone.First, finding.Modified},
		{"an id in the tombstone, and its sum", segmentFile(gone, ".remnant"), func(b []byte) []byte { return resum(flip(96 + 32*int(gone.Records))(b)) }, gone.First, finding.Modified},
		{"the tombstone's head", segmentFile(gone, ".remnant"), flip(30), gone.First, finding.Modified},
		{"the tombstone emptied", segmentFile(gone, ".remnant"), func([]byte) []byte { return nil }, gone.First, finding.Modified},
		{"the tombstone removed", segmentFile(gone, ".remnant"), nil, gone.First, finding.Missing},
		{"a segment removed", segmentFile(behind, ".jsonl"), nil, behind.First, finding.Missing},
		// With the records that said so.
		{"the last segment removed", segmentFile(segs[len(segs)-1], ".jsonl"), nil, gone.First, finding.Missing},
	} {
		for _, trees := range []bool{true, false} {
			after := disk.Clone()
			if c.change != nil {
				edit(t, after, c.file, c.change)
			} else if err := after.Remove("dir/" + c.file); err != nil {
				t.Fatal(err)
			}
			if !trees { // the tree's files are gone as well
				for _, name := range []string{"dir/tree/entries", "dir/tree/0"} {
					if err := after.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
			}
			v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(after), audittrail.VerifyOptions{Checkpoints: older})
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if !v.Altered() || v.Findings[0].Seq != c.seq || trees && v.Findings[0].Kind != c.kind {
				t.Errorf("%s, tree %v: %+v, want record %d %s", c.name, trees, v.Findings, c.seq, c.kind)
			}
		}
	}
}

// TestForgedGap removes a segment from the log as the writer does, but without
// the keys to record that.
func TestForgedGap(t *testing.T) {
	disk, segs, _ := gapped(t)
	s := segs[3]
	b, err := vfs.ReadFile(disk, "dir/"+segmentFile(s, ".jsonl"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	k := new(tombstone.Builder)
	for _, line := range lines(b) {
		if err := k.Add(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			t.Fatal(err)
		}
	}
	left, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(disk, "dir/"+segmentFile(s, ".remnant"), left, 0o644); err != nil {
		t.Fatal(err)
	}
	intact(t, disk, "a tombstone next to its segment")
	if err := disk.Remove("dir/" + segmentFile(s, ".jsonl")); err != nil {
		t.Fatal(err)
	}
	v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(disk), audittrail.VerifyOptions{})
	if err != nil || v.FindingCount != 1 || v.Findings[0].Kind != finding.Missing || v.Findings[0].Seq != s.First {
		t.Errorf("verify: %+v, %v, want record %d missing", v, err, s.First)
	}
}

// TestVerifyGapsFrom verifies from everywhere, with the keyring and without it.
func TestVerifyGapsFrom(t *testing.T) {
	disk, segs, older := gapped(t)
	log := openLog(t, disk)
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	n := size(t, log)
	logtest.Close(t, log)
	bare := disk.Clone()
	if err := bare.Rename("dir/keys", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	gap := func(from uint64) (left uint64) {
		for _, s := range segs[1:3] {
			left += s.First + s.Records - min(max(from, s.First), s.First+s.Records)
		}
		return left
	}
	for from := range n {
		for _, d := range []*vfs.Mem{disk, bare} {
			vo := audittrail.VerifyOptions{From: from, Checkpoints: older}
			if d == bare {
				vo.VKeys = []string{keys[0].VKey}
			}
			v, err := audittrail.VerifyDir(t.Context(), "dir", rolling(d), vo)
			if err != nil || !v.Valid() || len(v.Limitations) > 0 || v.Removed != gap(from) || v.Records+v.Removed != n-from {
				t.Fatalf("from %d: %+v, %v, want %d records, %d of which have left", from, v, err, n-from, gap(from))
			}
		}
	}
}

// TestUnreadableBesideGaps has single files that cannot be read, or that are
// something else than files. Where a record says that a segment has left, it may
// be in one of them: verify then says that it is not known, and reports no
// alteration.
func TestUnreadableBesideGaps(t *testing.T) {
	disk, segs, _ := gapped(t)
	for i, s := range segs {
		name := segmentFile(s, ".jsonl")
		if s.State != audittrail.SegmentHere {
			name = segmentFile(s, ".remnant")
		}
		planted := disk.Clone()
		if err := planted.Remove("dir/" + name); err != nil {
			t.Fatal(err)
		}
		if err := planted.Plant("dir/"+name, fs.ModeSymlink); err != nil {
			t.Fatal(err)
		}
		failing := disk.Clone()
		failing.Inject(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, name) {
				return syscall.EIO
			}
			return nil
		})
		for what, disk := range map[string]*vfs.Mem{"a link": planted, "EIO": failing} {
			v := verifyOn(t, disk, audittrail.VerifyOptions{})
			if v.Altered() || v.Count(finding.Unreadable) == 0 {
				t.Errorf("%s: segment %d: %+v, want nothing altered, and what cannot be read", what, i, v)
			}
		}
	}
}
