package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"audittrail/record"
)

// An emitter takes the pages of a base: all those of subjects, then all those
// of users, each in ascending order.
type emitter func(kind byte, first pageKey, payload []byte) error

// pages merges base and journal into the pages of a new base, and returns how
// many subjects in them have a key.
func (s *state) pages(emit emitter) (live uint64, err error) {
	var enc []byte
	subjects := pager{emit: func(first pageKey, page []byte) error { return emit(kindSubjects, first, page) }}
	err = s.eachSubject(func(e *entry) error {
		if e.kind == subjectLive {
			live++
		}
		enc = appendEntry(enc[:0], e)
		return subjects.add(e.subject, enc)
	})
	if err == nil {
		err = subjects.flush()
	}
	if err != nil {
		return 0, err
	}
	users := pager{emit: func(first pageKey, page []byte) error { return emit(kindUsers, first, page) }}
	err = s.eachUser(func(u userRef) error {
		enc = append(append(enc[:0], u.hash[:]...), u.subject[:]...)
		return users.add(u.hash, enc)
	})
	if err == nil {
		err = users.flush()
	}
	clear(enc)
	return live, err
}

// eachSubject calls f with the entries of base and journal, by subject.
func (s *state) eachSubject(f func(*entry) error) error {
	news := slices.SortedFunc(maps.Keys(s.subjects), compareKeys)
	fresh := func(id record.Subject) error {
		sub := s.subjects[id]
		e := entry{kind: subjectLive, subject: id, user: []byte(sub.user), key: sub.key, seq: sub.seq}
		if sub.erased {
			e.kind = subjectErased
		}
		return f(&e)
	}
	old := func(e *entry) error {
		if e.kind != subjectLive && e.kind != subjectErased {
			return errors.New("page of subjects holds something else")
		}
		for len(news) > 0 && compareKeys(news[0], e.subject) < 0 {
			if err := fresh(news[0]); err != nil {
				return err
			}
			news = news[1:]
		}
		if len(news) > 0 && news[0] == e.subject {
			return nil // the journal's word counts; it comes in its turn
		}
		return f(e)
	}
	for _, ref := range s.dir.subjects {
		page, err := s.page(ref, kindSubjects)
		if err != nil {
			return err
		}
		if err := decodeEntries(page, old); err != nil {
			return fmt.Errorf("merge page at byte %d of %s: %w", ref.off, s.name, err)
		}
		clear(page)
	}
	for _, id := range news {
		if err := fresh(id); err != nil {
			return err
		}
	}
	return nil
}

type userRef struct {
	hash    pageKey
	subject record.Subject
}

// eachUser calls f for every user who has a live subject, by hash.
func (s *state) eachUser(f func(userRef) error) error {
	news := make([]userRef, 0, len(s.users))
	for user, id := range s.users {
		if user != "" { // the system's subject is found without
			news = append(news, userRef{s.hash.user(user), id})
		}
	}
	slices.SortFunc(news, func(a, b userRef) int { return slices.Compare(a.hash[:], b.hash[:]) })
	for _, ref := range s.dir.users {
		page, err := s.page(ref, kindUsers)
		if err != nil {
			return err
		}
		if len(page)%userLen != 0 {
			return s.damaged(ref.off, errors.New("page of users is of an odd length"))
		}
		for ; len(page) > 0; page = page[userLen:] {
			u := userRef{pageKey(page), record.Subject(page[hashLen:])}
			for len(news) > 0 && compareKeys(news[0].hash, u.hash) <= 0 {
				if err := f(news[0]); err != nil {
					return err
				}
				news = news[1:]
			}
			if s.subjects[u.subject].erased {
				continue
			}
			if err := f(u); err != nil {
				return err
			}
		}
	}
	for _, u := range news {
		if err := f(u); err != nil {
			return err
		}
	}
	return nil
}

func compareKeys[K ~[16]byte](a, b K) int { return bytes.Compare(a[:], b[:]) }

// classEntries returns all classes as the payloads of frames, in one order.
func (s *state) classEntries() [][]byte {
	var all [][]byte
	for _, name := range slices.Sorted(maps.Keys(s.classes)) {
		c := s.classes[name]
		e := entry{kind: classLive, class: []byte(name), key: c.key, seq: c.seq}
		if c.expired {
			e.kind = classExpired
		}
		all = append(all, appendEntry(nil, &e))
	}
	return chunk(all)
}

// chunk joins entries into payloads that fit a frame.
func chunk(entries [][]byte) [][]byte {
	var out [][]byte
	for _, e := range entries {
		if n := len(out) - 1; n >= 0 && len(out[n])+len(e) <= maxPayload {
			out[n] = append(out[n], e...)
		} else {
			out = append(out, bytes.Clone(e))
		}
	}
	return out
}
