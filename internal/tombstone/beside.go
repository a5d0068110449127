package tombstone

import (
	"bytes"
	"io"

	"audittrail/record"
)

// endLen is more than the end of a line, from its sequence number on.
const endLen = 512

// Beside tells whether a remnant that is named after the record first stands beside
// that record's line: the last whole line of the segment before it, whose file has
// that size, is of that record or of a later one. Lines outvote a remnant, which
// is of nothing then. What cannot be read tells nothing.
func Beside(lines io.ReaderAt, size int64, first uint64) bool {
	seq, ok := LastSeq(lines, size)
	return ok && seq >= first
}

// LastSeq returns the sequence number that the last whole line of a segment carries,
// if it is that of a record.
func LastSeq(lines io.ReaderAt, size int64) (uint64, bool) {
	end, err := LastEnd(lines, size)
	if err != nil || end == 0 {
		return 0, false
	}
	buf := make([]byte, min(end, endLen))
	if n, err := lines.ReadAt(buf, end-int64(len(buf))); n < len(buf) && err != nil {
		return 0, false
	}
	t, ok := record.ParseChainLink(buf[:len(buf)-1])
	return t.Seq, ok
}

// LastEnd returns where the last whole line of a file ends, behind its LF: what
// follows is torn.
func LastEnd(lines io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 1<<16)
	for at := size; at > 0; {
		some := buf[:min(at, int64(len(buf)))]
		at -= int64(len(some))
		if n, err := lines.ReadAt(some, at); n < len(some) {
			return 0, err
		}
		if i := bytes.LastIndexByte(some, '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
	}
	return 0, nil
}
