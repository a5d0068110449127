package block

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"audittrail/keyring"
)

// domain is part of the format: see docs/format/domains.md.
const domain = "audittrail/v1 index block\x00"

// ErrDamaged reports that a block differs from what was written under its key.
// It has to be built again from the log.
var ErrDamaged = errors.New("index block is damaged")

// A part is a kind of section that is encrypted or authenticated by itself. Its
// kind and number make the nonce, so that no nonce is used twice under the
// block's key.
type part uint8

const (
	partColumn    part = 1 // in cleartext: authenticated only
	partPage      part = 2
	partDirectory part = 3
	partFooter    part = 4 // in cleartext: authenticated only
)

const tagLen = 16

// A sealer encrypts and decrypts the parts of one block.
type sealer struct{ gcm cipher.AEAD }

func newSealer(key keyring.FileKey) (*sealer, error) {
	c, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(c)
	if err != nil {
		return nil, err
	}
	return &sealer{gcm}, nil
}

func nonce(p part, n int) []byte {
	b := make([]byte, 12)
	b[0] = byte(p)
	binary.BigEndian.PutUint64(b[4:], uint64(n))
	return b
}

// seal appends the encrypted text to dst.
func (s *sealer) seal(dst, text []byte, p part, n int) []byte {
	return s.gcm.Seal(dst, nonce(p, n), text, []byte(domain))
}

func (s *sealer) open(dst, sealed []byte, p part, n int) ([]byte, error) {
	text, err := s.gcm.Open(dst, nonce(p, n), sealed, []byte(domain))
	if err != nil {
		return nil, ErrDamaged
	}
	return text, nil
}

// tag returns the authentication tag of text that is stored in cleartext.
func (s *sealer) tag(text []byte, p part, n int) []byte {
	return s.gcm.Seal(nil, nonce(p, n), nil, append([]byte(domain), text...))
}

func (s *sealer) check(text, tag []byte, p part, n int) error {
	if _, err := s.gcm.Open(nil, nonce(p, n), tag, append([]byte(domain), text...)); err != nil {
		return ErrDamaged
	}
	return nil
}
