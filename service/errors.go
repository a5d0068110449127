package service

import (
	"errors"
	"fmt"

	"audittrail/access"
	"audittrail/privacy"
)

// ErrDenied is matched by every error that says that the holder of a token may
// not do what was asked for. It is access.ErrDenied.
var ErrDenied = access.ErrDenied

// ErrUnrecorded is matched by the error of a method that has shown no content,
// since that content is read could not be recorded.
var ErrUnrecorded = errors.New("the read could not be recorded")

// ErrClosed reports that a Service was closed.
var ErrClosed = errors.New("service is closed")

// ErrApprovalNeeded reports that duties are separate, so that a second person must
// approve what was asked for, and that the request names no approval.
var ErrApprovalNeeded = errors.New("duties are separate (separate_duties): a second person must approve it; name the approval")

// ErrNeedsToken reports that the operator of the log has asked for something that a
// caller does in person, with a token of their own.
var ErrNeedsToken = errors.New("an approval is given with the approver's own token")

// ErrNoReason reports that a request gives no reason for the record.
var ErrNoReason = errors.New("there is no reason: say why, for the record")

// ErrNoBasis reports that the request for an erasure names no legal basis.
var ErrNoBasis = errors.New("there is no legal basis: name the article that the erasure is based on")

// ErrReasonMentionsUser reports that a reason names the user whom it is about. The
// reason stays in the log when the user is erased.
var ErrReasonMentionsUser = errors.New("the reason names the user, and stays in the log when the user is erased: say why without the name")

// ErrNothingStored reports that nothing is stored about a user. It is
// privacy.ErrNothingStored.
var ErrNothingStored = privacy.ErrNothingStored

// UnknownUserError reports that nothing is stored about a user. It matches
// ErrNothingStored.
type UnknownUserError struct{ Lookup }

func (e *UnknownUserError) Error() string { return ErrNothingStored.Error() }

// Is reports whether target is ErrNothingStored.
func (e *UnknownUserError) Is(target error) bool { return target == ErrNothingStored }

// UncertifiedError reports that erasures were carried out, and their certificates
// not made. Session.Certify makes them.
type UncertifiedError struct {
	Seqs []uint64 // the records that ordered the erasures
	Err  error
}

func (e *UncertifiedError) Error() string {
	return fmt.Sprintf("the erasure was carried out, and its certificate was not made: %v", e.Err)
}

// Unwrap returns why there is no certificate.
func (e *UncertifiedError) Unwrap() error { return e.Err }

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
