package main

import (
	"errors"
	"fmt"
	"strings"

	"audittrail"
	"audittrail/record"
	"audittrail/service"
	"audittrail/tlog"
)

// The exit statuses. Scripts depend on them: they never change meaning.
const (
	exitOK      = 0
	exitFailed  = 1
	exitAltered = 2
	exitLimited = 3
	exitDenied  = 4
)

// exitMeanings are the meanings of the statuses, in every command; docs/cli.md
// has the same table. Nothing else in this program gives a status a meaning.
var exitMeanings = [...]string{
	exitOK:      "success",
	exitFailed:  "failure, or the check could not be completed",
	exitAltered: "the log was altered, or a proof is invalid",
	exitLimited: "nothing was altered, but the result is incomplete or unauthenticated, or nothing is stored about the person",
	exitDenied:  "the token does not permit it",
}

// exits returns the section on exit statuses of a command's help.
func exits(lines ...string) string {
	return "\n\nExit status:\n  " + strings.Join(lines, "\n  ")
}

const (
	ends0 = "0  success"
	ends1 = "1  failure: stderr says why"
	ends2 = "2  the log was altered"
	ends3 = "3  with --require-complete: the result is incomplete"
	ends4 = "4  the token does not permit it"

	// For commands that write, and for commands about one record.
	refuses3 = "3  nothing was recorded: the end of the log is unauthenticated"
	unknown3 = "3  the record is unauthenticated"
)

// An exitError is an error with the status to exit with. Its err may be nil,
// if the output has reported the reason already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// ended returns the error of a command whose output has reported the reason of
// its exit status already.
func ended(status int) error {
	if status == exitOK {
		return nil
	}
	return &exitError{code: status}
}

// statusOfVerdict returns the exit status for the verdict of a check.
func statusOfVerdict(v audittrail.Verdict) int {
	switch v {
	case audittrail.VerdictIntact:
		return exitOK
	case audittrail.VerdictLimited:
		return exitLimited
	case audittrail.VerdictAltered:
		return exitAltered
	}
	return exitFailed
}

// worseStatus returns the worse of two exit statuses: altered is worse than
// failed, failed worse than denied, and denied worse than limited.
func worseStatus(a, b int) int {
	for _, status := range []int{exitAltered, exitFailed, exitDenied, exitLimited} {
		if a == status || b == status {
			return status
		}
	}
	return exitOK
}

// altered are the errors that report an alteration, rather than a failure to
// read.
var altered = []error{
	record.ErrBody, record.ErrWrongKey, record.ErrFormat, record.ErrHash,
	tlog.ErrProof, tlog.ErrBadSignature, audittrail.ErrArchiveDamaged, audittrail.ErrArchiveManifest, audittrail.ErrTombstone,
}

// statusOf returns the exit status of an error.
func statusOf(err error) int {
	var exit *exitError
	var tamper *record.TamperError
	var behind *audittrail.RollbackError
	var damaged *audittrail.DamagedError
	var line *record.CorruptError
	var newer *audittrail.NewerFormatError
	var checkpoint *audittrail.CheckpointError
	var truncated *audittrail.TruncatedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &truncated):
		return exitLimited
	case errors.As(err, &checkpoint) && (checkpoint.Older || errors.Is(err, tlog.ErrOrigin)):
		return exitFailed // the keyring is old or another log's; the log may be intact
	case errors.As(err, &checkpoint):
		return exitAltered
	case errors.Is(err, audittrail.ErrUnauthenticated):
		return exitLimited // whatever the record contains
	case errors.As(err, &tamper), errors.As(err, &behind), errors.As(err, &line):
		return exitAltered
	}
	if errors.Is(err, service.ErrDenied) {
		return exitDenied
	}
	if errors.Is(err, service.ErrNothingStored) {
		return exitLimited
	}
	for _, target := range altered {
		if errors.Is(err, target) {
			return exitAltered
		}
	}
	if errors.As(err, &damaged) || errors.As(err, &newer) {
		return exitLimited // damage beyond the newest checkpoint is not an alteration
	}
	return exitFailed
}
