package record

import (
	"encoding/hex"
	"fmt"
)

// A Hash is the SHA-256 of a record's line from its first byte up to, and
// without, `,"hash":`. It is also the record's leaf entry in the Merkle tree.
type Hash [32]byte

// String returns the hash as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads 64 lower-case hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 64 || !decodeHex(h[:], s) {
		return Hash{}, fmt.Errorf("hash of %d characters is not 64 lower-case hexadecimal digits", len(s))
	}
	return h, nil
}

// An ID names a record for its producer: a UUID (RFC 9562).
type ID [16]byte

// String returns the id in the canonical text form, 36 lower-case characters.
func (id ID) String() string { return string(id.append(nil)) }

func (id ID) append(dst []byte) []byte {
	for i, n := 0, 0; i < len(id); i++ {
		if n < len(dashes) && i == dashes[n] {
			dst = append(dst, '-')
			n++
		}
		dst = append(dst, hexDigits[id[i]>>4], hexDigits[id[i]&15])
	}
	return dst
}

// dashes are the bytes of a UUID before which the text form has a dash.
var dashes = [...]int{4, 6, 8, 10}

// ParseID reads the canonical text form of a UUID and refuses others, so that
// an id has one encoding.
func ParseID(s string) (ID, error) { return parseID(s) }

func parseID[S string | []byte](s S) (ID, error) {
	var id ID
	ok := len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
	ok = ok && decodeHex(id[0:4], s[0:8]) && decodeHex(id[4:6], s[9:13]) &&
		decodeHex(id[6:8], s[14:18]) && decodeHex(id[8:10], s[19:23]) && decodeHex(id[10:], s[24:])
	if !ok {
		return ID{}, fmt.Errorf("id of %d characters is not a UUID in lower case", len(s))
	}
	return id, nil
}

// NewID makes a version 7 UUID of a time in milliseconds since 1970 and 16
// random bytes, of which it keeps 74 bits.
func NewID(unixMilli int64, random [16]byte) ID {
	id := ID(random)
	for i := range 6 {
		id[i] = byte(unixMilli >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// A Subject stands for a data subject (GDPR art. 4) in the log. It is random,
// so that it reveals nothing about the person once they were erased from the
// keyring.
type Subject [16]byte

// String returns the subject as 32 lower-case hexadecimal digits.
func (s Subject) String() string { return hex.EncodeToString(s[:]) }

// ParseSubject reads 32 lower-case hexadecimal digits.
func ParseSubject(s string) (Subject, error) {
	var sub Subject
	if len(s) != 32 || !decodeHex(sub[:], s) {
		return Subject{}, fmt.Errorf("subject of %d characters is not 32 lower-case hexadecimal digits", len(s))
	}
	return sub, nil
}

const hexDigits = "0123456789abcdef"

// unhex maps a lower-case hexadecimal digit to its value, all else to 0xff.
var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(hexDigits) {
		t[hexDigits[i]] = byte(i)
	}
	return t
}()

// decodeHex fills dst from twice as many lower-case digits. The standard
// library accepts upper case too, which would give a record two encodings.
func decodeHex[S string | []byte](dst []byte, src S) bool {
	if len(src) != 2*len(dst) {
		return false
	}
	bad := byte(0)
	for i := range dst {
		hi, lo := unhex[src[2*i]], unhex[src[2*i+1]]
		bad |= (hi | lo) & 0xf0
		dst[i] = hi<<4 | lo
	}
	return bad == 0
}

func appendHex(dst, src []byte) []byte { return hex.AppendEncode(dst, src) }

// MarshalText returns the text of String.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// MarshalText returns the text of String.
func (id ID) MarshalText() ([]byte, error) { return id.append(nil), nil }

// MarshalText returns the text of String.
func (s Subject) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }
