package audittrail

import (
	"context"
	"fmt"

	"audittrail/keyring"
	"audittrail/record"
)

// Subject returns the data subject under which a user's records stand, and
// whether there is one: who was never recorded has none, nor has who was
// erased.
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

// EachUser calls use with every user whom the keyring knows, erased ones left
// out, in no particular order. If begin is called again, another process has
// replaced the keyring meanwhile, and what came before is void. Neither function
// may use the log.
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

// User returns whose subject it is, if its state is Readable. The subject of
// records about nobody has the empty user.
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

// Session returns what stands in the records of a session in the place of its
// id.
func (l *Log) Session(id string) ([16]byte, error) {
	if l.ring == nil {
		return [16]byte{}, fmt.Errorf("find session: %w", ErrNoKeys)
	}
	return l.ring.Session(id), nil
}

// Generation returns the keyring's generation, in a reader that of its writer.
// It changes with every destruction: whoever keeps opened content, or keys of
// files, lets go of it then.
func (l *Log) Generation() (uint64, error) {
	if l.ring == nil {
		return 0, ErrNoKeys
	}
	generation, err := l.ring.CurrentGeneration()
	if err != nil {
		return 0, err
	}
	if seq, some, err := l.eraser.newestUnapplied(); err != nil || some {
		return generation ^ (seq+1)<<32, err
	}
	return generation, nil
}

// NewFileKey makes a key for a sealed file that is derived from the log's
// contents. It is durable when it returns, and is destroyed with the people and
// months whose contents the file holds: see Options.Purge.
func (l *Log) NewFileKey() (keyring.FileID, keyring.FileKey, error) {
	if l.ring == nil {
		return keyring.FileID{}, keyring.FileKey{}, ErrNoKeys
	}
	return l.ring.NewFileKey()
}

// FileKey returns the key of a derived file. The error is keyring.ErrLost if it
// is gone: the file is to be made anew from the log.
func (l *Log) FileKey(id keyring.FileID) (keyring.FileKey, error) {
	if l.ring == nil {
		return keyring.FileKey{}, ErrNoKeys
	}
	if _, some, err := l.eraser.newestUnapplied(); err != nil {
		return keyring.FileKey{}, err
	} else if some { // the file may have text of those who are to be forgotten
		return keyring.FileKey{}, keyring.ErrLost
	}
	return l.ring.FileKey(id)
}

// FileKeys returns the ids of the derived files that have a key.
func (l *Log) FileKeys() ([]keyring.FileID, error) {
	if l.ring == nil {
		return nil, ErrNoKeys
	}
	return l.ring.FileKeys()
}

// DropFileKeys lets go of the keys of derived files that were replaced.
func (l *Log) DropFileKeys(ids ...keyring.FileID) error {
	if l.ring == nil {
		return ErrNoKeys
	}
	return l.ring.DropFileKeys(ids...)
}
