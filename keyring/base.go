package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"audittrail/internal/vfs"
)

const (
	ringPrefix = "ring-"
	tornPrefix = "torn-"
	tmpSuffix  = ".tmp"
	filePerm   = 0o600
	dirPerm    = 0o700

	writeSize = 256 << 10 // bytes that are written at once
)

// A fatalError is one after which it is not known what the disk holds.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// A base is what one generation begins with.
type base struct {
	generation uint64
	origin     string
	master     Secret
	wrapping   key

	// pages is called first, and may set what follows.
	pages   func(emitter) (live uint64, err error)
	meta    *meta
	classes [][]byte
}

// write makes the file of a generation, synced, under a name that nobody opens.
func (b *base) write(fsys vfs.FS, name string) error {
	if err := wipe(fsys, name, true); err != nil { // the rest of an earlier attempt
		return err
	}
	file, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return fmt.Errorf("create ring: %w", err)
	}
	err = b.fill(file)
	if err == nil {
		if serr := file.Sync(); serr != nil {
			err = &fatalError{fmt.Errorf("sync %s: %w", name, serr)}
		}
	}
	if cerr := file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close %s: %w", name, cerr)
	}
	if err != nil {
		// It holds keys. What stays of it now goes at the next attempt.
		return errors.Join(err, wipe(fsys, name, true))
	}
	return nil
}

func (b *base) fill(file vfs.File) error {
	seal, err := newSealer(&b.wrapping, b.generation)
	if err != nil {
		return err
	}
	head := header{Generation: b.generation, Origin: b.origin, Wrapped: make([]byte, wrapped), Master: b.master.Fingerprint()}
	w := baseWriter{file: file, seal: seal, off: int64(len(head.encode()))}
	if w.dir.live, err = b.pages(w.page); err != nil {
		return err
	}
	state, err := b.meta.encode()
	if err != nil {
		return fmt.Errorf("encode the ring's own state: %w", err)
	}
	defer clear(state)
	head.Directory = hex64(w.off)
	for _, payload := range w.dir.encode() {
		w.frame(kindDirectory, payload)
	}
	for _, payload := range b.classes {
		w.frame(kindEntries, payload)
		clear(payload)
	}
	if len(state) > maxPayload {
		return fmt.Errorf("the ring's own state has %d bytes; the limit is %d", len(state), maxPayload)
	}
	w.frame(kindMeta, state)
	head.Journal = hex64(w.off)
	if err := w.flush(); err != nil {
		return err
	}
	if err := head.wrap(b.master, &b.wrapping); err != nil {
		return err
	}
	if _, err := file.WriteAt(head.encode(), 0); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}

// A baseWriter writes frames one behind the other, and the header at the end:
// only then are its offsets known.
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

// page is an emitter.
func (w *baseWriter) page(kind byte, first pageKey, payload []byte) error {
	list := &w.dir.subjects
	if kind == kindUsers {
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

// wipe overwrites a file with zeros and removes it. The header, which holds
// the wrapping key, goes first: readers know by it that the generation is over.
// If nothing in the file is to be forgotten, the header alone will do.
func wipe(fsys vfs.FS, name string, all bool) error {
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
	if err == nil {
		err = fsys.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("wipe %s: %w", name, err)
	}
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
		return &fatalError{err}
	}
	return nil
}

// makeDir creates a folder and makes its name durable, and those of the
// folders above it that it took. The folder's own name is synced even if it
// was there: whoever made it may have been killed before.
func makeDir(fsys vfs.FS, dir string) error {
	top := filepath.Clean(dir)
	for {
		if _, err := fsys.Stat(top); err == nil || filepath.Dir(top) == top {
			break
		}
		top = filepath.Dir(top)
	}
	if err := fsys.MkdirAll(dir, dirPerm); err != nil {
		return fmt.Errorf("create keyring folder: %w", err)
	}
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if err := fsys.SyncDir(filepath.Dir(d)); err != nil {
			return fmt.Errorf("sync %s: %w", filepath.Dir(d), err)
		}
		if d == top || filepath.Dir(d) == top {
			return nil
		}
	}
}

// replace writes the next generation and puts it in the place of this one.
func (r *Ring) replace(m *meta, master Secret) error {
	generation := r.st.head.Generation + 1
	b := base{
		generation: generation, origin: r.origin, master: master,
		pages: r.st.pages, meta: m, classes: r.st.classEntries(),
	}
	if _, err := io.ReadFull(r.o.Rand, b.wrapping[:]); err != nil {
		return fmt.Errorf("make wrapping key: %w", err)
	}
	defer clear(b.wrapping[:])
	name := r.ringName(generation)
	if err := b.write(r.o.FS, name+tmpSuffix); err != nil {
		return err
	}
	// From here on the new file may be the ring, whatever fails: then nothing
	// must be written to the old one any more.
	if err := r.o.FS.Rename(name+tmpSuffix, name); err != nil {
		return &fatalError{fmt.Errorf("put ring in place: %w", err)}
	}
	if err := r.o.FS.SyncDir(r.dir); err != nil {
		return &fatalError{fmt.Errorf("sync %s: %w", r.dir, err)}
	}
	file, err := r.o.FS.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return &fatalError{fmt.Errorf("open ring: %w", err)}
	}
	r.master = master
	st, err := r.loadFile(context.Background(), file, generation)
	if err != nil {
		return &fatalError{errors.Join(err, file.Close())}
	}
	old := r.st
	r.st, r.unswept = st, true
	clear(r.pending)
	r.pending = nil
	r.unflushed.Store(0)
	r.setCompact()
	if err := old.close(); err != nil {
		return fmt.Errorf("close %s: %w", old.name, err)
	}
	return nil
}
