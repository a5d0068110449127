package keyring

import (
	"errors"
	"fmt"

	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

var (
	// ErrNoKeyring reports that the folder contains no ring.
	ErrNoKeyring = errors.New("no keyring")
	// ErrExists reports that the folder already contains a ring.
	ErrExists = errors.New("a keyring exists already")
	// ErrDamaged reports that a file of the keyring differs from what was
	// written.
	ErrDamaged = ringfile.ErrDamaged
	// ErrNewerFormat reports that the ring is of a format that this program
	// does not know.
	ErrNewerFormat = ringfile.ErrNewerFormat
	// ErrBackup reports that the input is not a backup, or not a complete one.
	ErrBackup = ringfile.ErrBackup
	// ErrBackupExpired reports that the expiry of a backup has passed.
	ErrBackupExpired = errors.New("backup has expired")
	// ErrFailed reports that an earlier write could be neither made durable nor
	// undone. The ring writes nothing more until it is opened again.
	ErrFailed = errors.New("keyring is in an unknown state after a failed write")
	// ErrReadOnly reports a write to a ring that was opened for reading.
	ErrReadOnly = errors.New("keyring is open for reading only")
	// ErrClosed reports the use of a closed ring.
	ErrClosed = errors.New("keyring is closed")

	// ErrErased matches a StateError in state Erased.
	ErrErased = errors.New("erased")
	// ErrExpired matches a StateError in state Expired.
	ErrExpired = errors.New("expired")
	// ErrLost matches a StateError in state Lost.
	ErrLost = errors.New("lost")
)

// A DamagedError reports where a file of the keyring is damaged. It is
// ErrDamaged.
type DamagedError = ringfile.DamagedError

// A StateError reports that a key is absent, and why. Its text does not name
// the subject, since errors end up in operational logs.
type StateError struct {
	State   record.State
	Subject record.Subject // the subject whose key is absent, if Class is empty
	Class   string         // the class whose key is absent, if not empty
	Seq     uint64         // the record that ordered the destruction, unless Lost
}

func (e *StateError) Error() string {
	what := "subject"
	if e.Class != "" {
		what = "class " + e.Class
	}
	if e.State == record.Lost {
		return "key of " + what + " is lost: absent, and no record says that the key was destroyed"
	}
	return fmt.Sprintf("key of %s is %s since record %d", what, e.State, e.Seq)
}

// Is makes the error match ErrErased, ErrExpired or ErrLost.
func (e *StateError) Is(target error) bool {
	switch e.State {
	case record.Erased:
		return target == ErrErased
	case record.Expired:
		return target == ErrExpired
	case record.Lost:
		return target == ErrLost
	}
	return false
}
