// Package escrow stores the keys of single records in an encrypted file: those
// of records that a legal hold keeps when the key of their class is destroyed.
//
//	audittrail-escrow/v1
//	page page page …
//
// A page is up to 102 entries of a sequence number (8 bytes, big endian) and a
// key (32), ascending across all pages, under AES-256-GCM with a tag of 16
// bytes at its end; all but the last are full, which is 4,096 bytes. The key of
// the file encrypts nothing else, so that the nonce is the page's number. A
// file is written once. docs/format/escrow.md has the rest.
package escrow

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"

	"audittrail/internal/vfs"
	"audittrail/record"
)

const (
	magic    = "audittrail-escrow/v1\n" // reaches the disk
	entryLen = 8 + 32                   // number, key
	perPage  = 102
	tagLen   = 16
	pageLen  = perPage*entryLen + tagLen

	domainPage = "audittrail/v1 escrow page\x00"
)

// ErrDamaged reports that a file is not the escrow that was written.
var ErrDamaged = errors.New("escrow damaged")

// A sealer encrypts and decrypts the pages of one file.
type sealer struct {
	aead  cipher.AEAD
	class string
}

func newSealer(key *[32]byte, class string) (*sealer, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("set up GCM: %w", err)
	}
	return &sealer{aead, class}, nil
}

// bind returns nonce and associated data of a page: its number, whether it is
// the last one, and the class. So a page cannot be moved, and a missing end is
// noticed.
func (s *sealer) bind(page int64, last bool) (nonce, aad []byte) {
	nonce = make([]byte, s.aead.NonceSize())
	binary.BigEndian.PutUint64(nonce[len(nonce)-8:], uint64(page))
	aad = append(make([]byte, 0, 64), domainPage...)
	end := byte(0)
	if last {
		end = 1
	}
	return nonce, append(append(aad, end), s.class...)
}

// A Writer writes an escrow.
type Writer struct {
	fs   vfs.FS
	name string
	file vfs.File
	seal *sealer
	page []byte
	n    int64 // pages that are written
	at   int64
	last uint64 // number of the last entry
	some bool
}

// Create begins an escrow in a new file.
func Create(fsys vfs.FS, name, class string, key *[32]byte) (*Writer, error) {
	seal, err := newSealer(key, class)
	if err != nil {
		return nil, err
	}
	file, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create escrow: %w", err)
	}
	w := &Writer{fs: fsys, name: name, file: file, seal: seal, page: make([]byte, 0, pageLen)}
	if err := w.write([]byte(magic)); err != nil {
		return nil, errors.Join(err, w.Abandon())
	}
	return w, nil
}

func (w *Writer) write(b []byte) error {
	if _, err := w.file.WriteAt(b, w.at); err != nil {
		return fmt.Errorf("write escrow: %w", err)
	}
	w.at += int64(len(b))
	return nil
}

// Add adds the key of the next record.
func (w *Writer) Add(seq uint64, key record.Key) error {
	if w.some && seq <= w.last {
		return fmt.Errorf("write escrow: record %d after record %d", seq, w.last)
	}
	if len(w.page) == perPage*entryLen {
		if err := w.flush(false); err != nil {
			return err
		}
	}
	w.page = binary.BigEndian.AppendUint64(w.page, seq)
	w.page = append(w.page, key[:]...)
	w.last, w.some = seq, true
	return nil
}

func (w *Writer) flush(last bool) error {
	nonce, aad := w.seal.bind(w.n, last)
	sealed := w.seal.aead.Seal(nil, nonce, w.page, aad)
	clear(w.page)
	w.page = w.page[:0]
	w.n++
	return w.write(sealed)
}

// Close ends the escrow and makes it durable, except for its name.
func (w *Writer) Close() error {
	err := w.flush(true)
	if err == nil {
		if err = w.file.Sync(); err != nil {
			err = fmt.Errorf("sync escrow: %w", err)
		}
	}
	if cerr := w.file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close escrow: %w", cerr)
	}
	return err
}

// Abandon closes and removes the file.
func (w *Writer) Abandon() error {
	clear(w.page)
	err := w.file.Close()
	if rerr := w.fs.Remove(w.name); err == nil {
		err = rerr
	}
	if err != nil {
		return fmt.Errorf("remove unfinished escrow: %w", err)
	}
	return nil
}

// A File is an escrow that is open for reading, by any number of goroutines.
type File struct {
	file  vfs.File
	seal  *sealer
	pages int64
	size  int64

	mu   sync.Mutex // guards both below
	n    int64      // the page that was read last
	page []byte     // nil if none was read
}

// Open opens an escrow, and checks that its end is not missing.
func Open(fsys vfs.FS, name, class string, key *[32]byte) (*File, error) {
	seal, err := newSealer(key, class)
	if err != nil {
		return nil, err
	}
	file, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open escrow: %w", err)
	}
	f := &File{file: file, seal: seal}
	if err := f.check(); err != nil {
		return nil, errors.Join(fmt.Errorf("open escrow of class %s: %w", class, err), file.Close())
	}
	return f, nil
}

func (f *File) check() error {
	size, err := f.file.Size()
	if err != nil {
		return err
	}
	head := make([]byte, len(magic))
	if n, err := f.file.ReadAt(head, 0); n < len(head) && err != io.EOF {
		return err
	}
	body := size - int64(len(magic))
	if string(head) != magic || body < tagLen {
		return fmt.Errorf("%w: it is cut off, or not an escrow", ErrDamaged)
	}
	f.size, f.pages = size, (body+pageLen-1)/pageLen
	_, err = f.read(f.pages - 1)
	return err
}

// read returns the entries of one page; mu is held, or f is not shared yet.
func (f *File) read(n int64) ([]byte, error) {
	if f.page != nil && f.n == n {
		return f.page, nil
	}
	at := int64(len(magic)) + n*pageLen
	sealed := make([]byte, min(pageLen, f.size-at))
	if got, err := f.file.ReadAt(sealed, at); got < len(sealed) {
		if err == io.EOF {
			return nil, fmt.Errorf("%w: page %d is cut off", ErrDamaged, n)
		}
		return nil, fmt.Errorf("read escrow: %w", err)
	}
	last := n == f.pages-1
	nonce, aad := f.seal.bind(n, last)
	page, err := f.seal.aead.Open(sealed[:0], nonce, sealed, aad)
	if err != nil || len(page)%entryLen != 0 || len(page) == 0 && n > 0 {
		return nil, fmt.Errorf("%w: page %d is not what was written", ErrDamaged, n)
	}
	f.n, f.page = n, page
	return page, nil
}

func seqAt(page []byte, i int) uint64 { return binary.BigEndian.Uint64(page[i*entryLen:]) }

// Find returns the key of a record, if it is in the escrow.
func (f *File) Find(seq uint64) (record.Key, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	page := f.page
	if len(page) == 0 || seq < seqAt(page, 0) || seq > seqAt(page, len(page)/entryLen-1) {
		var failed error
		n := sort.Search(int(f.pages), func(i int) bool {
			page, err := f.read(int64(i))
			if err != nil {
				failed = err
			}
			return failed != nil || len(page) == 0 || seqAt(page, 0) > seq
		})
		if failed != nil || n == 0 {
			return record.Key{}, false, failed
		}
		var err error
		if page, err = f.read(int64(n - 1)); err != nil {
			return record.Key{}, false, err
		}
	}
	count := len(page) / entryLen
	i := sort.Search(count, func(i int) bool { return seqAt(page, i) >= seq })
	if i == count || seqAt(page, i) != seq {
		return record.Key{}, false, nil
	}
	return record.Key(page[i*entryLen+8 : (i+1)*entryLen]), true, nil
}

// Each calls fn with every entry in order, until it returns an error.
func (f *File) Each(fn func(seq uint64, key record.Key) error) error {
	for n := range f.pages {
		f.mu.Lock()
		page, err := f.read(n)
		f.mu.Unlock()
		for i := 0; err == nil && i < len(page)/entryLen; i++ {
			err = fn(seqAt(page, i), record.Key(page[i*entryLen+8:(i+1)*entryLen]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.page)
	f.page = nil
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("close escrow: %w", err)
	}
	return nil
}
