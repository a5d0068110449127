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

// exitMeanings are what the statuses mean, in every command; docs/cli.md has the
// same table. Nothing else in this program gives a status a meaning.
var exitMeanings = [...]string{
	exitOK:      "it succeeded",
	exitFailed:  "it failed, or could not be checked",
	exitAltered: "something was altered, or does not hold",
	exitLimited: "nothing was altered, but the answer is not whole, not vouched for, or about nobody",
	exitDenied:  "a token does not permit it",
}

// exits is the part of every command's help about its exit status.
func exits(lines ...string) string {
	return "\n\nExit status:\n  " + strings.Join(lines, "\n  ")
}

const (
	ends0 = "0  it succeeded"
	ends1 = "1  it did not: stderr says why"
	ends2 = "2  what it read was altered"
	ends3 = "3  with --require-complete: something had to be left out"
	ends4 = "4  the token does not permit it"

	// Of commands that write alone, and of those about one record.
	refuses3 = "3  nothing was recorded: nobody vouches for the end of the log"
	unknown3 = "3  nobody vouches for the record"
)

// An exitError is an error with the status to exit with. Its err may be nil,
// if all has been said already.
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

// ended is the error of a command whose result says everything already.
func ended(status int) error {
	if status == exitOK {
		return nil
	}
	return &exitError{code: status}
}

// statusOfVerdict is the exit status of what a check of the log found.
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

// worseStatus is the one of two exit statuses that says more: that something
// was altered, before that it could not be checked, before that it is not
// permitted, before that it is not whole.
func worseStatus(a, b int) int {
	for _, status := range []int{exitAltered, exitFailed, exitDenied, exitLimited} {
		if a == status || b == status {
			return status
		}
	}
	return exitOK
}

// altered are the errors that say that something was changed. They are not
// failures to read it.
var altered = []error{
	record.ErrBody, record.ErrWrongKey, record.ErrFormat, record.ErrHash,
	tlog.ErrProof, tlog.ErrBadSignature, audittrail.ErrArchiveDamaged, audittrail.ErrArchiveManifest, audittrail.ErrTombstone,
}

// statusOf is the exit status of an error.
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
		return exitFailed // it is the keyring
	case errors.As(err, &checkpoint):
		return exitAltered
	case errors.Is(err, audittrail.ErrUnauthenticated):
		return exitLimited // whatever is there
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
		return exitLimited // what lies beyond the newest checkpoint is no alteration
	}
	return exitFailed
}
