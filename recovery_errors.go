package audittrail

import (
	"errors"
	"fmt"

	"audittrail/record"
	"audittrail/tlog"
)

// RollbackError reports that a log lacks records that were signed: records were
// removed, or an older copy was put in its place. The log is not opened for
// writing.
type RollbackError struct {
	Have, Signed uint64 // records
	Detail       string
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("open log: %d records were signed, but %s: the log was cut off, altered or replaced by an older copy, and is not written to; run verify, and restore the whole log from a backup", e.Signed, e.Detail)
}

// DamagedError reports damage at the end of the log, after its newest
// checkpoint, that an interrupted write does not explain: a line was altered,
// or the disk lost data that it had confirmed.
type DamagedError struct {
	Seq    uint64 // of the first record that is damaged
	File   string
	Offset int64
	Detail string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("open log: %s at byte %d, where record %d should be: %s; nothing was changed; 'doctor --repair' copies the damaged end to another file, cuts it off and records that", e.File, e.Offset, e.Seq, e.Detail)
}

// NewerFormatError reports that a log has a line of a newer format after its
// newest checkpoint. The line cannot be authenticated here: only a program that
// knows the format can decide whether a holder of the keys wrote it.
type NewerFormatError struct {
	Seq     uint64 // of the record that the line would be
	File    string
	Offset  int64
	Version int64 // of the format
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("open log: %s at byte %d, where record %d should be: a line of record format %d, which this program does not know, and which no checkpoint covers; if a newer version of this program wrote it, write with that version; if none did, 'doctor --repair --newer' copies the line to another file, cuts it off and records that; nothing was changed", e.File, e.Offset, e.Seq, e.Version)
}

// Unwrap returns a *record.VersionError with the version.
func (e *NewerFormatError) Unwrap() error { return &record.VersionError{Version: e.Version} }

// CheckpointError reports that the keyring's keys did not sign the published
// checkpoint, and that the log does not show whether the checkpoint is forged
// or the keyring is outdated.
type CheckpointError struct {
	Claimed, Signed uint64 // records that the checkpoint covers, and that the keyring knows were signed
	Older           bool   // the log has had signers that the keyring does not know
	// Unopened is one more than the number of the first record beyond Signed that
	// the keyring does not open; 0 if none was found.
	Unopened uint64
	Err      error
}

func (e *CheckpointError) Error() string {
	what := fmt.Sprintf("open log: the published checkpoint (tree/checkpoint) is not one that this keyring's keys signed: %v", e.Err)
	const newest = "restore its newest keyring (--keys)"
	switch {
	case errors.Is(e.Err, tlog.ErrOrigin):
		return what + "; name this log's own keyring (--keys), or restore the log's own tree/checkpoint"
	case e.Older:
		return what + ", and tree/signers names signers of the log that it does not know: the keyring is older than the log; " + newest
	case e.Unopened > 0:
		return fmt.Sprintf("%s; it covers record %d, which does not open under this keyring: if the keyring is older than the log, %s; if it is the newest one, move tree/checkpoint away, and run 'doctor --repair' again; nothing was changed", what, e.Unopened-1, newest)
	}
	return fmt.Sprintf("%s; it covers %d records, and this keyring knows of %d that were signed: if the keyring is older than the log, %s; if it is the newest one, 'doctor --repair' checks the log against what it knows, puts the checkpoint aside, and signs again; nothing was changed", what, e.Claimed, e.Signed, newest)
}

// Unwrap returns the reason for which the checkpoint does not count.
func (e *CheckpointError) Unwrap() error { return e.Err }
