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

// A Meta is all of a ring that is neither a subject's key nor a class's. It is
// written whole whenever it changes, as JSON with its members in this order.
type Meta struct {
	Created time.Time  `json:"created"`
	System  HexSubject `json:"system"`
	Secret  []byte     `json:"secret"` // 32 bytes; hashes are keyed by it
	Signers []Signer   `json:"signers"`
	Applied Applied    `json:"applied"`
	Backups []Backup   `json:"backups"`
}

// Applied is the record up to which destructions have been carried out.
type Applied struct {
	Seq  uint64  `json:"seq"`
	Hash HexHash `json:"hash"`
}

// A Signer is a key that signs checkpoints, or did: then its seed is gone.
type Signer struct {
	VKey    string    `json:"vkey"`
	Created time.Time `json:"created"`
	From    uint64    `json:"from"`
	Until   *uint64   `json:"until,omitempty"`
	Note    []byte    `json:"note,omitempty"`
	Seed    []byte    `json:"seed,omitempty"`
}

// A Backup is a copy of the keys that may still open what is destroyed here.
type Backup struct {
	ID      string    `json:"id"` // a UUID
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// A HexSubject is a subject that JSON shows in hexadecimal.
type HexSubject record.Subject

// MarshalText writes lower-case hexadecimal digits.
func (h HexSubject) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads them.
func (h *HexSubject) UnmarshalText(b []byte) error {
	s, err := record.ParseSubject(string(b))
	*h = HexSubject(s)
	return err
}

// A HexHash is a hash that JSON shows in hexadecimal.
type HexHash record.Hash

// MarshalText writes lower-case hexadecimal digits.
func (h HexHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reads them.
func (h *HexHash) UnmarshalText(b []byte) error {
	s, err := record.ParseHash(string(b))
	*h = HexHash(s)
	return err
}

// Encode returns the payload of the frame that holds m.
func (m *Meta) Encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the ring's own state: %w", err)
	}
	if len(b) > MaxPayload {
		return nil, fmt.Errorf("the ring's own state has %d bytes; the limit is %d", len(b), MaxPayload)
	}
	return b, nil
}

var errMeta = errors.New("the ring's own state is not of the right form")

// parseMeta reads what Encode returns, and nothing else.
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
