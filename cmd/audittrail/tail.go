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

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/query"
	"audittrail/record"
	"audittrail/service"
)

func (e *env) tailCmd() *cobra.Command {
	var n uint64
	var follow bool
	var selected *selection
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "List the newest records",
		Long: `Tail lists the newest records, oldest first, and with -f every new record once
it is durable, until it is interrupted. It can run concurrently with the writer,
and takes the conditions of query.

` + whenHelp +
			exits(ends0, ends1, ends2, ends3),
		Example: `  audittrail tail -n 20
  audittrail tail -f -o jsonl | jq .model_id`,
		Args:    takes(),
		GroupID: groupRead,
		RunE: func(*cobra.Command, []string) error {
			if follow && e.left.require {
				return errors.New("tail: --require-complete is not valid with --follow, which never completes; leave one of them out")
			}
			q, zone, err := selected.read(e.now())
			if err != nil {
				return fmt.Errorf("tail: %w", err)
			}
			return e.reading(func(s *service.Session) error {
				if err := e.tail(s, q, zone, n, follow); err != nil {
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
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "continue with records that are appended from now on")
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

// gist returns the beginning of a record's content.
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
	return display.Fit(display.OneLine(strings.ToValidUTF8(text, "")), enough)
}

func (e *env) tail(s *service.Session, q query.Query, zone *time.Location, n uint64, follow bool) error {
	l, err := s.Tail(e.ctx, service.TailRequest{Query: q, Last: n, Follow: follow, SkipAltered: e.skip.wanted})
	if err != nil {
		return flagDenied(err)
	}
	out := bufio.NewWriter(e.stdout)
	rows := func(yield func(row, error) bool) {
		for h, err := range l.All() {
			if err != nil {
				yield(row{}, err)
				return
			}
			if !yield(recordRow(h.Record, zone), nil) {
				return
			}
			if follow {
				e.noteUnrecorded(s)
				if err := out.Flush(); err != nil {
					yield(row{}, err)
					return
				}
			}
		}
	}
	err = e.writeList(out, recordColumns(zone), iter.Seq2[row, error](rows))
	if follow && e.ctx.Err() != nil && errors.Is(err, e.ctx.Err()) {
		err = nil // an interruption is the normal end
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	rest, err := l.Remainder(e.ctx)
	if err == nil {
		e.noteRemainder(&rest)
	}
	return err
}
