package ringfile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"audittrail/internal/canonical"
	"audittrail/record"
)

// A Meta is the part of a ring that is neither a key of a subject nor of a
// class. All of it is written whenever it changes, as JSON with its members in
// this order.
type Meta struct {
	Created time.Time  `json:"created"`
	System  HexSubject `json:"system"`
	Secret  []byte     `json:"secret"` // 32 bytes; the key of all hashes
	Signers []Signer   `json:"signers"`
	Applied Applied    `json:"applied"`
	Backups []Backup   `json:"backups"`
}

// Applied is the record up to which destructions have been carried out.
type Applied struct {
	Seq  uint64  `json:"seq"`
	Hash HexHash `json:"hash"`
}

// A Signer is a key that signs checkpoints, or a former one, whose seed was
// destroyed.
type Signer struct {
	VKey    string    `json:"vkey"`
	Created time.Time `json:"created"`
	From    uint64    `json:"from"`
	Until   *uint64   `json:"until,omitempty"`
	Note    []byte    `json:"note,omitempty"`
	Seed    []byte    `json:"seed,omitempty"`
}

// A Backup is a copy of the keys that may still contain keys which are
// destroyed here.
type Backup struct {
	ID      string    `json:"id"` // a UUID
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// A HexSubject is a subject that is hexadecimal in JSON.
type HexSubject record.Subject

// MarshalText writes lower-case hexadecimal digits.
func (h HexSubject) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads hexadecimal digits.
func (h *HexSubject) UnmarshalText(b []byte) error {
	s, err := record.ParseSubject(string(b))
	*h = HexSubject(s)
	return err
}

// A HexHash is a hash that is hexadecimal in JSON.
type HexHash record.Hash

// MarshalText writes lower-case hexadecimal digits.
func (h HexHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads hexadecimal digits.
func (h *HexHash) UnmarshalText(b []byte) error {
	s, err := record.ParseHash(string(b))
	*h = HexHash(s)
	return err
}

// Encode returns the payload of the frame for m.
func (m *Meta) Encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode state of the ring: %w", err)
	}
	if len(b) > MaxPayload {
		return nil, fmt.Errorf("state of the ring has %d bytes; the limit is %d", len(b), MaxPayload)
	}
	return b, nil
}

var errMeta = errors.New("invalid state of the ring")

// parseMeta reads the one encoding that Encode returns, and refuses others.
func parseMeta(b []byte) (*Meta, error) {
	var m Meta
	if err := canonical.Decode(b, &m, (*Meta).Encode); err != nil {
		return nil, fmt.Errorf("%w: %w", errMeta, err)
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

// Clone returns a copy that shares nothing with m.
func (m *Meta) Clone() *Meta {
	c := *m
	c.Secret = bytes.Clone(m.Secret)
	c.Signers = slices.Clone(m.Signers)
	for i := range c.Signers {
		c.Signers[i].Seed = bytes.Clone(c.Signers[i].Seed)
	}
	c.Backups = slices.Clone(m.Backups)
	return &c
}

// wipe zeroes the secrets.
func (m *Meta) wipe() {
	clear(m.Secret)
	for _, s := range m.Signers {
		clear(s.Seed)
	}
}
