package keyring

import (
	"errors"

	"audittrail/record"
)

// StateOf returns the state of content for which the keyring returned an error,
// and whether the error says why a key is absent.
func StateOf(err error) (record.State, bool) {
	switch {
	case errors.Is(err, ErrErased):
		return record.Erased, true
	case errors.Is(err, ErrExpired):
		return record.Expired, true
	case errors.Is(err, ErrLost):
		return record.Lost, true
	}
	return record.Readable, false
}
