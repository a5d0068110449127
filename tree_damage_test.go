package audittrail_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// derivedSize is more than the smallest size that has a tree/1, and ends within a
// tile.
const derivedSize = 600

// derivedLog makes a log of several segments, one of them dropped, and returns a
// checkpoint of its first records.
func derivedLog(t *testing.T) (*vfs.Mem, []byte) {
	t.Helper()
	disk := vfs.NewMem()
	log := logtest.Open(t, "dir", derivedOptions(disk))
	var old []byte
	for i := range 6 {
		events := make([]event.Event, derivedSize/6)
		for j := range events {
			n := i*len(events) + j
			events[j] = event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user %d", n%5), Prompt: fmt.Sprintf("prompt %d", n)}
		}
		logtest.AppendBatch(t, log, events...)
		if i == 3 {
			var err error
			if old, err = log.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := log.DropSegments(t.Context(), whole(t, log, 2)[1:2], "old"); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	return disk, old
}

func derivedOptions(disk vfs.FS) audittrail.Options {
	return audittrail.Options{Create: true, LockWait: -1}.With(audittrail.Seams{FS: disk, Roll: 60_000})
}

// An answer is the result of a reader, in a form that can be compared.
type answer map[string]string

// ask puts every question to a log of which derived files decide nothing. Where
// the disk failed, the answer is left out.
func ask(t *testing.T, disk *vfs.Mem, old []byte) answer {
	t.Helper()
	a := answer{}
	say := func(what, got string, err error) {
		var errno syscall.Errno
		switch {
		case errors.As(err, &errno):
		case err != nil:
			a[what] = "error: " + err.Error()
		default:
			a[what] = got
		}
	}
	o := derivedOptions(disk)
	o.ReadOnly, o.Create = true, false
	log, err := audittrail.Open("dir", o)
	if err != nil {
		say("open", "", err)
		return a
	}
	defer logtest.Close(t, log)
	for _, seq := range []uint64{0, 3, 7, 255, 256, 300, 511, 512, derivedSize - 1} {
		what := fmt.Sprintf("get %d", seq)
		r, err := log.Get(t.Context(), seq)
		if err == nil {
			say(what, fmt.Sprint(r.Hash, r.State, r.Event.Prompt), nil)
		} else {
			say(what, "", err)
		}
		proof, err := log.Prove(t.Context(), seq)
		say(fmt.Sprintf("prove %d", seq), string(proof), err)
		d, err := log.Disclose(t.Context(), seq)
		say(fmt.Sprintf("disclose %d", seq), string(d.Line), err)
	}
	var all []string
	for r, rerr := range log.Records(t.Context(), 0, 1<<40) {
		if err = rerr; rerr == nil {
			all = append(all, fmt.Sprint(r.Seq, r.Hash, r.State))
		}
	}
	say("records", strings.Join(all, "\n"), err)
	proof, err := log.ProveConsistency(t.Context(), old)
	say("consistency", string(proof), err)
	c, err := tlog.ReadCheckpoint(old)
	if err != nil {
		t.Fatal(err)
	}
	root, err := log.Root(c.Size)
	say("root", root.String(), err)
	if err := log.ExportTree(t.Context(), "export", nil); err != nil {
		say("export", "", err)
	} else {
		say("export", fmt.Sprint(folder(t, disk, "export")), nil)
	}
	return a
}

// folder returns the sizes and first bytes of the files below a folder.
func folder(t *testing.T, disk vfs.FS, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	names, err := disk.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		info, err := disk.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			for n, text := range folder(t, disk, path) {
				files[name+"/"+n] = text
			}
			continue
		}
		b, err := vfs.ReadFile(disk, path, 1<<24)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

// derivedDamage is a way to damage a file: by an edit, or by errors of the
// disk.
var derivedDamage = map[string]struct {
	edit   func(b, other []byte) []byte
	fail   func() func(vfs.Op) error
	passes bool // it is gone when it is looked for
}{
	"a bit": {edit: func(b, _ []byte) []byte { return flipAt(b, len(b)/2) }},
	"a sector of zeros": {edit: func(b, _ []byte) []byte {
		out := bytes.Clone(b)
		clear(out[:min(4096, len(out))])
		return out
	}},
	"zeros":          {edit: func(b, _ []byte) []byte { return make([]byte, len(b)) }},
	"cut off":        {edit: func(b, _ []byte) []byte { return b[:len(b)/3] }},
	"longer":         {edit: func(b, _ []byte) []byte { return append(bytes.Clone(b), make([]byte, 4096)...) }},
	"another log's":  {edit: func(_, other []byte) []byte { return other }},
	"empty":          {edit: func(_, _ []byte) []byte { return nil }},
	"missing":        {edit: nil},
	"unreadable":     {fail: func() func(vfs.Op) error { return failing(1 << 30) }},
	"unreadable now": {fail: func() func(vfs.Op) error { return failing(1) }, passes: true},
}

// failing fails the first reads, as many as times says.
func failing(times int) func(vfs.Op) error {
	var mu sync.Mutex
	return func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind == vfs.OpRemove {
			times = 0 // what comes in its place is somewhere else on the disk
		}
		if op.Kind != vfs.OpRead || times == 0 {
			return nil
		}
		times--
		return syscall.EIO
	}
}

// TestDerivedDecidesNothing damages each file of the tree in each way, and asks
// everything: the answers are those of the healthy log, or errors of the disk.
func TestDerivedDecidesNothing(t *testing.T) {
	healthy, old := derivedLog(t)
	other, _ := derivedLog(t)
	want := ask(t, healthy.Clone(), old)
	for what, got := range want {
		if strings.HasPrefix(got, "error") && !strings.Contains(got, "was dropped") {
			t.Fatalf("of the healthy log: %s: %s", what, got)
		}
	}
	for _, file := range []string{"entries", "0", "1"} {
		for how, d := range derivedDamage {
			t.Run(file+" "+how, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join("dir", "tree", file)
				damaged := func() *vfs.Mem {
					disk := healthy.Clone()
					switch {
					case d.edit != nil:
						foreign, err := vfs.ReadFile(other, path, 1<<20)
						if err != nil {
							t.Fatal(err)
						}
						edit(t, disk, filepath.Join("tree", file), func(b []byte) []byte { return d.edit(b, foreign) })
					case d.fail == nil:
						if err := disk.Remove(path); err != nil {
							t.Fatal(err)
						}
					default:
						fail := d.fail()
						disk.Inject(func(op vfs.Op) error {
							if op.Name == path {
								return fail(op)
							}
							return nil
						})
					}
					return disk
				}
				for what, got := range ask(t, damaged(), old) {
					if got != want[what] {
						t.Errorf("%s: %.200s, want %.200s", what, got, want[what])
					}
				}
				named(t, damaged(), "tree/"+file, d.passes)
				rebuildsAll(t, damaged(), derivedSize)
				mended(t, damaged())
				certified(t, damaged())
			})
		}
	}
}

// named checks that verify and CheckTree name a file, and call nothing altered.
func named(t *testing.T, disk *vfs.Mem, file string, passes bool) {
	t.Helper()
	o := derivedOptions(disk)
	v, err := audittrail.VerifyDir(t.Context(), "dir", o, audittrail.VerifyOptions{})
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	if v.Altered() || v.FindingCount != v.Count(finding.Derived) {
		t.Errorf("verify: %+v", v.Findings)
	}
	if !passes && (len(v.Findings) != 1 || v.Findings[0].File != file) {
		t.Errorf("verify: %+v, want %s named", v.Findings, file)
	}
	o.ReadOnly, o.Create = true, false
	log := logtest.Open(t, "dir", o)
	defer logtest.Close(t, log)
	problems, err := log.CheckTree(t.Context())
	if err != nil || !passes && (len(problems) != 1 || problems[0].File != file) {
		t.Errorf("CheckTree() = %+v, %v, want %s named", problems, err, file)
	}
}

// rebuildsAll checks that a rebuild loses nothing because of damage in a
// derived file.
func rebuildsAll(t *testing.T, disk *vfs.Mem, carried uint64) {
	t.Helper()
	o := derivedOptions(disk)
	r := audittrail.RebuildOptions{From: "dir", Old: o, To: "new", New: o, Reason: "a bad sector"}
	got, err := audittrail.Rebuild(t.Context(), r)
	if err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	left := uint64(0)
	for _, l := range got.Lost {
		if l.Reason == audittrail.LossDropped {
			left = l.Records
		}
		if l.Reason == audittrail.LossDamaged {
			t.Errorf("rebuild: %+v", l)
		}
	}
	if got.DamagedLines != 0 || got.Carried+left != carried {
		t.Errorf("rebuild: %+v, want %d carried over or dropped", got, carried)
	}
}

// mended checks that a writer makes damaged files again.
func mended(t *testing.T, disk *vfs.Mem) {
	t.Helper()
	log, err := audittrail.Open("dir", derivedOptions(disk))
	if err != nil {
		t.Fatalf("open for writing: %v", err)
	}
	logtest.Close(t, log)
	disk.Inject(nil)
	v, err := audittrail.VerifyDir(t.Context(), "dir", derivedOptions(disk), audittrail.VerifyOptions{})
	if err != nil || !v.Valid() {
		t.Errorf("verify after a writer: %+v, %v", v.Findings, err)
	}
}

// certified checks that an erasure has everything that its certificate needs.
func certified(t *testing.T, disk *vfs.Mem) {
	t.Helper()
	log := logtest.Open(t, "dir", derivedOptions(disk))
	defer logtest.Close(t, log)
	done, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"user 3"}, Reason: "asked", Basis: "GDPR 17"})
	if err != nil {
		t.Fatalf("erase: %v", err)
	}
	if _, err := log.Disclose(t.Context(), done.Receipt.Seq); err != nil {
		t.Error(err)
	}
	if _, err := log.Prove(t.Context(), done.Receipt.Seq); err != nil {
		t.Error(err)
	}
	if _, err := log.ProveConsistency(t.Context(), done.Before); err != nil {
		t.Error(err)
	}
}

// TestAlteredAndDerived alters a record as well, in each way that leaves the line's
// own hash right or wrong: a damaged file does not hide that.
func TestAlteredAndDerived(t *testing.T) {
	healthy, _ := derivedLog(t)
	o := derivedOptions(healthy)
	o.ReadOnly, o.Create = true, false
	log := logtest.Open(t, "dir", o)
	const seq = 3
	home := segmentFile(segments(t, log)[0], ".jsonl")
	logtest.Close(t, log)
	for _, alter := range []func([]byte) []byte{
		func(line []byte) []byte { return flipAt(line, 60) },
		func(line []byte) []byte { return rehash(line, `"type":"prompt"`, `"type":"x.other"`) },
	} {
		for _, file := range []string{"entries", "0", "1", "all"} {
			for how, d := range derivedDamage {
				if d.edit == nil {
					continue
				}
				disk := healthy.Clone()
				edit(t, disk, home, func(b []byte) []byte {
					l := lines(b)
					l[seq] = alter(l[seq])
					return bytes.Join(l, nil)
				})
				for _, name := range []string{"entries", "0", "1"} {
					if file == name || file == "all" {
						edit(t, disk, filepath.Join("tree", name), func(b []byte) []byte { return d.edit(b, make([]byte, len(b))) })
					}
				}
				log := logtest.Open(t, "dir", o.With(audittrail.Seams{FS: disk, Roll: 60_000}))
				var tamper *record.TamperError
				if _, err := log.Get(t.Context(), seq); !errors.As(err, &tamper) || tamper.Seq != seq {
					t.Errorf("%s %s: Get(%d) = %v, want a TamperError", file, how, seq, err)
				}
				if _, err := log.Prove(t.Context(), seq); err == nil {
					t.Errorf("%s %s: an altered record was proven", file, how)
				}
				logtest.Close(t, log)
				v, err := audittrail.VerifyDir(t.Context(), "dir", derivedOptions(disk), audittrail.VerifyOptions{})
				if err != nil || !v.Altered() || v.Findings[0].Kind == finding.Derived {
					t.Errorf("%s %s: verify: %+v, %v, want it altered", file, how, v, err)
				}
			}
		}
	}
}

// TestWriterMeetsDamage damages a file while a writer has it open, which
// rebuilds it when a reader in its process has found the damage.
func TestWriterMeetsDamage(t *testing.T) {
	disk, _ := derivedLog(t)
	log := logtest.Open(t, "dir", derivedOptions(disk))
	f, err := disk.OpenFile("dir/tree/entries", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 512), 250*32); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Get(t.Context(), 250); err != nil {
		t.Error(err)
	}
	logtest.Close(t, log)
	v, err := audittrail.VerifyDir(t.Context(), "dir", derivedOptions(disk), audittrail.VerifyOptions{})
	if err != nil || !v.Valid() {
		t.Errorf("verify: %+v, %v, want what is damaged made again", v, err)
	}
}
