package query

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"audittrail"
	"audittrail/query/internal/tally"
	"audittrail/record"
)

// Group adds up the records that match. It heeds neither limit nor cursor.
func (e *Engine) Group(ctx context.Context, q Query, g Grouping) (*Table, error) {
	gr, err := newGrouper(g)
	if err == nil {
		gr.log = e.log
		err = e.each(ctx, &q, gr.add)
	}
	var t *Table
	if err == nil {
		t, err = gr.table(e.log)
	}
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return t, nil
}

// A grouper gathers the groups of a Grouping.
type grouper struct {
	log        *audittrail.Log
	columns    []string
	zone       *time.Location
	by         []*coder
	aggregates []aggregate
	tallies    []tally.Tally

	currencies tally.Tally // how many a group has, if that matters

	people map[string]bool // of subjects: whether somebody is behind it

	groups map[string]int32
	keys   [][]uint32 // the codes of a group

	group  []int32 // scratch: of each record
	known  []int32 // scratch: of those that have a number
	values []int64
}

func newGrouper(g Grouping) (*grouper, error) {
	gr := &grouper{zone: g.Zone, groups: make(map[string]int32), people: make(map[string]bool)}
	if gr.zone == nil {
		gr.zone = time.UTC
	}
	asked := g.Aggregates
	if len(asked) == 0 {
		asked = []string{"count"}
	}
	if len(g.By) > maxBy {
		return nil, problem("group by", "%d fields, at most %d are possible", len(g.By), maxBy)
	}
	if len(asked) > maxAggregates {
		return nil, problem("aggregate", "%d of them, at most %d are possible", len(asked), maxAggregates)
	}
	gr.columns = slices.Concat(g.By, asked)
	byCurrency := false
	for _, name := range g.By {
		d, err := newDimension("group by", name, gr.zone)
		if err != nil {
			return nil, err
		}
		byCurrency = byCurrency || name == "currency"
		gr.by = append(gr.by, newCoder(d))
	}
	for _, text := range asked {
		a, err := parseAggregate(text, gr.zone)
		if err != nil {
			return nil, err
		}
		if a.field != nil && a.field.name == "cost" && a.kind != "count" && !byCurrency && gr.currencies == nil {
			gr.currencies, err = tally.New("distinct")
			if err != nil {
				return nil, err
			}
		}
		t, err := tally.New(a.kind)
		if err != nil {
			return nil, err
		}
		gr.aggregates, gr.tallies = append(gr.aggregates, a), append(gr.tallies, t)
	}
	if len(gr.by) == 0 {
		gr.groups[""], gr.keys = 0, [][]uint32{nil}
	}
	return gr, nil
}

// add adds records.
func (gr *grouper) add(some []*audittrail.Record) error {
	if err := gr.assign(some); err != nil {
		return err
	}
	for i := range gr.aggregates {
		if err := gr.count(&gr.aggregates[i], gr.tallies[i], some); err != nil {
			return err
		}
	}
	if gr.currencies == nil {
		return nil
	}
	gr.known, gr.values = gr.known[:0], gr.values[:0]
	for i, r := range some {
		if c := currency(r); c != "" {
			gr.known, gr.values = append(gr.known, gr.group[i]), append(gr.values, fingerprint(c))
		}
	}
	gr.currencies.Add(gr.known, gr.values)
	return nil
}

// assign finds the group of each record.
func (gr *grouper) assign(some []*audittrail.Record) error {
	gr.group = slices.Grow(gr.group[:0], len(some))[:len(some)]
	clear(gr.group)
	if len(gr.by) == 0 {
		return nil
	}
	codes := make([]uint32, len(gr.by))
	key := make([]byte, 0, 4*maxBy)
	for i, r := range some {
		key = key[:0]
		for j, c := range gr.by {
			codes[j] = c.code(r)
			key = binary.LittleEndian.AppendUint32(key, codes[j])
		}
		g, ok := gr.groups[string(key)]
		if !ok {
			if len(gr.keys) == maxGroups {
				return problem("group by", "more than %d rows; group by less, or narrow the query down", maxGroups)
			}
			g = int32(len(gr.keys))
			gr.groups[string(key)], gr.keys = g, append(gr.keys, slices.Clone(codes))
		}
		gr.group[i] = g
	}
	return nil
}

// count adds the records, whose groups are known, to one aggregate.
func (gr *grouper) count(a *aggregate, t tally.Tally, some []*audittrail.Record) error {
	if a.field == nil && a.over == nil {
		t.Add(gr.group, nil)
		return nil
	}
	gr.known, gr.values = gr.known[:0], gr.values[:0]
	for i, r := range some {
		n, ok := a.of(r)
		if ok && a.over != nil && a.over.user {
			var err error
			if ok, err = gr.isPerson(a.over.text(r)); err != nil {
				return err
			}
		}
		if ok {
			gr.known, gr.values = append(gr.known, gr.group[i]), append(gr.values, n)
		}
	}
	t.Add(gr.known, gr.values)
	return nil
}

// isPerson tells whether a subject stands for somebody, who may be erased: the
// one of the log's own records does not.
func (gr *grouper) isPerson(subject string) (bool, error) {
	is, known := gr.people[subject]
	if known {
		return is, nil
	}
	s, err := record.ParseSubject(subject)
	if err != nil {
		return false, err
	}
	user, state, err := gr.log.User(s)
	if err != nil {
		return false, err
	}
	is = user != "" || state != audittrail.Readable
	gr.people[subject] = is
	return is, nil
}

// of is what a record contributes.
func (a *aggregate) of(r *audittrail.Record) (int64, bool) {
	d := a.over
	switch {
	case d == nil && a.field.text != nil:
		return 0, a.field.text(r) != ""
	case d == nil:
		return a.field.number(r)
	case d.isText():
		s := d.text(r)
		return fingerprint(s), s != ""
	}
	n, ok := d.number(r)
	if ok && d.span != "" {
		start, _ := d.bucket(n)
		n = nanos(start)
	}
	return n, ok
}

// table is what the records came to.
func (gr *grouper) table(log *audittrail.Log) (*Table, error) {
	t := &Table{Columns: gr.columns, Rows: make([][]Value, len(gr.keys))}
	for g, codes := range gr.keys {
		row := make([]Value, 0, len(gr.columns))
		for i, c := range gr.by {
			v, err := c.value(log, codes[i])
			if err != nil {
				return nil, err
			}
			row = append(row, v)
		}
		if gr.currencies != nil && gr.currencies.Result(int32(g)).N > 1 {
			return nil, problem("aggregate", "the costs of a row are in more than one currency; group by currency as well")
		}
		for i := range gr.aggregates {
			row = append(row, gr.aggregates[i].value(gr.tallies[i].Result(int32(g)), gr.zone))
		}
		t.Rows[g] = row
	}
	sortRows(t.Rows, len(gr.by))
	return t, nil
}
