package record

import "fmt"

// A CorruptError reports that File does not contain record Seq at Offset.
type CorruptError struct {
	Seq    uint64
	File   string
	Offset int64
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("read record %d: %s does not contain the record at byte %d; run verify", e.Seq, e.File, e.Offset)
}

// A TamperError reports a record whose line does not have the hash that it
// states, does not continue the line before, or disagrees with the tree: in
// that case Got is its hash, and Want the one in the tree.
type TamperError struct {
	Seq       uint64
	Want, Got Hash
}

func (e *TamperError) Error() string {
	switch {
	case e.Want == e.Got:
		return fmt.Sprintf("record %d: the line does not have the hash that it states, or does not continue the line before: the log was altered; run verify", e.Seq)
	case e.Want == Hash{}:
		return fmt.Sprintf("record %d: the hash is %v, and the log's lines and tree do not give the signed root: the log was altered; run verify", e.Seq, e.Got)
	}
	return fmt.Sprintf("record %d: the hash is %v, the tree has %v: the log was altered; run verify", e.Seq, e.Got, e.Want)
}
