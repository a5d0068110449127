package keyring

import (
	"errors"
	"fmt"

	"audittrail/keyring/internal/ringfile"
	"audittrail/record"
)

var (
	// ErrNoKeyring means that the folder holds no ring.
	ErrNoKeyring = errors.New("no keyring")
	// ErrExists means that the folder holds a ring already.
	ErrExists = errors.New("a keyring exists already")
	// ErrDamaged means that a file of the keyring is not what was written.
	ErrDamaged = ringfile.ErrDamaged
	// ErrNewerFormat means that the ring was written in a format that came later.
	ErrNewerFormat = ringfile.ErrNewerFormat
	// ErrBackup means that something is no backup, or not all of one.
	ErrBackup = ringfile.ErrBackup
	// ErrBackupExpired means that a backup is older than it was meant to become.
	ErrBackupExpired = errors.New("backup has expired")
	// ErrFailed means that an earlier write could not be made durable, or not
	// be taken back. The ring writes no more; open it anew.
	ErrFailed = errors.New("keyring is in an unknown state after a failed write")
	// ErrReadOnly means that the ring was opened for reading.
	ErrReadOnly = errors.New("keyring is open for reading only")
	// ErrClosed means that the ring was closed.
	ErrClosed = errors.New("keyring is closed")

	// ErrErased is matched by a StateError in state Erased.
	ErrErased = errors.New("erased")
	// ErrExpired is matched by a StateError in state Expired.
	ErrExpired = errors.New("expired")
	// ErrLost is matched by a StateError in state Lost.
	ErrLost = errors.New("lost")
)

// A DamagedError says where a file of the keyring is damaged. It is ErrDamaged.
type DamagedError = ringfile.DamagedError

// A StateError says that a key is absent, and why. The subject is not part of
// its text, which ends up in logs.
type StateError struct {
	State   record.State
	Subject record.Subject // whose key is absent, if Class is empty
	Class   string         // whose key is absent, if not empty
	Seq     uint64         // the record that ordered the destruction; not if Lost
}

func (e *StateError) Error() string {
	what := "subject"
	if e.Class != "" {
		what = "class " + e.Class
	}
	if e.State == record.Lost {
		return "key of " + what + " is lost: absent, and no record says that it was destroyed"
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
