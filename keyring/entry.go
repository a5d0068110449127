package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"audittrail/record"
)

// An entry says what became of one key. Pages and the journal are sequences of
// entries; these numbers reach the disk.
//
//	1 class live       length, class, key
//	2 class expired    length, class, seq
//	3 subject live     subject, key, length (2 bytes), user id
//	4 subject erased   subject, seq
const (
	classLive     = 1
	classExpired  = 2
	subjectLive   = 3
	subjectErased = 4
)

const (
	// maxUser bounds a user id; an event's is as long.
	maxUser = 1024
	// maxClass bounds "NAME/YYYY-MM".
	maxClass = 64
)

type key = [32]byte

// An entry's slices point into what it was decoded from.
type entry struct {
	kind    byte
	class   []byte
	subject record.Subject
	user    []byte
	key     key
	seq     uint64
}

func appendEntry(dst []byte, e *entry) []byte {
	dst = append(dst, e.kind)
	switch e.kind {
	case classLive, classExpired:
		dst = append(dst, byte(len(e.class)))
		dst = append(dst, e.class...)
	default:
		dst = append(dst, e.subject[:]...)
	}
	switch e.kind {
	case classLive, subjectLive:
		dst = append(dst, e.key[:]...)
	default:
		dst = binary.BigEndian.AppendUint64(dst, e.seq)
	}
	if e.kind == subjectLive {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(e.user)))
		dst = append(dst, e.user...)
	}
	return dst
}

var errShort = errors.New("an entry is cut off")

// decodeEntry reads the first entry of b and returns what is behind it.
func decodeEntry(b []byte, e *entry) ([]byte, error) {
	*e = entry{kind: b[0]}
	b = b[1:]
	var ok bool
	switch e.kind {
	case classLive, classExpired:
		if len(b) == 0 {
			return nil, errShort
		}
		n := int(b[0])
		if e.class, b, ok = cut(b[1:], n); !ok {
			return nil, errShort
		}
		if err := checkClass(string(e.class)); err != nil {
			return nil, err
		}
	case subjectLive, subjectErased:
		var id []byte
		if id, b, ok = cut(b, len(e.subject)); !ok {
			return nil, errShort
		}
		copy(e.subject[:], id)
	default:
		return nil, fmt.Errorf("an entry is of the unknown kind %d", e.kind)
	}
	if e.kind == classExpired || e.kind == subjectErased {
		if len(b) < 8 {
			return nil, errShort
		}
		e.seq = binary.BigEndian.Uint64(b)
		return b[8:], nil
	}
	var k []byte
	if k, b, ok = cut(b, len(e.key)); !ok {
		return nil, errShort
	}
	copy(e.key[:], k)
	if e.kind == classLive {
		return b, nil
	}
	if len(b) < 2 {
		return nil, errShort
	}
	n := int(binary.BigEndian.Uint16(b))
	if e.user, b, ok = cut(b[2:], n); !ok {
		return nil, errShort
	}
	return b, checkUser(e.user)
}

func cut(b []byte, n int) (head, tail []byte, ok bool) {
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// decodeEntries calls f with each entry in turn. The entry is reused.
func decodeEntries(b []byte, f func(*entry) error) error {
	var e entry
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

func checkClass(class string) error {
	if len(class) > maxClass {
		return fmt.Errorf("class of %d bytes; the limit is %d", len(class), maxClass)
	}
	_, _, err := record.SplitClass(class)
	return err
}

func checkUser[S string | []byte](user S) error {
	if len(user) > maxUser {
		return fmt.Errorf("user id of %d bytes; the limit is %d", len(user), maxUser)
	}
	if !utf8.Valid([]byte(user)) {
		return errors.New("user id is not valid UTF-8")
	}
	return nil
}
