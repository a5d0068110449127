package ringfile

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame on disk; all numbers are big endian:
//
//	0  length of the sealed part
//	4  CRC-32C of the sealed part
//	8  sealed: nonce (12 bytes), then AES-256-GCM under the wrapping key over
//	   a byte for the kind, and the payload; a tag of 16 bytes at the end
//
// The generation and the frame's offset are authenticated with it, so a frame
// is valid only at its place. The checksum distinguishes damage by a disk or a
// crash from an alteration.
const (
	frameHead    = 8
	sealOverhead = 28
	maxSealed    = 1 << 20

	// MaxPayload bounds the payload of one frame.
	MaxPayload = maxSealed - sealOverhead - 1

	domainFrame = "audittrail/v1 keyring frame\x00"
)

// Kinds of frames. These numbers reach the disk.
const (
	KindSubjects  = 1 // page of the base: subject entries, sorted by subject
	KindUsers     = 2 // page of the base: user hash and subject, sorted by hash
	KindDirectory = 3 // the places of the pages
	KindMeta      = 4 // everything else; only the last one is used
	KindEntries   = 5 // class and subject entries, in the order of their creation
)

// A sealer encrypts and decrypts the frames of one generation.
type sealer struct {
	aead       cipher.AEAD
	generation uint64
}

func newSealer(wrapping *Key, generation uint64) (*sealer, error) {
	aead, err := newAEAD(wrapping)
	if err != nil {
		return nil, err
	}
	return &sealer{aead, generation}, nil
}

func (s *sealer) aad(off int64) []byte {
	aad := make([]byte, 0, len(domainFrame)+16)
	aad = append(aad, domainFrame...)
	aad = binary.BigEndian.AppendUint64(aad, s.generation)
	return binary.BigEndian.AppendUint64(aad, uint64(off))
}

// appendFrame appends the frame for offset off. The payload must not be longer
// than MaxPayload.
func (s *sealer) appendFrame(dst []byte, off int64, kind byte, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, frameHead)...)
	plain := append([]byte{kind}, payload...)
	dst = s.aead.Seal(dst, nil, plain, s.aad(off))
	sealed := dst[start+frameHead:]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(sealed)))
	binary.BigEndian.PutUint32(dst[start+4:], crc32.Checksum(sealed, castagnoli))
	return dst
}

// frameSize returns the length on disk of a frame with a payload of n bytes.
func frameSize(n int) int { return frameHead + sealOverhead + 1 + n }

// A badFrame reports that a frame differs from what was written, in contrast to
// an I/O error.
type badFrame struct{ detail string }

func (e *badFrame) Error() string { return e.detail }

// open decrypts a frame and returns its kind and payload.
func (s *sealer) open(frame []byte, off int64) (kind byte, payload []byte, err error) {
	if len(frame) < frameHead || int(binary.BigEndian.Uint32(frame)) != len(frame)-frameHead {
		return 0, nil, &badFrame{"frame is cut off"}
	}
	sealed := frame[frameHead:]
	if binary.BigEndian.Uint32(frame[4:]) != crc32.Checksum(sealed, castagnoli) {
		return 0, nil, &badFrame{"frame does not match its checksum"}
	}
	plain, err := s.aead.Open(nil, nil, sealed, s.aad(off))
	if err != nil || len(plain) == 0 {
		return 0, nil, &badFrame{"frame matches its checksum, but does not authenticate"}
	}
	return plain[0], plain[1:], nil
}

// next reads the frame at off from r, which is at that offset. It returns
// io.EOF at the end, and a badFrame if there is no whole frame.
func (s *sealer) next(r io.Reader, off int64) (kind byte, payload []byte, size int64, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, 0, cutOff(err)
	}
	n, err := sealedLen(head[:])
	if err != nil {
		return 0, nil, 0, err
	}
	frame := make([]byte, frameHead+n)
	copy(frame, head[:])
	if _, err := io.ReadFull(r, frame[frameHead:]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, 0, cutOff(err)
	}
	kind, payload, err = s.open(frame, off)
	return kind, payload, int64(len(frame)), err
}

// cutOff turns the end of the file within a frame into a badFrame.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &badFrame{"frame is cut off"}
	}
	return err
}

// sealedLen bounds a frame's length before memory is allocated for it.
func sealedLen(head []byte) (int, error) {
	n := binary.BigEndian.Uint32(head)
	if n <= sealOverhead || n > maxSealed {
		return 0, &badFrame{fmt.Sprintf("frame claims %d bytes; it has more than %d and at most %d", n, sealOverhead, maxSealed)}
	}
	return int(n), nil
}

// holdsFrame reports whether b, which begins at off, contains a whole frame
// anywhere after its first byte. If so, the bytes before that frame were
// complete, since a frame is synced before the next one is written, and were
// not torn by a crash.
func (s *sealer) holdsFrame(b []byte, off int64) bool {
	for i := 1; i+frameHead <= len(b); i++ {
		n, err := sealedLen(b[i:])
		if err != nil || n > len(b)-i-frameHead {
			continue
		}
		if _, _, err := s.open(b[i:i+frameHead+n], off+int64(i)); err == nil {
			return true
		}
	}
	return false
}
