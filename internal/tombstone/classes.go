package tombstone

import (
	"bytes"

	"audittrail/event"
	"audittrail/record"
)

// Classes count the records that leave the log, by retention class and month.
type Classes map[string]record.ClassCount

// Add counts a line, without its LF. It does not count lines that stay, and
// lines of an unknown format.
func (c Classes) Add(line []byte) {
	_, kind, ok := record.Peek(line)
	if !ok || event.Type(kind).Reserved() {
		return
	}
	class, ok := classOf(line)
	if !ok {
		return
	}
	n := c[string(class)]
	n.Records++
	n.Bytes += int64(len(line)) + 1
	c[string(class)] = n
}

// The bytes of a line before and after its class. Quotation marks within
// strings are escaped, and no labels can have this order, so that these bytes
// occur nowhere else in a line.
const (
	classField   = `,"class":"`
	subjectField = `","subject":"`
	keyField     = `","key":"`
)

func classOf(line []byte) ([]byte, bool) {
	for from := 0; ; {
		i := bytes.Index(line[from:], []byte(classField))
		if i < 0 {
			return nil, false
		}
		from += i + len(classField)
		end := bytes.IndexByte(line[from:], '"')
		if end < 0 {
			return nil, false
		}
		rest, ok := bytes.CutPrefix(line[from+end:], []byte(subjectField))
		if n := 2 * len(record.Subject{}); ok && len(rest) > n && bytes.HasPrefix(rest[n:], []byte(keyField)) {
			return line[from : from+end], true
		}
	}
}
