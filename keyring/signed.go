package keyring

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"audittrail/internal/vfs"
	"audittrail/keyring/internal/ringfile"
)

const (
	signedFirst = "audittrail-signed/v1\n" // reaches the disk
	signedLimit = 512

	domainSigned = "audittrail/v1 signed state\x00"
)

// A signed is the state of the log, and of the ring, when the last checkpoint
// was signed:
//
//	audittrail-signed/v1
//	<size> <base64 of the root>
//	<generation> <length of the ring that is durable>
//	<base64 of HMAC-SHA256 under the ring's secret over the lines above>
type signed struct {
	size       uint64
	root       [32]byte
	generation uint64
	length     int64
}

// encode returns the file's bytes. The hash covers the numbers rather than the
// text, which is determined by them.
func (s *signed) encode(h *ringfile.Hasher) []byte {
	out := fmt.Appendf(nil, "%s%d %s\n%d %d\n", signedFirst,
		s.size, base64.StdEncoding.EncodeToString(s.root[:]), s.generation, s.length)
	mac := s.mac(h)
	out = base64.StdEncoding.AppendEncode(out, mac[:])
	return append(out, '\n')
}

func (s *signed) mac(h *ringfile.Hasher) [32]byte {
	b := binary.BigEndian.AppendUint64(nil, s.size)
	b = append(b, s.root[:]...)
	b = binary.BigEndian.AppendUint64(b, s.generation)
	b = binary.BigEndian.AppendUint64(b, uint64(s.length))
	return h.Sum(domainSigned, string(b))
}

var errSigned = errors.New("not a signed state, or not that of this keyring")

// parseSigned reads the one form that encode returns, and refuses others.
func parseSigned(text []byte, h *ringfile.Hasher) (signed, error) {
	rest, ok := bytes.CutPrefix(text, []byte(signedFirst))
	fields := bytes.FieldsFunc(rest, func(c rune) bool { return c == ' ' || c == '\n' })
	if !ok || len(fields) != 5 {
		return signed{}, errSigned
	}
	var s signed
	var errs [3]error
	s.size, errs[0] = strconv.ParseUint(string(fields[0]), 10, 64)
	root, err := base64.StdEncoding.Strict().DecodeString(string(fields[1]))
	if err != nil || len(root) != len(s.root) {
		return signed{}, errSigned
	}
	copy(s.root[:], root)
	s.generation, errs[1] = strconv.ParseUint(string(fields[2]), 10, 64)
	s.length, errs[2] = strconv.ParseInt(string(fields[3]), 10, 64)
	if errors.Join(errs[:]...) != nil || subtle.ConstantTimeCompare(s.encode(h), text) != 1 {
		return signed{}, errSigned
	}
	return s, nil
}

// readSigned returns the file's bytes, and nil if there is none.
func (r *Ring) readSigned() ([]byte, error) {
	text, err := vfs.ReadFile(r.o.FS, r.path(signedName), signedLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, vfs.ErrTooLarge):
		return []byte("too long"), nil
	case err != nil:
		return nil, fmt.Errorf("read signed state: %w", err)
	}
	return text, nil
}

// checkSigned compares the ring with its state in the signed file: a ring that
// is shorter, or of an earlier generation, has lost keys.
func (r *Ring) checkSigned(text []byte, st *ringfile.File) (signed, error) {
	s, err := parseSigned(text, st.Hash())
	name := r.path(signedName)
	switch {
	case err != nil && r.o.ResetSigned:
		return signed{}, nil
	case text == nil:
		return signed{}, &DamagedError{File: name, Detail: "the file is missing"}
	case err != nil:
		return signed{}, &DamagedError{File: name, Detail: err.Error()}
	case s.generation > st.Generation():
		return signed{}, st.Damaged(fmt.Sprintf("generation %d was in force when the log was last signed", s.generation))
	case s.generation == st.Generation() && s.length > st.Tail():
		return signed{}, st.Damaged(fmt.Sprintf("%d bytes were whole when the log was last signed", s.length))
	}
	return s, nil
}

// Signed returns the size and the root of the log that were last signed. A log
// that is smaller, or that has another root at this size, is not the signed
// one.
func (r *Ring) Signed() (size uint64, root [32]byte) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.signed.size, r.signed.root
}

// CurrentSigned is Signed, but reads the file again, since another process may
// write it.
func (r *Ring) CurrentSigned() (size uint64, root [32]byte, err error) {
	if !r.o.ReadOnly {
		size, root = r.Signed()
		return size, root, nil
	}
	text, err := r.readSigned()
	if err != nil {
		return 0, [32]byte{}, err
	}
	s, err := parseSigned(text, r.hash)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && s.size > r.signed.size {
		r.signed = s // keep the newest state seen: the file may have been replaced by an older one
	}
	return r.signed.size, r.signed.root, nil
}

// SetSigned stores a size and a root durably. Neither a smaller size nor
// another root of the same size is accepted: they would be of another log.
func (r *Ring) SetSigned(size uint64, root [32]byte) error {
	r.signing.Lock()
	defer r.signing.Unlock()
	r.mu.RLock()
	err, last, next := r.usable(), r.signed, signed{size: size, root: root}
	var text []byte
	if err == nil {
		next.generation, next.length = r.st.Generation(), r.st.Tail()
		text = next.encode(r.hash)
	}
	r.mu.RUnlock()
	switch {
	case err != nil:
	case size < last.size:
		err = fmt.Errorf("size %d is smaller than %d, which was signed before", size, last.size)
	case size == last.size && root != last.root && last.size > 0:
		err = fmt.Errorf("another root was signed for size %d before", size)
	case next == last && r.signedHere:
		return nil
	default:
		err = vfs.WriteFile(r.o.FS, r.path(signedName), text, filePerm)
	}
	if err != nil {
		return fmt.Errorf("store signed state: %w", err)
	}
	r.mu.Lock()
	r.signed, r.signedHere = next, true
	r.mu.Unlock()
	return nil
}
