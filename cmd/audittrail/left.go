package main

import (
	"strings"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/service"
)

// leftText lists how much was left out, by reason.
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
		{o.Unauthenticated, "record not vouched for", "records not vouched for"},
		{o.Altered, "altered record", "altered records"},
		{o.Unread, "record whose content cannot be read", "records whose content cannot be read"},
		{o.UnknownCalls, "prompt that may be a call", "prompts that may be calls"},
	} {
		if p.n > 0 {
			parts = append(parts, display.Count(p.n, p.one, p.many))
		}
	}
	if o.Cut {
		parts = append(parts, "what is beyond the limit")
	}
	return strings.Join(parts, ", ")
}

// A leftOut collects what the answer of a command leaves out, and makes that its
// exit status if --require-complete is given.
type leftOut struct {
	offered, require bool // the command has the flag, and it was given
	service.LeftOut
}

// requireFlag adds --require-complete to a command that lists or counts.
func (l *leftOut) requireFlag(cmd *cobra.Command) {
	cmd.PreRun = func(*cobra.Command, []string) { l.offered = true }
	cmd.Flags().BoolVar(&l.require, "require-complete", false, "exit status 3 if anything had to be left out of the answer")
}

// omitted is what was left out so far, for an answer in JSON; nil if nothing.
func (e *env) omitted() *service.LeftOut {
	o := e.left.LeftOut
	o.Altered = e.skip.number()
	if o == (service.LeftOut{}) {
		return nil
	}
	return &o
}

// endLeft says what was left out of an answer. Its err says that records were
// altered, and what the status is then.
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
