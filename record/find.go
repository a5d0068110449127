package record

import "bytes"

// How class and subject stand in a line, with what is in front of and behind
// them.
const (
	classField   = `,"class":"`
	subjectField = `","subject":"`
	keyField     = `","key":"`
	rareAt       = len(`","sub`) // of a letter of subjectField that is rare in a line

	// SubjectDigits is the length of a subject in a line.
	SubjectDigits = 2 * len(Subject{})
)

// A Finder finds the subject and the class of line after line without decoding
// them. It is for one goroutine.
type Finder struct {
	place int // of the last line's subject, where the next one's often is, too
}

// Find returns the digits of a line's subject, and its class, as they stand in
// it; nil if it has none. Quotation marks within strings are escaped, and no
// labels can stand in the order of these fields, so what looks like them is
// them.
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
