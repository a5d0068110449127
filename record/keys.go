package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
)

// Domain strings reach the disk through the keys and hashes derived from them:
// see docs/format/domains.md. Each is followed by a zero byte.
const (
	domainPRK        = "audittrail/v1 subject class\x00"
	domainRecordKey  = "audittrail/v1 record key\x00"
	domainCommitment = "audittrail/v1 key commitment\x00"
)

const redacted = "[redacted]"

// A Key decrypts the body of one record and of no other: its holder can read
// that body and prove that it belongs to the record's line.
type Key [32]byte

// String redacts the key.
func (Key) String() string { return redacted }

// Format redacts the key for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalJSON redacts the key: only a Disclosure writes its bytes.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue redacts the key.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// Commitment returns the commitment to the key that is in a record's line. With
// AES-GCM alone, a body could be made that decrypts to two contents under two
// keys.
func (k Key) Commitment() Hash {
	buf := make([]byte, 0, 64)
	buf = append(buf, domainCommitment...)
	return sha256.Sum256(append(buf, k[:]...))
}

// opens reports whether the commitment in a line is to this key.
func (k Key) opens(commitment Hash) bool {
	c := k.Commitment()
	return subtle.ConstantTimeCompare(c[:], commitment[:]) == 1
}

// A PRK is the pseudorandom key (RFC 5869) of one data subject and one
// retention class, from which their records' keys are expanded.
type PRK [32]byte

// String redacts the key.
func (PRK) String() string { return redacted }

// Format redacts the key for every verb.
func (PRK) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalJSON redacts the key.
func (PRK) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue redacts the key.
func (PRK) LogValue() slog.Value { return slog.StringValue(redacted) }

// ExtractPRK joins a subject key and a class key for the log named origin.
// Without either of the two, no record key can be derived again.
func ExtractPRK(subjectKey, classKey *[32]byte, origin string) PRK {
	mac := hmac.New(sha256.New, subjectKey[:])
	mac.Write(classKey[:])
	for _, s := range []string{domainPRK, origin} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		mac.Write(n[:])
		mac.Write([]byte(s))
	}
	return PRK(mac.Sum(nil))
}

// Expand derives the key of the record with this id and salt: HKDF-Expand for
// 32 bytes, which is one HMAC. It is written out, since the general function
// takes five times as long, and is called for every record.
func (p PRK) Expand(salt [16]byte, id ID) Key {
	const infoLen = len(domainRecordKey) + len(salt) + len(id)
	var inner [sha256.BlockSize + infoLen + 1]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	for i := range sha256.BlockSize {
		inner[i], outer[i] = 0x36, 0x5c
	}
	for i, b := range p {
		inner[i] ^= b
		outer[i] ^= b
	}
	info := inner[sha256.BlockSize:]
	n := copy(info, domainRecordKey)
	n += copy(info[n:], salt[:])
	n += copy(info[n:], id[:])
	info[n] = 1 // the first, and only, block
	sum := sha256.Sum256(inner[:])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
