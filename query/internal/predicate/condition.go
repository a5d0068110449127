package predicate

import (
	"strings"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/event"
	"audittrail/internal/index/block"
	"audittrail/record"
)

// A Condition decides which records match.
type Condition interface {
	// Holds decides for one record.
	Holds(r *record.Record) bool
	// narrow narrows a view to the rows that the index cannot rule out.
	narrow(v *View, n *narrowing) error
}

// OneOf returns the condition that a field of text has one of some values, or
// the form in which a cleartext field has a value that is too long.
func OneOf(f *Field, values []string) Condition {
	c := &oneOf{field: f, values: make(map[string]bool, len(values))}
	for _, v := range values {
		switch f.texts {
		case block.Trace, block.Span, block.ParentSpan:
			v = strings.ToLower(v)
		}
		c.values[event.ClearForm(v)] = true
	}
	return c
}

type oneOf struct {
	field  *Field
	values map[string]bool
}

func (c *oneOf) Holds(r *record.Record) bool { return c.values[c.field.Text(r)] }

func (c *oneOf) narrow(v *View, n *narrowing) error {
	t, err := v.textsOf(c.field.texts)
	if err != nil {
		return err
	}
	want := make([]bool, t.Values())
	found := 0
	take := func(code uint32) {
		want[code] = true
		found++
	}
	if c.field.part == nil {
		for value := range c.values {
			if code, ok := t.Find(value); ok {
				take(code)
			}
		}
	} else {
		for code := range want {
			if c.values[c.field.part(t.Value(uint32(code)))] {
				take(uint32(code))
			}
		}
	}
	switch found {
	case 0:
		n.none = c.field.Name + " has none of the values"
		return nil
	case len(want):
		return nil
	}
	if set, ok := rowsOf(t, want, found); ok {
		n.sets = append(n.sets, set)
		return nil
	}
	n.tests = append(n.tests, func(w *Window) error {
		_, codes, err := w.codes(c.field.texts)
		if err == nil {
			w.keepCodes(codes, want)
		}
		return err
	})
	return nil
}

// rowsOf returns the rows with some codes, if the column lists them. Where
// there are many codes, it is faster to read the column.
func rowsOf(t *block.Texts, want []bool, found int) (*roaring.Bitmap, bool) {
	const most = 1024
	if found > most || want[0] { // rows without a value are not listed by code
		return nil, false
	}
	set := roaring.New()
	for code, is := range want {
		if !is {
			continue
		}
		some, ok := t.Rows(uint32(code))
		if !ok {
			return nil, false
		}
		set.Or(some)
	}
	return set, true
}

// Within returns the condition that a field of numbers is in a range. A nil end
// is open.
func Within(f *Field, least, most *int64) Condition { return &within{f, least, most} }

type within struct {
	field       *Field
	least, most *int64
}

func (c *within) Holds(r *record.Record) bool {
	n, known := c.field.Number(r)
	return known && c.has(n)
}

func (c *within) has(n int64) bool {
	return (c.least == nil || n >= *c.least) && (c.most == nil || n <= *c.most)
}

func (c *within) narrow(v *View, n *narrowing) error {
	least, most, known := v.chunk.NumberBounds(c.field.numbers)
	switch {
	case !known || c.least != nil && most < *c.least || c.most != nil && least > *c.most:
		n.none = c.field.Name + " is out of range"
		return nil
	case c.has(least) && c.has(most) && c.field.always():
		return nil
	}
	n.tests = append(n.tests, func(w *Window) error {
		t, err := v.numbersOf(c.field.numbers)
		if err != nil {
			return err
		}
		w.Rows = t.Within(w.Rows, c.least, c.most)
		return nil
	})
	return nil
}

// always reports whether every record has the field.
func (f *Field) always() bool { return f.Time || f.numbers == block.Size }

// Labelled returns the condition that a record has a label with a value.
func Labelled(key, value string) Condition {
	return &labelled{event.ClearForm(key), event.ClearForm(value)}
}

type labelled struct{ key, value string }

func (c *labelled) Holds(r *record.Record) bool {
	v, ok := r.Event.Labels[c.key]
	return ok && v == c.value
}

func (c *labelled) narrow(_ *View, n *narrowing) error {
	n.tests = append(n.tests, byValue(block.Labels, func(all string) bool {
		v, ok := block.Label(all, c.key)
		return ok && v == c.value
	}))
	return nil
}

// byValue tests a column of text, each value once.
func byValue(col block.TextColumn, is func(value string) bool) test {
	var known atomic.Pointer[[]atomic.Uint32]
	return func(w *Window) error {
		t, codes, err := w.codes(col)
		if err != nil {
			return err
		}
		memo := memoOf(&known, t.Values())
		w.keep(func(i int) bool {
			return remembered(&memo[codes[i]], func() answer { return answerOf(is(t.Value(codes[i]))) }) == yes
		})
		return nil
	}
}

// memoOf returns the memory for the answers about codes, which the first caller
// makes.
func memoOf(p *atomic.Pointer[[]atomic.Uint32], codes int) []atomic.Uint32 {
	if p.Load() == nil {
		made := make([]atomic.Uint32, codes)
		p.CompareAndSwap(nil, &made)
	}
	return *p.Load()
}

// An answer is the result of a condition. It is unknown if the record lacks a
// field that the condition needs.
type answer uint32

const (
	unasked answer = iota
	no
	yes
	unknown
)

func answerOf(is bool) answer {
	if is {
		return yes
	}
	return no
}

// remembered returns the answer that was given before, or calls ask for one.
func remembered(memo *atomic.Uint32, ask func() answer) answer {
	a := answer(memo.Load())
	if a == unasked {
		a = ask()
		memo.Store(uint32(a))
	}
	return a
}
