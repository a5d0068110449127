package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"strings"
)

// The text of a token is part of the format: docs/format/token.md.
const (
	tokenPrefix = "atk_"
	secretChars = 43 // of 62 kinds: 256 bits
	sumChars    = 6  // CRC-32 of the characters before it, in base 62
	tokenLen    = len(tokenPrefix) + secretChars + sumChars
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// tokenDomain is part of the format: see docs/format/domains.md.
const tokenDomain = "audittrail/v1 access token\x00"

// ErrToken reports that a text is not a token, perhaps because of a typing
// error.
var ErrToken = errors.New("malformed token: a token is atk_ and 49 letters and digits, the last six of which are a checksum")

// A Token is a secret that proves a grant. It prints as [redacted]; Reveal
// returns it.
type Token struct{ text string }

// ParseToken parses a token. Only Check tells whether there is a grant for it.
func ParseToken(s string) (Token, error) {
	if !wellFormed(s) {
		return Token{}, ErrToken
	}
	return Token{strings.Clone(s)}, nil
}

// wellFormed reports whether s is a token. Each token has one text.
func wellFormed(s string) bool {
	if len(s) != tokenLen || s[:len(tokenPrefix)] != tokenPrefix {
		return false
	}
	ok := true
	for i := len(tokenPrefix); i < len(s); i++ {
		c := s[i]
		ok = ok && ('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z')
	}
	body := s[:len(s)-sumChars]
	sum := checksum(body)
	return ok && subtle.ConstantTimeCompare([]byte(s[len(body):]), sum[:]) == 1
}

func checksum(body string) (sum [sumChars]byte) {
	n := crc32.ChecksumIEEE([]byte(body))
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = base62[n%62]
		n /= 62
	}
	return sum
}

// newToken makes a token of random bytes.
func newToken(random io.Reader) (Token, error) {
	text := make([]byte, 0, tokenLen)
	text = append(text, tokenPrefix...)
	defer func() { clear(text) }()
	var buf [64]byte
	for len(text) < len(tokenPrefix)+secretChars {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return Token{}, fmt.Errorf("make token: %w", err)
		}
		for _, b := range buf {
			// Bytes from 4*62 on would make some characters likelier, and are
			// skipped.
			if b < 4*62 && len(text) < len(tokenPrefix)+secretChars {
				text = append(text, base62[b%62])
			}
		}
		clear(buf[:])
	}
	sum := checksum(string(text))
	text = append(text, sum[:]...)
	return Token{string(text)}, nil
}

// hash returns the hash of a token, which is what the log stores of it.
func (t Token) hash() [32]byte {
	var buf [len(tokenDomain) + tokenLen]byte
	n := copy(buf[:], tokenDomain)
	n += copy(buf[n:], t.text)
	return sha256.Sum256(buf[:n])
}

// ID returns the id of the token's grant, which is not a secret.
func (t Token) ID() ID {
	hash := t.hash()
	return ID(hash[:len(ID{})])
}

// Reveal returns the text of the token, to be given once to its user.
func (t Token) Reveal() string { return t.text }

const redacted = "[redacted]"

// String returns a placeholder instead of the token.
func (t Token) String() string { return redacted }

// Format writes a placeholder instead of the token, for every verb.
func (t Token) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText returns a placeholder instead of the token.
func (t Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a placeholder instead of the token.
func (t Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// An ID identifies a grant: the first eight bytes of the hash of its token. It
// is not a secret.
type ID [8]byte

// ParseID parses an id in the form that String returns.
func ParseID(s string) (ID, error) {
	var id ID
	text, ok := strings.CutPrefix(s, idPrefix)
	if n, err := hex.Decode(id[:], []byte(text[:min(len(text), 2*len(id))])); !ok || err != nil || n != len(id) || id.String() != s {
		return ID{}, fmt.Errorf("invalid token id: use %s and 16 lower-case hexadecimal digits", idPrefix)
	}
	return id, nil
}

const idPrefix = "t-"

// String returns the id: "t-" and 16 hexadecimal digits.
func (id ID) String() string { return idPrefix + hex.EncodeToString(id[:]) }

// MarshalText returns the id as String does.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText parses the output of MarshalText.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	*id = parsed
	return err
}
