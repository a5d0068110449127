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
	keys Keys
	here map[keyPair]struct{} // whose keys are not lost

	classes map[string]uint32
	// Of the last line, whose like the next one often is:
	class  []byte
	number uint32 // of its class
	finder record.Finder
}

// A keyPair is a subject, as its line has it, and the number of a class.
type keyPair struct {
	subject [record.SubjectDigits]byte
	class   uint32
}

// maxPairs bounds the memory for the pairs that were looked up.
const maxPairs = 1 << 17

// lost tells whether the key to a line's body is lost.
func (c *contents) lost(line []byte) (bool, error) {
	digits, class := c.finder.Find(line)
	if digits == nil {
		return false, nil // not for keys to say what is wrong with it
	}
	if c.here == nil || len(c.here) >= maxPairs || len(c.classes) >= maxPairs {
		c.here, c.classes, c.class = make(map[keyPair]struct{}), make(map[string]uint32), nil
	}
	if !bytes.Equal(c.class, class) {
		c.class = append(c.class[:0], class...)
		number, known := c.classes[string(class)]
		if !known {
			number = uint32(len(c.classes))
			c.classes[string(class)] = number
		}
		c.number = number
	}
	pair := keyPair{[record.SubjectDigits]byte(digits), c.number}
	if _, ok := c.here[pair]; ok {
		return false, nil
	}
	subject, err := record.ParseSubject(string(digits))
	if err != nil {
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
