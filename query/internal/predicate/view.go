package predicate

import (
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/index/block"
)

// A View is a chunk of an index under a number of conditions. Many goroutines
// may take windows of it.
type View struct {
	chunk      *index.Chunk
	conditions []Condition
	from, to   uint32 // the rows that the view covers

	prepare sync.Once
	err     error
	why     string // why no row can match; empty if some can
	tests   []test
	unsure  bool
	all     bool            // every row between from and to can match, or
	rows    *roaring.Bitmap // those that can

	mu      sync.Mutex // guards all below
	forth   roaring.ManyIntIterable
	back    roaring.IntIterable
	next    uint32 // where the next window begins, or ends if they go backwards
	begun   bool
	texts   map[block.TextColumn]*block.Texts
	numbers map[block.NumberColumn]*block.Numbers
}

// A test drops rows of a window.
type test func(w *Window) error

// A narrowing is the result of looking up conditions in a chunk.
type narrowing struct {
	none  string // why no row satisfies the conditions; empty if some may
	sets  []*roaring.Bitmap
	tests []test
	// unsure is set if the index cannot decide, and records have to be opened.
	unsure bool
}

// NewView makes a view of the records between two sequence numbers, as far as
// the chunk has them.
func NewView(c *index.Chunk, from, to uint64, conditions []Condition) *View {
	end := c.First + uint64(c.Rows)
	from, to = min(max(from, c.First), end), min(to, end)
	v := &View{
		chunk: c, conditions: conditions,
		from: uint32(from - c.First), to: uint32(max(from, to) - c.First),
		texts: make(map[block.TextColumn]*block.Texts), numbers: make(map[block.NumberColumn]*block.Numbers),
	}
	return v
}

// Prepare looks up the conditions in the index. It must be called before the
// other methods; repeated calls do nothing.
func (v *View) Prepare() error {
	v.prepare.Do(func() { v.err = v.ask() })
	return v.err
}

func (v *View) ask() error {
	if v.from >= v.to {
		v.why = "out of range"
		return nil
	}
	if !v.chunk.Indexed() {
		v.all, v.unsure = true, true
		return nil
	}
	var n narrowing
	if len(v.chunk.Gone) > 0 || v.chunk.Absent() > 0 {
		n.tests = append(n.tests, v.present)
	}
	for _, c := range v.conditions {
		if err := c.narrow(v, &n); err != nil {
			return err
		}
		if n.none != "" {
			v.why = n.none
			return nil
		}
	}
	v.tests, v.unsure = n.tests, n.unsure
	v.all = len(n.sets) == 0
	if v.all {
		return nil
	}
	v.rows = n.sets[0]
	for _, s := range n.sets[1:] {
		v.rows = roaring.And(v.rows, s)
	}
	v.rows = roaring.And(v.rows, ranged(v.from, v.to))
	if v.rows.IsEmpty() {
		v.why = "no row satisfies all conditions"
	}
	return nil
}

func ranged(from, to uint32) *roaring.Bitmap {
	set := roaring.New()
	set.AddRange(uint64(from), uint64(to))
	return set
}

// present drops the rows whose records have left the log.
func (v *View) present(w *Window) error {
	types, codes, err := w.codes(block.Type)
	if err != nil {
		return err
	}
	w.keep(func(i int) bool {
		if codes[i] == 0 {
			return false
		}
		for _, g := range v.chunk.Gone {
			if row := int(w.Rows[i]); row >= g[0] && row < g[1] {
				return event.Type(types.Value(codes[i])).Reserved()
			}
		}
		return true
	})
	return nil
}

// First returns the sequence number of the chunk's first record.
func (v *View) First() uint64 { return v.chunk.First }

// Len returns how many records the view covers.
func (v *View) Len() int { return int(v.to - v.from) }

// Indexed reports whether the records are indexed.
func (v *View) Indexed() bool { return v.chunk.Indexed() }

// Unsure reports whether the records of a window have to be opened to decide
// the conditions.
func (v *View) Unsure() bool { return v.unsure }

// Nothing returns why there is no window, if that is known.
func (v *View) Nothing() string { return v.why }

// Left returns how many rows the windows have before their columns are read.
func (v *View) Left() uint64 {
	switch {
	case v.why != "":
		return 0
	case v.all:
		return uint64(v.Len())
	}
	return v.rows.GetCardinality()
}

// Decided reports whether all rows that are left satisfy the conditions.
func (v *View) Decided() bool { return !v.unsure && len(v.tests) == 0 }

// TakeAll takes all rows that are left, and returns their number. Only the
// first call returns any, and only if Next was not called.
func (v *View) TakeAll() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begun {
		return 0
	}
	v.begun = true
	return v.Left()
}

// WindowRows is the most rows of a window.
const WindowRows = 4096

// Next makes w the next window of rows, or the one before the last if back is
// set. It returns false if there are no more. A view is read in one direction
// only.
func (v *View) Next(w *Window, back bool) bool {
	if v.why != "" {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	w.view = v
	w.Unsure = v.unsure
	w.buffer()
	if v.all {
		return v.nextOfAll(w, back)
	}
	switch {
	case back && v.back == nil:
		v.back = v.rows.ReverseIterator()
	case !back && v.forth == nil:
		v.forth = v.rows.ManyIterator()
	}
	if !back {
		w.Rows = w.Rows[:v.forth.NextMany(w.Rows)]
		return len(w.Rows) > 0
	}
	n := 0
	for ; n < len(w.Rows) && v.back.HasNext(); n++ {
		w.Rows[len(w.Rows)-1-n] = v.back.Next()
	}
	w.Rows = w.Rows[len(w.Rows)-n:]
	return n > 0
}

func (v *View) nextOfAll(w *Window, back bool) bool {
	if !v.begun {
		v.begun = true
		v.next = v.from
		if back {
			v.next = v.to
		}
	}
	from, to := v.next, min(v.to, v.next+WindowRows)
	if back {
		from, to = max(v.from, v.next-min(v.next, WindowRows)), v.next
	}
	if from >= to {
		return false
	}
	w.Rows = w.Rows[:to-from]
	for i := range w.Rows {
		w.Rows[i] = from + uint32(i)
	}
	v.next = to
	if back {
		v.next = from
	}
	return true
}

func (v *View) textsOf(c block.TextColumn) (*block.Texts, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t, ok := v.texts[c]; ok {
		return t, nil
	}
	t, err := v.chunk.Texts(c)
	if err == nil {
		v.texts[c] = t
	}
	return t, err
}

func (v *View) numbersOf(c block.NumberColumn) (*block.Numbers, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t, ok := v.numbers[c]; ok {
		return t, nil
	}
	t, err := v.chunk.Numbers(c)
	if err == nil {
		v.numbers[c] = t
	}
	return t, err
}
