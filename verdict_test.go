package audittrail_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// putBack replaces a folder of a log by its copy on another disk.
func putBack(t *testing.T, disk, older *vfs.Mem, dir string) {
	t.Helper()
	for _, d := range []*vfs.Mem{disk, older} {
		names, err := d.ReadDir("dir/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if d == disk {
				remove(t, disk, dir+"/"+name)
				continue
			}
			b, err := vfs.ReadFile(older, "dir/"+dir+"/"+name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			edit(t, disk, dir+"/"+name, func([]byte) []byte { return b })
		}
	}
}

// withOlderKeys makes a log of n records about as many people, and gives it the
// keyring that it had before the first of them.
func withOlderKeys(t *testing.T, n int) *vfs.Mem {
	t.Helper()
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", onDisk(disk))
	logtest.Close(t, log)
	older := disk.Clone()
	log = logtest.Open(t, "dir", onDisk(disk))
	for i := range n {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprint("user ", i)})
	}
	logtest.Close(t, log)
	putBack(t, disk, older, "keys")
	return disk
}

// TestVerdictCrowded has more lost keys than problems are kept, and alterations
// among them: they are kept, come first, and decide.
func TestVerdictCrowded(t *testing.T) {
	const n, most = 40, 5
	disk := withOlderKeys(t, n)
	v := verifyOn(t, disk, audittrail.VerifyOptions{MaxFindings: most})
	if v.Verdict() != audittrail.VerdictLimited || v.Altered() || v.FindingCount != n || len(v.Findings) != most {
		t.Fatalf("lost keys alone: %s, %d problems, %d kept; want limited, %d and %d", v.Verdict(), v.FindingCount, len(v.Findings), n, most)
	}
	if diff := cmp.Diff([]string{"the keys to the contents of 40 records are lost"}, v.Caveats()); diff != "" {
		t.Errorf("Limitations (-want +got):\n%s", diff)
	}
	const first = 30
	edit(t, disk, "log/"+firstSegment, func(b []byte) []byte {
		l := lines(b)
		for seq := first; seq < n; seq++ {
			l[seq][50] ^= 1
		}
		return bytes.Join(l, nil)
	})
	for _, size := range []uint64{0, n, first + 1, first} {
		v := verifyOn(t, disk, audittrail.VerifyOptions{MaxFindings: most, Size: size})
		altered := uint64(n - first)
		if size > 0 {
			altered = size - first
		}
		if v.Alterations() != altered || v.Count(finding.Modified) != altered || v.Altered() != (altered > 0) {
			t.Errorf("size %d: %d alterations, %d modified; want %d", size, v.Alterations(), v.Count(finding.Modified), altered)
		}
		if v.Count(finding.Lost) != first || v.FindingCount != first+altered {
			t.Errorf("size %d: %d lost, %d problems; want %d and %d", size, v.Count(finding.Lost), v.FindingCount, first, first+altered)
		}
		kept := min(altered, most)
		if len(v.Findings) != int(kept)+most {
			t.Fatalf("size %d: %d problems kept, want %d alterations and %d others", size, len(v.Findings), kept, most)
		}
		for i, p := range v.Findings {
			want := verdict{finding.Modified, first + i}
			if i >= int(kept) {
				want = verdict{finding.Lost, i - int(kept)}
			}
			if got := (verdict{p.Kind, int(p.Seq)}); got != want {
				t.Errorf("size %d: problem %d is %v, want %v", size, i, got, want)
			}
		}
		want := audittrail.VerdictAltered
		if altered == 0 {
			want = audittrail.VerdictLimited
		}
		if v.Verdict() != want {
			t.Errorf("size %d: verdict %s, want %s", size, v.Verdict(), want)
		}
	}
}

// TestVerifyFirstSecond has a log whose first records nobody has signed yet,
// with every possible prefix of a write that a crash interrupted.
func TestVerifyFirstSecond(t *testing.T) {
	s := newSpecimen(t)
	all := s.read(t, "log/"+s.names[0])
	first := len(s.line(0)) + len(s.line(1))
	signed := s.checkpoint(t, 0)
	for _, keyless := range []bool{false, true} {
		for n := range len(s.line(2)) {
			whole := append([]byte{}, all[:first+n]...)
			fresh := s.disk.Clone()
			for _, name := range s.names[1:] {
				remove(t, fresh, "log/"+name)
			}
			edit(t, fresh, "log/"+s.names[0], func([]byte) []byte { return whole })
			remove(t, fresh, "tree/entries")
			remove(t, fresh, "tree/0")
			remove(t, fresh, "log/"+strings.Replace(s.names[0], ".jsonl", ".side", 1)) // which is of the whole log
			edit(t, fresh, "tree/checkpoint", func([]byte) []byte { return signed })
			edit(t, fresh, "keys/signed", func([]byte) []byte { return s.signedAtFirst })
			vo := audittrail.VerifyOptions{}
			if keyless {
				vo.VKeys = []string{s.vkey}
			}
			v := verifyOn(t, fresh, vo)
			torn := uint64(min(n, 1))
			if v.Altered() || v.Count(finding.Torn) != torn || v.FindingCount != torn || v.Records != 2 || v.Unsigned != 2 {
				t.Fatalf("keyless %v, %d bytes of the third record: %d records, %d unsigned, problems %+v, missing %q; want 2, and torn", keyless, n, v.Records, v.Unsigned, v.Findings, v.Limitations)
			}
		}
	}
}

// TestVerifyBesideFirstWrite has a log whose writer has acknowledged nothing yet,
// and is in the middle of its first write.
func TestVerifyBesideFirstWrite(t *testing.T) {
	s := newSpecimen(t)
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	defer func() { _ = log.Close() }() // which finds something in its file
	text := bytes.Join([][]byte{s.line(0), s.line(1)[:100]}, nil)
	if err := os.WriteFile(filepath.Join(dir, "log", firstSegment), text, 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := audittrail.VerifyDir(t.Context(), dir, audittrail.Options{}, audittrail.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantValid(t, v, 0)
}
