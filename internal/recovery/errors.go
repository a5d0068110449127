package recovery

import (
	"fmt"

	"audittrail/record"
)

// A BehindError means that a log lacks what was signed: records are gone, or
// an old copy was put in its place. It is not written to.
type BehindError struct {
	Have, Signed uint64 // records
	Detail       string
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("open log: %d records were signed, but %s: the log was cut off, altered or replaced by an older copy, and is not written to; run verify, and bring back the whole log from a backup", e.Signed, e.Detail)
}

// A DamagedError means that the end of the log, behind its last checkpoint, is
// not what an interrupted write leaves: something was altered, or the disk lost
// what it had confirmed.
type DamagedError struct {
	Seq    uint64 // of the first record that is damaged
	File   string
	Offset int64
	Detail string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("open log: %s at byte %d, where record %d should be: %s; nothing was changed; 'doctor --repair' copies what stands there aside, cuts it off and records that", e.File, e.Offset, e.Seq, e.Detail)
}

// A NewerError means that behind its last checkpoint a log goes on with a line
// of a newer format. Nobody vouches for it: only the program that knows the
// format can tell whether a holder of the keys wrote it.
type NewerError struct {
	Seq     uint64 // of the record that the line would be
	File    string
	Offset  int64
	Version int64 // of the format
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("open log: %s at byte %d, where record %d should be: a line of record format %d, which this program does not know, and for which no checkpoint vouches; if a newer version of this program wrote it, write with that one; if none did, 'doctor --repair --newer' copies it aside, cuts it off and records that; nothing was changed", e.File, e.Offset, e.Seq, e.Version)
}

// Unwrap returns the version that is not understood.
func (e *NewerError) Unwrap() error { return &record.VersionError{Version: e.Version} }
