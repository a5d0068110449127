// Auditor checks a copy of a log without its keys, like an outsider with only the
// verifier key:
//
//	auditor VKEY DIR [PROOF | OLD-CHECKPOINT CONSISTENCY-PROOF]
//
// It checks every line and the chain of their hashes, computes the Merkle root,
// and compares it with the signed checkpoint. A PROOF must be of the line at its
// index; a CONSISTENCY-PROOF must lead from OLD-CHECKPOINT to a signed one.
//
// It shows that the packages event, record and tlog are enough for that.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"audittrail/event"
	"audittrail/record"
	"audittrail/tlog"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "auditor VKEY DIR [PROOF | OLD-CHECKPOINT CONSISTENCY-PROOF]")
		os.Exit(1)
	}
	if err := run(os.Stdout, os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "auditor:", err)
		os.Exit(2)
	}
}

func run(out io.Writer, vkey, dir string, files []string) error {
	signed, err := os.ReadFile(filepath.Join(dir, "tree", "checkpoint"))
	if err != nil {
		return err
	}
	head, _, err := tlog.OpenCheckpoint(signed, []string{vkey}, "")
	if err != nil {
		return err
	}
	a := audit{head: head, types: map[event.Type]int{}}
	if err := a.log(filepath.Join(dir, "log")); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d lines give the signed root, %d of type %s\n", head.Origin, len(a.entries), a.types[event.Prompt], event.Prompt)
	switch len(files) {
	case 1:
		return a.inclusion(out, vkey, files[0])
	case 2:
		return consistency(out, vkey, files[0], files[1])
	}
	return nil
}

// An audit is what was read of a log.
type audit struct {
	head    tlog.Checkpoint
	entries []record.Hash
	tree    tlog.Range
	types   map[event.Type]int
}

// log checks the lines that the checkpoint covers.
func (a *audit) log(dir string) error {
	segments, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return err
	}
	slices.Sort(segments)
	for _, name := range segments {
		if err := a.segment(name); err != nil {
			return err
		}
	}
	if a.tree.Size() != a.head.Size {
		return fmt.Errorf("%d records are signed, and %d are there", a.head.Size, a.tree.Size())
	}
	if root := a.tree.Root(); root != a.head.Root {
		return fmt.Errorf("the root is %v, and %v is signed", root, a.head.Root)
	}
	return nil
}

func (a *audit) segment(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for a.tree.Size() < a.head.Size {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", a.tree.Size(), err)
		}
		if err := a.line(line[:len(line)-1]); err != nil {
			return fmt.Errorf("record %d: %w", a.tree.Size(), err)
		}
	}
	return nil
}

func (a *audit) line(line []byte) error {
	r, err := record.Decode(line)
	if err != nil {
		return err
	}
	var prev record.Hash
	if n := len(a.entries); n > 0 {
		prev = a.entries[n-1]
	}
	if !record.VerifyHash(line, &r.ChainLink) || r.Seq != a.tree.Size() || r.Prev != prev {
		return errors.New("the line is not what its hash says, or does not follow the one before")
	}
	a.types[r.Event.Type]++
	a.entries = append(a.entries, r.Hash)
	a.tree.Append(tlog.LeafHash(r.Hash), nil)
	return nil
}

func (a *audit) inclusion(out io.Writer, vkey, name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	p, err := tlog.ParseProof(b)
	if err != nil {
		return err
	}
	if p.Index >= uint64(len(a.entries)) {
		return fmt.Errorf("the proof is of record %d, which is not here", p.Index)
	}
	if _, err := tlog.CheckProof([]string{vkey}, a.entries[p.Index], b); err != nil {
		return err
	}
	fmt.Fprintf(out, "record %d is proven\n", p.Index)
	return nil
}

func consistency(out io.Writer, vkey, oldName, name string) error {
	signed, err := os.ReadFile(oldName)
	if err != nil {
		return err
	}
	old, _, err := tlog.OpenCheckpoint(signed, []string{vkey}, "")
	if err != nil {
		return err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	now, err := tlog.CheckConsistencyProof([]string{vkey}, old, b)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the log of %d records begins with the log of %d\n", now.Size, old.Size)
	return nil
}
