package recovery

import "fmt"

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
