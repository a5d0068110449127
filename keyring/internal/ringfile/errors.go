package ringfile

import (
	"errors"
	"fmt"
)

var (
	// ErrDamaged means that a file is not what was written.
	ErrDamaged = errors.New("keyring damaged")
	// ErrNewerFormat means that a file is of a format that came later.
	ErrNewerFormat = errors.New("keyring is of a newer format")
)

// A DamagedError says where a file is damaged. It is ErrDamaged.
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

// A FatalError is one after which it is not known what the disk holds.
type FatalError struct{ Err error }

func (e *FatalError) Error() string { return e.Err.Error() }

// Unwrap returns what failed.
func (e *FatalError) Unwrap() error { return e.Err }
