package keyring

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// A state is one generation of a ring: its base, read on demand, and what the
// journal says since, in memory.
type state struct {
	name string // of the file
	file vfs.File
	head *header
	body int64 // offset of the first page
	tail int64 // offset behind the last whole frame
	end  int64 // length of the file when it was read
	seal *sealer
	dir  directory

	subjects map[record.Subject]subject // what the journal says; counts before the base
	users    map[string]record.Subject  // of the live ones among them
	classes  map[string]class
	meta     *meta
	hash     *hasher
	signer   *signer
	live     int  // subjects that have a key, the system's among them
	dying    bool // the file holds keys that are destroyed
}

type subject struct {
	key    key
	user   string
	erased bool
	seq    uint64
}

type class struct {
	key     key
	expired bool
	seq     uint64
}

// load reads what a ring's file says at its end: directory, classes and
// everything else of the base, then the journal as far as its frames are whole.
func load(file vfs.File, name string, head *header, body int64, wrapping *key) (*state, error) {
	seal, err := newSealer(wrapping, head.Generation)
	if err != nil {
		return nil, err
	}
	s := &state{
		name: name, file: file, head: head, body: body, tail: int64(head.Directory), seal: seal,
		subjects: map[record.Subject]subject{}, users: map[string]record.Subject{}, classes: map[string]class{},
	}
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if err := s.loadBase(size); err != nil {
		return nil, err
	}
	return s, s.replay(size)
}

func (s *state) damaged(off int64, err error) error {
	return &DamagedError{File: s.name, Offset: off, Detail: err.Error()}
}

// loadBase reads the base's end, all of which was synced before the file got
// its name: here nothing can be torn.
func (s *state) loadBase(size int64) error {
	end := int64(s.head.Journal)
	if end > size {
		return s.damaged(size, errors.New("file is cut off within its base"))
	}
	frames := s.frames(s.tail, end)
	next, left := s.body, int64(-1) // frames of the directory to come; not known before the first
	for s.tail < end {
		kind, payload, n, err := s.seal.next(frames, s.tail)
		if err != nil {
			return s.frameError(err)
		}
		switch {
		case kind == kindDirectory && left != 0:
			before := left
			next, left, err = s.dir.decode(payload, next)
			if err == nil && before > 0 && left != before-1 {
				err = errors.New("directory lacks a frame")
			}
		case kind == kindDirectory || left != 0:
			err = errors.New("directory is not where it belongs")
		default:
			err = s.apply(kind, payload)
		}
		if err != nil {
			return s.damaged(s.tail, err)
		}
		s.tail += n
	}
	if left != 0 || next != int64(s.head.Directory) || s.meta == nil || len(s.subjects) > 0 || s.dir.live > 1<<48 {
		return s.damaged(int64(s.head.Directory), errors.New("base is not complete"))
	}
	s.live, s.dying = int(s.dir.live), false
	return nil
}

// replay reads the journal from the end of what is known up to size. It stops
// in front of a frame that is not whole: what that means is for the caller.
func (s *state) replay(size int64) error {
	s.end = size
	frames := s.frames(s.tail, size)
	for s.tail < size {
		kind, payload, n, err := s.seal.next(frames, s.tail)
		if bad := (*badFrame)(nil); errors.As(err, &bad) {
			return nil
		}
		if err != nil {
			return s.frameError(err)
		}
		if err := s.apply(kind, payload); err != nil {
			return s.damaged(s.tail, err)
		}
		s.tail += n
	}
	return nil
}

func (s *state) frames(from, to int64) io.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(s.file, from, to-from), 64<<10)
}

// frameError tells a frame that is damaged from one that cannot be read.
func (s *state) frameError(err error) error {
	if bad := (*badFrame)(nil); errors.As(err, &bad) {
		return s.damaged(s.tail, err)
	}
	if errors.Is(err, io.EOF) {
		return s.damaged(s.tail, errors.New("file is cut off"))
	}
	return fmt.Errorf("read %s: %w", s.name, err)
}

// apply takes in one frame of the journal, or of the base behind its directory.
func (s *state) apply(kind byte, payload []byte) error {
	switch kind {
	case kindEntries:
		return decodeEntries(payload, s.note)
	case kindMeta:
		m, err := parseMeta(payload)
		if err != nil {
			return err
		}
		return s.setMeta(m)
	}
	return fmt.Errorf("frame is of the unknown kind %d", kind)
}

func (s *state) setMeta(m *meta) error {
	if s.hash == nil {
		s.hash = newHasher(m.Secret) // the secret stays for life
	}
	last := m.Signers[len(m.Signers)-1]
	signer, vkey, err := newSigner(s.head.Origin, last.Seed)
	if err != nil || vkey != last.VKey {
		return errMeta
	}
	s.meta, s.signer = m, signer
	return nil
}

// note takes in one entry.
func (s *state) note(e *entry) error {
	switch e.kind {
	case classLive:
		if _, ok := s.classes[string(e.class)]; ok {
			return errors.New("a class has two keys")
		}
		s.classes[string(e.class)] = class{key: e.key}
	case classExpired:
		s.classes[string(e.class)] = class{expired: true, seq: e.seq}
		s.dying = true
	case subjectLive:
		if _, ok := s.subjects[e.subject]; ok {
			return errors.New("a subject has two keys")
		}
		user := string(e.user)
		s.subjects[e.subject] = subject{key: e.key, user: user}
		s.users[user] = e.subject
		s.live++
	case subjectErased:
		old, known, err := s.subject(e.subject)
		if err != nil {
			return err
		}
		if known && !old.erased {
			s.live--
			if s.users[old.user] == e.subject {
				delete(s.users, old.user)
			}
		}
		s.subjects[e.subject] = subject{erased: true, seq: e.seq}
		s.dying = true
	}
	return nil
}

// page reads one page of the base.
func (s *state) page(ref pageRef, kind byte) ([]byte, error) {
	frame := make([]byte, ref.size)
	if n, err := s.file.ReadAt(frame, ref.off); n < len(frame) {
		if err == io.EOF {
			return nil, s.damaged(ref.off, errors.New("page is cut off"))
		}
		return nil, fmt.Errorf("read %s: %w", s.name, err)
	}
	got, payload, err := s.seal.open(frame, ref.off)
	if err == nil && got != kind {
		err = fmt.Errorf("frame is of kind %d where one of kind %d belongs", got, kind)
	}
	if err != nil {
		return nil, s.damaged(ref.off, err)
	}
	return payload, nil
}

// subject returns what is known of a subject.
func (s *state) subject(id record.Subject) (subject, bool, error) {
	if sub, ok := s.subjects[id]; ok {
		return sub, true, nil
	}
	i := find(s.dir.subjects, id)
	if i < 0 {
		return subject{}, false, nil
	}
	ref := s.dir.subjects[i]
	page, err := s.page(ref, kindSubjects)
	if err != nil {
		return subject{}, false, err
	}
	e, ok, err := findSubject(page, id)
	if err != nil {
		return subject{}, false, s.damaged(ref.off, err)
	}
	return e.asSubject(), ok, nil
}

func (e *entry) asSubject() subject {
	return subject{key: e.key, user: string(e.user), erased: e.kind == subjectErased, seq: e.seq}
}

// byUser returns the live subject of a user, if there is one. The empty user
// is the system.
func (s *state) byUser(user string) (record.Subject, subject, bool, error) {
	id, ok := s.users[user]
	if user == "" {
		id, ok = record.Subject(s.meta.System), true
	}
	if !ok {
		var err error
		if id, ok, err = s.inUsers(s.hash.user(user)); err != nil || !ok {
			return id, subject{}, false, err
		}
	}
	sub, ok, err := s.subject(id)
	if err == nil && (!ok || !sub.erased && sub.user != user) {
		err = s.damaged(0, errors.New("pages of users and of subjects contradict each other"))
	}
	return id, sub, ok && !sub.erased, err
}

func (s *state) inUsers(h pageKey) (record.Subject, bool, error) {
	i := find(s.dir.users, h)
	if i < 0 {
		return record.Subject{}, false, nil
	}
	ref := s.dir.users[i]
	page, err := s.page(ref, kindUsers)
	if err != nil {
		return record.Subject{}, false, err
	}
	id, ok, err := findUser(page, h)
	if err != nil {
		return record.Subject{}, false, s.damaged(ref.off, err)
	}
	return id, ok, nil
}

// close wipes what the state holds of secrets, and closes the file.
func (s *state) close() error {
	for id := range s.subjects {
		s.subjects[id] = subject{}
	}
	for name := range s.classes {
		s.classes[name] = class{}
	}
	clear(s.subjects)
	clear(s.users)
	clear(s.classes)
	s.meta.wipe()
	return s.file.Close()
}
