package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
)

func (e *env) tailCmd() *cobra.Command {
	var n uint64
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "List the newest records",
		Long: `Tail lists the newest records, oldest first, and with -f every further one when
it is durable, until it is interrupted. It works beside the process that writes.` +
			exits(ends0, ends1, ends2),
		Example: `  audittrail tail -n 20
  audittrail tail -f -o jsonl | jq .model_id`,
		Args:    takes(),
		GroupID: groupRead,
		RunE: func(*cobra.Command, []string) error {
			return e.showing("tail", func(log *audittrail.Log, s *showing) error {
				if err := e.tail(log, s, n, follow); err != nil {
					return fmt.Errorf("tail: %w", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().Uint64VarP(&n, "lines", "n", 10, "`number` of records")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is recorded from now on")
	return cmd
}

// recordColumns are the columns of a list of records.
var recordColumns = []column{
	{name: "seq", width: 6, right: true},
	{name: "time", width: 19},
	{name: "type", width: 15},
	{name: "model", width: 14},
	{name: "content", width: 20},
}

func recordRow(r *audittrail.Record) row {
	return row{
		cells: []string{
			strconv.FormatUint(r.Seq, 10), r.Event.Time.UTC().Format("2006-01-02 15:04:05"),
			string(r.Event.Type), r.Event.ModelID, gist(r),
		},
		value: recordJSON(r),
	}
}

// gist is the beginning of what a record says.
func gist(r *audittrail.Record) string {
	ev := &r.Event
	if r.State != audittrail.Readable {
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

func (e *env) tail(log *audittrail.Log, s *showing, n uint64, follow bool) error {
	size, err := log.Size()
	if err != nil {
		return err
	}
	from := size - min(n, size)
	records := log.Records(e.ctx, from, size)
	if follow {
		records = log.Follow(e.ctx, from)
	}
	out := bufio.NewWriter(e.stdout)
	rows := func(yield func(row, error) bool) {
		for r, err := range records {
			if err == nil {
				r, err = s.see(r)
			}
			if errors.Is(err, access.ErrDenied) {
				continue // as if it were not there
			}
			if err != nil {
				yield(row{}, err)
				return
			}
			if !yield(recordRow(r), nil) {
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
	err = e.writeList(out, recordColumns, iter.Seq2[row, error](rows))
	if follow && e.ctx.Err() != nil && errors.Is(err, e.ctx.Err()) {
		err = nil // that is how it ends
	}
	return errors.Join(err, out.Flush())
}
