package ringfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// A File is one generation of a ring: its base, read on demand, and the entries
// of the journal, in memory. It has no lock: a caller that changes it must
// exclude all others.
type File struct {
	name string
	file vfs.File
	head *header
	body int64 // offset of the first page
	tail int64 // offset after the last whole frame
	end  int64 // length of the file when it was read
	seal *sealer
	dir  directory

	subjects map[record.Subject]Subject // of the journal, which is newer than the base
	users    map[string]record.Subject  // of those in subjects that are live
	classes  map[string]Class
	files    map[PageKey]Key   // keys of derived files
	escrows  map[string]Escrow // by class
	filed    int               // entries about files in the journal
	meta     *Meta
	hash     *Hasher
	live     int  // subjects that have a key, including the system
	dying    bool // the file contains destroyed keys
}

// A Subject is the state of a data subject. It has a key until it is erased.
type Subject struct {
	Key    Key
	User   string
	Erased bool
	Seq    uint64 // the record that ordered the destruction
}

// A Class is the state of a class.
type Class struct {
	Key     Key
	Expired bool
	Seq     uint64 // the record that ordered the destruction
}

// An Escrow is the place of the keys to records that a legal hold keeps
// although their class has expired: an encrypted file, and the key to it.
type Escrow struct {
	File PageKey
	Key  Key
	Seq  uint64 // the record up to which holds were taken into account
}

// Load reads an open file, except for its pages: directory, classes and the
// rest of the base, then the journal as far as its frames are whole. It gets
// the master key from master, by its fingerprint.
func Load(file vfs.File, name string, generation uint64, master func(fingerprint string) (*Key, error)) (*File, error) {
	start := make([]byte, maxHeader)
	n, err := file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	head, body, err := parseHeader(start[:n])
	if err == nil && head.Generation != generation {
		err = fmt.Errorf("header is of generation %d", head.Generation)
	}
	if errors.Is(err, ErrNewerFormat) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if err != nil {
		return nil, &DamagedError{File: name, Detail: err.Error()}
	}
	key, err := master(head.Master)
	if err != nil {
		return nil, err
	}
	wrapping, err := head.unwrap(key)
	if err != nil {
		return nil, &DamagedError{File: name, Detail: err.Error()}
	}
	defer clear(wrapping[:])
	f := newFile(name, head.Origin)
	f.file, f.head, f.body, f.tail = file, head, int64(body), int64(head.Directory)
	if f.seal, err = newSealer(wrapping, generation); err != nil {
		return nil, err
	}
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if err := f.loadBase(size); err != nil {
		return nil, err
	}
	// Growing the maps step by step would take longer than reading the journal.
	hint := int(min(max(0, size-f.tail)/journalEntry, 1<<16))
	f.subjects, f.users = make(map[record.Subject]Subject, hint), make(map[string]record.Subject, hint)
	return f, f.replay(size)
}

// journalEntry is about the size of a subject in the journal.
const journalEntry = 80

func newFile(name, origin string) *File {
	return &File{
		name: name, head: &header{Origin: origin},
		subjects: map[record.Subject]Subject{}, users: map[string]record.Subject{}, classes: map[string]Class{},
		files: map[PageKey]Key{}, escrows: map[string]Escrow{},
	}
}

// New returns a ring that is not in a file yet: it has an empty base.
func New(origin string, m *Meta) *File {
	f := newFile("", origin)
	f.setMeta(m)
	return f
}

func (f *File) damaged(off int64, err error) error {
	return &DamagedError{File: f.name, Offset: off, Detail: err.Error()}
}

// Damaged returns an error that reports damage at the file's end.
func (f *File) Damaged(detail string) error {
	return &DamagedError{File: f.name, Offset: f.tail, Detail: detail}
}

// loadBase reads the end of the base, all of which was synced before the file
// got its name, so that no frame can be torn.
func (f *File) loadBase(size int64) error {
	end := int64(f.head.Journal)
	if end > size {
		return f.damaged(size, errors.New("file is cut off within its base"))
	}
	frames := f.frames(f.tail, end)
	next, left := f.body, int64(-1) // frames of the directory to come; not known before the first
	for f.tail < end {
		kind, payload, n, err := f.seal.next(frames, f.tail)
		if err != nil {
			return f.frameError(err)
		}
		switch {
		case kind == KindDirectory && left != 0:
			before := left
			next, left, err = f.dir.decode(payload, next)
			if err == nil && before > 0 && left != before-1 {
				err = errors.New("directory lacks a frame")
			}
		case kind == KindDirectory || left != 0:
			err = errors.New("directory is in the wrong place")
		default:
			err = f.apply(kind, payload)
		}
		if err != nil {
			return f.damaged(f.tail, err)
		}
		f.tail += n
	}
	if left != 0 || next != int64(f.head.Directory) || f.meta == nil || len(f.subjects) > 0 || f.dir.live > 1<<31-1 {
		return f.damaged(int64(f.head.Directory), errors.New("base is not complete"))
	}
	f.live, f.filed, f.dying = int(f.dir.live), 0, false
	return nil
}

// Replay reads the frames that were appended to the file since it was loaded.
func (f *File) Replay() error {
	size, err := f.file.Size()
	if err != nil {
		return fmt.Errorf("read %s: %w", f.name, err)
	}
	return f.replay(size)
}

// replay reads the journal from the last frame read up to size. It stops before
// a frame that is not whole: Torn decides whether that is an error.
func (f *File) replay(size int64) error {
	f.end = size
	frames := f.frames(f.tail, size)
	for f.tail < size {
		kind, payload, n, err := f.seal.next(frames, f.tail)
		if bad := (*badFrame)(nil); errors.As(err, &bad) {
			return nil
		}
		if err != nil {
			return f.frameError(err)
		}
		if err := f.apply(kind, payload); err != nil {
			return f.damaged(f.tail, err)
		}
		f.tail += n
	}
	return nil
}

func (f *File) frames(from, to int64) io.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(f.file, from, to-from), 64<<10)
}

// frameError distinguishes a damaged frame from one that cannot be read.
func (f *File) frameError(err error) error {
	if bad := (*badFrame)(nil); errors.As(err, &bad) {
		return f.damaged(f.tail, err)
	}
	if errors.Is(err, io.EOF) {
		return f.damaged(f.tail, errors.New("file is cut off"))
	}
	return fmt.Errorf("read %s: %w", f.name, err)
}

// apply applies one frame of the journal, or of the base after its directory.
func (f *File) apply(kind byte, payload []byte) error {
	switch kind {
	case KindEntries:
		return DecodeEntries(payload, f.Note)
	case KindMeta:
		m, err := parseMeta(payload)
		if err != nil {
			return err
		}
		f.setMeta(m)
		return nil
	}
	return fmt.Errorf("frame of unknown kind %d", kind)
}

func (f *File) setMeta(m *Meta) {
	if f.hash == nil {
		f.hash = NewHasher(m.Secret) // the secret never changes
	}
	f.meta = m
}

// Note applies one entry, which is not in the file until it is written.
func (f *File) Note(e *Entry) error {
	switch e.Kind {
	case ClassLive:
		if _, ok := f.classes[string(e.Class)]; ok {
			return errors.New("a class has two keys")
		}
		f.classes[string(e.Class)] = Class{Key: e.Key}
	case ClassExpired:
		f.classes[string(e.Class)] = Class{Expired: true, Seq: e.Seq}
		f.dying = true
	case SubjectLive:
		if _, ok := f.subjects[e.Subject]; ok {
			return errors.New("a subject has two keys")
		}
		user := string(e.User)
		f.subjects[e.Subject] = Subject{Key: e.Key, User: user}
		f.users[user] = e.Subject
		f.live++
	case SubjectErased:
		old, known, err := f.Subject(e.Subject)
		if err != nil {
			return err
		}
		if known && !old.Erased {
			f.live--
			if f.users[old.User] == e.Subject {
				delete(f.users, old.User)
			}
		}
		f.subjects[e.Subject] = Subject{Erased: true, Seq: e.Seq}
		f.dying = true
	default:
		return f.noteFile(e)
	}
	return nil
}

// noteFile applies an entry about a derived file. A dropped key is not
// destroyed at once: it is no longer in the next generation, and so at the
// latest destroyed with the next destruction.
func (f *File) noteFile(e *Entry) error {
	f.filed++
	switch e.Kind {
	case FileLive:
		if _, ok := f.files[e.File]; ok {
			return errors.New("a file has two keys")
		}
		f.files[e.File] = e.Key
	case FileGone:
		delete(f.files, e.File)
	case EscrowLive, EscrowGone:
		class := string(e.Class)
		if _, ok := f.escrows[class]; ok {
			f.dying = true
		}
		delete(f.escrows, class)
		if e.Kind == EscrowLive {
			f.escrows[class] = Escrow{File: e.File, Key: e.Key, Seq: e.Seq}
		}
	}
	return nil
}

// Torn returns the bytes after the last whole frame. It returns an error if no
// crash can leave them: if they are longer than one frame, or if they contain a
// whole frame, since every frame is synced before the next one is written.
func (f *File) Torn() ([]byte, error) {
	n := f.end - f.tail
	if n > frameHead+maxSealed {
		return nil, f.Damaged("frame is not whole, and more follows than a crash leaves")
	}
	torn := make([]byte, n)
	if got, err := f.file.ReadAt(torn, f.tail); got < len(torn) && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", f.name, err)
	}
	if f.seal.holdsFrame(torn, f.tail) {
		return nil, f.Damaged("frame is not whole, and a whole one follows")
	}
	return torn, nil
}

// Cut durably cuts off the bytes after the last whole frame.
func (f *File) Cut() error {
	if err := f.file.Truncate(f.tail); err != nil {
		return fmt.Errorf("cut %s: %w", f.name, err)
	}
	f.end = f.tail
	return f.Sync()
}

// Sync makes the file durable.
func (f *File) Sync() error {
	if err := f.file.Sync(); err != nil {
		return &FatalError{fmt.Errorf("sync %s: %w", f.name, err)}
	}
	return nil
}

// Write durably appends a frame. Nothing in memory changes until Grow is called
// with the length that it returns, so others may read meanwhile. If it fails,
// it undoes the write; if it cannot, the error is a FatalError.
func (f *File) Write(kind byte, payload []byte) (int64, error) {
	frame := f.seal.appendFrame(nil, f.tail, kind, payload)
	if _, err := f.file.WriteAt(frame, f.tail); err != nil {
		err = fmt.Errorf("write %s: %w", f.name, err)
		if terr := f.file.Truncate(f.tail); terr != nil {
			err = &FatalError{errors.Join(err, terr)}
		}
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return int64(len(frame)), nil
}

// Grow moves the end of the file to after a frame that was written.
func (f *File) Grow(n int64) { f.tail += n }

// WriteMeta makes m the ring's own state, durably.
func (f *File) WriteMeta(m *Meta) error {
	payload, err := m.Encode()
	if err != nil {
		return err
	}
	defer clear(payload)
	n, err := f.Write(KindMeta, payload)
	if err != nil {
		return err
	}
	f.Grow(n)
	f.meta.wipe()
	f.meta = m
	return nil
}

// Snapshot returns the keys of the file as they are now, except those of
// derived files, to be read through another handle.
func (f *File) Snapshot(file vfs.File) *File {
	snap := *f
	snap.file, snap.meta = file, f.meta.Clone()
	snap.subjects, snap.users, snap.classes = maps.Clone(f.subjects), maps.Clone(f.users), maps.Clone(f.classes)
	snap.files, snap.escrows = nil, maps.Clone(f.escrows)
	return &snap
}

// Close wipes the keys in memory, as far as they can be reached, and closes
// the file.
func (f *File) Close() error {
	for id := range f.subjects {
		f.subjects[id] = Subject{}
	}
	for name := range f.classes {
		f.classes[name] = Class{}
	}
	for id := range f.files {
		f.files[id] = Key{}
	}
	for class := range f.escrows {
		f.escrows[class] = Escrow{}
	}
	clear(f.files)
	clear(f.escrows)
	clear(f.subjects)
	clear(f.users)
	clear(f.classes)
	f.meta.wipe()
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", f.name, err)
	}
	return nil
}
