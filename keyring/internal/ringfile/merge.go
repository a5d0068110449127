package ringfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"audittrail/record"
)

// An Emitter takes the pages of a base: all those of subjects, then all those
// of users, each in ascending order.
type Emitter func(kind byte, first PageKey, payload []byte) error

// Pages merges base and journal into the pages of a new base, and returns how
// many subjects in them have a key.
func (f *File) Pages(emit Emitter) (live uint64, err error) {
	var enc []byte
	subjects := pager{emit: func(first PageKey, page []byte) error { return emit(KindSubjects, first, page) }}
	err = f.eachSubject(func(e *Entry) error {
		if e.Kind == SubjectLive {
			live++
		}
		enc = AppendEntry(enc[:0], e)
		return subjects.add(e.Subject, enc)
	})
	if err == nil {
		err = subjects.flush()
	}
	if err != nil {
		return 0, err
	}
	users := pager{emit: func(first PageKey, page []byte) error { return emit(KindUsers, first, page) }}
	err = f.eachUser(func(u userRef) error {
		enc = append(append(enc[:0], u.hash[:]...), u.subject[:]...)
		return users.add(u.hash, enc)
	})
	if err == nil {
		err = users.flush()
	}
	clear(enc)
	return live, err
}

// eachSubject calls fn with the entries of base and journal, by subject.
func (f *File) eachSubject(fn func(*Entry) error) error {
	news := slices.SortedFunc(maps.Keys(f.subjects), compareKeys)
	fresh := func() error {
		id := news[0]
		news = news[1:]
		sub := f.subjects[id]
		e := Entry{Kind: SubjectLive, Subject: id, User: []byte(sub.User), Key: sub.Key, Seq: sub.Seq}
		if sub.Erased {
			e.Kind = SubjectErased
		}
		return fn(&e)
	}
	old := func(e *Entry) error {
		if e.Kind != SubjectLive && e.Kind != SubjectErased {
			return errors.New("page of subjects has an entry of another kind")
		}
		for len(news) > 0 && compareKeys(news[0], e.Subject) < 0 {
			if err := fresh(); err != nil {
				return err
			}
		}
		if len(news) > 0 && news[0] == e.Subject {
			return fresh() // the journal is newer
		}
		return fn(e)
	}
	for _, ref := range f.dir.subjects {
		page, err := f.page(ref, KindSubjects)
		if err != nil {
			return err
		}
		if err := DecodeEntries(page, old); err != nil {
			return fmt.Errorf("merge page at byte %d of %s: %w", ref.off, f.name, err)
		}
		clear(page)
	}
	for len(news) > 0 {
		if err := fresh(); err != nil {
			return err
		}
	}
	return nil
}

// EachUser calls use with every user who has a live subject, in no particular
// order. The bytes are valid only until use returns.
func (f *File) EachUser(use func(user []byte, id record.Subject) error) error {
	return f.eachSubject(func(e *Entry) error {
		if e.Kind != SubjectLive || len(e.User) == 0 {
			return nil
		}
		return use(e.User, e.Subject)
	})
}

type userRef struct {
	hash    PageKey
	subject record.Subject
}

// eachUser calls fn for every user who has a live subject, by hash.
func (f *File) eachUser(fn func(userRef) error) error {
	news := make([]userRef, 0, len(f.users))
	for user, id := range f.users {
		if user != "" { // the system's subject is found without an entry
			news = append(news, userRef{f.hash.user(user), id})
		}
	}
	slices.SortFunc(news, func(a, b userRef) int { return compareKeys(a.hash, b.hash) })
	for _, ref := range f.dir.users {
		page, err := f.page(ref, KindUsers)
		if err != nil {
			return err
		}
		if len(page)%userLen != 0 {
			return f.damaged(ref.off, errOddUsers)
		}
		for ; len(page) > 0; page = page[userLen:] {
			u := userRef{PageKey(page), record.Subject(page[hashLen:])}
			for len(news) > 0 && compareKeys(news[0].hash, u.hash) <= 0 {
				if err := fn(news[0]); err != nil {
					return err
				}
				news = news[1:]
			}
			if f.subjects[u.subject].Erased {
				continue
			}
			if err := fn(u); err != nil {
				return err
			}
		}
	}
	for _, u := range news {
		if err := fn(u); err != nil {
			return err
		}
	}
	return nil
}

func compareKeys[K ~[16]byte](a, b K) int { return bytes.Compare(a[:], b[:]) }

// Entries returns all classes, then derived files and escrows, each in order,
// as the payloads of frames.
func (f *File) Entries() [][]byte { return f.entries(true) }

func (f *File) entries(derived bool) [][]byte {
	var all [][]byte
	add := func(e Entry) { all = append(all, AppendEntry(nil, &e)) }
	for _, name := range slices.Sorted(maps.Keys(f.classes)) {
		c := f.classes[name]
		e := Entry{Kind: ClassLive, Class: []byte(name), Key: c.Key, Seq: c.Seq}
		if c.Expired {
			e.Kind = ClassExpired
		}
		add(e)
	}
	for _, id := range slices.SortedFunc(maps.Keys(f.files), compareKeys) {
		if derived {
			add(Entry{Kind: FileLive, File: id, Key: f.files[id]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.escrows)) {
		c := f.escrows[name]
		add(Entry{Kind: EscrowLive, Class: []byte(name), File: c.File, Key: c.Key, Seq: c.Seq})
	}
	return Chunk(all)
}
