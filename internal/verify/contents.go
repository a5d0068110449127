package verify

import (
	"bytes"
	"fmt"

	"audittrail/finding"
	"audittrail/keyring"
	"audittrail/record"
)

// contents looks up the keys to the encrypted contents of lines. It is for one
// goroutine.
type contents struct {
	keys  Keys
	known map[keyPair]record.State // without lost keys, which may be found later

	erased, expired uint64 // lines whose key was destroyed

	classes map[string]uint32
	// Of the last line, since the next line often has the same class:
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

// take looks up the key to a line's body, counts it if it was destroyed, and
// reports whether it is lost.
func (c *contents) take(line []byte) (lost bool, err error) {
	state, err := c.state(line)
	switch state {
	case record.Erased:
		c.erased++
	case record.Expired:
		c.expired++
	}
	return state == record.Lost, err
}

// state returns the state of the key to a line's body.
func (c *contents) state(line []byte) (record.State, error) {
	digits, class := c.finder.Find(line)
	if digits == nil {
		return record.Readable, nil // the line is malformed, which is not reported as a lost key
	}
	if c.known == nil || len(c.known) >= maxPairs || len(c.classes) >= maxPairs {
		c.known, c.classes, c.class = make(map[keyPair]record.State), make(map[string]uint32), nil
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
	if state, ok := c.known[pair]; ok {
		return state, nil
	}
	subject, err := record.ParseSubject(string(digits))
	if err != nil {
		return record.Readable, nil
	}
	_, err = c.keys.DecryptionKey(subject, string(class))
	state, absent := keyring.StateOf(err)
	if err != nil && !absent {
		return record.Readable, fmt.Errorf("look for the keys of records: %w", err)
	}
	if state != record.Lost {
		c.known[pair] = state
	}
	return state, nil
}

func lostProblem(seq uint64, f *File, offset int64) finding.Finding {
	return finding.Finding{
		Seq: seq, Kind: finding.Lost, File: f.Name, Offset: offset,
		Detail: "the key to its content is absent, and no record says that it was destroyed",
	}
}
