package segment

import (
	"errors"
	"io/fs"

	"audittrail/internal/tombstone"
	"audittrail/record"
)

// Altered tells whether an error says that what should be in a log's files is not
// there, or is something else, and not that it could not be read.
func Altered(err error) bool {
	var line *record.CorruptError
	var damage *record.TamperError
	var gone *GoneError
	return errors.As(err, &line) || errors.As(err, &damage) || errors.As(err, &gone) ||
		errors.Is(err, ErrBeyond) || errors.Is(err, errSide) || errors.Is(err, tombstone.ErrDamaged) || errors.Is(err, fs.ErrNotExist)
}
