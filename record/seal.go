package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"audittrail/event"
)

// The encrypted body before base64: salt, then AES-256-GCM over
//
//	byte 0      compression: 0 none, 1 zstd
//	bytes 1-4   length of what follows, big endian
//	…           the content, compressed or not
//	…           zeros up to a Padmé length
//
// under the record's key with a nonce of zeros: every encryption has a new
// salt, and so a new key.
const (
	saltLen    = 16
	overhead   = 16 // GCM's tag
	innerLen   = 5
	minBody    = saltLen + innerLen + overhead
	stored     = 0
	compressed = 1

	// compressFrom is the length of content from which on compression is tried.
	compressFrom = 4096
)

// MaxContent bounds the content of one record, decompressed.
const MaxContent = 256 << 20

var (
	// ErrWrongKey reports that a line does not commit to the given key.
	ErrWrongKey = errors.New("the key is not the one that the record commits to")
	// ErrBody reports that a body does not authenticate under the key that its
	// line commits to: the line was not written by a holder of the key.
	ErrBody = errors.New("the body does not authenticate")
)

// SealParams are the parts of a record before it has a place in the log.
type SealParams struct {
	ID          ID
	Event       *event.Event // canonicalised and valid, its Time set
	LogMetadata              // except Parts, which are those of Event
	Session     [16]byte     // zero if there is none
	Class       string
	Subject     Subject
	PRK         PRK
	Salt        [16]byte  // random
	Digest      *[32]byte // digest of the event as the client gave it, if it gave an id
}

// A Pending is an encrypted record without a place in the log: its line up to
// the end of "body", and the hash so far.
type Pending struct {
	ID         ID
	Governance bool // it is a governance record
	Size       int  // length of the content, rounded up by Padmé

	content []byte // scratch memory
	line    []byte
	state   hash.Hash
}

var drafts = sync.Pool{New: func() any { return &Pending{state: sha256.New()} }}

// keepBuffer is the largest buffer that is kept for the next pending record.
const keepBuffer = 64 << 10

// Free releases the memory of d, which must not be used afterwards.
func (d *Pending) Free() {
	if cap(d.line) <= keepBuffer && cap(d.content) <= keepBuffer {
		drafts.Put(d)
	}
}

// MaxLen returns a bound for the length of the finished line, with its LF.
func (d *Pending) MaxLen() int {
	return len(d.line) + len(tailSeq) + maxSeqLen + len(tailLogged) + timeLen +
		len(tailPrev) + hexLen + 1 + unhashedLen + 1
}

// Seal encrypts and encodes the parts of a record that do not depend on its
// place in the log.
func Seal(s *SealParams) (*Pending, error) {
	s.Parts = event.PartsOf(s.Event)
	if err := s.LogMetadata.check(); err != nil {
		return nil, err
	}
	return seal(s, Version)
}

func seal(s *SealParams, version int) (*Pending, error) {
	key := s.PRK.Expand(s.Salt, s.ID)
	d := drafts.Get().(*Pending)
	d.ID, d.Governance = s.ID, s.Event.Type.Governance()
	d.content = append(d.content[:0], make([]byte, saltLen+innerLen)...)
	d.content = event.AppendContent(d.content, s.Event, s.Digest)
	n := len(d.content) - saltLen - innerLen
	if n > MaxContent {
		d.Free()
		return nil, fmt.Errorf("content of %d bytes: the limit is %d", n, MaxContent)
	}
	d.Size = padme(n)
	d.line = appendPrefix(d.line[:0], &head{
		version: version, id: s.ID, own: s.LogMetadata, session: s.Session, size: d.Size,
		class: s.Class, subject: s.Subject, key: key.Commitment(),
	}, s.Event)
	aad := len(d.line)
	d.pack(n)
	copy(d.content, s.Salt[:])
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	sealed := gcm.Seal(d.content[saltLen:saltLen], zeroNonce[:], d.content[saltLen:], d.line[:aad])
	d.line = append(d.line, bodyStart...)
	d.line = base64.StdEncoding.AppendEncode(d.line, d.content[:saltLen+len(sealed)])
	d.line = append(d.line, '"')
	d.state.Reset()
	d.state.Write(d.line)
	return d, nil
}

// pack compresses the n bytes of content if that saves space, writes the head
// before them, and pads them. It leaves space for GCM's tag.
func (d *Pending) pack(n int) {
	at := saltLen + innerLen
	d.content[saltLen] = stored
	if n >= compressFrom {
		small := encoder().EncodeAll(d.content[at:], nil)
		if padme(innerLen+len(small)) < padme(innerLen+n) {
			d.content = append(d.content[:at], small...)
			d.content[saltLen] = compressed
			n = len(small)
		}
	}
	binary.BigEndian.PutUint32(d.content[saltLen+1:], uint32(n))
	pad := padme(innerLen+n) - innerLen - n
	d.content = append(d.content, make([]byte, pad+overhead)...)
	d.content = d.content[:len(d.content)-overhead]
}

// Finish appends the line with its LF for the record's place in the log, and
// returns the record's hash. Only the bytes that it adds are hashed here.
func (d *Pending) Finish(dst []byte, seq uint64, logged time.Time, prev Hash) ([]byte, Hash) {
	dst = append(dst, d.line...)
	at := len(dst)
	dst = appendTail(dst, seq, logged, prev)
	d.state.Write(dst[at:])
	var h Hash
	d.state.Sum(h[:0])
	return appendHash(dst, h), h
}

var zeroNonce [12]byte

func newGCM(key Key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return cipher.NewGCM(block)
}

// Open decrypts the body and adds the content to r.Event. Its State is Readable
// then.
func (r *Record) Open(prk PRK) error {
	key, err := r.DeriveKey(prk)
	if err != nil {
		return err
	}
	return r.OpenWith(key)
}

// DeriveKey derives the key of this record, for disclosure.
func (r *Record) DeriveKey(prk PRK) (Key, error) {
	var head [saltLen + 2]byte // the 16 bytes of salt are in 24 base64 characters
	if _, err := base64.StdEncoding.Decode(head[:], r.body[:24]); err != nil {
		return Key{}, fmt.Errorf("decode salt: %w", err)
	}
	return prk.Expand([16]byte(head[:saltLen]), r.ID), nil
}

// OpenWith decrypts the body with the record's own key. It returns ErrWrongKey
// if the line does not commit to that key, ErrBody if the body is not authentic.
func (r *Record) OpenWith(key Key) error {
	_, err := r.open(key)
	return err
}

// Digest returns the digest of the event as the client gave it, or nil if it
// gave no id. The record must open with prk.
func (r *Record) Digest(prk PRK) (*[32]byte, error) {
	key, err := r.DeriveKey(prk)
	if err != nil {
		return nil, err
	}
	return r.open(key)
}

func (r *Record) open(key Key) (*[32]byte, error) {
	if !key.opens(r.Key) {
		return nil, ErrWrongKey
	}
	sealed := make([]byte, base64.StdEncoding.DecodedLen(len(r.body)))
	n, err := base64.StdEncoding.Decode(sealed, r.body)
	if err != nil || n < minBody {
		return nil, ErrBody
	}
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(sealed[saltLen:saltLen], zeroNonce[:], sealed[saltLen:n], r.line[:r.aad])
	if err != nil {
		return nil, ErrBody
	}
	content, err := unpack(plain, r.Size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	opened := r.Event
	digest, err := event.DecodeContent(content, &opened)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	if r.Version > 1 && r.Withheld == "" && r.Parts != event.PartsOf(&opened) {
		return nil, fmt.Errorf("%w: the content does not have the parts that the line lists", ErrBody)
	}
	r.Event, r.State = opened, Readable
	return digest, nil
}

// unpack reverses pack. size is the padded length that the line states, which
// bounds the decompressed length.
func unpack(plain []byte, size int) ([]byte, error) {
	n := int64(binary.BigEndian.Uint32(plain[1:]))
	if n > int64(len(plain)-innerLen) || padme(innerLen+int(n)) != len(plain) {
		return nil, errors.New("the inner length disagrees with the padding")
	}
	content, pad := plain[innerLen:innerLen+n], plain[innerLen+n:]
	for _, b := range pad {
		if b != 0 {
			return nil, errors.New("the padding is not zero")
		}
	}
	switch plain[0] {
	case stored:
	case compressed:
		if size > MaxContent {
			return nil, fmt.Errorf("content of more than %d bytes", MaxContent)
		}
		var err error
		content, err = decoder().DecodeAll(content, make([]byte, 0, size))
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
	default:
		return nil, fmt.Errorf("unknown compression %d", plain[0])
	}
	if padme(len(content)) != size {
		return nil, errors.New("the content does not have the length that the line states")
	}
	return content, nil
}

// Both may be used by many goroutines, and have separate buffers for each call.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true)))
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		return must(zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxContent)))
	})
)

// must is for constructors whose only errors are of their options, which are
// constants here.
func must[T any](v T, err error) T {
	if err != nil {
		panic("record: " + err.Error())
	}
	return v
}
