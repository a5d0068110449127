package record

import (
	"bytes"
	"crypto/sha256"
	"strconv"
	"time"

	"audittrail/event"
)

// A ChainLink is the end of a line. In all versions its members are at fixed
// distances from the line's end, so that a log can be verified without a JSON
// parser.
type ChainLink struct {
	Seq    uint64
	Logged time.Time
	Prev   Hash
	Hash   Hash
}

// MaxPlace is the largest place of a record in its batch that its line can
// state: the nanoseconds of logged contain the place, from 0, and MaxPlace for
// all later records. By it recovery knows which lines were written together.
const MaxPlace = 999

// The pieces of a line's end. They reach the disk.
const (
	tailSeq    = `,"seq":`
	tailLogged = `,"logged":"`
	tailPrev   = `","prev":"`
	tailHash   = `","hash":"`
	tailEnd    = `"}`

	timeLen = len("2006-01-02T15:04:05.000000000Z")
	hexLen  = 2 * len(Hash{})

	// unhashedLen is the length of the bytes that the hash does not cover:
	// `,"hash":"…"}`.
	unhashedLen = len(tailHash) - 1 + hexLen + len(tailEnd)
)

// HashedBytes returns the bytes of a line, without its LF, that its hash covers.
func HashedBytes(line []byte) ([]byte, bool) {
	if len(line) < unhashedLen {
		return nil, false
	}
	return line[:len(line)-unhashedLen], true
}

// ParseChainLink reads the end of a line without its LF, and reports whether it
// has the form. It does not check the hash: VerifyHash does.
func ParseChainLink(line []byte) (ChainLink, bool) {
	var t ChainLink
	at := len(line)
	back := func(n int) []byte {
		if at < n {
			at = -1
			return nil
		}
		at -= n
		return line[at : at+n]
	}
	ok := string(back(len(tailEnd))) == tailEnd &&
		decodeHex(t.Hash[:], back(hexLen)) && string(back(len(tailHash))) == tailHash &&
		decodeHex(t.Prev[:], back(hexLen)) && string(back(len(tailPrev))) == tailPrev
	if !ok {
		return ChainLink{}, false
	}
	logged, err := event.ParseTime(string(back(timeLen)))
	if err != nil || string(back(len(tailLogged))) != tailLogged {
		return ChainLink{}, false
	}
	t.Logged = logged
	seq, ok := parseSeq(line[:at])
	t.Seq = seq
	return t, ok
}

// maxSeqLen is the length of the largest sequence number, 2^53-1.
const maxSeqLen = 16

// parseSeq reads the number at the end of b, and the member name before it.
func parseSeq(b []byte) (uint64, bool) {
	digits := len(b)
	for digits > 0 && len(b)-digits <= maxSeqLen && b[digits-1] >= '0' && b[digits-1] <= '9' {
		digits--
	}
	num := b[digits:]
	if len(num) == 0 || len(num) > maxSeqLen || (num[0] == '0' && len(num) > 1) || !bytes.HasSuffix(b[:digits], []byte(tailSeq)) {
		return 0, false
	}
	seq, err := strconv.ParseUint(string(num), 10, 64)
	return seq, err == nil && seq <= MaxSeq
}

// VerifyHash reports whether the hash at the end of a line is that of the line.
func VerifyHash(line []byte, t *ChainLink) bool {
	covered, ok := HashedBytes(line)
	return ok && HashOf(covered) == t.Hash
}

// appendTail appends the members that the sequencer adds, up to the hash.
func appendTail(dst []byte, seq uint64, logged time.Time, prev Hash) []byte {
	dst = append(dst, tailSeq...)
	dst = strconv.AppendUint(dst, seq, 10)
	dst = append(dst, tailLogged...)
	dst = event.AppendTime(dst, logged)
	dst = append(dst, tailPrev...)
	dst = appendHex(dst, prev[:])
	return append(dst, '"')
}

// appendHash appends the hash and the LF, which end a line.
func appendHash(dst []byte, h Hash) []byte {
	dst = append(dst, tailHash[1:]...)
	dst = appendHex(dst, h[:])
	dst = append(dst, tailEnd...)
	return append(dst, '\n')
}

// The parts of a line's start that are the same in both versions.
const (
	glanceID   = `{"v":0,"id":"`
	versionAt  = len(`{"v":`)
	glanceTime = `","time":"`
	glanceType = `","type":"`
	idLen      = len("00000000-0000-0000-0000-000000000000")
)

// KnownVersion reports whether a line begins like one of a version that this
// package reads.
func KnownVersion(line []byte) bool {
	return len(line) > versionAt+1 && string(line[:versionAt]) == glanceID[:versionAt] &&
		line[versionAt] >= '1' && line[versionAt] <= '0'+Version && line[versionAt+1] == ','
}

// Peek reads the id and the type of a line of a known version from their fixed
// places, without decoding the rest. The type is a part of line, not a copy.
func Peek(line []byte) (id ID, kind []byte, ok bool) {
	const typeAt = len(glanceID) + idLen + len(glanceTime) + timeLen + len(glanceType)
	if len(line) < typeAt || !KnownVersion(line) || string(line[versionAt+1:len(glanceID)]) != glanceID[versionAt+1:] {
		return ID{}, nil, false
	}
	id, err := parseID(line[len(glanceID) : len(glanceID)+idLen])
	if err != nil || string(line[typeAt-len(glanceType):typeAt]) != glanceType {
		return ID{}, nil, false
	}
	end := bytes.IndexByte(line[typeAt:], '"')
	if end < 0 {
		return ID{}, nil, false
	}
	return id, line[typeAt : typeAt+end], true
}

// HasTypePrefix reports whether the type of a line of a known version begins
// with a prefix. It checks nothing else.
func HasTypePrefix(line []byte, prefix string) bool {
	const typeAt = len(glanceID) + idLen + len(glanceTime) + timeLen + len(glanceType)
	return len(line) >= typeAt+len(prefix) && string(line[typeAt:typeAt+len(prefix)]) == prefix
}

// HashOf returns the hash of the bytes that a record's hash covers.
func HashOf(covered []byte) Hash { return sha256.Sum256(covered) }
