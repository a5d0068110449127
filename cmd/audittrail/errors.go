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

// advice are what to do next about errors whose texts do not say it, since the
// library does not know of the command line.
var advice = []struct {
	err  error
	text string
}{
	{audittrail.ErrNoLog, "make one with 'audittrail init', or name its folder with --dir or $AUDITTRAIL_DIR"},
	{audittrail.ErrUnauthenticated, "read it again after the next checkpoint, or with the keyring; 'audittrail verify' says more"},
	{audittrail.ErrNoRecord, "'audittrail stat' says how many there are"},
	{audittrail.ErrNoHold, "'audittrail hold list' has those that are"},
	{record.ErrFormat, "what stands there was altered, or is no record: 'audittrail verify' says where else"},
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

// said tells whether the result has said all that an error says.
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

// readerLeft tells whether an error is that whoever read standard output has
// gone, as head does, and there is nobody to tell.
func readerLeft(err error) bool {
	var p *fs.PathError
	return errors.As(err, &p) && p.Path == os.Stdout.Name() && errors.Is(p.Err, syscall.EPIPE)
}

// explain is the text of an error with what to do next.
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
		return text // it says so itself
	}
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return text + "; " + a.text
		}
	}
	return text
}
