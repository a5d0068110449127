package record

import "bytes"

// The members class and subject as they are in a line, and the one after them.
const (
	classField   = `,"class":"`
	subjectField = `","subject":"`
	keyField     = `","key":"`
	rareAt       = len(`","sub`) // offset of a letter of subjectField that is rare in lines

	// SubjectDigits is the length of a subject in a line.
	SubjectDigits = 2 * len(Subject{})
)

// A Finder finds the subject and the class of line after line without decoding
// them. It is for one goroutine.
type Finder struct {
	place int // offset of the last line's subject, which the next line often shares
}

// Find returns the digits of a line's subject, and its class, as they are in
// the line, or nil if it has none. Bytes that look like these members are these
// members: quotation marks within strings are escaped, and labels cannot be in
// this order.
func (f *Finder) Find(line []byte) (subject, class []byte) {
	if subject, class, ok := subjectAt(line, f.place); ok {
		return subject, class
	}
	for from := 0; ; from++ {
		i := bytes.IndexByte(line[from:], subjectField[rareAt])
		if i < 0 {
			return nil, nil
		}
		from += i
		if subject, class, ok := subjectAt(line, from-rareAt); ok {
			f.place = from - rareAt
			return subject, class
		}
	}
}

func subjectAt(line []byte, at int) (subject, class []byte, ok bool) {
	to := at + len(subjectField) + SubjectDigits
	if at < 0 || to+len(keyField) > len(line) ||
		string(line[at:at+len(subjectField)]) != subjectField || string(line[to:to+len(keyField)]) != keyField {
		return nil, nil, false
	}
	start := bytes.LastIndexByte(line[:at], '"') + 1
	return line[at+len(subjectField) : to], line[start:at], bytes.HasSuffix(line[:start], []byte(classField))
}
