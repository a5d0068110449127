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
		Short: "Check the log's surroundings, and repair a damaged end",
		Long: `Doctor checks the surroundings of the log: the permissions of its keys, the
place of its master key, free disk space, the clock, the writer's lock, and
leftovers of a crash. It changes nothing. Use verify to check the records.

With --repair it first opens the log for writing, rebuilds files of the tree
that differ from the records, and cuts off a damaged end that would keep the log
from being opened. The lines that are cut off are copied to another file before,
and the log records the repair. Signed records are never cut off: the repair
ends at the newest checkpoint. Lines of a newer record format beyond it, which
only a newer version of this program can authenticate, are cut off only with
--newer.` +
			exits("0  no problems", "1  a problem was found, or a check could not be completed", "2  the log was altered", "3  something should be done"),
		Example: `  audittrail doctor
  audittrail doctor --repair`,
		Args:    takes(),
		GroupID: groupKeep,
		RunE: func(*cobra.Command, []string) error {
			if newer && !repair {
				return errors.New("doctor: --newer needs --repair: give both")
			}
			return e.doctor(repair, newer)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "cut off a damaged end of the log")
	cmd.Flags().BoolVar(&newer, "newer", false, "with --repair, cut off lines of a newer record format, too")
	e.writerFlags(cmd)
	return cmd
}

// A health is the result of one check.
type health struct {
	Check  string `json:"check"`
	Status string `json:"status"`
	Detail string `json:"detail"`
}

// The statuses of a health, and their exit statuses.
const (
	healthy = "ok"
	risky   = "warn"
	ill     = "fail"
)

var healthStatus = map[string]int{healthy: exitOK, risky: exitLimited, ill: exitFailed}

// A doctor checks a log and collects the results.
type doctor struct {
	*env
	found   []health
	altered bool // records were altered
	noRing  bool // the keyring did not open, so that its master key is not known
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

// examine checks the log itself.
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
		d.say("keyring", risky, "missing, or without its master key: contents cannot be decrypted, and nothing can be recorded; see --keys and --master")
	} else {
		d.say("keyring", healthy, "opens; %s", display.Count(s.Subjects, "data subject", "data subjects"))
	}
	switch behind := s.Records - min(s.Signed.Size, s.Records); {
	case s.Damage != "":
		d.say("checkpoint", risky, "tree/checkpoint is damaged (%s): nothing was altered, and the next writer signs it again", s.Damage)
	case s.Subjects >= 0 && s.Beyond.Unchecked != "":
		d.say("checkpoint", ill, "%s", s.Beyond.Unchecked)
	case s.Beyond.Behind > 0:
		d.say("checkpoint", ill, "covers %s, of which %s are missing: run audittrail verify", display.Count(s.Beyond.Signed, "record", "records"), display.Number(s.Beyond.Behind))
	case behind == 0:
		d.say("checkpoint", healthy, "covers every record")
	case s.Writer:
		d.say("checkpoint", healthy, "%s not signed yet by the writer, which signs every second", display.Number(behind))
	default:
		d.say("checkpoint", risky, "the last %s not signed: the writer was interrupted; the next writer checks and signs them",
			display.Count(behind, "record is", "records are"))
	}
	if len(s.Empty) > 0 {
		d.say("segments", risky, "%s: %s", display.Count(len(s.Empty),
			"empty file has the name of a segment and is not part of the log; the next writer renames it",
			"empty files have the names of segments and are not part of the log; the next writer renames them"), strings.Join(s.Empty, ", "))
	}
	for _, r := range s.Beyond.Missing {
		d.altered = true
		d.say("segments", ill, "records %d to %d are missing, and no record that counts says that they were archived or dropped: run verify, and restore the tombstone of the segment, or its lines, from a backup or an archive", r[0], r[1]-1)
	}
	d.clock(s)
	if s.Signed.Origin == "" || s.Signed.Origin == s.Origin { // with another log's keyring, intact files would differ
		if err := d.derived(log); err != nil {
			return err
		}
	}
	return d.tail(s)
}

// derived reports the derived files that differ from what the records give.
func (d *doctor) derived(log *audittrail.Log) error {
	damaged, err := log.CheckTree(d.ctx)
	for _, p := range damaged {
		d.say("derived", risky, "%s, byte %d: %s; nothing was altered: doctor --repair rebuilds the file", p.File, p.Offset, p.Detail)
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
		d.say("derived", healthy, "the files of the tree, side files and id tables agree with the records")
	}
	return nil
}

// clock compares the system's clock with the newest record.
func (d *doctor) clock(s audittrail.Stat) {
	const year = 366 * 24 * time.Hour // the log refuses a clock that is further ahead
	switch ahead := d.now().Sub(s.Newest); {
	case s.Newest.IsZero():
		d.say("clock", healthy, "%s", display.Time(d.now()))
	case ahead < -time.Second:
		d.say("clock", risky, "%s earlier than the last record, whose time new records get until the clock has caught up; set the clock", ageText(-ahead))
	case ahead > year:
		d.say("clock", risky, "%s ahead of the last record: the log refuses new records; set the clock, or use --accept-clock", ageText(ahead))
	default:
		d.say("clock", healthy, "%s", display.Time(d.now()))
	}
}

// tail checks the lines after the newest checkpoint, which a crash can damage.
func (d *doctor) tail(s audittrail.Stat) error {
	switch {
	case s.Writer:
		d.say("tail", healthy, "being written")
		return nil
	case s.Subjects < 0:
		return nil // without the keyring, there is no key to check signatures with
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

// limits reports the findings of a check that are not alterations, except for
// derived files, which examine reports.
func (d *doctor) limits(v *audittrail.Verification) {
	problems := slices.DeleteFunc(v.Findings, func(p finding.Finding) bool { return p.Kind == finding.Derived })
	if len(problems) == 0 && len(v.Limitations) == 0 {
		d.say("tail", healthy, "whole")
	}
	for _, p := range problems {
		todo := "run verify"
		switch p.Kind {
		case finding.Torn:
			todo = "the next writer copies the torn end to another file and cuts it off"
		case finding.Unauthenticated:
			todo = "the log refuses writers until 'doctor --repair' has copied the line to another file and cut it off (with --newer, if the line is of a newer format)"
		}
		d.say("tail", risky, "%s, byte %d: %s; %s", p.File, p.Offset, p.Detail, todo)
		if p.Kind != finding.Torn {
			break // verify lists the other findings
		}
	}
	for _, m := range v.Limitations {
		d.say("tail", risky, "not checked completely: unavailable is %s", m)
	}
}

// cannotOpen says what to do about a keyring that does not open. It never tells
// the user to remove a key, since that may be the one that opens the keyring.
func (d *doctor) cannotOpen(err error) {
	kind, _, _ := strings.Cut(d.masterSpec(), ":")
	if kind == "" {
		kind = "file"
	}
	switch {
	case errors.Is(err, keyring.ErrWrongMaster):
		d.noRing = true
		d.say("keyring", ill, "the given master key (%s:) does not open this keyring: name the right one with --master or $AUDITTRAIL_MASTER; the log itself may be intact; do not remove any key", kind)
	case errors.Is(err, keyring.ErrMasterFormat):
		d.noRing = true
		d.say("keyring", ill, "the given master key (%s:) is not a valid key: name the right one with --master or $AUDITTRAIL_MASTER; do not remove any key", kind)
	case errors.Is(err, keyring.ErrDamaged):
		d.noRing = true
		d.say("keyring", ill, "the keyring is damaged; the log itself was not altered by that: move %s away, and restore the keyring with 'audittrail keys restore'; until then, verify --key checks the log without the keyring", d.keysDir())
	}
}

// permissions checks who else can read the keys.
func (d *doctor) permissions() {
	if runtime.GOOS == "windows" {
		return // Windows has no such permission bits
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
		d.say("permissions", ill, "other users have access to %s; run: chmod -R go= %s", strings.Join(open, ", "), d.keysDir())
	default:
		d.say("permissions", healthy, "only its owner can read %s", d.keysDir())
	}
}

// masterKey checks whether the master key is stored with the keyring that it
// opens.
func (d *doctor) masterKey() {
	const move = "the master key %s is stored with the keyring that it opens, and is part of the same backups; move the key to another disk or a key store, and name it with --master"
	usual := filepath.Join(d.keysDir(), "master.key")
	named, isFile := strings.CutPrefix(d.masterSpec(), "file:")
	_, err := os.Stat(usual)
	switch {
	case d.noRing && err == nil && d.masterSpec() != "" && named != usual:
		d.say("master key", risky, "the file %s exists, and may be the key that opens the keyring: try --master file:%[1]s, and keep the file", usual)
	case d.noRing:
	case err == nil && (d.masterSpec() == "" || named == usual):
		d.say("master key", risky, move, usual)
	case err == nil:
		d.say("master key", risky, "the file %s still exists: remove it if it is an old key or a copy", usual)
	case isFile && (within(d.logDir(), named) || within(d.keysDir(), named)):
		d.say("master key", risky, move, named)
	case isFile:
		d.say("master key", healthy, "%s, apart from the log", named)
	case d.masterSpec() != "":
		d.say("master key", healthy, "not in a file")
	}
}

// within reports whether a file is below a folder.
func within(dir, file string) bool {
	path, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(path)
}

// space checks how much disk space is left.
func (d *doctor) space() {
	const low, least = 1 << 30, 64 << 20
	free, err := vfs.OS.Free(d.logDir())
	switch {
	case err != nil:
		d.say("space", ill, "%v", err)
	case free < least:
		d.say("space", ill, "%s left: free some space, or nothing can be recorded soon", display.Bytes(int64(free)))
	case free < low:
		d.say("space", risky, "%s left: free some space", display.Bytes(int64(free)))
	default:
		d.say("space", healthy, "%s left", display.Bytes(int64(free)))
	}
}

// lock checks whether a process is writing.
func (d *doctor) lock() {
	name := filepath.Join(d.logDir(), "LOCK")
	held, err := vfs.OS.Locked(name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.say("writer", risky, "%s belongs to another user, so that a writer cannot be ruled out; run doctor as that user", name)
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

// leftovers lists the files that a crash or a repair has left.
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
		d.say("torn writes", healthy, "%s after crashes and kept: %s", display.Count(len(torn), "torn end was cut off", "torn ends were cut off"), strings.Join(torn, ", "))
	}
	if len(empty) > 0 {
		d.say("segments", healthy, "%s: %s", display.Count(len(empty), "empty segment was renamed", "empty segments were renamed"), strings.Join(empty, ", "))
	}
	if len(tmp) > 0 {
		d.say("leftovers", risky, "a crash left %s; remove these files while no process writes to the log", strings.Join(slices.Compact(tmp), ", "))
	}
}
