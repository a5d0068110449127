package ringfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"audittrail/internal/vfs"
)

const (
	filePerm  = 0o600
	writeSize = 256 << 10 // bytes of one write
)

// A Base is the part of a generation that is written when it is created.
type Base struct {
	Generation uint64
	Origin     string
	Master     Key
	Wrapping   Key // made for this generation

	// Pages is called first, and may set the fields below.
	Pages   func(Emitter) (live uint64, err error)
	Meta    *Meta
	Classes [][]byte // payloads of entries; they are zeroed
}

// Write creates the file of a generation and syncs it, under a temporary name.
// If it fails, the file is wiped, or else the next Write wipes it.
func (b *Base) Write(fsys vfs.FS, name string) error {
	if err := Wipe(fsys, name, true); err != nil {
		return err
	}
	file, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return fmt.Errorf("create ring: %w", err)
	}
	err = b.fill(file)
	if err == nil {
		if serr := file.Sync(); serr != nil {
			err = &FatalError{fmt.Errorf("sync %s: %w", name, serr)}
		}
	}
	if cerr := file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close %s: %w", name, cerr)
	}
	if err != nil {
		return errors.Join(err, Wipe(fsys, name, true)) // the file contains keys
	}
	return nil
}

func (b *Base) fill(file vfs.File) error {
	seal, err := newSealer(&b.Wrapping, b.Generation)
	if err != nil {
		return err
	}
	head := header{
		Generation: b.Generation, Origin: b.Origin,
		Wrapped: make([]byte, wrapped), Master: Fingerprint(&b.Master),
	}
	w := baseWriter{file: file, seal: seal, off: int64(len(head.encode()))}
	if w.dir.live, err = b.Pages(w.page); err != nil {
		return err
	}
	state, err := b.Meta.Encode()
	if err != nil {
		return err
	}
	defer clear(state)
	head.Directory = hex64(w.off)
	for _, payload := range w.dir.encode() {
		w.frame(KindDirectory, payload)
	}
	for _, payload := range b.Classes {
		w.frame(KindEntries, payload)
		clear(payload)
	}
	w.frame(KindMeta, state)
	head.Journal = hex64(w.off)
	if err := w.flush(); err != nil {
		return err
	}
	if err := head.wrap(&b.Master, &b.Wrapping); err != nil {
		return err
	}
	if _, err := file.WriteAt(head.encode(), 0); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}

// A baseWriter writes frames one after another, and the header last, since its
// offsets are known only then.
type baseWriter struct {
	file vfs.File
	seal *sealer
	off  int64  // where the next frame goes
	buf  []byte // not written yet; ends at off
	dir  directory
}

func (w *baseWriter) frame(kind byte, payload []byte) {
	n := len(w.buf)
	w.buf = w.seal.appendFrame(w.buf, w.off, kind, payload)
	w.off += int64(len(w.buf) - n)
}

// page is an Emitter.
func (w *baseWriter) page(kind byte, first PageKey, payload []byte) error {
	list := &w.dir.subjects
	if kind == KindUsers {
		list = &w.dir.users
	}
	*list = append(*list, pageRef{first: first, off: w.off, size: frameSize(len(payload))})
	w.frame(kind, payload)
	if len(w.buf) < writeSize {
		return nil
	}
	return w.flush()
}

func (w *baseWriter) flush() error {
	if _, err := w.file.WriteAt(w.buf, w.off-int64(len(w.buf))); err != nil {
		return fmt.Errorf("write ring: %w", err)
	}
	w.buf = w.buf[:0]
	return nil
}

// Wipe overwrites a file with zeros, durably, and removes it. The header, which
// contains the wrapping key, is overwritten first: readers see by it that the
// generation has ended. If all is false only the header is overwritten, which
// is enough if no key in the file was destroyed.
func Wipe(fsys vfs.FS, name string, all bool) error {
	file, err := fsys.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wipe: %w", err)
	}
	err = zero(file, all)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("wipe %s: %w", name, err)
	}
	// A file that cannot be removed, as when a reader has it open on Windows,
	// has no content any more, and is removed at the next opportunity.
	_ = fsys.Remove(name)
	return nil
}

func zero(file vfs.File, all bool) error {
	size, err := file.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, writeSize)
	for off, n := int64(0), int64(maxHeader); off < size; off, n = off+n, writeSize {
		n = min(n, size-off)
		if _, err := file.WriteAt(zeros[:n], off); err != nil {
			return err
		}
		if !all {
			return nil
		}
	}
	if err := file.Sync(); err != nil {
		return &FatalError{err}
	}
	return nil
}
