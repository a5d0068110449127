package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"audittrail"
	"audittrail/keyring"
	"audittrail/record"
)

// advice says what to do about errors whose texts do not say it, since the
// library does not know the command line.
var advice = []struct {
	err  error
	text string
}{
	{audittrail.ErrNoLog, "create one with 'audittrail init', or name its folder with --dir or $AUDITTRAIL_DIR"},
	{audittrail.ErrUnauthenticated, "read it again after the next checkpoint, or with the keyring; 'audittrail verify' has details"},
	{audittrail.ErrNoRecord, "'audittrail stat' prints the number of records"},
	{audittrail.ErrNoHold, "'audittrail hold list' lists the holds in force"},
	{record.ErrFormat, "the line was altered, or is not a record: 'audittrail verify' lists all such lines"},
	{record.ErrBody, "the record was altered: 'audittrail verify' lists all altered records"},
	{audittrail.ErrNoKeys, "name the keyring's folder with --keys, and its master key with --master"},
	{keyring.ErrNoMaster, "name the master key with --master or $AUDITTRAIL_MASTER"},
	{keyring.ErrMasterFormat, "restore the right master key, or name it with --master or $AUDITTRAIL_MASTER"},
	{keyring.ErrWrongMaster, "name the right master key with --master or $AUDITTRAIL_MASTER"},
	{keyring.ErrDamaged, "move the keyring's folder away, and restore the keyring with 'audittrail keys restore'"},
	{keyring.ErrExists, "move the existing keyring's folder away first: a keyring is never overwritten"},
	{syscall.ENOSPC, "free some space on the disk; acknowledged records are safe"},
	{fs.ErrPermission, "run the command as the owner of these files, or grant access to them"},
}

// said reports whether the output has reported an error already.
func said(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !said(err) })
	}
	if exit, ok := err.(*exitError); ok {
		return exit.err == nil
	}
	within := errors.Unwrap(err)
	return readerLeft(err) || within != nil && said(within)
}

// readerLeft reports whether an error is that the reader of standard output has
// closed it, as head does, so that nobody would read a message.
func readerLeft(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Path == os.Stdout.Name() && errors.Is(p.Err, syscall.EPIPE)
}

// explain returns the text of an error with what to do next.
func explain(err error) string {
	text := err.Error()
	if said(err) {
		return ""
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
		return text // the error says what to do
	}
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return text + "; " + a.text
		}
	}
	return text
}
