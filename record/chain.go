package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"audittrail/event"
)

// A Chain checks line after line that each is intact and continues the one
// before it. It gives the same result as ParseChainLink, VerifyHash and a
// comparison of the chain links, in a fraction of the time: the expected end of
// the next line is known as text, and compared as such.
type Chain struct {
	last   ChainLink
	seq    []byte // digits of the next number
	logged [timeLen]byte
	hash   [hexLen]byte
	sum    [hexLen]byte
}

// Offsets after the digits of seq.
const (
	loggedAt = len(tailLogged)
	prevAt   = loggedAt + timeLen + len(tailPrev)
	hashAt   = prevAt + hexLen + len(tailHash)
	restLen  = hashAt + hexLen + len(tailEnd)

	// Up to this offset, times of the same second are the same text.
	secondLen = len("2006-01-02T15:04:05.")
)

// Start makes the chain continue after a line with this chain link.
func (c *Chain) Start(t ChainLink) {
	c.last = t
	c.seq = strconv.AppendUint(c.seq[:0], t.Seq+1, 10)
	event.AppendTime(c.logged[:0], t.Logged)
	hex.Encode(c.hash[:], t.Hash[:])
}

// Next reports whether a line, without its LF, is intact and continues the last
// one. If so, it becomes the last one.
func (c *Chain) Next(line []byte) bool {
	at := len(line) - restLen
	if at < 0 || c.last.Seq >= MaxSeq || !bytes.HasSuffix(line[:at], c.seq) ||
		!bytes.HasSuffix(line[:at-len(c.seq)], []byte(tailSeq)) {
		return false
	}
	rest := line[at:]
	logged, prev, hash := rest[loggedAt:][:timeLen], rest[prevAt:][:hexLen], rest[hashAt:][:hexLen]
	if string(rest[:loggedAt]) != tailLogged || string(rest[loggedAt+timeLen:prevAt]) != tailPrev ||
		string(rest[prevAt+hexLen:hashAt]) != tailHash || string(rest[hashAt+hexLen:]) != tailEnd ||
		string(prev) != string(c.hash[:]) || !c.later(logged) {
		return false
	}
	sum := sha256.Sum256(line[:len(line)-unhashedLen])
	hex.Encode(c.sum[:], sum[:])
	if string(hash) != string(c.sum[:]) {
		return false
	}
	c.last.Prev, c.last.Hash = c.last.Hash, sum
	c.last.Seq++
	c.hash = c.sum
	copy(c.logged[:], logged)
	c.count()
	return true
}

// later reports whether a text is a time that is not before the last one.
func (c *Chain) later(logged []byte) bool {
	if string(logged) < string(c.logged[:]) {
		return false // times of this form are in order as texts
	}
	if string(logged[:secondLen]) != string(c.logged[:secondLen]) {
		_, err := event.ParseTime(string(logged))
		return err == nil
	}
	for _, d := range logged[secondLen : timeLen-1] {
		if d < '0' || d > '9' {
			return false
		}
	}
	return logged[timeLen-1] == 'Z'
}

// count adds one to the digits of the next number.
func (c *Chain) count() {
	for i := len(c.seq) - 1; i >= 0; i-- {
		if c.seq[i] != '9' {
			c.seq[i]++
			return
		}
		c.seq[i] = '0'
	}
	c.seq = strconv.AppendUint(c.seq[:0], c.last.Seq+1, 10)
}

// Hash returns the hash of the last line.
func (c *Chain) Hash() Hash { return c.last.Hash }

// Seq returns the sequence number of the last line.
func (c *Chain) Seq() uint64 { return c.last.Seq }

// Last returns the chain link of the last line.
func (c *Chain) Last() ChainLink {
	t := c.last
	t.Logged, _ = event.ParseTime(string(c.logged[:])) // checked by later
	return t
}
