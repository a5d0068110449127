package keyring

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

// Domain strings of the hashes under the ring's secret.
const (
	domainSession = "audittrail/v1 session hash\x00"
	domainClient  = "audittrail/v1 client id\x00"
)

// A sealKey is what a writer looks keys up by; a sealed is the result.
type sealKey struct{ user, class string }

type sealed struct {
	subject record.Subject
	prk     record.PRK
}

var shardSeed = maphash.MakeSeed()

func (k sealKey) shard() uint { return uint(maphash.String(shardSeed, k.user)) }

// An openKey is what a reader looks keys up by.
type openKey struct {
	subject record.Subject
	class   string
}

func (k openKey) shard() uint { return uint(k.subject[0]) } // subjects are random

// EncryptionKey returns the subject and the key for a new record about a user,
// in a class such as "standard/2026-11". The empty user is the system. Missing
// keys are created: no record encrypted under them may be written before a
// later Flush has succeeded.
func (r *Ring) EncryptionKey(user, class string) (record.Subject, record.PRK, error) {
	k := sealKey{user, class}
	if v, ok := r.sealing.get(k); ok {
		return v.subject, v.prk, nil
	}
	v, err := r.makeSealed(k)
	if err != nil {
		return record.Subject{}, record.PRK{}, fmt.Errorf("find encryption key: %w", err)
	}
	return v.subject, v.prk, nil
}

func (r *Ring) makeSealed(k sealKey) (sealed, error) {
	if r.o.ReadOnly {
		return sealed{}, ErrReadOnly
	}
	if err := ringfile.CheckUser(k.user); err != nil {
		return sealed{}, err
	}
	if err := ringfile.CheckClass(k.class); err != nil {
		return sealed{}, err
	}
	// The strings may be slices of larger ones, which the cache must not keep.
	k = sealKey{strings.Clone(k.user), strings.Clone(k.class)}
	r.mu.RLock()
	v, ok, err := r.findSealed(k, false)
	r.mu.RUnlock()
	if ok || err != nil {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	v, _, err = r.findSealed(k, true)
	return v, err
}

// findSealed looks the keys up, and creates missing ones if create is set. The
// result is cached while mu is held, so that it cannot be cached after a
// destruction, which empties the caches under the same lock.
func (r *Ring) findSealed(k sealKey, create bool) (sealed, bool, error) {
	if err := r.usable(); err != nil {
		return sealed{}, false, err
	}
	c, hasClass := r.st.Class(k.class)
	if c.Expired {
		return sealed{}, false, &StateError{State: record.Expired, Class: k.class, Seq: c.Seq}
	}
	id, sub, hasSubject, err := r.st.ByUser(k.user)
	if err != nil {
		return sealed{}, false, err
	}
	if !create && (!hasClass || !hasSubject) {
		return sealed{}, false, nil
	}
	if !hasClass {
		e := ringfile.Entry{Kind: ringfile.ClassLive, Class: []byte(k.class)}
		if err := r.add(&e); err != nil {
			return sealed{}, false, err
		}
		c.Key = e.Key
	}
	if !hasSubject {
		e := ringfile.Entry{Kind: ringfile.SubjectLive, User: []byte(k.user)}
		if _, err := io.ReadFull(r.o.Rand, e.Subject[:]); err != nil {
			return sealed{}, false, fmt.Errorf("make subject: %w", err)
		}
		if err := r.add(&e); err != nil {
			return sealed{}, false, err
		}
		id, sub.Key = e.Subject, e.Key
	}
	v := sealed{id, record.ExtractPRK(&sub.Key, &c.Key, r.origin)}
	r.sealing.put(k, v)
	return v, true, nil
}

// usable returns an error if the ring cannot be written to.
func (r *Ring) usable() error {
	switch {
	case r.st == nil:
		return ErrClosed
	case r.failed != nil:
		return r.failed
	case r.o.ReadOnly:
		return ErrReadOnly
	}
	return nil
}

// add creates the key of a new entry, which is pending until it is flushed.
func (r *Ring) add(e *ringfile.Entry) error {
	if _, err := io.ReadFull(r.o.Rand, e.Key[:]); err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if err := r.st.Note(e); err != nil {
		return err
	}
	r.pending = append(r.pending, *e)
	r.unflushed.Add(1)
	return nil
}

// DecryptionKey returns the key of the records about a subject in a class. If a
// key is absent, the error is a StateError.
func (r *Ring) DecryptionKey(id record.Subject, class string) (record.PRK, error) {
	if err := r.follow(); err != nil {
		return record.PRK{}, fmt.Errorf("find decryption key: %w", err)
	}
	k := openKey{id, class}
	if prk, ok := r.opening.get(k); ok {
		return prk, nil
	}
	var prk record.PRK
	err := r.read(func(st *ringfile.File) (err error) {
		prk, err = r.findOpening(st, k)
		return err
	})
	if err != nil {
		return record.PRK{}, fmt.Errorf("find decryption key: %w", err)
	}
	return prk, nil
}

func (r *Ring) findOpening(st *ringfile.File, k openKey) (record.PRK, error) {
	sub, known, err := st.Subject(k.subject)
	if err != nil {
		return record.PRK{}, err
	}
	c, hasClass := st.Class(k.class)
	switch {
	case sub.Erased:
		return record.PRK{}, &StateError{State: record.Erased, Subject: k.subject, Seq: sub.Seq}
	case c.Expired:
		return record.PRK{}, &StateError{State: record.Expired, Class: k.class, Seq: c.Seq}
	case !known:
		return record.PRK{}, &StateError{State: record.Lost, Subject: k.subject}
	case !hasClass:
		return record.PRK{}, &StateError{State: record.Lost, Class: k.class}
	}
	prk := record.ExtractPRK(&sub.Key, &c.Key, r.origin)
	k.class = strings.Clone(k.class)
	r.opening.put(k, prk)
	return prk, nil
}

// LookupUser returns the subject of a user, if there is one that was not
// erased.
func (r *Ring) LookupUser(user string) (record.Subject, bool, error) {
	var id record.Subject
	err := r.follow()
	if err == nil {
		err = r.read(func(st *ringfile.File) error {
			found, _, ok, err := st.ByUser(user)
			if err == nil && !ok {
				err = &StateError{State: record.Lost}
			}
			id = found
			return err
		})
	}
	if errors.Is(err, ErrLost) {
		return record.Subject{}, false, nil
	}
	if err != nil {
		return record.Subject{}, false, fmt.Errorf("look up user: %w", err)
	}
	return id, true, nil
}

// User returns the user of a subject; that of the system is empty. If the user
// is no longer known, the error is a StateError.
func (r *Ring) User(id record.Subject) (string, error) {
	var user string
	err := r.follow()
	if err == nil {
		err = r.read(func(st *ringfile.File) error {
			sub, known, err := st.Subject(id)
			switch {
			case err != nil:
				return err
			case sub.Erased:
				return &StateError{State: record.Erased, Subject: id, Seq: sub.Seq}
			case !known:
				return &StateError{State: record.Lost, Subject: id}
			}
			user = sub.User
			return nil
		})
	}
	if err != nil {
		return "", fmt.Errorf("look up subject: %w", err)
	}
	return user, nil
}

// EachUser calls use with every user who has a subject that was not erased, in
// no particular order. In a reader it may start over, because the writer
// replaced the ring: begin is called at each start. Neither function may use
// the ring.
func (r *Ring) EachUser(ctx context.Context, begin func(), use func(user string, id record.Subject) error) error {
	err := r.follow()
	if err == nil {
		err = r.read(func(st *ringfile.File) error {
			begin()
			return st.EachUser(func(user []byte, id record.Subject) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return use(string(user), id)
			})
		})
	}
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	return nil
}

// Session returns the hash that records have for a session id.
func (r *Ring) Session(id string) [16]byte {
	sum := r.hash.Sum(domainSession, id)
	return [16]byte(sum[:16])
}

// DeriveRecordID returns the id of a record for which the producer gave its own
// id: a UUID of version 8 (RFC 9562), always the same for the same id.
func (r *Ring) DeriveRecordID(id string) record.ID {
	sum := r.hash.Sum(domainClient, id)
	uuid := record.ID(sum[:16])
	uuid[6] = uuid[6]&0x0f | 0x80
	uuid[8] = uuid[8]&0x3f | 0x80
	return uuid
}
