package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/query"
	"audittrail/record"
	"audittrail/service"
)

// defaultLimit is how many records query prints without --limit.
const defaultLimit = 100

// queryOptions are the flags of query besides those of the selection.
type queryOptions struct {
	*selection
	limit    int
	oldest   bool
	count    bool
	by, aggs []string
	explain  bool
	noPager  bool

	limited bool // the limit was asked for
}

func (e *env) queryCmd() *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Find, count and sum records",
		Long: `Query lists the records that meet all conditions, the newest first, counts them,
or aggregates them by group. A record whose content was erased or has expired is
found by its cleartext fields, and listed without its content. docs/query.md
describes the languages of --text and --filter, and the aggregates.

` + whenHelp + exits(ends0, ends1, ends2, ends3),
		Example: `  audittrail query -m gpt-4 --text '"credit card" -test' --start 7d
  audittrail query -u user-001 --start yesterday -o jsonl
  audittrail query --count-only --outcome error --start today --zone local
  audittrail query --group-by model_id,day --agg 'count,p95(latency_ms)'`,
		Args:    takes(),
		GroupID: groupRead,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return fmt.Errorf("query: %w", err)
			}
			o.limited = cmd.Flags().Changed("limit")
			return e.query(o)
		},
	}
	o.selection = selectionFlags(cmd)
	o.callsFlag()
	f := cmd.Flags()
	f.IntVarP(&o.limit, "limit", "n", defaultLimit, "maximum number of `records` to list; 0 lists all")
	f.BoolVar(&o.oldest, "oldest-first", false, "list in the order of the log")
	f.BoolVar(&o.count, "count-only", false, "print only the number of records")
	f.StringSliceVar(&o.by, "group-by", nil, "`fields` to group by: model_id, outcome, user, label:KEY, hour, day, week, month, …")
	f.StringSliceVar(&o.aggs, "agg", nil, "`aggregates` of each group: count, sum(input_tokens), avg, min, max, p50, p95, p99, distinct(user) (default count)")
	f.BoolVar(&o.explain, "explain", false, "print how the result is found, instead of the result")
	e.skip.skipFlag(cmd)
	e.left.requireFlag(cmd)
	f.BoolVar(&o.noPager, "no-pager", false, "do not show long tables with $PAGER, or else less, on a terminal")
	return cmd
}

func (o *queryOptions) check(cmd *cobra.Command) error {
	grouped := len(o.by)+len(o.aggs) > 0
	switch {
	case o.limit < 0:
		return fmt.Errorf("read --limit: invalid limit %d: use 1 or more, or 0 for all", o.limit)
	case o.count && grouped:
		return errors.New("--count-only and --group-by are both given: use one of them; --agg count counts each group")
	case (o.count || grouped) && (cmd.Flags().Changed("limit") || o.oldest):
		return errors.New("--limit and --oldest-first are not valid with --count-only or --group-by: leave them out")
	}
	return nil
}

func (e *env) query(o queryOptions) error {
	q, zone, err := o.read(e.now())
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	q.OldestFirst = o.oldest
	return e.reading(func(s *service.Session) error {
		switch g := (query.Grouping{By: o.by, Aggregates: o.aggs, Zone: zone}); {
		case o.explain:
			return e.queryExplain(s, q, &o, g)
		case o.count:
			return e.queryCount(s, q)
		case len(o.by)+len(o.aggs) > 0:
			return e.queryGroups(s, q, g, o.noPager)
		}
		return e.queryList(s, q, &o, zone)
	})
}

// queryDenied says what the caller may not ask for. Other errors name the query
// themselves.
func queryDenied(err error) error {
	if denied := flagDenied(err); denied != err {
		return fmt.Errorf("query: %w", denied)
	}
	return err
}

func (e *env) queryCount(s *service.Session, q query.Query) error {
	c, err := s.Count(e.ctx, service.CountRequest{Query: q, SkipAltered: e.skip.wanted})
	if err != nil {
		return queryDenied(err)
	}
	e.noteUnknown(c.Unknown)
	e.noteRemainder(&c.Remainder)
	if e.output == asTable {
		_, err := fmt.Fprintln(e.stdout, c.Count)
		return err
	}
	return e.sheet(struct {
		Count   uint64           `json:"count"`
		LeftOut *service.LeftOut `json:"left_out,omitempty"`
	}{c.Count, e.omitted()}, []field{{"count", strconv.FormatUint(c.Count, 10)}})
}

func (e *env) queryGroups(s *service.Session, q query.Query, g query.Grouping, noPager bool) error {
	groups, err := s.Group(e.ctx, service.GroupRequest{Query: q, Grouping: g, SkipAltered: e.skip.wanted})
	if err != nil {
		return queryDenied(err)
	}
	e.noteUnknown(groups.Unknown)
	e.noteRemainder(&groups.Remainder)
	t := groups.Table
	columns := make([]column, len(t.Columns))
	for i, name := range t.Columns {
		columns[i] = column{name: name, width: display.Columns(name), right: i >= len(g.By)}
	}
	rows := make([]row, 0, len(t.Rows))
	for _, values := range t.Rows {
		r := row{value: groupJSON{t.Columns, values}}
		for i, v := range values {
			text := v.String()
			if t.Columns[i] == "class" && e.output == asTable {
				text = record.ClassText(text)
			}
			r.cells = append(r.cells, text)
			columns[i].width = min(max(columns[i].width, display.Columns(display.OneLine(text))), widestGroup)
		}
		rows = append(rows, r)
	}
	return e.paged(noPager, func(w io.Writer) error {
		out := bufio.NewWriter(w)
		err := e.writeList(out, columns, func(yield func(row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		})
		return errors.Join(err, out.Flush())
	})
}

// widestGroup is the maximum width of one value of a group, in columns of the
// terminal.
const widestGroup = 40

// hitColumns are the columns of a list of hits.
func hitColumns(zone *time.Location) []column {
	return []column{
		{name: "seq", width: 6, right: true},
		{name: "time", width: len(hitTime(time.Unix(0, 0), zone))},
		{name: "type", width: 11},
		{name: "model", width: 12},
		{name: "content", width: 20, marks: true},
	}
}

// widestHit is the width of a hit's content in columns, if there is no terminal.
const widestHit = 200

// hitTime returns a time with its zone.
func hitTime(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("2006-01-02 15:04:05Z07:00")
}

func (e *env) queryList(s *service.Session, q query.Query, o *queryOptions, zone *time.Location) error {
	q.Limit = o.limit
	l, err := s.Find(e.ctx, service.FindRequest{Query: q, SkipAltered: e.skip.wanted})
	if err != nil {
		return queryDenied(err)
	}
	e.noteUnknown(l.Unknown)
	if err := e.paged(o.noPager, func(w io.Writer) error { return e.writeHits(w, l, q.Text != "", zone) }); err != nil {
		return err
	}
	rest, err := l.Remainder(e.ctx)
	if err != nil {
		return err
	}
	if rest.Cut {
		e.note("only %s listed: --limit N lists more, --limit 0 all", display.Count(o.limit, "record", "records"))
		rest.Cut = !o.limited
	}
	e.noteRemainder(&rest)
	return nil
}

// writeHits prints the records that match.
func (e *env) writeHits(w io.Writer, l *service.Listing, words bool, zone *time.Location) error {
	out := bufio.NewWriter(w)
	columns := hitColumns(zone)
	last := columns[len(columns)-1]
	room := e.width
	for _, c := range columns[:len(columns)-1] {
		room -= c.width + 2
	}
	if room = max(room, last.width); e.width == 0 {
		room = widestHit
	}
	put, end := e.rowWriter(out, columns)
	for h, err := range l.All() {
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if err := put(hitRow(h.Record, h.Matches, words, zone, room)); err != nil {
			return err
		}
	}
	return errors.Join(end(), out.Flush())
}

func hitRow(r *record.Record, matches []query.Match, words bool, zone *time.Location, room int) row {
	text, value := unmarked.Replace(gist(r)), recordJSON(r)
	if len(matches) > 0 {
		text = snippet(matches, room)
	}
	if words {
		value = withMatches(value, matches)
	}
	return row{
		cells: []string{
			strconv.FormatUint(r.Seq, 10), hitTime(r.Event.Time, zone), string(r.Event.Type), r.Event.ModelID, text,
		},
		value: value,
	}
}
