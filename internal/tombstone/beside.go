package tombstone

import (
	"bytes"
	"io"

	"audittrail/record"
)

// endLen is more than the end of a line, from its sequence number on.
const endLen = 512

// Beside reports whether the line of the record first exists although there is
// a tombstone of the segment that begins with it: whether the last whole line
// of the preceding segment, whose file has the given size, is of that record or
// of a later one. Lines take precedence: such a tombstone is ignored. If the
// file cannot be read, Beside returns false.
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

// LastEnd returns the offset after the last whole line of a file, with its LF:
// the rest is an incomplete line.
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
