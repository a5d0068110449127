package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/event"
	"audittrail/record"
)

func (e *env) demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See all of it in ten seconds",
		Long: `Demo records a day of an AI product, with several models, a dozen customers and
an incident; verifies it; shows a record as it stands on disk and as its reader
sees it; proves that record to a stranger; and alters copies of the log to show
each alteration caught.

It needs no configuration and no network, and works in a temporary folder that
it removes. With --dir it makes the log in that folder and leaves it there, with
what the stranger got and the altered copies in its subfolder demo.` +
			exits("0  everything that it says held", "1  something did not, or could not be done: stderr says what"),
		Example: `  audittrail demo
  audittrail demo --dir /tmp/demo`,
		Args:    takes(),
		GroupID: groupRecord,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"keys", "master", "output"} {
				if cmd.Flags().Changed(name) {
					return fmt.Errorf("demo: it has no use for --%s: it makes its own keys, and prints for people", name)
				}
			}
			if err := e.demo(); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
}

// demoOrigin is the name of the demonstration's log.
const demoOrigin = "example.com/claims-assistant"

// A demo is a demonstration on its way.
type demo struct {
	e    *env
	out  bytes.Buffer // shown step by step
	dir  string       // of the log
	side string       // for what is made from it
	kept bool

	log      *audittrail.Log
	records  uint64
	incident *record.Record

	// What an auditor keeps of the log.
	vkey       string
	checkpoint []byte
}

func (e *env) demo() error {
	began := e.now()
	d := &demo{e: e}
	remove, err := d.makeFolders()
	if err != nil {
		return err
	}
	d.say("%s\n", e.paint(bold, "AuditTrail, a flight recorder for AI systems, on a day that went wrong"))
	err = errors.Join(d.steps(), remove())
	if err != nil {
		// What was shown before is shown; stderr tells the rest.
		return errors.Join(err, d.flush())
	}
	d.farewell(e.now().Sub(began))
	return d.flush()
}

// makeFolders makes the folders, and returns what removes those that are not
// to stay.
func (d *demo) makeFolders() (remove func() error, err error) {
	if d.e.dir == "" {
		dir, err := os.MkdirTemp("", "audittrail-demo-")
		if err != nil {
			return nil, err
		}
		d.dir, d.side = filepath.Join(dir, "audit"), filepath.Join(dir, "demo")
		return func() error { return os.RemoveAll(dir) }, os.Mkdir(d.side, 0o755)
	}
	d.kept, d.dir, d.side = true, d.e.dir, filepath.Join(d.e.dir, "demo")
	names, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("make a log in %s: the folder is not empty; name a new one", d.dir)
	}
	return func() error { return nil }, os.MkdirAll(d.side, 0o755)
}

// steps does what the demonstration consists of, and shows each step when it
// is done.
func (d *demo) steps() error {
	log, err := audittrail.Open(d.dir, audittrail.Options{Create: true, Origin: demoOrigin})
	if err != nil {
		return err
	}
	d.log = log
	for _, step := range []func(context.Context) error{d.record, d.verify, d.show, d.prove} {
		err = step(d.e.ctx)
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
	if err := d.alter(d.e.ctx); err != nil {
		return err
	}
	return d.flush()
}

// record records the day, and shows what it was.
func (d *demo) record(ctx context.Context) error {
	events := demoDay(d.e.now())
	at := slices.IndexFunc(events, func(ev event.Event) bool { return ev.Type == event.SafetyIncident })
	began := d.e.now()
	if _, err := d.log.AppendBatch(ctx, events[:at]); err != nil {
		return err
	}
	took := d.e.now().Sub(began)
	// Somebody has a copy of the tree as it was before the incident, with its
	// signed checkpoint: to put it back will be one of the attacks.
	if _, err := d.log.Checkpoint(ctx); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(d.side, earlierTree), os.DirFS(filepath.Join(d.dir, "tree"))); err != nil {
		return err
	}
	began = d.e.now()
	if _, err := d.log.AppendBatch(ctx, events[at:]); err != nil {
		return err
	}
	took += d.e.now().Sub(began)
	// From here on, all that is shown is read back from the log.
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
		return fmt.Errorf("read the day back: %s, want %s, one of them the incident", count(d.records, "record", "records"), number(len(events)))
	}
	return nil
}

// verify checks the log as it should be.
func (d *demo) verify(ctx context.Context) error {
	keys, err := d.log.Keys()
	if err != nil {
		return err
	}
	d.vkey = keys[len(keys)-1].VKey
	began := d.e.now()
	v, err := d.log.Verify(ctx, audittrail.VerifyOptions{VKeys: []string{d.vkey}})
	if err != nil {
		return err
	}
	took := d.e.now().Sub(began)
	if !v.Valid() || v.Records != d.records {
		return fmt.Errorf("verify what was just recorded: %s, and %s", count(v.Records, "record", "records"), count(v.FindingCount, "problem", "problems"))
	}
	d.title(2, fmt.Sprintf("Verified: all %s records are as they were recorded, in %s", number(v.Records), tookText(took)))
	d.text(`Each record ends in a fingerprint (a SHA-256 hash) of itself and of the
record before it. All fingerprints together give one more, and that one the
log signs: the signed checkpoint.`)
	return nil
}

// show shows the incident's record, as it stands and as it reads.
func (d *demo) show(ctx context.Context) error {
	r, err := d.log.Get(ctx, d.incident.Seq)
	if err != nil {
		return err
	}
	// What is said about it must be so: nothing of the content is on disk.
	for _, secret := range []string{r.Event.UserID, r.Event.Prompt, r.Event.Response} {
		if secret == "" || bytes.Contains(r.Line(), []byte(secret)) {
			return errors.New("show a record: its content is not sealed")
		}
	}
	d.title(3, fmt.Sprintf("On disk: record %d, the incident, is one line of JSON (wrapped, shortened)", r.Seq))
	members, err := membersOf(r.Line())
	if err != nil {
		return err
	}
	d.line("%s", strings.Join(d.wrapMembers(members), "\n   "))
	d.line("")
	d.text(`What is counted and filtered is in the clear; who it was and what was said is
encrypted, in the body. Whoever has the keys reads:`)
	d.line("")
	for _, f := range []field{{"user", r.Event.UserID}, {"prompt", r.Event.Prompt}, {"response", r.Event.Response}} {
		for _, l := range wrapText(visible(f.value), textWidth-10) {
			d.line("%-10s%s", f.name, d.e.paint(wary, l))
			f.name = ""
		}
	}
	return nil
}

// farewell says what came of it, and what to do next.
func (d *demo) farewell(took time.Duration) {
	d.title(6, fmt.Sprintf("What that means (all of it took %s)", tookText(took)))
	d.line("%s  who keeps a checkpoint sees any change or cut in what it covers.", d.e.paint(good, "Proved:    "))
	d.line("%s  that what the application reported is true, or was everything.", d.e.paint(wary, "Not proved:"))
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
				quoted(filepath.Join(d.side, attacks[1].kind)), quoted(filepath.Join(d.dir, "keys"))), ""},
		}
	} else {
		d.line("The folder was temporary, and is gone. Next:")
	}
	for _, n := range next {
		d.line("%s", strings.TrimRight(fmt.Sprintf("  %-47s%s", n[0], d.e.paint(dim, n[1])), " "))
	}
}
