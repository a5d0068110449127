package query

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"audittrail"
	"audittrail/query/internal/aggregate"
)

// Group aggregates the matching records. It ignores limit and cursor.
func (e *Engine) Group(ctx context.Context, q Query, g Grouping) (*Table, error) {
	whole, err := newGrouper(e.log, g)
	if err == nil {
		err = e.total(ctx, &q, func() (sink, error) { return newGrouper(e.log, g) }, func(s sink) error {
			return whole.merge(s.(*grouper))
		})
	}
	var t *Table
	if err == nil {
		t, err = whole.table(e.log)
	}
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	return t, nil
}

// A grouper gathers the groups of a Grouping. It belongs to one goroutine.
type grouper struct {
	columns    []string
	zone       *time.Location
	by         []*coder
	levels     []level // of by: groups are the nodes of the last
	aggregates []askedFor
	tallies    []aggregate.Aggregate

	currencies aggregate.Aggregate // how many a group has, if the last aggregate needs that

	group  []int32  // scratch: of each record
	codes  []uint32 // scratch: of one dimension
	known  []int32  // scratch: of the records that have a number
	values []int64
}

func newGrouper(log *audittrail.Log, g Grouping) (*grouper, error) {
	gr := &grouper{zone: g.Zone}
	if gr.zone == nil {
		gr.zone = time.UTC
	}
	asked := g.Aggregates
	if len(asked) == 0 {
		asked = []string{"count"}
	}
	if len(g.By) > maxBy {
		return nil, problem("group by", "%d fields; use at most %d", len(g.By), maxBy)
	}
	if len(asked) > maxAggregates {
		return nil, problem("aggregate", "%d aggregates; use at most %d", len(asked), maxAggregates)
	}
	var cuts []time.Time
	if len(g.Boundaries) > 0 {
		cuts = append(slices.Clone(g.Boundaries), instant(math.MinInt64), instant(math.MaxInt64).Add(1))
		slices.SortFunc(cuts, time.Time.Compare)
	}
	gr.columns = slices.Concat(g.By, asked)
	for _, name := range g.By {
		d, err := newDimension("group by", name, gr.zone, cuts)
		if err != nil {
			return nil, err
		}
		gr.by, gr.levels = append(gr.by, newCoder(d)), append(gr.levels, level{})
	}
	costs := false
	for _, text := range asked {
		a, err := gr.ask(log, text)
		if err != nil {
			return nil, err
		}
		costs = costs || a.field != nil && a.field.Name == "cost" && a.kind != "count"
	}
	if costs && !slices.Contains(g.By, "currency") {
		if _, err := gr.ask(log, "distinct(currency)"); err != nil {
			return nil, err
		}
		gr.currencies = gr.tallies[len(asked)]
	}
	return gr, nil
}

// ask adds an aggregate.
func (gr *grouper) ask(log *audittrail.Log, text string) (askedFor, error) {
	a, err := parseAggregate(text, gr.zone)
	if err != nil {
		return a, err
	}
	if a.over != nil {
		a.prints = newPrinter(log, a.over)
	}
	t, err := aggregate.New(a.kind)
	gr.aggregates, gr.tallies = append(gr.aggregates, a), append(gr.tallies, t)
	return a, err
}

// add adds records.
func (gr *grouper) add(some batch) error {
	if err := gr.assign(some); err != nil {
		return err
	}
	for i := range gr.aggregates {
		if err := gr.count(&gr.aggregates[i], gr.tallies[i], some); err != nil {
			return err
		}
	}
	return nil
}

// assign finds the group of each record.
func (gr *grouper) assign(some batch) error {
	n := some.size()
	gr.group = slices.Grow(gr.group[:0], n)[:n]
	gr.codes = slices.Grow(gr.codes[:0], n)[:n]
	clear(gr.group)
	for i, c := range gr.by {
		if err := some.codes(c, gr.codes); err != nil {
			return err
		}
		l := &gr.levels[i]
		for j, code := range gr.codes {
			gr.group[j] = l.child(gr.group[j], code)
		}
		if l.full() {
			return errTooManyRows
		}
	}
	return nil
}

var errTooManyRows = problem("group by", "more than %d rows; group by less, or narrow the query down", maxGroups)

// count adds the records, whose groups are known, to one aggregate.
func (gr *grouper) count(a *askedFor, t aggregate.Aggregate, some batch) error {
	var err error
	switch {
	case a.over != nil:
		gr.known, gr.values, err = some.prints(a.prints, gr.known[:0], gr.values[:0])
	case a.field == nil:
		t.Add(gr.group, nil)
		return nil
	case a.field.Text != nil:
		gr.values = gr.values[:0]
		gr.known, err = some.present(a.field, gr.known[:0])
	default:
		gr.known, gr.values, err = some.numbers(a.field, gr.known[:0], gr.values[:0])
	}
	for i, row := range gr.known {
		gr.known[i] = gr.group[row]
	}
	t.Add(gr.known, gr.values)
	return err
}

// merge adds the groups of another grouper of the same Grouping.
func (gr *grouper) merge(other *grouper) error {
	groups := []int32{0}
	for i, l := range other.levels {
		codes := gr.by[i].merged(other.by[i])
		next := make([]int32, len(l.nodes))
		for j, n := range l.nodes {
			next[j] = gr.levels[i].child(groups[n.parent], codes[n.code])
		}
		if groups = next; gr.levels[i].full() {
			return errTooManyRows
		}
	}
	for i, t := range other.tallies {
		for g := range groups {
			gr.tallies[i].Merge(groups[g], t, int32(g))
		}
	}
	return nil
}

// groups returns the number of groups.
func (gr *grouper) groups() int {
	if len(gr.levels) == 0 {
		return 1
	}
	return len(gr.levels[len(gr.levels)-1].nodes)
}

// table returns the finished table.
func (gr *grouper) table(log *audittrail.Log) (*Table, error) {
	t := &Table{Columns: gr.columns, Rows: make([][]Value, gr.groups())}
	for g := range t.Rows {
		row := make([]Value, len(gr.by), len(gr.columns))
		node := int32(g)
		for i, c := range slices.Backward(gr.by) {
			n := gr.levels[i].nodes[node]
			v, err := c.value(log, n.code)
			if err != nil {
				return nil, err
			}
			row[i], node = v, n.parent
		}
		if gr.currencies != nil && gr.currencies.Result(int32(g)).N > 1 {
			return nil, problem("aggregate", "the costs of a row are in more than one currency; group by currency as well")
		}
		for i := range len(gr.columns) - len(gr.by) {
			row = append(row, gr.aggregates[i].value(gr.tallies[i].Result(int32(g)), gr.zone))
		}
		t.Rows[g] = row
	}
	sortRows(t.Rows, len(gr.by))
	return t, nil
}

// A level numbers the pairs of a node of the level above and a code.
type level struct {
	nodes    []node
	children [][]int32 // of the first parents, by code: the node plus one
	others   map[node]int32
}

type node struct {
	parent int32
	code   uint32
}

// These decide which children are in a list instead of a map.
const (
	listedParents = 4096
	listedCodes   = 1024
)

// child returns the node of a pair.
func (l *level) child(parent int32, code uint32) int32 {
	if parent >= listedParents || code >= listedCodes {
		return l.otherChild(node{parent, code})
	}
	if int(parent) < len(l.children) {
		if list := l.children[parent]; int(code) < len(list) && list[code] > 0 {
			return list[code] - 1
		}
	} else {
		l.children = append(l.children, make([][]int32, int(parent)+1-len(l.children))...)
	}
	list := l.children[parent]
	if missing := int(code) + 1 - len(list); missing > 0 {
		list = append(list, make([]int32, missing)...)
		l.children[parent] = list
	}
	l.nodes = append(l.nodes, node{parent, code})
	list[code] = int32(len(l.nodes))
	return list[code] - 1
}

func (l *level) otherChild(n node) int32 {
	id, ok := l.others[n]
	if !ok {
		if l.others == nil {
			l.others = make(map[node]int32)
		}
		id = int32(len(l.nodes))
		l.nodes = append(l.nodes, n)
		l.others[n] = id
	}
	return id
}

// full tells whether there are more nodes than a table can have rows.
func (l *level) full() bool { return len(l.nodes) > maxGroups }
