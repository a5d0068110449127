package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/check"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/record"
	"audittrail/tlog"
)

// maxSmallFile bounds files of proofs, checkpoints and verifier keys.
const maxSmallFile = 1 << 20

type checkOptions struct {
	keys        []string
	proof       string
	disclosed   string
	consistency string
	checkpoint  string
}

func (e *env) checkCmd() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use: `check --key VKEY --proof FILE RECORD
  audittrail check --disclosed FILE [--key VKEY --proof FILE]
  audittrail check --key VKEY --consistency FILE --checkpoint OLD`,
		Short: "Check a proof, without the log",
		Long: `Check needs no log and no secret, only files that were made from a log.

  --proof FILE RECORD   check that the log whose verifier key is VKEY contains
                        the record, a line as 'show --raw' prints it ("-" is
                        standard input)
  --disclosed FILE      check that the disclosed key opens the disclosed record,
                        and print the content
  --consistency FILE    check that the later log begins with the records that
                        the checkpoint OLD covers

After a change of the log's signer, give --key for each of its keys.` +
			exits("0  the proof is valid", "1  the check could not be completed: a file is missing or malformed", "2  the proof is invalid"),
		Example: `  audittrail check --key log.vkey --proof 17.tlog-proof 17.json
  audittrail check --disclosed 17.disclosed
  audittrail check --key "$VKEY" --consistency proof --checkpoint monday`,
		GroupID: groupProve,
		RunE:    func(_ *cobra.Command, args []string) error { return e.check(o, args) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.keys, "key", nil, "verifier `key` of the log, or a file of them; may be repeated")
	f.StringVar(&o.proof, "proof", "", "`file` of a proof that a record is in the log")
	f.StringVar(&o.disclosed, "disclosed", "", "`file` of a disclosed record")
	f.StringVar(&o.consistency, "consistency", "", "`file` of a consistency proof between two checkpoints")
	f.StringVar(&o.checkpoint, "checkpoint", "", "`file` of the older checkpoint")
	return cmd
}

func (e *env) check(o checkOptions, args []string) error {
	takesRecord := o.disclosed == "" && o.consistency == ""
	var err error
	if o.keys, err = e.vkeys(o.keys); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	switch {
	case o.disclosed != "" && o.consistency != "", o.consistency != "" && o.proof != "",
		(o.checkpoint != "") != (o.consistency != ""), takesRecord && o.proof == "":
		err = errors.New("give --proof with a record, or --disclosed, or --consistency with --checkpoint")
	case takesRecord && len(args) != 1:
		err = errors.New("give one file with the record's line, as 'audittrail show --raw' prints it")
	case !takesRecord && len(args) > 0:
		err = errors.New("a RECORD is only valid with --proof; leave it out")
	case len(o.keys) == 0 && (o.proof != "" || o.consistency != ""):
		err = errors.New("give the log's verifier key with --key; 'audittrail keys show' prints it where the log is")
	case o.disclosed != "":
		return e.checkDisclosed(o)
	case o.consistency != "":
		return e.checkConsistency(o)
	default:
		return e.checkRecord(o, args[0])
	}
	return fmt.Errorf("check: %w", err)
}

// doesNotHold gives a signature by an untrusted key, and a checkpoint of another
// log, the exit status of an invalid proof.
func doesNotHold(err error) error {
	if errors.Is(err, tlog.ErrUnknownKey) || errors.Is(err, tlog.ErrRetiredKey) || errors.Is(err, tlog.ErrOrigin) {
		return &exitError{exitAltered, err}
	}
	return err
}

func (e *env) checkRecord(o checkOptions, name string) error {
	file, err := e.readInput(name, maxEventFile)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	line, tail, err := check.Line(file)
	if err != nil {
		return fmt.Errorf("check %s: %w", inputName(name), err)
	}
	p, err := e.inclusion(o, line, &tail)
	if err != nil {
		return fmt.Errorf("check %s: %w", inputName(name), err)
	}
	return e.sheet(checked(tail.Seq, p), []field{{"holds", check.InLog(tail.Seq, p)}})
}

// inclusion checks that a line has the hash that it states, and that the proof
// of the options proves it.
func (e *env) inclusion(o checkOptions, line []byte, tail *record.ChainLink) (tlog.Proof, error) {
	if err := check.Hash(line, tail); err != nil {
		return tlog.Proof{}, &exitError{exitAltered, err}
	}
	proof, err := e.readInput(o.proof, maxSmallFile)
	if err != nil {
		return tlog.Proof{}, err
	}
	p, err := check.Inclusion(o.keys, tail, proof)
	if err != nil {
		return p, doesNotHold(fmt.Errorf("%s: %w", inputName(o.proof), err))
	}
	return p, nil
}

// A checkResult is the result of check in JSON.
type checkResult struct {
	Holds  bool      `json:"holds"`
	Origin string    `json:"origin,omitempty"`
	Seq    *uint64   `json:"seq,omitempty"`
	Size   uint64    `json:"checkpoint_size"`
	Root   tlog.Hash `json:"root"`
}

func checked(seq uint64, p tlog.Proof) checkResult {
	return checkResult{true, p.Checkpoint.Origin, &seq, p.Checkpoint.Size, p.Checkpoint.Root}
}

func (e *env) checkDisclosed(o checkOptions) error {
	text, err := e.readInput(o.disclosed, maxEventFile)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	r, err := record.CheckDisclosure(bytes.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("%s: %w", inputName(o.disclosed), err)
	}
	fields := append(recordFields(r), field{"holds", "the content is that of this record; to check that a log contains the\nrecord, give --key and --proof"})
	if o.proof != "" {
		p, err := e.inclusion(o, r.Line(), &r.ChainLink)
		if err != nil {
			return fmt.Errorf("check %s: %w", inputName(o.disclosed), err)
		}
		fields[len(fields)-1].value = "the content is that of this record, and " + check.InLog(r.Seq, p)
	}
	return e.sheet(recordJSON(r), fields)
}

func (e *env) checkConsistency(o checkOptions) error {
	signed, err := e.readInput(o.checkpoint, maxSmallFile)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	old, _, err := tlog.OpenCheckpoint(signed, o.keys, "")
	if err != nil {
		return fmt.Errorf("check %s: %w", inputName(o.checkpoint), doesNotHold(err))
	}
	proof, err := e.readInput(o.consistency, maxSmallFile)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	c, err := tlog.CheckConsistencyProof(o.keys, old, proof)
	if err != nil {
		return fmt.Errorf("check %s: %w", inputName(o.consistency), doesNotHold(err))
	}
	return e.sheet(checkResult{Holds: true, Origin: c.Origin, Size: c.Size, Root: c.Root}, []field{{
		"holds", fmt.Sprintf("the log %s with %s begins with\nthe %s of the older checkpoint", c.Origin,
			display.Count(c.Size, "record", "records"), display.Number(old.Size)),
	}})
}
