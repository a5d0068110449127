package predicate

import (
	"sync/atomic"

	"audittrail/internal/index/block"
	"audittrail/query/internal/filter"
	"audittrail/record"
)

// labelsField is the name of the labels in expressions.
const labelsField = "labels"

// FilterFields are the fields that an expression can name.
var FilterFields = func() []filter.Field {
	var list []filter.Field
	for _, f := range Fields {
		t := filter.Whole
		switch {
		case f.Text != nil:
			t = filter.Text
		case f.Time:
			t = filter.Instant
		case f.Scale > 0:
			t = filter.Real
		}
		list = append(list, filter.Field{Name: f.Name, Type: t})
	}
	return append(list, filter.Field{Name: labelsField, Type: filter.Labels})
}()

// Satisfying returns the condition that an expression over FilterFields holds.
func Satisfying(n *filter.Node) Condition { return &expression{n} }

type expression struct{ root *filter.Node }

func (c *expression) Holds(r *record.Record) bool {
	holds, known := c.root.Holds(func(name string) any {
		if name == labelsField {
			return r.Event.Labels
		}
		f := byName[name]
		if f.Text != nil {
			return f.Text(r)
		}
		n, ok := f.Number(r)
		if !ok {
			return nil
		}
		return f.Value(n)
	})
	return holds && known
}

func (c *expression) narrow(_ *View, n *narrowing) error {
	root := evaluatorOf(c.root)
	n.tests = append(n.tests, func(w *Window) error {
		answers := make([]answer, len(w.Rows))
		if err := root.answer(w, answers); err != nil {
			return err
		}
		w.keep(func(i int) bool { return answers[i] == yes })
		return nil
	})
	return nil
}

// An evaluator evaluates a condition for all rows of a window.
type evaluator interface {
	answer(w *Window, out []answer) error
}

func evaluatorOf(n *filter.Node) evaluator {
	if n.Op != filter.IsLeaf {
		j := &joint{op: n.Op}
		for _, m := range n.Nodes {
			j.parts = append(j.parts, evaluatorOf(m))
		}
		return j
	}
	switch {
	case n.Leaf.Compare != nil:
		return &comparison{n.Leaf.Compare, byName[n.Leaf.Compare.Field]}
	case len(n.Leaf.Fields) == 1 && n.Leaf.Fields[0] == labelsField:
		return &ofText{leaf: n.Leaf, column: block.Labels, value: func(s string) any { return block.ParseLabels(s) }}
	case len(n.Leaf.Fields) == 1 && byName[n.Leaf.Fields[0]].Text != nil:
		f := byName[n.Leaf.Fields[0]]
		return &ofText{leaf: n.Leaf, column: f.texts, value: func(s string) any { return Dictionary{value: f.part}.of(s) }}
	}
	return &ofRow{n.Leaf}
}

// A joint evaluates several nodes that an operator joins.
type joint struct {
	op    filter.Op
	parts []evaluator
}

func (j *joint) answer(w *Window, out []answer) error {
	if err := j.parts[0].answer(w, out); err != nil {
		return err
	}
	if j.op == filter.Not {
		opposite := [...]answer{no: yes, yes: no, unknown: unknown}
		for i, a := range out {
			out[i] = opposite[a]
		}
		return nil
	}
	decides := answerOf(j.op == filter.Any)
	more := make([]answer, len(out))
	for _, p := range j.parts[1:] {
		if err := p.answer(w, more); err != nil {
			return err
		}
		for i, a := range more {
			if out[i] != decides && (a == decides || a == unknown) {
				out[i] = a
			}
		}
	}
	return nil
}

// A comparison evaluates a condition on one number.
type comparison struct {
	*filter.Compare
	field *Field
}

func (c *comparison) answer(w *Window, out []answer) error {
	which, values, err := w.Numbers(c.field, nil, nil)
	if err != nil {
		return err
	}
	for i := range out {
		out[i] = unknown
	}
	for i, row := range which {
		out[row] = answerOf(c.Compare.Holds(c.field.float(values[i])))
	}
	return nil
}

// ofText evaluates a condition on one column of text, each of its values once.
type ofText struct {
	leaf   *filter.Leaf
	column block.TextColumn
	value  func(string) any
	memo   atomic.Pointer[[]atomic.Uint32]
}

func (l *ofText) answer(w *Window, out []answer) error {
	t, codes, err := w.codes(l.column)
	if err != nil {
		return err
	}
	memo := memoOf(&l.memo, t.Values())
	for i, code := range codes {
		out[i] = remembered(&memo[code], func() answer {
			value := l.value(t.Value(code))
			return ask(l.leaf, func(string) any { return value })
		})
	}
	return nil
}

func ask(l *filter.Leaf, values filter.Values) answer {
	holds, known := l.Holds(values)
	if !known {
		return unknown
	}
	return answerOf(holds)
}

// ofRow evaluates a condition on several fields, row by row.
type ofRow struct{ leaf *filter.Leaf }

func (l *ofRow) answer(w *Window, out []answer) error {
	row := 0
	columns := make(map[string]func() any, len(l.leaf.Fields))
	for _, name := range l.leaf.Fields {
		value, err := w.column(name, &row)
		if err != nil {
			return err
		}
		columns[name] = value
	}
	for row = range out {
		out[row] = ask(l.leaf, func(name string) any { return columns[name]() })
	}
	return nil
}

// column returns a function that gives the value of a field in a row of the
// window.
func (w *Window) column(name string, row *int) (func() any, error) {
	if name == labelsField {
		t, codes, err := w.codes(block.Labels)
		return func() any { return block.ParseLabels(t.Value(codes[*row])) }, err
	}
	f := byName[name]
	if f.Text != nil {
		d, codes, err := w.Texts(f)
		return func() any { return d.Value(codes[*row]) }, err
	}
	t, err := w.view.numbersOf(f.numbers)
	if err != nil {
		return nil, err
	}
	times := t
	if f.delay {
		if times, err = w.view.numbersOf(block.Time); err != nil {
			return nil, err
		}
	}
	return func() any {
		n, ok := t.At(int(w.Rows[*row]))
		if f.delay && ok {
			var from int64
			from, ok = times.At(int(w.Rows[*row]))
			n = between(from, n)
		}
		if !ok {
			return nil
		}
		return f.Value(n)
	}, nil
}
