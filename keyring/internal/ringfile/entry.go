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
//	5 file key         id of the file, key
//	6 file key gone    id of the file
//	7 escrow           length, class, id of the file, key, seq
//	8 escrow gone      length, class, seq
const (
	ClassLive     = 1
	ClassExpired  = 2
	SubjectLive   = 3
	SubjectErased = 4
	FileLive      = 5
	FileGone      = 6
	EscrowLive    = 7
	EscrowGone    = 8
)

// hasClass reports whether entries of a kind have a class; the next functions
// do so for the other fields.
func hasClass(kind byte) bool {
	return kind == ClassLive || kind == ClassExpired || kind == EscrowLive || kind == EscrowGone
}

func hasSubject(kind byte) bool { return kind == SubjectLive || kind == SubjectErased }

func hasFile(kind byte) bool { return kind == FileLive || kind == FileGone || kind == EscrowLive }

func hasKey(kind byte) bool {
	return kind == ClassLive || kind == SubjectLive || kind == FileLive || kind == EscrowLive
}

func hasSeq(kind byte) bool {
	return kind == ClassExpired || kind == SubjectErased || kind == EscrowLive || kind == EscrowGone
}

const (
	maxUser  = 1024 // bytes of a user id, as in an event
	maxClass = 64
)

// A Key is the key of a subject, a class or a derived file, or the one that
// encrypts a ring file.
type Key = [32]byte

// An Entry is the newest state of one key. Its slices may alias the bytes that
// it was decoded from.
type Entry struct {
	Kind    byte
	Class   []byte
	Subject record.Subject
	User    []byte
	File    PageKey
	Key     Key
	Seq     uint64 // the record that ordered the destruction
}

// AppendEntry appends the entry as it is on disk.
func AppendEntry(dst []byte, e *Entry) []byte {
	dst = append(dst, e.Kind)
	if hasClass(e.Kind) {
		dst = append(dst, byte(len(e.Class)))
		dst = append(dst, e.Class...)
	}
	if hasSubject(e.Kind) {
		dst = append(dst, e.Subject[:]...)
	}
	if hasFile(e.Kind) {
		dst = append(dst, e.File[:]...)
	}
	if hasKey(e.Kind) {
		dst = append(dst, e.Key[:]...)
	}
	if hasSeq(e.Kind) {
		dst = binary.BigEndian.AppendUint64(dst, e.Seq)
	}
	if e.Kind == SubjectLive {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(e.User)))
		dst = append(dst, e.User...)
	}
	return dst
}

var errShort = errors.New("an entry is cut off")

// decodeEntry reads the first entry of b and returns the rest of b.
func decodeEntry(b []byte, e *Entry) ([]byte, error) {
	*e = Entry{Kind: b[0]}
	if e.Kind < ClassLive || e.Kind > EscrowGone {
		return nil, fmt.Errorf("entry of unknown kind %d", e.Kind)
	}
	rest := b[1:]
	ok := true
	take := func(dst []byte) {
		var head []byte
		if ok {
			head, rest, ok = cut(rest, len(dst))
			copy(dst, head)
		}
	}
	if hasClass(e.Kind) {
		var n [1]byte
		take(n[:])
		if ok {
			e.Class, rest, ok = cut(rest, int(n[0]))
		}
		if !ok {
			return nil, errShort
		}
		if err := CheckClass(string(e.Class)); err != nil {
			return nil, err
		}
	}
	if hasSubject(e.Kind) {
		take(e.Subject[:])
	}
	if hasFile(e.Kind) {
		take(e.File[:])
	}
	if hasKey(e.Kind) {
		take(e.Key[:])
	}
	if hasSeq(e.Kind) {
		var n [8]byte
		take(n[:])
		e.Seq = binary.BigEndian.Uint64(n[:])
	}
	if !ok {
		return nil, errShort
	}
	if e.Kind != SubjectLive {
		return rest, nil
	}
	var n [2]byte
	take(n[:])
	if ok {
		e.User, rest, ok = cut(rest, int(binary.BigEndian.Uint16(n[:])))
	}
	if !ok {
		return nil, errShort
	}
	return rest, CheckUser(e.User)
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

// CheckClass returns an error for a text that cannot be the class of a record.
func CheckClass(class string) error {
	if len(class) > maxClass {
		return fmt.Errorf("class of %d bytes; the limit is %d", len(class), maxClass)
	}
	_, _, err := record.SplitClass(class)
	return err
}

// CheckUser returns an error for a user id that an event cannot have.
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
