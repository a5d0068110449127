package audittrail_test

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
	"audittrail/internal/vfs"
)

// keptLog is a log of several segments: one was archived, a month has ended whose
// records a hold keeps, and the signer was replaced.
func keptLog(t *testing.T) (*vfs.Mem, *clock) {
	t.Helper()
	disk := vfs.NewMem()
	c := &clock{now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC)}
	log := logtest.Open(t, "dir", keptOptions(disk, c))
	for i := range 12 {
		user := fmt.Sprintf("user %d", i%3)
		if i > 9 { // after the first segment
			user = "held"
		}
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: user, Prompt: fmt.Sprintf("prompt %d", i)})
	}
	c.set(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC))
	for i := range 12 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: fmt.Sprintf("user %d", i%3), Prompt: fmt.Sprintf("prompt %d", 12+i)})
	}
	hold(t, log, governance.Hold{User: "held"})
	if _, err := log.Expire(t.Context(), []string{"standard/2026-01"}, "r"); err != nil {
		t.Fatal(err)
	}
	if err := log.DropSegments(t.Context(), []uint64{0}, "old"); err != nil {
		t.Fatal(err)
	}
	if err := log.RotateSigner(t.Context()); err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	return disk, c
}

func keptOptions(disk vfs.FS, c *clock) audittrail.Options {
	return audittrail.Options{Create: true, LockWait: -1, AcceptClock: true}.With(audittrail.Seams{FS: disk, Now: c.Now, Roll: 6000})
}

// unreadable are the results for a log with a file that is damaged or cannot be
// read: the verdict, the errors of readers and of a writer, and the verdict
// after the writer was closed and the file can be read. The first row whose
// patterns match applies.
var unreadable = []struct {
	file, how             string
	verify, reader, write string
	after                 string
}{
	{`\.side$`, `short`, "intact|limited", "", "", "intact"}, // as a crash leaves it
	{`\.(side|tab)$`, `.`, "limited", "", "", "intact"},
	{`^tree/(0|entries)$`, `EIO`, "limited", "", "input/output", "intact"},
	{`^tree/(0|entries)$`, `.`, "limited", "", "", "intact"},
	{`^tree/checkpoint$`, `^E`, "^error.*read checkpoint", "read checkpoint", "read checkpoint", "intact"},
	{`^tree/checkpoint$`, `.`, "limited", "", "", "intact"},
	{`^tree/signers$`, `^E`, "^error.*read signers", "", "read signers", "intact"},
	{`^tree/signers$`, `.`, "limited", "", "", "intact"},
	{`^escrow/`, `^E`, "limited.*the escrow of class", "open escrow", "", "intact"},
	{`^escrow/`, `.`, "limited.*the escrow of class", "escrow damaged", "", "limited.*the escrow of class"},
	{`\.(jsonl|remnant)$`, `^E`, "unchecked", "permission denied|input/output", "permission denied|input/output", "intact"},
	{`\.jsonl$`, `bit`, "altered", "altered|run verify|not a record line", "|altered", "altered"}, // by what the bit is of
	{`\.remnant$`, `bit`, "altered", "", "", "altered"},
	{`\.remnant$`, `.`, "altered", "tombstone is damaged", "tombstone is damaged", "altered"},
	{`27\.jsonl$`, `.`, "truncated", "", "run verify", "truncated"}, // a reader says how many there are
	{`\.jsonl$`, `.`, "altered", "run verify", "run verify", "altered"},
}

// TestUnreadableFiles damages one file of a log after the other, or lets it give
// errors: only lines and tombstones are reported as altered, damage in a
// derived file keeps neither readers nor a writer from the log, and an error of
// the disk is reported as one.
func TestUnreadableFiles(t *testing.T) {
	start, c := keptLog(t)
	failing := func(name string, kind vfs.OpKind, err error) func(*vfs.Mem) {
		return func(disk *vfs.Mem) {
			disk.Inject(func(op vfs.Op) error {
				if op.Name == "dir/"+name && op.Kind == kind {
					return err
				}
				return nil
			})
		}
	}
	changed := func(name string, how func([]byte) []byte) func(*vfs.Mem) {
		return func(disk *vfs.Mem) { edit(t, disk, name, how) }
	}
	for _, dir := range []string{"log", "tree", "escrow"} {
		files, err := start.ReadDir("dir/" + dir)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has %v, %v", dir, files, err)
		}
		for _, file := range files {
			name := path.Join(dir, file)
			for how, do := range map[string]func(*vfs.Mem){
				"EACCES": failing(name, vfs.OpOpen, syscall.EACCES),
				"EIO":    failing(name, vfs.OpRead, syscall.EIO),
				"zero":   changed(name, func(b []byte) []byte { return make([]byte, len(b)) }),
				"bit":    changed(name, func(b []byte) []byte { return flipAt(b, len(b)/2) }),
				"short":  changed(name, func(b []byte) []byte { return b[:len(b)/2] }),
			} {
				t.Run(name+"/"+how, func(t *testing.T) {
					disk := start.Clone()
					do(disk)
					checkUnreadable(t, disk, c, name, how)
				})
			}
		}
	}
}

func checkUnreadable(t *testing.T, disk *vfs.Mem, c *clock, name, how string) {
	t.Helper()
	for _, row := range unreadable {
		if !regexp.MustCompile(row.file).MatchString(name) || !regexp.MustCompile(row.how).MatchString(how) {
			continue
		}
		matches := func(what, got, want string) {
			t.Helper()
			if want == "" && got != "" || !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		matches("verify", verdictOf(t, disk, c), row.verify)
		matches("reader", textOf(readAll(t, disk, c)), row.reader)
		matches("writer", textOf(writeOne(t, disk, c)), row.write)
		disk.Inject(nil)
		matches("verify after the writer", verdictOf(t, disk, c), row.after)
		return
	}
	t.Errorf("no row is about %s of %s", how, name)
}

func verdictOf(t *testing.T, disk vfs.FS, c *clock) string {
	t.Helper()
	v, err := audittrail.VerifyDir(t.Context(), "dir", keptOptions(disk, c), audittrail.VerifyOptions{})
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(v.Verdict(), " ", v.Findings, v.Limitations)
}

// readAll reads all records and all governance records, as a reader.
func readAll(t *testing.T, disk vfs.FS, c *clock) error {
	t.Helper()
	o := keptOptions(disk, c)
	o.ReadOnly, o.Create = true, false
	log, err := audittrail.Open("dir", o)
	if err != nil {
		return err
	}
	_, err = log.Holds(t.Context())
	for _, rerr := range log.Records(t.Context(), 0, 1<<40) {
		err = errors.Join(err, rerr)
	}
	return errors.Join(err, log.Close())
}

func writeOne(t *testing.T, disk vfs.FS, c *clock) error {
	t.Helper()
	log, err := audittrail.Open("dir", keptOptions(disk, c))
	if err != nil {
		return err
	}
	_, err = log.Append(t.Context(), event.Event{Type: event.Prompt, Prompt: "x"})
	return errors.Join(err, log.Close())
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
