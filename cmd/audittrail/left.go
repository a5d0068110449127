package main

import (
	"strings"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/service"
)

// leftText lists how many records were left out, by reason.
func leftText(o *service.LeftOut) string {
	var parts []string
	for _, p := range []struct {
		n         uint64
		one, many string
	}{
		{o.Archived, "archived record", "archived records"},
		{o.Dropped, "dropped record", "dropped records"},
		{o.Missing, "missing record", "missing records"},
		{o.Behind, "record cut off the end", "records cut off the end"},
		{o.Unauthenticated, "unauthenticated record", "unauthenticated records"},
		{o.Altered, "altered record", "altered records"},
		{o.Unread, "record whose content cannot be read", "records whose content cannot be read"},
		{o.UnknownCalls, "prompt that may be a call", "prompts that may be calls"},
	} {
		if p.n > 0 {
			parts = append(parts, display.Count(p.n, p.one, p.many))
		}
	}
	if o.Cut {
		parts = append(parts, "records beyond the limit")
	}
	return strings.Join(parts, ", ")
}

// A leftOut counts the records that the result of a command lacks, and changes
// the exit status for that if --require-complete is given.
type leftOut struct {
	offered, require bool // the command has the flag, and it was given
	service.LeftOut
}

// requireFlag adds --require-complete to a command that lists or counts.
func (l *leftOut) requireFlag(cmd *cobra.Command) {
	cmd.PreRun = func(*cobra.Command, []string) { l.offered = true }
	cmd.Flags().BoolVar(&l.require, "require-complete", false, "exit status 3 if the result is incomplete")
}

// omitted returns the counts so far, for a result in JSON; nil if all are zero.
func (e *env) omitted() *service.LeftOut {
	o := e.left.LeftOut
	o.Altered = e.skip.number()
	if o == (service.LeftOut{}) {
		return nil
	}
	return &o
}

// endLeft prints what the result lacks. err reports altered records, if there
// are any, and has the exit status for them.
func (e *env) endLeft(err error) error {
	o := e.omitted()
	if o == nil || !e.left.offered {
		return err
	}
	hint := ""
	if err == nil && !e.left.require {
		hint = "; --require-complete makes this exit status 3"
	}
	e.note("left out: %s%s", leftText(o), hint)
	if err == nil && e.left.require {
		return ended(exitLimited)
	}
	return err
}
