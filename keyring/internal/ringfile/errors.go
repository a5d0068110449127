package ringfile

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged reports that a file differs from what was written.
	ErrDamaged = errors.New("keyring damaged")
	// ErrNewerFormat reports that a file is of a format that this program does
	// not know.
	ErrNewerFormat = errors.New("keyring is of a newer format")
)

// A DamagedError reports where a file is damaged. It is ErrDamaged.
type DamagedError struct {
	File   string
	Offset int64
	Detail string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s: damaged at byte %d: %s", e.File, e.Offset, e.Detail)
}

// Is makes the error match ErrDamaged.
func (e *DamagedError) Is(target error) bool { return target == ErrDamaged }

// A FatalError is an error after which the content of the disk is unknown.
type FatalError struct{ Err error }

func (e *FatalError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FatalError) Unwrap() error { return e.Err }
