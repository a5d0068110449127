package ringfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"audittrail/record"
)

// Pages and the journal are sequences of entries, each of one of these kinds.
// The numbers reach the disk.
//
//	1 class live       length, class, key
//	2 class expired    length, class, seq
//	3 subject live     subject, key, length (2 bytes), user id
//	4 subject erased   subject, seq
const (
	ClassLive     = 1
	ClassExpired  = 2
	SubjectLive   = 3
	SubjectErased = 4
)

const (
	maxUser  = 1024 // bytes of a user id, as in an event
	maxClass = 64
)

// A Key is a subject's, a class's, or the one that wraps a file.
type Key = [32]byte

// An Entry says what became of one key. Its slices may point into what it was
// decoded from.
type Entry struct {
	Kind    byte
	Class   []byte
	Subject record.Subject
	User    []byte
	Key     Key
	Seq     uint64 // the record that ordered the destruction
}

// AppendEntry appends the entry as it stands on disk.
func AppendEntry(dst []byte, e *Entry) []byte {
	dst = append(dst, e.Kind)
	switch e.Kind {
	case ClassLive, ClassExpired:
		dst = append(dst, byte(len(e.Class)))
		dst = append(dst, e.Class...)
	default:
		dst = append(dst, e.Subject[:]...)
	}
	switch e.Kind {
	case ClassLive, SubjectLive:
		dst = append(dst, e.Key[:]...)
	default:
		dst = binary.BigEndian.AppendUint64(dst, e.Seq)
	}
	if e.Kind == SubjectLive {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(e.User)))
		dst = append(dst, e.User...)
	}
	return dst
}

var errShort = errors.New("an entry is cut off")

// decodeEntry reads the first entry of b and returns what is behind it.
func decodeEntry(b []byte, e *Entry) ([]byte, error) {
	*e = Entry{Kind: b[0]}
	b = b[1:]
	var ok bool
	switch e.Kind {
	case ClassLive, ClassExpired:
		if len(b) == 0 {
			return nil, errShort
		}
		n := int(b[0])
		if e.Class, b, ok = cut(b[1:], n); !ok {
			return nil, errShort
		}
		if err := CheckClass(string(e.Class)); err != nil {
			return nil, err
		}
	case SubjectLive, SubjectErased:
		var id []byte
		if id, b, ok = cut(b, len(e.Subject)); !ok {
			return nil, errShort
		}
		copy(e.Subject[:], id)
	default:
		return nil, fmt.Errorf("an entry is of the unknown kind %d", e.Kind)
	}
	if e.Kind == ClassExpired || e.Kind == SubjectErased {
		if len(b) < 8 {
			return nil, errShort
		}
		e.Seq = binary.BigEndian.Uint64(b)
		return b[8:], nil
	}
	var k []byte
	if k, b, ok = cut(b, len(e.Key)); !ok {
		return nil, errShort
	}
	copy(e.Key[:], k)
	if e.Kind == ClassLive {
		return b, nil
	}
	if len(b) < 2 {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b))
	if e.User, b, ok = cut(b[2:], n); !ok {
		return nil, errShort
	}
	return b, CheckUser(e.User)
}

func cut(b []byte, n int) (head, tail []byte, ok bool) {
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// DecodeEntries calls f with each entry in turn. The entry is reused.
func DecodeEntries(b []byte, f func(*Entry) error) error {
	var e Entry
	for len(b) > 0 {
		var err error
		if b, err = decodeEntry(b, &e); err != nil {
			return err
		}
		if err := f(&e); err != nil {
			return err
		}
	}
	return nil
}

// CheckClass refuses what is no class of a record.
func CheckClass(class string) error {
	if len(class) > maxClass {
		return fmt.Errorf("class of %d bytes; the limit is %d", len(class), maxClass)
	}
	_, _, err := record.SplitClass(class)
	return err
}

// CheckUser refuses a user id that an event could not have.
func CheckUser[S string | []byte](user S) error {
	if len(user) > maxUser {
		return fmt.Errorf("user id of %d bytes; the limit is %d", len(user), maxUser)
	}
	if !utf8.Valid([]byte(user)) {
		return errors.New("user id is not valid UTF-8")
	}
	return nil
}

// Chunk joins encoded entries into payloads that fit a frame.
func Chunk(entries [][]byte) [][]byte {
	var out [][]byte
	for _, e := range entries {
		if n := len(out) - 1; n >= 0 && len(out[n])+len(e) <= MaxPayload {
			out[n] = append(out[n], e...)
		} else {
			out = append(out, bytes.Clone(e))
		}
	}
	return out
}
