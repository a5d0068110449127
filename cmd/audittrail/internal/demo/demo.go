// Package demo demonstrates a log: it records a day of an AI product, verifies it,
// proves a record to an auditor, and alters copies of the log to show that each
// alteration is detected.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/record"
)

// demoOrigin is the name of the demonstration's log.
const demoOrigin = "example.com/claims-assistant"

// Options say where a demonstration creates its log, and how it prints.
type Options struct {
	Dir     string // of the log, which stays there; if empty, a temporary one
	Out     io.Writer
	Colours bool
	Now     func() time.Time
}

// A demo is a running demonstration.
type demo struct {
	Options
	attacks []attack
	buf     bytes.Buffer // shown step by step
	dir     string       // of the log
	side    string       // for what is made from it
	kept    bool

	log      *audittrail.Log
	records  uint64
	incident *record.Record

	// An auditor keeps these two.
	vkey       string
	checkpoint []byte
}

// Run runs the demonstration. The error says which step failed.
func Run(ctx context.Context, o Options) error {
	return (&demo{Options: o, attacks: attacks()}).run(ctx)
}

func (d *demo) run(ctx context.Context) error {
	began := d.Now()
	remove, err := d.makeFolders()
	if err != nil {
		return err
	}
	d.say("%s\n", d.paint(bold, "AuditTrail, a flight recorder for AI systems, on a day that went wrong"))
	err = errors.Join(d.steps(ctx), remove())
	if err != nil {
		// The steps that succeeded are shown; the error describes the failed one.
		return errors.Join(err, d.flush())
	}
	d.farewell(d.Now().Sub(began))
	return d.flush()
}

// makeFolders creates the folders, and returns a function that removes the
// temporary ones.
func (d *demo) makeFolders() (remove func() error, err error) {
	if d.Dir == "" {
		dir, err := os.MkdirTemp("", "audittrail-demo-")
		if err != nil {
			return nil, err
		}
		d.dir, d.side = filepath.Join(dir, "audit"), filepath.Join(dir, "demo")
		return func() error { return os.RemoveAll(dir) }, os.Mkdir(d.side, 0o755)
	}
	d.kept, d.dir, d.side = true, d.Dir, filepath.Join(d.Dir, "demo")
	names, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("create a log in %s: the folder is not empty; name a new one", d.dir)
	}
	return func() error { return nil }, os.MkdirAll(d.side, 0o755)
}

// steps runs the steps of the demonstration, and shows each one when it is done.
func (d *demo) steps(ctx context.Context) error {
	log, err := audittrail.Open(d.dir, audittrail.Options{Create: true, Origin: demoOrigin})
	if err != nil {
		return err
	}
	d.log = log
	for _, step := range []func(context.Context) error{d.record, d.verify, d.show, d.prove} {
		err = step(ctx)
		if err == nil {
			err = d.flush()
		}
		if err != nil {
			return errors.Join(err, log.Close())
		}
	}
	if err := log.Close(); err != nil {
		return err
	}
	if err := d.alter(ctx); err != nil {
		return err
	}
	return d.flush()
}

// record records the day, and shows a summary.
func (d *demo) record(ctx context.Context) error {
	events := eventsOf(d.Now())
	at := slices.IndexFunc(events, func(ev event.Event) bool { return ev.Type == event.SafetyIncident })
	began := d.Now()
	if _, err := d.log.AppendBatch(ctx, events[:at]); err != nil {
		return err
	}
	took := d.Now().Sub(began)
	// A copy of the tree from before the incident, with its signed checkpoint:
	// one of the attacks restores it.
	if _, err := d.log.Checkpoint(ctx); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(d.side, earlierTree), os.DirFS(filepath.Join(d.dir, "tree"))); err != nil {
		return err
	}
	began = d.Now()
	if _, err := d.log.AppendBatch(ctx, events[at:]); err != nil {
		return err
	}
	took += d.Now().Sub(began)
	// From here on, everything that is shown is read from the log.
	var sum daySummary
	for r, err := range d.log.Records(ctx, 0, ^uint64(0)) {
		if err != nil {
			return err
		}
		sum.add(r)
		if r.Event.Type == event.SafetyIncident {
			d.incident = r
		}
	}
	d.records = sum.records
	d.title(1, "Recorded: a working day of an insurance company's claims assistant")
	sum.print(d, took)
	if d.incident == nil || d.records != uint64(len(events)) {
		return fmt.Errorf("read the day: got %s, expected %s, one of them the incident", display.Count(d.records, "record", "records"), display.Number(len(events)))
	}
	return nil
}

// verify verifies the unaltered log.
func (d *demo) verify(ctx context.Context) error {
	keys, err := d.log.Keys()
	if err != nil {
		return err
	}
	d.vkey = keys[len(keys)-1].VKey
	began := d.Now()
	v, err := d.log.Verify(ctx, audittrail.VerifyOptions{VKeys: []string{d.vkey}})
	if err != nil {
		return err
	}
	took := d.Now().Sub(began)
	if !v.Valid() || v.Records != d.records {
		return fmt.Errorf("verify what was just recorded: %s, and %s", display.Count(v.Records, "record", "records"), display.Count(v.FindingCount, "problem", "problems"))
	}
	d.title(2, fmt.Sprintf("Verified: all %s records are as they were recorded, in %s", display.Number(v.Records), tookText(took)))
	d.text(`Each record ends in a fingerprint (a SHA-256 hash) of itself and of the
record before it. All fingerprints together give one more, and that one the
log signs: the signed checkpoint.`)
	return nil
}

// show shows the incident's record, as stored and as decrypted.
func (d *demo) show(ctx context.Context) error {
	r, err := d.log.Get(ctx, d.incident.Seq)
	if err != nil {
		return err
	}
	// The demonstration states that no content is on disk in cleartext.
	for _, secret := range []string{r.Event.UserID, r.Event.Prompt, r.Event.Response} {
		if secret == "" || bytes.Contains(r.Line(), []byte(secret)) {
			return errors.New("show a record: the content is not encrypted")
		}
	}
	d.title(3, fmt.Sprintf("On disk: record %d, the incident, is one line of JSON (wrapped, shortened)", r.Seq))
	members, err := membersOf(r.Line())
	if err != nil {
		return err
	}
	d.line("%s", strings.Join(d.wrapMembers(members), "\n   "))
	d.line("")
	d.text(`Fields for counting and filtering are stored in cleartext; the user and the
content are encrypted, in the body. With the keys, one reads:`)
	d.line("")
	for _, f := range []struct{ name, value string }{{"user", r.Event.UserID}, {"prompt", r.Event.Prompt}, {"response", r.Event.Response}} {
		for _, l := range display.Wrap(display.Visible(f.value), textWidth-10) {
			d.line("%-10s%s", f.name, d.paint(wary, l))
			f.name = ""
		}
	}
	return nil
}

// farewell sums up the results, and says what to do next.
func (d *demo) farewell(took time.Duration) {
	d.title(6, fmt.Sprintf("What that means (all of it took %s)", tookText(took)))
	d.line("%s  a kept checkpoint reveals any change of the records it covers.", d.paint(good, "Proved:    "))
	d.line("%s  that the application reported the truth, or reported everything.", d.paint(wary, "Not proved:"))
	d.line("")
	next := [][2]string{
		{`audittrail log -t prompt -m gpt-4o -p "Hello"`, "record something yourself"},
		{"audittrail tail", "see it"},
		{"audittrail verify", "check it"},
	}
	if d.kept {
		dir := quoted(d.dir)
		d.line("Everything is kept in %s. Next:", dir)
		next = [][2]string{
			{"audittrail tail -n 20 --dir " + dir, ""},
			{fmt.Sprintf("audittrail show %d --dir %s", d.incident.Seq, dir), ""},
			{fmt.Sprintf("audittrail verify --dir %s --keys %s",
				quoted(filepath.Join(d.side, d.attacks[1].kind)), quoted(filepath.Join(d.dir, "keys"))), ""},
		}
	} else {
		d.line("The temporary folder was removed. Next:")
	}
	for _, n := range next {
		d.line("%s", strings.TrimRight(fmt.Sprintf("  %-47s%s", n[0], d.paint(dim, n[1])), " "))
	}
}
