package keyring

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"slices"
	"sync"
	"time"

	"audittrail/record"
)

// Domain strings of what is hashed under the ring's secret.
const (
	domainSession = "audittrail/v1 session hash\x00"
	domainUser    = "audittrail/v1 user hash\x00"
	domainClient  = "audittrail/v1 client id\x00"
	domainSigned  = "audittrail/v1 signed state\x00"
)

// A meta is all of a ring that is neither a subject's key nor a class's. It is
// written whole whenever it changes, as JSON with its members in this order.
type meta struct {
	Created time.Time   `json:"created"`
	System  hexSubject  `json:"system"`
	Secret  []byte      `json:"secret"` // 32 bytes; hashes are keyed by it
	Signers []signerKey `json:"signers"`
	Applied applied     `json:"applied"`
	Backups []backup    `json:"backups"`
}

// applied is the record up to which destructions have been carried out.
type applied struct {
	Seq  uint64  `json:"seq"`
	Hash hexHash `json:"hash"`
}

// A signerKey is a key that signs checkpoints, or did: then its seed is gone.
type signerKey struct {
	VKey    string    `json:"vkey"`
	Created time.Time `json:"created"`
	From    uint64    `json:"from"`
	Until   *uint64   `json:"until,omitempty"`
	Note    []byte    `json:"note,omitempty"`
	Seed    []byte    `json:"seed,omitempty"`
}

// A backup is a copy of the keys that may still open what is destroyed here.
type backup struct {
	ID      string    `json:"id"` // a UUID
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

type hexSubject record.Subject

// MarshalText writes lower-case hexadecimal digits.
func (h hexSubject) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads them.
func (h *hexSubject) UnmarshalText(b []byte) error {
	s, err := record.ParseSubject(string(b))
	*h = hexSubject(s)
	return err
}

type hexHash record.Hash

// MarshalText writes lower-case hexadecimal digits.
func (h hexHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads them.
func (h *hexHash) UnmarshalText(b []byte) error {
	s, err := record.ParseHash(string(b))
	*h = hexHash(s)
	return err
}

func (m *meta) encode() ([]byte, error) { return json.Marshal(m) }

var errMeta = errors.New("the ring's own state is not of the right form")

// parseMeta reads what encode writes, and nothing else.
func parseMeta(b []byte) (*meta, error) {
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, errMeta // the cause may quote what is secret
	}
	again, err := m.encode()
	if err != nil || !bytes.Equal(again, b) {
		return nil, errMeta
	}
	if len(m.Secret) != sha256.Size || len(m.Signers) == 0 || m.Backups == nil {
		return nil, errMeta
	}
	for i, s := range m.Signers {
		last := i == len(m.Signers)-1
		if last != (len(s.Seed) == ed25519.SeedSize) || last != (s.Until == nil) || !last && len(s.Seed) > 0 {
			return nil, errMeta
		}
	}
	return &m, nil
}

// clone copies what the ring changes of a meta before it is written.
func (m *meta) clone() *meta {
	c := *m
	c.Signers = slices.Clone(m.Signers)
	c.Backups = slices.Clone(m.Backups)
	return &c
}

// wipe zeroes the secrets.
func (m *meta) wipe() {
	clear(m.Secret)
	for _, s := range m.Signers {
		clear(s.Seed)
	}
}

// A hasher computes HMAC-SHA256 under the ring's secret, for many goroutines.
type hasher struct{ pool sync.Pool }

type hashState struct {
	mac hash.Hash
	buf []byte
}

func newHasher(secret []byte) *hasher {
	secret = bytes.Clone(secret)
	return &hasher{sync.Pool{New: func() any {
		return &hashState{mac: hmac.New(sha256.New, secret)}
	}}}
}

// sum hashes a text in a domain, which ends in a zero byte.
func (h *hasher) sum(domain, text string) (out [sha256.Size]byte) {
	s := h.pool.Get().(*hashState)
	s.mac.Reset()
	s.buf = append(append(s.buf[:0], domain...), text...)
	s.mac.Write(s.buf)
	clear(s.buf)
	copy(out[:], s.mac.Sum(s.buf[:0]))
	h.pool.Put(s)
	return out
}

func (h *hasher) user(user string) pageKey {
	sum := h.sum(domainUser, user)
	return pageKey(sum[:hashLen])
}
