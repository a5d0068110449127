package segment

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// A Key authenticates the files that are derived from the lines: only a holder
// of the keyring can make a valid one. It is redacted wherever it is printed.
type Key [32]byte

const redacted = "[redacted]"

// String redacts the key.
func (Key) String() string { return redacted }

// Format redacts the key for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalJSON redacts the key.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue redacts the key.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// Domain strings of the MACs under a Key.
const (
	domainSide  = "audittrail/v1 side seal\x00"
	domainTable = "audittrail/v1 id table page\x00"
)

// macs computes HMAC-SHA256 under a key, for many goroutines.
type macs struct{ pool *sync.Pool }

func newMACs(key *Key) macs {
	return macs{&sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }}}
}

// known reports whether there is a key: without one no derived file is
// trusted.
func (m macs) known() bool { return m.pool != nil }

// append appends the MAC of two parts in a domain. Without a key it appends
// zeros, which are never accepted.
func (m macs) append(dst []byte, domain string, head, body []byte) []byte {
	if m.pool == nil {
		return append(dst, make([]byte, sha256.Size)...)
	}
	h := m.pool.Get().(hash.Hash)
	h.Reset()
	_, _ = io.WriteString(h, domain)
	h.Write(head)
	h.Write(body)
	dst = h.Sum(dst)
	m.pool.Put(h)
	return dst
}

// A seal ends a side file. It authenticates the entries before it, and binds
// them to the segment's lines by the hash of the last line, which through
// the chain commits to all lines before it:
//
//	0  36k  if it is full, of each governance record its place in the segment
//	        (4) and its hash
//	36k  8  n, the number of entries
//	+8   4  k
//	+12  4  1 if the segment is full, else 0; then k is 0 as well
//	+16 32  hash of the last line; zeros if there is none
//	+48 32  SHA-256 of the entries, each that is of a governance record
//	        followed by that record's hash
//	+80 32  HMAC-SHA256 of the first sequence number (8 bytes) and all above
type seal struct {
	count  uint64
	full   bool
	admin  []governor // if the segment is full
	last   record.Hash
	digest [sha256.Size]byte
}

// A governor is a record that governs the log: its place in its segment, and the
// hash that its line must have.
type governor struct {
	place uint32
	hash  record.Hash
}

const (
	sealLen     = 112 // without the governors
	governorLen = 4 + sha256.Size
	macLen      = sha256.Size
)

func firstBytes(first uint64) []byte { return binary.BigEndian.AppendUint64(nil, first) }

func (x *seal) append(dst []byte, first uint64, m macs) []byte {
	at := len(dst)
	for _, r := range x.admin {
		dst = binary.BigEndian.AppendUint32(dst, r.place)
		dst = append(dst, r.hash[:]...)
	}
	dst = binary.BigEndian.AppendUint64(dst, x.count)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x.admin)))
	state := uint32(0)
	if x.full {
		state = 1
	}
	dst = binary.BigEndian.AppendUint32(dst, state)
	dst = append(dst, x.last[:]...)
	dst = append(dst, x.digest[:]...)
	return m.append(dst, domainSide, firstBytes(first), dst[at:])
}

// parseSealEnd reads the part of a seal that has a fixed length, from the end
// of a side file of that size, and returns it with the number of governors
// before it.
func parseSealEnd(b []byte, size int64) (x seal, governors int64, err error) {
	if len(b) != sealLen {
		return seal{}, 0, errSide
	}
	x.count = binary.BigEndian.Uint64(b)
	k, state := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	x.full = state == 1
	x.last, x.digest = record.Hash(b[16:48]), [32]byte(b[48:80])
	switch {
	case x.count > record.MaxSeq || uint64(k) > x.count || state > 1 || k > 0 && !x.full:
	case x.count == 0 && x.last != record.Hash{}:
	case size != sideHeader+int64(x.count)*entryLen+governorLen*int64(k)+sealLen:
	default:
		return x, int64(k), nil
	}
	return seal{}, 0, errSide
}

// parseSeal reads what append wrote into a side file of that size; m verifies
// the MAC, if it has a key.
func parseSeal(b []byte, size int64, first uint64, m macs) (*seal, error) {
	if len(b) < sealLen {
		return nil, errSide
	}
	x, k, err := parseSealEnd(b[len(b)-sealLen:], size)
	if err != nil || int64(len(b)) != governorLen*k+sealLen {
		return nil, errSide
	}
	if m.known() {
		at := len(b) - macLen
		if subtle.ConstantTimeCompare(m.append(nil, domainSide, firstBytes(first), b[:at]), b[at:]) != 1 {
			return nil, errSide
		}
	}
	for i := range k {
		r := governor{binary.BigEndian.Uint32(b[governorLen*i:]), record.Hash(b[governorLen*i+4:][:sha256.Size])}
		if uint64(r.place) >= x.count || i > 0 && r.place <= x.admin[i-1].place {
			return nil, errSide
		}
		x.admin = append(x.admin, r)
	}
	return &x, nil
}

// readSeal reads the seal of a segment's side file. With a key the seal is
// authenticated; without one it is not. A writer may be moving the seal: it is
// read again while the file changes.
func (s *Store) readSeal(g *seg) (*seal, error) { return s.readSealAs(g, s.macs) }

// readSealAs is readSeal, where m says whether there is a key.
func (s *Store) readSealAs(g *seg, m macs) (*seal, error) {
	h, err := s.files.acquire(g.name + sideExt)
	if err != nil {
		return nil, sideError(g.name+sideExt, err)
	}
	defer s.files.release(h)
	var before []byte
	for {
		b, size, err := sealBytes(h.file, g.first)
		if err != nil {
			s.files.forget(g.name + sideExt)
			return nil, sideError(g.name+sideExt, err)
		}
		x, err := parseSeal(b, size, g.first, m)
		if err == nil || bytes.Equal(b, before) {
			if err != nil {
				s.files.forget(g.name + sideExt) // the file may have been replaced
				err = fmt.Errorf("read side file %s: %w", g.name+sideExt, err)
			}
			return x, err
		}
		before = b
	}
}

// sealBytes reads what parseSeal reads, and the size of the file.
func sealBytes(f vfs.File, first uint64) ([]byte, int64, error) {
	size, err := f.Size()
	if err != nil {
		return nil, 0, err
	}
	if size < sideHeader+sealLen {
		return nil, 0, errSide
	}
	head, b := make([]byte, sideHeader), make([]byte, sealLen)
	if n, err := f.ReadAt(head, 0); n < len(head) {
		return nil, 0, noEOF(err)
	}
	if string(head) != string(sideHead(first)) {
		return nil, 0, errSide // of an earlier form, or not a side file
	}
	if n, err := f.ReadAt(b, size-sealLen); n < len(b) {
		return nil, 0, noEOF(err)
	}
	_, k, err := parseSealEnd(b, size)
	if err != nil || k == 0 {
		return b, size, nil // parseSeal returns the error
	}
	b = make([]byte, governorLen*k+sealLen) // no longer than the file
	if n, err := f.ReadAt(b, size-int64(len(b))); n < len(b) {
		return nil, 0, noEOF(err)
	}
	return b, size, nil
}

// noEOF turns io.EOF, which here shows that the file is too short, into
// errSide.
func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return errSide
	}
	return err
}
