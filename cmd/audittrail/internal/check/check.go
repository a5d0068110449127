// Package check checks a proof that a log contains the line of a record, with
// neither the log nor a secret.
package check

import (
	"bytes"
	"errors"
	"fmt"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/record"
	"audittrail/tlog"
)

var (
	// ErrLine reports that a file is not the line of one record.
	ErrLine = errors.New("the file is not the line of one record, as 'audittrail show --raw' prints it")
	// ErrAltered reports that the line of a record is not the one that was hashed.
	ErrAltered = errors.New("the line does not have the hash that it states")
)

// Line returns the line of a record from a file, and its chain link.
func Line(file []byte) ([]byte, record.ChainLink, error) {
	line := bytes.TrimSuffix(bytes.TrimSuffix(file, []byte("\n")), []byte("\r"))
	tail, ok := record.ParseChainLink(line)
	if !ok || bytes.IndexByte(line, '\n') >= 0 {
		return nil, tail, ErrLine
	}
	return line, tail, nil
}

// Hash returns ErrAltered if a line does not have the hash in its chain link.
func Hash(line []byte, tail *record.ChainLink) error {
	if !record.VerifyHash(line, tail) {
		return fmt.Errorf("record %d was altered: %w", tail.Seq, ErrAltered)
	}
	return nil
}

// Inclusion checks a proof that a log with one of the keys contains the record
// of a line.
func Inclusion(keys []string, tail *record.ChainLink, proof []byte) (tlog.Proof, error) {
	if p, err := tlog.ParseProof(proof); err == nil && p.Index != tail.Seq {
		return p, fmt.Errorf("the proof is for record %d, and the line is that of record %d; 'audittrail prove %[2]d' writes the proof for that record", p.Index, tail.Seq)
	}
	return tlog.CheckProof(keys, tail.Hash, proof)
}

// InLog describes in words what the proof of a record has proved.
func InLog(seq uint64, p tlog.Proof) string {
	return fmt.Sprintf("this is record %d of the log %s,\nas its signed checkpoint over %s has it",
		seq, p.Checkpoint.Origin, display.Count(p.Checkpoint.Size, "record", "records"))
}
