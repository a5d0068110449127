package ringfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"audittrail/internal/canonical"
)

const (
	formatName = "audittrail-keyring/"
	formatLine = formatName + "v1\n" // reaches the disk

	domainWrap = "audittrail/v1 keyring wrap\x00"

	maxHeader = 4096
	maxOrigin = 255
	wrapped   = sealOverhead + sha256.Size // length of an encrypted wrapping key
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A header is the two lines at the start of a ring:
//
//	audittrail-keyring/v1
//	{"generation":7,"origin":"…","directory":"<16 hex>","journal":"<16 hex>",
//	 "master":"<8 hex>","wrapped":"<base64>","crc":"<8 hex>"}
//
// The checksum covers everything before its own member, so that a damaged
// header is not taken for a wrong master key.
type header struct {
	Generation uint64 `json:"generation"`
	Origin     string `json:"origin"`
	Directory  hex64  `json:"directory"` // offset of the first frame that is read at open
	Journal    hex64  `json:"journal"`   // offset of the journal, after the base
	Master     string `json:"master"`    // fingerprint of the master key
	Wrapped    []byte `json:"wrapped"`   // the wrapping key, encrypted under the master key
	CRC        string `json:"crc"`
}

// A hex64 is an offset of fixed width in JSON, so that the header's length is
// known before the offsets are.
type hex64 int64

// MarshalJSON writes sixteen hexadecimal digits.
func (h hex64) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `"%016x"`, int64(h)), nil }

// UnmarshalJSON reads hexadecimal digits; the caller checks that they are in
// canonical form.
func (h *hex64) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 16, 64)
	*h = hex64(n)
	return err
}

// encode returns the header's two lines. The origin needs no escaping, since
// CheckOrigin has checked it.
func (h *header) encode() []byte {
	out := fmt.Appendf(nil, `%s{"generation":%d,"origin":"%s","directory":"%016x","journal":"%016x","master":"%s","wrapped":"%s"`,
		formatLine, h.Generation, h.Origin, int64(h.Directory), int64(h.Journal), h.Master,
		base64.StdEncoding.EncodeToString(h.Wrapped))
	return fmt.Appendf(out, ",\"crc\":\"%08x\"}\n", crc32.Checksum(out, castagnoli))
}

// parseHeader reads a header from the start of b, and returns its length.
func parseHeader(b []byte) (*header, int, error) {
	first, rest, ok := bytes.Cut(b, []byte("\n"))
	if !ok || string(first)+"\n" != formatLine {
		if ok && len(first) < 64 && isNewer(string(first)) {
			return nil, 0, fmt.Errorf("%w: %q; this program reads %q", ErrNewerFormat, first, strings.TrimSpace(formatLine))
		}
		return nil, 0, fmt.Errorf("does not begin with %q", strings.TrimSpace(formatLine))
	}
	line, _, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return nil, 0, errors.New("header has no end")
	}
	n := len(first) + len(line) + len("\n\n")
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, 0, errors.New("header is not JSON of this format")
	}
	if err := CheckOrigin(h.Origin); err != nil {
		return nil, 0, errors.New("header has an invalid origin")
	}
	// There is one encoding per header, and encode computes the checksum.
	if err := canonical.Check(b[:n], h.encode()); err != nil {
		return nil, 0, fmt.Errorf("header does not match its checksum: %w", err)
	}
	if len(h.Wrapped) != wrapped || len(h.Master) != 8 || h.Generation == 0 ||
		int64(h.Directory) < int64(n) || h.Journal < h.Directory {
		return nil, 0, errors.New("header has values out of bounds")
	}
	return &h, n, nil
}

// isNewer distinguishes the first line of a later format from damage.
func isNewer(line string) bool {
	v, ok := strings.CutPrefix(line, formatName+"v")
	n, err := strconv.Atoi(v)
	return ok && err == nil && n > 1
}

// CheckOrigin returns an error for an origin that cannot name a key in a signed
// note (c2sp.org/signed-note), or that needs escaping in JSON.
func CheckOrigin(origin string) error {
	if origin == "" || len(origin) > maxOrigin || !utf8.ValidString(origin) {
		return fmt.Errorf("origin must be 1 to %d bytes of UTF-8", maxOrigin)
	}
	if strings.ContainsFunc(origin, func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(`+"\`, c)
	}) {
		return errors.New(`origin must not contain spaces, control characters, quotes, '+' or '\'`)
	}
	return nil
}

// aad returns the other members of the header, to which the wrapping key is
// bound.
func (h *header) aad() []byte {
	aad := []byte(domainWrap)
	aad = binary.BigEndian.AppendUint64(aad, h.Generation)
	aad = binary.BigEndian.AppendUint64(aad, uint64(h.Directory))
	aad = binary.BigEndian.AppendUint64(aad, uint64(h.Journal))
	aad = append(aad, h.Master...)
	return append(aad, h.Origin...)
}

// wrap encrypts the wrapping key under the master key.
func (h *header) wrap(master, wrapping *Key) error {
	aead, err := newAEAD(master)
	if err != nil {
		return err
	}
	h.Master = Fingerprint(master)
	h.Wrapped = aead.Seal(nil, nil, wrapping[:], h.aad())
	return nil
}

// unwrap decrypts the wrapping key. If that fails although fingerprint and
// checksum are right, the header was altered on purpose.
func (h *header) unwrap(master *Key) (*Key, error) {
	aead, err := newAEAD(master)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, h.Wrapped, h.aad())
	if err != nil {
		return nil, errors.New("header does not authenticate under the master key that it names")
	}
	return (*Key)(plain), nil
}

// Fingerprint returns the first eight hexadecimal digits of the key's SHA-256,
// which identify a master key without revealing it.
func Fingerprint(k *Key) string {
	sum := sha256.Sum256(k[:])
	return hex.EncodeToString(sum[:4])
}

func newAEAD(k *Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("set up GCM: %w", err)
	}
	return aead, nil
}
