package audit

import (
	"bytes"
	"errors"
	"fmt"

	"audittrail/record"
)

// knownStart is how a line of the version that this program knows begins.
const knownStart = `{"v":1,`

func isKnown(line []byte) bool {
	return len(line) >= len(knownStart) && string(line[:len(knownStart)]) == knownStart
}

// contents looks at the keys to what is sealed in the lines. It is for one
// goroutine.
type contents struct {
	keys    Keys
	classes map[string]uint32
	here    map[keyPair]struct{} // pairs whose keys are not lost
}

type keyPair struct {
	subject record.Subject
	class   uint32
}

// maxPairs bounds the memory for the pairs that were looked up.
const maxPairs = 1 << 17

// lost tells whether the key to a line's body is lost.
func (c *contents) lost(line []byte) (bool, error) {
	subject, class, ok := subjectOf(line)
	if !ok {
		return false, nil // not for keys to say what is wrong with it
	}
	if c.here == nil || len(c.here) >= maxPairs || len(c.classes) >= maxPairs {
		c.here, c.classes = make(map[keyPair]struct{}), make(map[string]uint32)
	}
	number, known := c.classes[string(class)]
	if !known {
		number = uint32(len(c.classes))
		c.classes[string(class)] = number
	}
	pair := keyPair{subject, number}
	if _, ok := c.here[pair]; ok {
		return false, nil
	}
	_, state, err := c.keys(subject, string(class))
	if err != nil {
		return false, fmt.Errorf("look for the keys of records: %w", err)
	}
	if state != KeyLost {
		c.here[pair] = struct{}{}
	}
	return state == KeyLost, nil
}

func lostProblem(seq uint64, f *File, offset int64) Problem {
	return Problem{
		Seq: seq, Kind: Lost, File: f.Name, Offset: offset,
		Detail: "the key to its content is absent, and no record says that it was destroyed",
	}
}

// Where the fields in front of the body stand, from the body's start backwards.
const (
	bodyField    = `","body":"`
	keyField     = `","key":"`
	subjectField = `","subject":"`
	classField   = `,"class":"`

	hashDigits    = 2 * len(record.Hash{})
	subjectDigits = 2 * len(record.Subject{})
	maxClass      = 64
)

// subjectOf reads the subject and the class of a line without decoding it.
// Quotation marks within strings are escaped, so that the first field that
// looks like the body is the body.
func subjectOf(line []byte) (subject record.Subject, class []byte, ok bool) {
	at := bytes.Index(line, []byte(bodyField))
	at -= hashDigits + len(keyField)
	if at < subjectDigits+len(subjectField) || string(line[at:at+len(keyField)]) != keyField {
		return subject, nil, false
	}
	subject, err := record.ParseSubject(string(line[at-subjectDigits : at]))
	at -= subjectDigits + len(subjectField)
	if err != nil || string(line[at:at+len(subjectField)]) != subjectField {
		return subject, nil, false
	}
	head := line[max(0, at-maxClass-len(classField)):at]
	from := bytes.LastIndex(head, []byte(classField))
	if from < 0 {
		return subject, nil, false
	}
	return subject, head[from+len(classField):], true
}

// forged says why a whole line that no head covers yet cannot have been written
// by a holder of the keys. About a line whose key is gone it says nothing.
func (c *contents) forged(line []byte) (why string, err error) {
	r, err := record.Decode(line)
	var version *record.VersionError
	if errors.As(err, &version) {
		return "", nil
	}
	if err != nil {
		return "it is not in canonical form", nil
	}
	prk, state, err := c.keys(r.Subject, r.Class)
	if err != nil {
		return "", fmt.Errorf("look for the keys of records: %w", err)
	}
	if state != KeyHere {
		return "", nil
	}
	if r.Open(prk) != nil {
		return "its content does not open with the log's keys", nil
	}
	return "", nil
}
