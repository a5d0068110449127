package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"audittrail"
	"audittrail/record"
)

// prove hands a proof of the incident's record to a stranger, who has the
// record's line and the log's public key, and neither the log nor a secret.
func (d *demo) prove(ctx context.Context) error {
	seq := d.incident.Seq
	proof, err := d.log.Prove(ctx, seq)
	if err != nil {
		return err
	}
	if d.checkpoint, err = d.log.Checkpoint(ctx); err != nil {
		return err
	}
	line := append(d.incident.Line(), '\n')
	for name, data := range map[string][]byte{
		fmt.Sprintf("%d.json", seq): line, fmt.Sprintf("%d.tlog-proof", seq): proof,
		"log.vkey": []byte(d.vkey + "\n"), "checkpoint": d.checkpoint,
		"changed.json": bytes.Replace(line, []byte(`"critical"`), []byte(`"Critical"`), 1),
	} {
		if err := os.WriteFile(filepath.Join(d.side, name), data, 0o644); err != nil {
			return err
		}
	}
	said, status := d.check(ctx, fmt.Sprintf("%d.json", seq))
	if status != exitOK {
		return fmt.Errorf("check the proof of record %d: exit status %d: %s", seq, status, said)
	}
	if said, status := d.check(ctx, "changed.json"); status != exitAltered {
		return fmt.Errorf("check the proof against a changed line: exit status %d, want %d: %s", status, exitAltered, said)
	}
	d.title(4, fmt.Sprintf("Proved to a stranger: record %d is in this log; its content stays sealed", seq))
	d.line("An auditor gets that line (%s), a proof (%s) and the log's", bytesText(int64(len(line))), bytesText(int64(len(proof))))
	d.text("public key, but neither the log nor a secret, and runs:\n")
	d.line("$ audittrail check --key log.vkey --proof %d.tlog-proof %[1]d.json", seq)
	for l := range strings.Lines(said) {
		d.line("%s", d.e.paint(good, strings.TrimRight(l, "\n")))
	}
	d.line("")
	d.line("With one letter of the line changed, the same command says: altered.")
	return nil
}

// check runs the command that checks a proof, as a process of its own would.
func (d *demo) check(ctx context.Context, line string) (said string, status int) {
	var out bytes.Buffer
	proof := filepath.Join(d.side, fmt.Sprintf("%d.tlog-proof", d.incident.Seq))
	stranger := &env{
		ctx: ctx, now: d.e.now, getenv: func(string) string { return "" },
		args:  []string{"check", "--key", d.vkey, "--proof", proof, filepath.Join(d.side, line)},
		stdin: strings.NewReader(""), stdout: &out, stderr: &out,
	}
	status = stranger.run()
	return out.String(), status
}

// earlierTree is the folder of the tree as it was before the incident.
const earlierTree = "earlier-tree"

// An attack is one way to make the incident go away. It gets the lines of the
// log, each with its LF, and the incident's place among them.
type attack struct {
	kind string // as which verify must report it
	what string
	tree string // where the copy's tree comes from, if not from the log
	do   func(lines [][]byte, at int) [][]byte
}

var attacks = []attack{
	{"modified", "the record's severity changed from critical to low", "", func(lines [][]byte, at int) [][]byte {
		lines[at] = playedDown(lines[at])
		return lines
	}},
	{"rewritten", "the same, and every later fingerprint made to fit", "", func(lines [][]byte, at int) [][]byte {
		lines[at] = playedDown(lines[at])
		return chainedAgain(lines, at)
	}},
	{"missing", "the record taken out", "", func(lines [][]byte, at int) [][]byte {
		return slices.Delete(lines, at, at+1)
	}},
	{"truncated", "log, tree and checkpoint put back as they were before", earlierTree, func(lines [][]byte, at int) [][]byte {
		return lines[:at]
	}},
}

// playedDown is the incident's line with the incident made small.
func playedDown(line []byte) []byte {
	return bytes.Replace(line, []byte(`"severity":"critical"`), []byte(`"severity":"low"`), 1)
}

// chainedAgain computes the hashes from a line to the end of the log, as
// somebody can who may write to the disk and has no key.
func chainedAgain(lines [][]byte, from int) [][]byte {
	for i := from; i < len(lines); i++ {
		line := bytes.TrimSuffix(lines[i], []byte("\n"))
		t, _ := record.ParseChainLink(line)
		covered, _ := record.HashedBytes(line)
		if i > from {
			before, _ := record.ParseChainLink(bytes.TrimSuffix(lines[i-1], []byte("\n")))
			covered = bytes.Replace(covered, []byte(t.Prev.String()), []byte(before.Hash.String()), 1)
		}
		lines[i] = fmt.Appendf(nil, "%s,\"hash\":\"%s\"}\n", covered, record.HashOf(covered))
	}
	return lines
}

// alter alters copies of the log, and shows what verify says.
func (d *demo) alter(ctx context.Context) error {
	d.title(5, "Caught: somebody who can write to the disk wants the incident gone")
	const form = "%-56s%s"
	d.line("%s", d.e.paint(dim, fmt.Sprintf(form, "done to a copy of the log", "what verify says")))
	v, err := d.attacked(ctx, attack{kind: "untouched", do: func(lines [][]byte, _ int) [][]byte { return lines }})
	if err != nil {
		return err
	}
	if !v.Valid() || v.Records != d.records {
		return errors.New("verify an untouched copy: it is not valid")
	}
	d.line(form, "nothing", d.e.paint(good, number(v.Records)+" records intact"))
	for _, a := range attacks {
		v, err := d.attacked(ctx, a)
		if err != nil {
			return fmt.Errorf("alter a copy (%s): %w", a.kind, err)
		}
		if len(v.Findings) == 0 {
			return fmt.Errorf("verify a copy with %s: it was not caught", a.what)
		}
		p := v.Findings[0]
		if string(p.Kind) != a.kind || p.Seq != d.incident.Seq {
			return fmt.Errorf("verify a copy with %s: it says that record %d is %s, want record %d %s",
				a.what, p.Seq, p.Kind, d.incident.Seq, a.kind)
		}
		d.line(form, a.what, d.e.paint(bad, fmt.Sprintf("record %d %s", p.Seq, p.Kind)))
	}
	d.line("")
	d.text(`All that the auditor needs for this was kept from before: the log's public
key, and its last signed checkpoint.`)
	return nil
}

// attacked makes a copy of the log that lacks the keys, does the attack to it,
// and has it verified by somebody who kept the public key and a checkpoint.
func (d *demo) attacked(ctx context.Context, a attack) (*audittrail.Verification, error) {
	dir := filepath.Join(d.side, a.kind)
	tree := filepath.Join(d.dir, "tree")
	if a.tree != "" {
		tree = filepath.Join(d.side, a.tree)
	}
	for part, from := range map[string]string{"log": filepath.Join(d.dir, "log"), "tree": tree} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(from)); err != nil {
			return nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "log", "*.jsonl"))
	if err != nil || len(files) != 1 {
		return nil, errors.Join(errors.New("the copy's records are not in one file"), err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	lines := a.do(slices.Collect(bytes.Lines(text)), int(d.incident.Seq))
	if err := os.WriteFile(files[0], bytes.Join(lines, nil), 0o644); err != nil {
		return nil, err
	}
	return audittrail.VerifyDir(ctx, dir, audittrail.Options{ReadOnly: true},
		audittrail.VerifyOptions{VKeys: []string{d.vkey}, Checkpoints: [][]byte{d.checkpoint}})
}
