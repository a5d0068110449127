package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/query"
	"audittrail/record"
)

// An omitted is what an answer left out, by reason. As JSON it is the member
// left_out of an answer.
type omitted struct {
	Archived        uint64 `json:"archived,omitempty"`        // with their segments, in archives
	Dropped         uint64 `json:"dropped,omitempty"`         // with their segments, for good
	Missing         uint64 `json:"missing,omitempty"`         // and no record says why
	Behind          uint64 `json:"behind,omitempty"`          // signed, and cut off the end of the log
	Unauthenticated uint64 `json:"unauthenticated,omitempty"` // nobody vouches for them
	Altered         uint64 `json:"altered,omitempty"`         // and passed over, as was asked
	Unread          uint64 `json:"unread,omitempty"`          // their content cannot be read, and was not destroyed
	UnknownCalls    uint64 `json:"unknown_calls,omitempty"`   // not known whether they count calls
	Cut             bool   `json:"more_than_limit,omitempty"` // the list ends at a limit that nobody asked for
}

// String lists the reasons.
func (o *omitted) String() string {
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
			parts = append(parts, count(p.n, p.one, p.many))
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
	omitted
}

// requireFlag adds --require-complete to a command that lists or counts.
func (l *leftOut) requireFlag(cmd *cobra.Command) {
	cmd.PreRun = func(*cobra.Command, []string) { l.offered = true }
	cmd.Flags().BoolVar(&l.require, "require-complete", false, "exit status 3 if anything had to be left out of the answer")
}

// mostAhead is how much later than its logging an event may say that it was:
// clocks differ. What is further ahead is not looked for in archives.
const mostAhead = 24 * time.Hour

// absent adds the records, of those from (inclusive) to to (exclusive), that q
// might be about and that are not there, or that nobody vouches for.
func (e *env) absent(log *audittrail.Log, q *query.Query, from, to uint64) error {
	all, err := log.Absent(e.ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Next <= from || a.First >= to || !q.Start.IsZero() && !a.LoggedBy.IsZero() && a.LoggedBy.Add(mostAhead).Before(q.Start) {
			continue
		}
		switch a.State {
		case audittrail.SegmentArchived:
			e.left.Archived += a.Records
		case audittrail.SegmentDropped:
			e.left.Dropped += a.Records
		default:
			e.left.Missing += a.Records
		}
	}
	b, err := log.Beyond(e.ctx)
	if err == nil && to > b.Size {
		e.left.Unauthenticated, e.left.Behind = b.Records, b.Behind
	}
	return err
}

// leaves finds out what an answer to all of q leaves out.
func (e *env) leaves(log *audittrail.Log, engine *query.Engine, q *query.Query) error {
	if err := e.absent(log, q, q.From, cmp.Or(q.Size, record.MaxSeq)); err != nil {
		return err
	}
	n, err := engine.CountUnreadable(e.ctx, *q)
	e.left.Unread += n
	return err
}

// A listed is the records that a list has shown, as far as they tell what it
// left out.
type listed struct {
	shown, first, last uint64 // first and last by their sequence numbers
	unread             uint64 // without their content, which was not destroyed
}

func (l *listed) add(r *record.Record) {
	if l.shown == 0 {
		l.first, l.last = r.Seq, r.Seq
	}
	l.shown, l.first, l.last = l.shown+1, min(l.first, r.Seq), max(l.last, r.Seq)
	if p, known := r.KnownParts(); known && p == 0 {
		return
	}
	if r.State == record.Lost || r.State == record.Sealed {
		l.unread++
	}
}

// leavesList finds out what a list of q leaves out, which may have been cut off
// behind the last record that it shows.
func (e *env) leavesList(log *audittrail.Log, engine *query.Engine, q query.Query, l *listed, cut bool) error {
	e.left.Unread += l.unread
	switch {
	case cut && l.shown == 0:
		return nil
	case cut && q.OldestFirst:
		q.Size = l.last + 1
	case cut:
		q.From = l.first
	}
	return e.leaves(log, engine, &q)
}

// omitted is what was left out so far, for an answer in JSON; nil if nothing.
func (e *env) omitted() *omitted {
	o := e.left.omitted
	o.Altered = e.skip.number()
	if o == (omitted{}) {
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
	e.note("left out: %s%s", o, hint)
	if err == nil && e.left.require {
		return ended(exitLimited)
	}
	return err
}
