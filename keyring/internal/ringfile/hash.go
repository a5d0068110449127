package ringfile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

const domainUser = "audittrail/v1 user hash\x00"

// A Hasher computes HMAC-SHA256 under the ring's secret, for many goroutines.
type Hasher struct{ pool sync.Pool }

type hashState struct {
	mac hash.Hash
	buf []byte
}

// NewHasher returns a Hasher under a secret.
func NewHasher(secret []byte) *Hasher {
	secret = bytes.Clone(secret)
	return &Hasher{sync.Pool{New: func() any {
		return &hashState{mac: hmac.New(sha256.New, secret)}
	}}}
}

// Sum hashes a text in a domain, which ends in a zero byte.
func (h *Hasher) Sum(domain, text string) (out [sha256.Size]byte) {
	s := h.pool.Get().(*hashState)
	s.mac.Reset()
	s.buf = append(append(s.buf[:0], domain...), text...)
	s.mac.Write(s.buf)
	clear(s.buf)
	copy(out[:], s.mac.Sum(s.buf[:0]))
	h.pool.Put(s)
	return out
}

func (h *Hasher) user(user string) PageKey {
	sum := h.Sum(domainUser, user)
	return PageKey(sum[:hashLen])
}
