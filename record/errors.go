package record

import "fmt"

// A CorruptError reports that File does not contain record Seq at Offset.
type CorruptError struct {
	Seq    uint64
	File   string
	Offset int64
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("read record %d: %s has something else at byte %d; run verify", e.Seq, e.File, e.Offset)
}

// A TamperError names a record whose line is not what its hash says, does not
// continue the one before, or disagrees with the tree: then Got is its hash, and
// Want that in the tree.
type TamperError struct {
	Seq       uint64
	Want, Got Hash
}

func (e *TamperError) Error() string {
	switch {
	case e.Want == e.Got:
		return fmt.Sprintf("record %d: the line is not what its hash says, or does not continue the one before: the log was altered; run verify", e.Seq)
	case e.Want == Hash{}:
		return fmt.Sprintf("record %d: its hash is %v, and the log's lines and tree do not give the root that was signed: the log was altered; run verify", e.Seq, e.Got)
	}
	return fmt.Sprintf("record %d: its hash is %v, the tree has %v: the log was altered; run verify", e.Seq, e.Got, e.Want)
}
