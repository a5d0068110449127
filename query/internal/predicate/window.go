package predicate

import (
	"slices"

	"audittrail/internal/index/block"
)

// A Window has some rows of a view, in order. It belongs to one goroutine.
type Window struct {
	Rows []uint32
	// Unsure is set if the records have to be opened to decide the conditions.
	Unsure bool

	view  *View
	rows  []uint32 // memory for Rows
	spans []uint32 // scratch
	taken [][]uint32
	used  int
}

// buffer allocates memory for the rows.
func (w *Window) buffer() {
	if w.rows == nil {
		w.rows = make([]uint32, WindowRows)
	}
	w.Rows, w.used = w.rows[:WindowRows], 0
}

// Filter drops the rows that do not satisfy the conditions, as far as the index
// can tell.
func (w *Window) Filter() error {
	for _, t := range w.view.tests {
		if len(w.Rows) == 0 {
			return nil
		}
		w.used = 0
		if err := t(w); err != nil {
			return err
		}
	}
	w.used = 0
	return nil
}

// Seqs returns the sequence numbers of the rows.
func (w *Window) Seqs() []uint64 {
	seqs := make([]uint64, len(w.Rows))
	for i, row := range w.Rows {
		seqs[i] = w.view.chunk.First + uint64(row)
	}
	return seqs
}

// Indexed reports whether columns can be read.
func (w *Window) Indexed() bool { return w.view.chunk.Indexed() }

// keep drops the rows for which is returns false; i is the row's place in Rows.
func (w *Window) keep(is func(i int) bool) {
	n := 0
	for i, row := range w.Rows {
		if is(i) {
			w.Rows[n] = row
			n++
		}
	}
	w.Rows = w.Rows[:n]
}

// keepCodes keeps the rows whose codes are set in want.
func (w *Window) keepCodes(codes []uint32, want []bool) {
	n := 0
	for i, c := range codes {
		w.Rows[n] = w.Rows[i]
		if want[c] {
			n++
		}
	}
	w.Rows = w.Rows[:n]
}

// sparse is how many rows between those of a window make it faster to read each
// than to read all.
const sparse = 4

// codes returns the codes of the rows. They are valid until the next test, or
// Next.
func (w *Window) codes(c block.TextColumn) (*block.Texts, []uint32, error) {
	t, err := w.view.textsOf(c)
	if err != nil {
		return nil, nil, err
	}
	if w.used == len(w.taken) {
		w.taken = append(w.taken, make([]uint32, WindowRows))
	}
	out := w.taken[w.used][:len(w.Rows)]
	w.used++
	if len(w.Rows) == 0 {
		return t, out, nil
	}
	first := w.Rows[0]
	span := int(w.Rows[len(w.Rows)-1]-first) + 1
	switch {
	case span == len(w.Rows):
		t.Codes(out, int(first))
	case span <= sparse*len(w.Rows):
		w.spans = slices.Grow(w.spans[:0], span)[:span]
		t.Codes(w.spans, int(first))
		for i, row := range w.Rows {
			out[i] = w.spans[row-first]
		}
	default:
		for i, row := range w.Rows {
			out[i] = t.Code(int(row))
		}
	}
	return t, out, nil
}

// A Dictionary maps codes to their values.
type Dictionary struct {
	*block.Texts
	value func(string) string // nil: unchanged
}

// Value returns the value of a code.
func (d Dictionary) Value(code uint32) string {
	return d.of(d.Texts.Value(code))
}

func (d Dictionary) of(s string) string {
	if d.value != nil {
		s = d.value(s)
	}
	return s
}

// Texts returns the codes of the rows in a field, valid until Release or Next.
// Different codes may have the same value.
func (w *Window) Texts(f *Field) (Dictionary, []uint32, error) {
	t, codes, err := w.codes(f.texts)
	return Dictionary{t, f.part}, codes, err
}

// Labels is Texts for a label.
func (w *Window) Labels(key string) (Dictionary, []uint32, error) {
	t, codes, err := w.codes(block.Labels)
	return Dictionary{t, func(all string) string {
		v, _ := block.Label(all, key)
		return v
	}}, codes, err
}

// Release frees the memory of what Texts and Labels returned for the next
// calls.
func (w *Window) Release() { w.used = 0 }

// Numbers appends the numbers that the rows have in a field, and which rows
// have one.
func (w *Window) Numbers(f *Field, which []int32, values []int64) ([]int32, []int64, error) {
	t, err := w.view.numbersOf(f.numbers)
	if err != nil {
		return which, values, err
	}
	first := len(values)
	which, values = t.Pick(w.Rows, which, values)
	if !f.delay {
		return which, values, nil
	}
	times, err := w.view.numbersOf(block.Time)
	if err != nil {
		return which, values, err
	}
	from := first
	for i := first; i < len(values); i++ {
		if t, ok := times.At(int(w.Rows[which[i]])); ok {
			which[from], values[from] = which[i], between(t, values[i])
			from++
		}
	}
	return which[:from], values[:from], nil
}
