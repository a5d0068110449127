package audittrail

import (
	"context"
	"fmt"

	"audittrail/record"
)

// Subject returns the data subject of the records about a user, and whether
// there is one: a user who was never recorded, or was erased, has none.
func (l *Log) Subject(user string) (record.Subject, bool, error) {
	if l.ring == nil {
		return record.Subject{}, false, fmt.Errorf("find subject: %w", ErrNoKeys)
	}
	s, ok, err := l.ring.LookupUser(user)
	if err != nil || !ok {
		return record.Subject{}, false, err
	}
	state, err := l.eraser.Refused(s, "")
	return s, err == nil && state == record.Readable, err
}

// EachUser calls use with every user in the keyring, without erased ones, in no
// particular order. If begin is called again, another process has replaced the
// keyring meanwhile, and the users before are void. Neither function may use
// the log.
func (l *Log) EachUser(ctx context.Context, begin func(), use func(user string, s record.Subject) error) error {
	if l.ring == nil {
		return fmt.Errorf("list users: %w", ErrNoKeys)
	}
	return l.ring.EachUser(ctx, begin, func(user string, s record.Subject) error {
		if state, err := l.eraser.Refused(s, ""); err != nil || state != record.Readable {
			return err
		}
		return use(user, s)
	})
}

// User returns the user of a subject, if the state of the subject is Readable.
// For the subject of records about nobody, the user is empty.
func (l *Log) User(s record.Subject) (string, record.State, error) { return l.eraser.user(s) }

// StateOf returns the state of the records about a subject in a class, such as
// "standard/2026-11".
func (l *Log) StateOf(s record.Subject, class string) (record.State, error) {
	if l.ring == nil {
		return record.Sealed, nil
	}
	_, state, err := l.eraser.opening(s, class)
	return state, err
}

// Session returns the keyed hash that the records of a session contain instead
// of the session's id.
func (l *Log) Session(id string) ([16]byte, error) {
	if l.ring == nil {
		return [16]byte{}, fmt.Errorf("find session: %w", ErrNoKeys)
	}
	return l.ring.Session(id), nil
}
