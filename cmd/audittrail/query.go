package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
	"audittrail/lineage/usage"
	"audittrail/query"
	"audittrail/record"
)

// defaultLimit is how many records query prints unless told otherwise.
const defaultLimit = 100

// queryOptions are the flags of query beside those of the selection.
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
		Short: "Find, count and add up records",
		Long: `Query lists the records that meet all conditions, the newest first, counts them,
or adds them up by group. Content that was erased or has expired is found by
what stands in the clear, and shown as gone. docs/query.md has the languages of
--text and --filter, and the aggregates.

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
	f.IntVarP(&o.limit, "limit", "n", defaultLimit, "most `records` to list; 0 is no limit")
	f.BoolVar(&o.oldest, "oldest-first", false, "in the order of the log")
	f.BoolVar(&o.count, "count-only", false, "only how many there are")
	f.StringSliceVar(&o.by, "group-by", nil, "`fields` to group by: model_id, outcome, user, label:KEY, hour, day, week, month, …")
	f.StringSliceVar(&o.aggs, "agg", nil, "`aggregates` of each group: count, sum(input_tokens), avg, min, max, p50, p95, p99, distinct(user) (default count)")
	f.BoolVar(&o.explain, "explain", false, "tell how the answer was found, in its place")
	e.skip.skipFlag(cmd)
	e.left.requireFlag(cmd)
	f.BoolVar(&o.noPager, "no-pager", false, "do not show long tables with $PAGER, or else less, on a terminal")
	return cmd
}

func (o *queryOptions) check(cmd *cobra.Command) error {
	grouped := len(o.by)+len(o.aggs) > 0
	switch {
	case o.limit < 0:
		return fmt.Errorf("read --limit: it is %d; 0 is no limit", o.limit)
	case o.count && grouped:
		return errors.New("--count-only and --group-by are one or the other; --agg count counts each group")
	case (o.count || grouped) && (cmd.Flags().Changed("limit") || o.oldest):
		return errors.New("--limit and --oldest-first are for lists of records, not for counts")
	}
	return nil
}

func (e *env) query(o queryOptions) error {
	q, zone, err := o.read(e.now())
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	q.OldestFirst = o.oldest
	return e.showing("query", func(log *audittrail.Log, s *showing) error {
		if err := s.asks(&q, o.by...); err != nil {
			return fmt.Errorf("query: %w", err)
		}
		if err := s.noteUsers(&q); err != nil {
			return err
		}
		engine := e.engine(log).WithRestrictions(s.desk.Restricted)
		if err := e.noteUnknown(engine, &q); err != nil {
			return err
		}
		var err error
		switch {
		case o.explain:
			return e.queryExplain(engine, q, &o, query.Grouping{By: o.by, Aggregates: o.aggs, Zone: zone})
		case o.count:
			err = e.queryCount(log, engine, q)
		case len(o.by)+len(o.aggs) > 0:
			err = e.queryGroups(log, s, engine, q, query.Grouping{By: o.by, Aggregates: o.aggs, Zone: zone}, o.noPager)
		default:
			err = e.queryList(log, engine, s, q, &o, zone)
		}
		if err == nil {
			err = e.noteUnsearched(engine, q)
		}
		return err
	})
}

// noteUnsearched says how many records could have the words of a query, and
// could not be searched for them, beside those that left out has.
func (e *env) noteUnsearched(engine *query.Engine, q query.Query) error {
	n, err := engine.CountUnsearched(e.ctx, q)
	if err == nil && n > 0 {
		e.note("the content of %s could not be searched for the words: it is erased, expired or restricted", count(n, "record that meets the other conditions", "records that meet the other conditions"))
	}
	return err
}

// noteUnknown says of how many records it is not known whether they count calls,
// if calls are asked for.
func (e *env) noteUnknown(engine *query.Engine, q *query.Query) error {
	if !q.Calls {
		return nil
	}
	n, err := engine.CountUnknownCalls(e.ctx, *q)
	if err == nil && n > 0 {
		e.left.UnknownCalls = n
		e.note("of %s it is not known whether they are calls, and they are left out: format 1 does not say whether a prompt carries its answer, and the content is out of reach", count(n, "prompt", "prompts"))
	}
	return err
}

func (e *env) queryCount(log *audittrail.Log, engine *query.Engine, q query.Query) error {
	n, err := engine.Count(e.ctx, q)
	if err == nil {
		err = e.leaves(log, engine, &q)
	}
	if err != nil {
		return err
	}
	if e.output == asTable {
		_, err := fmt.Fprintln(e.stdout, n)
		return err
	}
	return e.sheet(struct {
		Count   uint64   `json:"count"`
		LeftOut *omitted `json:"left_out,omitempty"`
	}{n, e.omitted()}, []field{{"count", strconv.FormatUint(n, 10)}})
}

func (e *env) queryGroups(log *audittrail.Log, s *showing, engine *query.Engine, q query.Query, g query.Grouping, noPager bool) error {
	t, err := engine.Group(e.ctx, q, g)
	if err == nil {
		err = e.leaves(log, engine, &q)
	}
	if err != nil {
		return err
	}
	columns := make([]column, len(t.Columns))
	for i, name := range t.Columns {
		columns[i] = column{name: name, width: columnsOf(name), right: i >= len(g.By)}
	}
	rows := make([]row, 0, len(t.Rows))
	for _, values := range t.Rows {
		for i, by := range g.By {
			if by == "user" || by == "user_id" {
				who, err := s.userCalls(log, []usage.UserCalls{{User: values[i].String()}})
				if err != nil {
					return err
				}
				values[i] = query.TextValue(who[0].User)
			}
		}
		r := row{value: groupJSON{t.Columns, values}}
		for i, v := range values {
			text := v.String()
			if t.Columns[i] == "class" && e.output == asTable {
				text = record.ClassText(text)
			}
			r.cells = append(r.cells, text)
			columns[i].width = min(max(columns[i].width, columnsOf(oneLine(text))), widestGroup)
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

// widestGroup is the most columns of the terminal that one value of a group
// takes.
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

// widestHit is how many columns the content of a hit has where there is no
// terminal.
const widestHit = 200

// hitTime is a time with its zone.
func hitTime(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("2006-01-02 15:04:05Z07:00")
}

func (e *env) queryList(log *audittrail.Log, engine *query.Engine, s *showing, q query.Query, o *queryOptions, zone *time.Location) error {
	more := false
	var l listed
	s.all = isPage(uint64(o.limit))
	err := e.paged(o.noPager, func(w io.Writer) (err error) {
		out, leave := s.page(w)
		more, err = e.writeHits(out, engine, s, q, o.limit, zone, &l)
		return errors.Join(err, leave())
	})
	if err == nil && more {
		e.note("cut off at %s: --limit N shows more, --limit 0 all", count(o.limit, "record", "records"))
		e.left.Cut = !o.limited
	}
	if err != nil {
		return err
	}
	return e.leavesList(log, engine, q, &l, more)
}

// writeHits prints the records that match, and tells whether there are more.
func (e *env) writeHits(w io.Writer, engine *query.Engine, s *showing, q query.Query, limit int, zone *time.Location, l *listed) (more bool, err error) {
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
	for h, err := range engine.Find(e.ctx, q) {
		if err != nil {
			return false, errors.Join(out.Flush(), err)
		}
		if limit > 0 && l.shown == uint64(limit) { // what is not shown is not seen
			if more = s.known(h.Record) == nil; more {
				break
			}
			continue
		}
		r, err := s.see(h.Record)
		if errors.Is(err, access.ErrDenied) || err == nil && q.Text != "" && r.State != h.State {
			continue // as if it were not there: that words stand in it says what it says
		}
		if err != nil {
			return false, errors.Join(out.Flush(), err)
		}
		l.add(r)
		if err := put(hitRow(r, h.Matches, q.Text != "", zone, room)); err != nil {
			return false, err
		}
	}
	return more, errors.Join(end(), out.Flush())
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
