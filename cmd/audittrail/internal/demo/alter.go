package demo

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
	"audittrail/cmd/audittrail/internal/check"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/record"
)

// prove hands a proof of the incident's record to a stranger. The stranger
// has the record's line and the log's public key, and neither the log nor a
// secret.
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
	said, err := d.check(fmt.Sprintf("%d.json", seq))
	if err != nil {
		return fmt.Errorf("check the proof of record %d: %w", seq, err)
	}
	if _, err := d.check("changed.json"); !errors.Is(err, check.ErrAltered) {
		return fmt.Errorf("check the proof against a changed line: %w, want that it was altered", err)
	}
	d.title(4, fmt.Sprintf("Proved to a stranger: record %d is in this log; its content stays sealed", seq))
	d.line("An auditor gets that line (%s), a proof (%s) and the log's", display.Bytes(int64(len(line))), display.Bytes(int64(len(proof))))
	d.text("public key, but neither the log nor a secret, and runs:\n")
	d.line("$ audittrail check --key log.vkey --proof %d.tlog-proof %[1]d.json", seq)
	lead := "holds  "
	for l := range strings.Lines(said) {
		d.line("%s", d.paint(good, lead+strings.TrimRight(l, "\n")))
		lead = strings.Repeat(" ", len(lead))
	}
	d.line("")
	d.line("With one letter of the line changed, the same command says: altered.")
	return nil
}

// check checks a line against the proof of the incident's record, as 'audittrail
// check' does, from what the stranger got, and returns what that prints.
func (d *demo) check(name string) (said string, err error) {
	file, err := os.ReadFile(filepath.Join(d.side, name))
	if err != nil {
		return "", err
	}
	proof, err := os.ReadFile(filepath.Join(d.side, fmt.Sprintf("%d.tlog-proof", d.incident.Seq)))
	if err != nil {
		return "", err
	}
	line, tail, err := check.Line(file)
	if err != nil {
		return "", err
	}
	if err := check.Hash(line, &tail); err != nil {
		return "", err
	}
	p, err := check.Inclusion([]string{d.vkey}, &tail, proof)
	if err != nil {
		return "", err
	}
	return check.InLog(tail.Seq, p), nil
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

// attacks returns the attacks that are shown.
func attacks() []attack {
	return []attack{
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
	d.line("%s", d.paint(dim, fmt.Sprintf(form, "done to a copy of the log", "what verify says")))
	v, err := d.attacked(ctx, attack{kind: "untouched", do: func(lines [][]byte, _ int) [][]byte { return lines }})
	if err != nil {
		return err
	}
	if !v.Valid() || v.Records != d.records {
		return errors.New("verify an untouched copy: it is not valid")
	}
	d.line(form, "nothing", d.paint(good, display.Number(v.Records)+" records intact"))
	for _, a := range d.attacks {
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
		d.line(form, a.what, d.paint(bad, fmt.Sprintf("record %d %s", p.Seq, p.Kind)))
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
