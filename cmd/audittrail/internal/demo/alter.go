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

// prove gives a proof of the incident's record to an auditor. The auditor has the
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
	said, err := d.check(fmt.Sprintf("%d.json", seq))
	if err != nil {
		return fmt.Errorf("check the proof of record %d: %w", seq, err)
	}
	if _, err := d.check("changed.json"); !errors.Is(err, check.ErrAltered) {
		return fmt.Errorf("check the proof with a changed line: got %w, expected an alteration", err)
	}
	d.title(4, fmt.Sprintf("Proved to an auditor: record %d is in this log; its content stays encrypted", seq))
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

// check checks the proof of the incident's record for a line, like 'audittrail
// check' does, from the auditor's files, and returns the output.
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

// earlierTree is the folder with a copy of the tree from before the incident.
const earlierTree = "earlier-tree"

// An attack is one way to remove the incident from the log. It gets the lines of
// the log, each with its LF, and the incident's place among them.
type attack struct {
	kind string // the kind of finding that verify must report
	what string
	tree string // the folder of the copy's tree, if it is not the log's
	do   func(lines [][]byte, at int) [][]byte
}

// attacks returns the attacks.
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
		{"truncated", "log, tree and checkpoint replaced by an earlier copy", earlierTree, func(lines [][]byte, at int) [][]byte {
			return lines[:at]
		}},
	}
}

// playedDown returns the incident's line with a lower severity.
func playedDown(line []byte) []byte {
	return bytes.Replace(line, []byte(`"severity":"critical"`), []byte(`"severity":"low"`), 1)
}

// chainedAgain computes the hashes from a line to the end of the log, which
// needs access to the disk but no key.
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

// alter alters copies of the log, and shows what verify finds.
func (d *demo) alter(ctx context.Context) error {
	d.title(5, "Detected: an attacker with access to the disk removes the incident")
	const form = "%-56s%s"
	d.line("%s", d.paint(dim, fmt.Sprintf(form, "done to a copy of the log", "what verify says")))
	v, err := d.attacked(ctx, attack{kind: "untouched", do: func(lines [][]byte, _ int) [][]byte { return lines }})
	if err != nil {
		return err
	}
	if !v.Valid() || v.Records != d.records {
		return errors.New("verify an untouched copy: the copy is not valid")
	}
	d.line(form, "nothing", d.paint(good, display.Number(v.Records)+" records intact"))
	for _, a := range d.attacks {
		v, err := d.attacked(ctx, a)
		if err != nil {
			return fmt.Errorf("alter a copy (%s): %w", a.kind, err)
		}
		if len(v.Findings) == 0 {
			return fmt.Errorf("verify a copy with %s: the alteration was not detected", a.what)
		}
		p := v.Findings[0]
		if string(p.Kind) != a.kind || p.Seq != d.incident.Seq {
			return fmt.Errorf("verify a copy with %s: found record %d %s, expected record %d %s",
				a.what, p.Seq, p.Kind, d.incident.Seq, a.kind)
		}
		d.line(form, a.what, d.paint(bad, fmt.Sprintf("record %d %s", p.Seq, p.Kind)))
	}
	d.line("")
	d.text(`The auditor needs only what was kept from before the attack: the log's public
key, and its last signed checkpoint.`)
	return nil
}

// attacked makes a copy of the log without the keys, attacks it, and verifies it
// with the public key and the checkpoint from before.
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
