package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
	"audittrail/query"
	"audittrail/record"
)

func (e *env) tailCmd() *cobra.Command {
	var n uint64
	var follow bool
	var selected *selection
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "List the newest records",
		Long: `Tail lists the newest records, oldest first, and with -f every further one when
it is durable, until it is interrupted. It works beside the process that writes,
and takes the conditions of query.

` + whenHelp +
			exits(ends0, ends1, ends2, ends3),
		Example: `  audittrail tail -n 20
  audittrail tail -f -o jsonl | jq .model_id`,
		Args:    takes(),
		GroupID: groupRead,
		RunE: func(*cobra.Command, []string) error {
			if follow && e.left.require {
				return errors.New("tail: --require-complete is not for --follow, which has no end")
			}
			q, zone, err := selected.read(e.now())
			if err != nil {
				return fmt.Errorf("tail: %w", err)
			}
			return e.showing("tail", func(log *audittrail.Log, s *showing) error {
				if err := e.tail(log, s, q, zone, n, follow); err != nil {
					return fmt.Errorf("tail: %w", err)
				}
				return nil
			})
		},
	}
	selected = selectionFlags(cmd)
	cmd.Flags().Uint64VarP(&n, "lines", "n", 10, "`number` of records")
	e.skip.skipFlag(cmd)
	e.left.requireFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is recorded from now on")
	return cmd
}

// recordColumns are the columns of a list of records.
func recordColumns(zone *time.Location) []column {
	return []column{
		{name: "seq", width: 6, right: true},
		{name: "time", width: len(hitTime(time.Unix(0, 0), zone))},
		{name: "type", width: 15},
		{name: "model", width: 14},
		{name: "content", width: 20},
	}
}

func recordRow(r *record.Record, zone *time.Location) row {
	return row{
		cells: []string{
			strconv.FormatUint(r.Seq, 10), hitTime(r.Event.Time, zone),
			string(r.Event.Type), r.Event.ModelID, gist(r),
		},
		value: recordJSON(r),
	}
}

// gist is the beginning of what a record says.
func gist(r *record.Record) string {
	ev := &r.Event
	if r.State != record.Readable {
		return "(" + r.State.String() + ")"
	}
	tool := ""
	if ev.Tool != nil {
		tool = strings.TrimSpace(ev.Tool.Name + " " + cmp.Or(string(ev.Tool.Arguments), string(ev.Tool.Result)))
	}
	text := cmp.Or(ev.Prompt, ev.Response, ev.Error, tool, string(ev.InputMessages), string(ev.OutputMessages), ev.Category)
	const enough = 200 // columns
	if len(text) > 4*enough {
		text = text[:4*enough]
	}
	return fit(oneLine(strings.ToValidUTF8(text, "")), enough)
}

// lastHits makes a query of one for the newest n records of the log as it is,
// the oldest of them first.
func (e *env) lastHits(engine *query.Engine, log *audittrail.Log, q *query.Query, n uint64) error {
	size, err := log.Size()
	if err != nil {
		return err
	}
	last := *q
	last.Size, last.Limit = size, int(min(n, 1<<30))
	q.From, q.Size, q.OldestFirst = size, size, true
	if n == 0 || size == 0 {
		return nil
	}
	for h, err := range engine.Find(e.ctx, last) {
		if err != nil {
			return err
		}
		q.From = h.Seq
	}
	return nil
}

func (e *env) tail(log *audittrail.Log, s *showing, q query.Query, zone *time.Location, n uint64, follow bool) error {
	if err := s.asks(&q); err != nil {
		return err
	}
	engine, all := e.engine(log).WithRestrictions(s.desk.Restricted), q
	if err := e.lastHits(engine, log, &q, n); err != nil {
		return err
	}
	records := engine.Find(e.ctx, q)
	if follow {
		records = engine.Follow(e.ctx, q)
	}
	var l listed
	s.all = !follow && isPage(n)
	w, leave := s.page(e.stdout)
	out := bufio.NewWriter(w)
	rows := func(yield func(row, error) bool) {
		for h, err := range records {
			var r *record.Record
			if err == nil && follow { // a restriction counts from when it is in force
				err = s.desk.Refresh(e.ctx)
			}
			if err == nil {
				r, err = s.see(h.Record)
			}
			if err == nil && q.Text != "" && r.State != h.State {
				continue // that words stand in it says what it says
			}
			if errors.Is(err, access.ErrDenied) {
				continue // as if it were not there
			}
			if err != nil {
				yield(row{}, err)
				return
			}
			l.add(r)
			if !yield(recordRow(r, zone), nil) {
				return
			}
			if follow {
				if err := out.Flush(); err != nil {
					yield(row{}, err)
					return
				}
			}
		}
	}
	err := e.writeList(out, recordColumns(zone), iter.Seq2[row, error](rows))
	if err == nil && !follow && s.controller == nil { // the number is nothing for whoever sees some of the log
		err = e.noteUnsearched(engine, all)
	}
	if follow && e.ctx.Err() != nil && errors.Is(err, e.ctx.Err()) {
		err = nil // that is how it ends
	}
	if err = errors.Join(err, out.Flush(), leave()); err != nil || follow || n == 0 {
		return err
	}
	if l.shown == n {
		all.From = q.From
	}
	return e.leavesList(log, engine, all, &l, false)
}
