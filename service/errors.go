package service

import (
	"errors"
	"fmt"

	"audittrail/access"
)

// ErrDenied is matched by every error that says that the holder of a token may
// not do what was asked for. It is access.ErrDenied.
var ErrDenied = access.ErrDenied

// ErrUnrecorded is matched by the error of a method that has shown no content,
// since that content is read could not be recorded.
var ErrUnrecorded = errors.New("the read could not be recorded")

// ErrClosed reports that a Service was closed.
var ErrClosed = errors.New("service is closed")

// ErrNoToken reports that As was called with an empty token. Without a token
// there is no limit, and an empty one is a token that is missing.
var ErrNoToken = errors.New("the token is empty")

// DeniedError reports that the holder of a token may not do what a request asks
// for. It matches ErrDenied. The denial is recorded, unless the token has the
// permission and is limited to a scope.
type DeniedError struct {
	// Permission is the one that the request needs.
	Permission access.Permission
	// Part is the part of the request that needs it, such as "text" or "group by
	// user". It is empty if the request as a whole needs it.
	Part string
	// Record tells that one record is denied, which is outside of the token's
	// scope.
	Record bool

	err error
}

func (e *DeniedError) Error() string {
	if e.Part == "" {
		return e.err.Error()
	}
	return e.Part + ": " + e.err.Error()
}

// Unwrap returns the decision of package access as an error.
func (e *DeniedError) Unwrap() error { return e.err }

// RecordError reports that something that was done has no record in the log, or, if
// Recorded, that it has, and that the log could not be closed afterwards.
type RecordError struct {
	What     string // "this denial", "that content is shown", ...
	Recorded bool   // it is recorded, and durable
	Err      error  // matches audittrail.ErrLocked if another process writes
}

func (e *RecordError) Error() string {
	if e.Recorded {
		return fmt.Sprintf("%s was recorded, but closing the log failed: %v", e.What, e.Err)
	}
	return fmt.Sprintf("%s was not recorded: %v", e.What, e.Err)
}

// Unwrap returns what failed.
func (e *RecordError) Unwrap() error { return e.Err }

// Is reports whether target is ErrUnrecorded, and that is so.
func (e *RecordError) Is(target error) bool { return target == ErrUnrecorded && !e.Recorded }
