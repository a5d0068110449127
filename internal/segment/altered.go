package segment

import (
	"errors"
	"io/fs"

	"audittrail/internal/tombstone"
	"audittrail/record"
)

// Altered reports whether an error says that part of a log's files is missing
// or differs from what was written, and not that a file could not be read.
func Altered(err error) bool {
	var line *record.CorruptError
	var damage *record.TamperError
	var gone *GoneError
	return errors.As(err, &line) || errors.As(err, &damage) || errors.As(err, &gone) ||
		errors.Is(err, ErrBeyond) || errors.Is(err, errSide) || errors.Is(err, tombstone.ErrDamaged) || errors.Is(err, fs.ErrNotExist)
}
