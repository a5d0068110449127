package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"audittrail"
	"audittrail/access"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// The exit statuses. Scripts depend on them: they never change meaning.
const (
	exitOK      = 0
	exitFailed  = 1 // it did not succeed, or could not be checked
	exitAltered = 2 // something is not what it was, or not what was signed
	exitMissing = 3 // intact, but something that was asked for is missing
	exitDenied  = 4 // the token does not permit it
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

// altered are the errors that say that something was changed. They are not
// failures to read it.
var altered = []error{
	record.ErrBody, record.ErrWrongKey, record.ErrForm, record.ErrHash, keyring.ErrDamaged,
	tlog.ErrProof, tlog.ErrBadSignature, audittrail.ErrArchiveDamaged, audittrail.ErrArchiveManifest,
}

// statusOf is the exit status of an error.
func statusOf(err error) int {
	var exit *exitError
	var tamper *audittrail.TamperError
	var behind *audittrail.BehindError
	var damaged *audittrail.DamagedError
	var line *audittrail.LineError
	var truncated *audittrail.TruncatedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &truncated):
		return exitMissing
	case errors.As(err, &tamper), errors.As(err, &behind), errors.As(err, &damaged), errors.As(err, &line):
		return exitAltered
	}
	if errors.Is(err, access.ErrDenied) {
		return exitDenied
	}
	if errors.Is(err, audittrail.ErrUnauthenticated) {
		return exitMissing
	}
	for _, target := range altered {
		if errors.Is(err, target) {
			return exitAltered
		}
	}
	return exitFailed
}

// advice are what to do next about errors whose texts do not say it, since the
// library does not know of the command line.
var advice = []struct {
	err  error
	text string
}{
	{audittrail.ErrNoLog, "make one with 'audittrail init', or name its folder with --dir or $AUDITTRAIL_DIR"},
	{audittrail.ErrUnauthenticated, "read it again after the next checkpoint, or with the keyring; 'audittrail verify' says more"},
	{audittrail.ErrNoRecord, "'audittrail stat' says how many there are"},
	{record.ErrForm, "what stands there was altered, or is no record: 'audittrail verify' says where else"},
	{record.ErrBody, "the record was altered: 'audittrail verify' says where else"},
	{audittrail.ErrNoKeys, "name the keyring's folder with --keys, and its master key with --master"},
	{keyring.ErrNoMaster, "name it with --master or $AUDITTRAIL_MASTER"},
	{keyring.ErrMasterFormat, "bring back the right one, or name it with --master or $AUDITTRAIL_MASTER"},
	{keyring.ErrWrongMaster, "name the right one with --master or $AUDITTRAIL_MASTER"},
	{keyring.ErrDamaged, "move its folder aside, and bring it back with 'audittrail keys restore'"},
	{keyring.ErrExists, "move its folder aside first: nothing is put over a keyring"},
	{syscall.ENOSPC, "make room; what was acknowledged is safe"},
	{fs.ErrPermission, "run it as the owner of these files, or give the right to them"},
}

// explain is the text of an error with what to do next.
func explain(err error) string {
	text := err.Error()
	if exit, ok := err.(*exitError); ok && exit.err == nil {
		return "" // the result has said it
	}
	if name, ok := strings.CutPrefix(text, "unknown command "); ok {
		name, near, _ := strings.Cut(name, "\n")
		if near = strings.Join(strings.Fields(near), " "); near != "" {
			near = "; " + strings.ToLower(near[:1]) + near[1:]
		}
		return "unknown command " + name + near + "; 'audittrail help' lists them"
	}
	text = strings.ReplaceAll(text, "\n", "; ") // joined errors
	text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	if strings.Contains(text, "--") || strings.Contains(text, "run verify") {
		return text // it says so itself
	}
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return text + "; " + a.text
		}
	}
	return text
}
