package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/finding"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func (e *env) doctorCmd() *cobra.Command {
	var repair, newer bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what could go wrong",
		Long: `Doctor looks at what surrounds the log: who can read its keys, where its master
key is, how much room there is, the clock, the writer's lock, and what a crash
left behind. It changes nothing. Whether records were altered, verify says.

With --repair it opens the log for writing first, makes the files of the tree
again if they are not what the records make of them, and cuts off a damaged end
that the log would refuse to open with otherwise. What is cut off is copied
aside before, and the log records the repair. It goes no further back than the
newest checkpoint: what was signed is never cut off. Lines there of a newer
record format, which only a newer version of this program can tell from a
forgery, are cut off with --newer alone.` +
			exits("0  all is well", "1  something is wrong, or could not be looked at", "2  the log was altered", "3  something should be done"),
		Example: `  audittrail doctor
  audittrail doctor --repair`,
		Args:    takes(),
		GroupID: groupKeep,
		RunE: func(*cobra.Command, []string) error {
			if newer && !repair {
				return errors.New("doctor: --newer says what --repair may cut off: give both")
			}
			return e.doctor(repair, newer)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "cut off a damaged end of the log")
	cmd.Flags().BoolVar(&newer, "newer", false, "with --repair, cut off lines of a newer record format, too")
	e.writerFlags(cmd)
	return cmd
}

// A health is what one look found.
type health struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Detail string `json:"detail"`
}

// The statuses of a health, and the exit statuses that go with them.
const (
	healthy = "ok"
	risky   = "warn"
	ill     = "fail"
)

var healthStatus = map[string]int{healthy: exitOK, risky: exitLimited, ill: exitFailed}

// A doctor looks at a log and writes down what it finds.
type doctor struct {
	*env
	found   []health
	altered bool // records were
	noRing  bool // the keyring did not open, so that nothing is known of its master key
}

func (d *doctor) say(check, status, format string, args ...any) {
	d.found = append(d.found, health{check, status, fmt.Sprintf(format, args...)})
}

func (e *env) doctor(repair, newer bool) error {
	d := &doctor{env: e}
	if repair {
		if err := d.repair(newer); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	if err := e.with(e.openToRead, d.examine); err != nil {
		if errors.Is(err, audittrail.ErrNoLog) {
			return err
		}
		d.say("log", ill, "%v", err)
		d.altered = d.altered || statusOf(err) == exitAltered
		d.cannotOpen(err)
	}
	d.permissions()
	d.masterKey()
	d.space()
	d.lock()
	d.leftovers()
	worst := exitOK
	if d.altered {
		worst = exitAltered
	}
	columns := []column{{name: "check", width: 11}, {name: "status", width: 6}, {name: "detail", width: 40, wrap: true}}
	err := e.list(columns, func(yield func(row, error) bool) {
		for _, h := range d.found {
			worst = worseStatus(worst, healthStatus[h.Status])
			if !yield(row{[]string{h.Check, h.Status, h.Detail}, h}, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return ended(worst)
}

func (d *doctor) repair(newer bool) error {
	open := func() (*audittrail.Log, error) {
		o, err := d.options()
		if err != nil {
			return nil, err
		}
		o.Repair, o.RepairNewer, o.NoIndex = true, newer, true
		return audittrail.Open(d.logDir(), o)
	}
	return d.with(open, func(*audittrail.Log) error { return nil })
}

// examine looks at the log itself.
func (d *doctor) examine(log *audittrail.Log) error {
	s, err := log.Stat(d.ctx)
	var line *record.CorruptError
	if errors.As(err, &line) {
		d.say("log", ill, "%v", err)
		return d.tail(s)
	}
	if err != nil {
		return err
	}
	d.say("log", healthy, "%s, %s, %s", s.Origin, display.Count(s.Records, "record", "records"), display.Bytes(s.Bytes))
	if s.Subjects < 0 {
		d.say("keyring", risky, "not here, or without its master key: contents stay sealed, and nothing can be recorded; see --keys and --master")
	} else {
		d.say("keyring", healthy, "opens; %s", display.Count(s.Subjects, "data subject", "data subjects"))
	}
	switch behind := s.Records - min(s.Signed.Size, s.Records); {
	case s.Damage != "":
		d.say("checkpoint", risky, "tree/checkpoint is damaged (%s): nothing was altered, and the next writer makes it again", s.Damage)
	case s.Subjects >= 0 && s.Beyond.Unchecked != "":
		d.say("checkpoint", ill, "%s", s.Beyond.Unchecked)
	case s.Beyond.Behind > 0:
		d.say("checkpoint", ill, "covers %s, and %s of them are gone: run audittrail verify", display.Count(s.Beyond.Signed, "record", "records"), display.Number(s.Beyond.Behind))
	case behind == 0:
		d.say("checkpoint", healthy, "covers every record")
	case s.Writer:
		d.say("checkpoint", healthy, "%s behind the writer, which signs every second", display.Number(behind))
	default:
		d.say("checkpoint", risky, "the last %s not signed: the writer was interrupted; the next one checks and signs them",
			display.Count(behind, "record is", "records are"))
	}
	if len(s.Empty) > 0 {
		d.say("segments", risky, "%s: %s", display.Count(len(s.Empty),
			"file has the name of a segment, is empty and is not part of the log, and the next writer puts it aside",
			"files have the names of segments, are empty and are not part of the log, and the next writer puts them aside"), strings.Join(s.Empty, ", "))
	}
	for _, r := range s.Beyond.Missing {
		d.altered = true
		d.say("segments", ill, "records %d to %d are not there, and no record that counts says that they were archived or dropped: run verify, and restore what remains of the segment, or its lines, from a backup or its archive", r[0], r[1]-1)
	}
	d.clock(s)
	if s.Signed.Origin == "" || s.Signed.Origin == s.Origin { // under another log's keyring, healthy files differ
		if err := d.derived(log); err != nil {
			return err
		}
	}
	return d.tail(s)
}

// derived names the files that are not what the records make of them.
func (d *doctor) derived(log *audittrail.Log) error {
	damaged, err := log.CheckTree(d.ctx)
	for _, p := range damaged {
		d.say("derived", risky, "%s, byte %d: %s; nothing was altered: doctor --repair makes it again", p.File, p.Offset, p.Detail)
	}
	sides, serr := log.CheckSideFiles(d.ctx)
	for _, p := range sides {
		d.say("derived", risky, "%s: %s", p.File, p.Detail)
	}
	err = errors.Join(err, serr)
	switch {
	case d.ctx.Err() != nil:
		return err
	case err != nil:
		d.say("derived", ill, "%v: run audittrail verify", err)
	case len(damaged)+len(sides) == 0:
		d.say("derived", healthy, "the files of the tree, side files and id tables are what the records make of them")
	}
	return nil
}

// clock compares the system's clock with the newest record.
func (d *doctor) clock(s audittrail.Stat) {
	const year = 366 * 24 * time.Hour // beyond which the log does not believe it
	switch ahead := d.now().Sub(s.Newest); {
	case s.Newest.IsZero():
		d.say("clock", healthy, "%s", display.Time(d.now()))
	case ahead < -time.Second:
		d.say("clock", risky, "%s behind the last record: new ones are dated like it until the clock has caught up; set the clock", ageText(-ahead))
	case ahead > year:
		d.say("clock", risky, "%s ahead of the last record: the log refuses new ones; set the clock, or use --accept-clock", ageText(ahead))
	default:
		d.say("clock", healthy, "%s", display.Time(d.now()))
	}
}

// tail checks what lies behind the last checkpoint, where a crash leaves its
// marks.
func (d *doctor) tail(s audittrail.Stat) error {
	switch {
	case s.Writer:
		d.say("tail", healthy, "being written")
		return nil
	case s.Subjects < 0:
		return nil // there is no key to check signatures with
	}
	o, err := d.options()
	if err != nil {
		return err
	}
	o.ReadOnly = true
	v, err := audittrail.VerifyDir(d.ctx, d.logDir(), o, audittrail.VerifyOptions{From: s.Signed.Size - min(1, s.Signed.Size)})
	if err != nil {
		return err
	}
	switch v.Verdict() {
	case audittrail.VerdictAltered:
		p := v.Findings[0]
		d.altered = true
		d.say("tail", ill, "record %d: %s: %s; run verify, and see doctor --repair", p.Seq, p.Kind, p.Detail)
	case audittrail.VerdictUnchecked:
		for _, p := range v.Findings {
			if p.Kind == finding.Unreadable {
				d.say("tail", ill, "%s, byte %d: %s", p.File, p.Offset, p.Detail)
			}
		}
	default:
		d.limits(v)
	}
	return nil
}

// limits says what a check found that is no alteration, but for derived files,
// of which examine speaks.
func (d *doctor) limits(v *audittrail.Verification) {
	problems := slices.DeleteFunc(v.Findings, func(p finding.Finding) bool { return p.Kind == finding.Derived })
	if len(problems) == 0 && len(v.Limitations) == 0 {
		d.say("tail", healthy, "whole")
	}
	for _, p := range problems {
		todo := "run verify"
		switch p.Kind {
		case finding.Torn:
			todo = "the next writer copies it aside and cuts it off"
		case finding.Unauthenticated:
			todo = "nothing is written to the log before 'doctor --repair' has copied it aside and cut it off (with --newer, if it is of a newer format)"
		}
		d.say("tail", risky, "%s, byte %d: %s; %s", p.File, p.Offset, p.Detail, todo)
		if p.Kind != finding.Torn {
			break // verify lists the others
		}
	}
	for _, m := range v.Limitations {
		d.say("tail", risky, "not checked in full, for want of %s", m)
	}
}

// cannotOpen says what to do about a keyring that does not open. It never says
// to remove a key: the one that opens it may be among them.
func (d *doctor) cannotOpen(err error) {
	kind, _, _ := strings.Cut(d.masterSpec(), ":")
	if kind == "" {
		kind = "file"
	}
	switch {
	case errors.Is(err, keyring.ErrWrongMaster):
		d.noRing = true
		d.say("keyring", ill, "the master key that was given (%s:) does not open this keyring: name the right one with --master or $AUDITTRAIL_MASTER; the log itself need not be damaged, and no key is to be removed", kind)
	case errors.Is(err, keyring.ErrMasterFormat):
		d.noRing = true
		d.say("keyring", ill, "what was given as master key (%s:) is not one: name the right one with --master or $AUDITTRAIL_MASTER, and remove no key", kind)
	case errors.Is(err, keyring.ErrDamaged):
		d.noRing = true
		d.say("keyring", ill, "the keyring is damaged, which is no alteration of the log: move %s aside, and restore it with 'audittrail keys restore'; until then, verify --key checks the log without it", d.keysDir())
	}
}

// permissions looks who else can read the keys.
func (d *doctor) permissions() {
	if runtime.GOOS == "windows" {
		return // which has no such bits
	}
	var open []string
	dir, err := filepath.EvalSymlinks(d.keysDir()) // --keys may name a link
	if err == nil {
		err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if entry.Name() != "LOCK" && err == nil && info.Mode().Perm()&0o077 != 0 {
				open = append(open, name)
			}
			return err
		})
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		d.say("permissions", ill, "%v", err)
	case len(open) > 0:
		d.say("permissions", ill, "others can get at %s; run: chmod -R go= %s", strings.Join(open, ", "), d.keysDir())
	default:
		d.say("permissions", healthy, "only its owner can read %s", d.keysDir())
	}
}

// masterKey looks whether the key lies in the lock.
func (d *doctor) masterKey() {
	const move = "%s lies with what it opens, and goes into the same backups; move it to another disk or a key store, and name it with --master"
	usual := filepath.Join(d.keysDir(), "master.key")
	named, isFile := strings.CutPrefix(d.masterSpec(), "file:")
	_, err := os.Stat(usual)
	switch {
	case d.noRing && err == nil && d.masterSpec() != "" && named != usual:
		d.say("master key", risky, "%s is there, and may be the one that opens the keyring: try it with --master file:%[1]s, and keep it", usual)
	case d.noRing:
	case err == nil && (d.masterSpec() == "" || named == usual):
		d.say("master key", risky, move, usual)
	case err == nil:
		d.say("master key", risky, "%s is still there: remove it if it is an old key or a copy", usual)
	case isFile && (within(d.logDir(), named) || within(d.keysDir(), named)):
		d.say("master key", risky, move, named)
	case isFile:
		d.say("master key", healthy, "%s, apart from the log", named)
	case d.masterSpec() != "":
		d.say("master key", healthy, "not in a file")
	}
}

// within tells whether a file lies below a folder.
func within(dir, file string) bool {
	path, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(path)
}

// space looks how much can still be recorded.
func (d *doctor) space() {
	const low, least = 1 << 30, 64 << 20
	free, err := vfs.OS.Free(d.logDir())
	switch {
	case err != nil:
		d.say("space", ill, "%v", err)
	case free < least:
		d.say("space", ill, "%s left: make room, or nothing can be recorded soon", display.Bytes(int64(free)))
	case free < low:
		d.say("space", risky, "%s left: make room", display.Bytes(int64(free)))
	default:
		d.say("space", healthy, "%s left", display.Bytes(int64(free)))
	}
}

// lock looks whether somebody writes.
func (d *doctor) lock() {
	name := filepath.Join(d.logDir(), "LOCK")
	held, err := vfs.OS.Locked(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.say("writer", risky, "%s is another user's: it cannot be told whether somebody writes, and is taken to be so; run doctor as that user", name)
	case err != nil:
		d.say("writer", risky, "%v", err)
	case !held:
		d.say("writer", healthy, "none")
	default:
		holder, err := vfs.ReadFile(vfs.OS, name, 4096)
		if err != nil {
			holder = []byte("another process")
		}
		d.say("writer", healthy, "%s", display.OneLine(strings.TrimSpace(string(holder))))
	}
}

// leftovers lists what a crash or a repair left behind.
func (d *doctor) leftovers() {
	var torn, tmp, empty []string
	for _, dir := range []string{d.logDir(), filepath.Join(d.logDir(), "log"), filepath.Join(d.logDir(), "tree"), d.keysDir()} {
		names, err := vfs.OS.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.say("leftovers", ill, "%v", err)
		}
		for _, name := range names {
			switch path := filepath.Join(dir, name); {
			case strings.HasPrefix(name, "torn-"):
				torn = append(torn, path)
			case strings.HasPrefix(name, "empty-"):
				empty = append(empty, path)
			case strings.HasSuffix(name, ".tmp"):
				tmp = append(tmp, path)
			}
		}
	}
	if len(torn) > 0 {
		d.say("torn writes", healthy, "%s cut off after crashes and kept: %s", display.Count(len(torn), "was", "were"), strings.Join(torn, ", "))
	}
	if len(empty) > 0 {
		d.say("segments", healthy, "%s put aside, with nothing in it: %s", display.Count(len(empty), "empty segment was", "empty segments were"), strings.Join(empty, ", "))
	}
	if len(tmp) > 0 {
		d.say("leftovers", risky, "a crash left %s; where nothing writes, remove them", strings.Join(slices.Compact(tmp), ", "))
	}
}
