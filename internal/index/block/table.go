package block

import (
	"math"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/internal/index/block/terms"
	"audittrail/internal/index/text"
	"audittrail/record"
)

// A Table indexes a range of records in memory. One goroutine adds to it, while
// others read the rows that were there when they began.
type Table struct {
	first uint64

	mu      sync.RWMutex // guards all below
	rows    int
	last    record.Hash
	texts   [textColumns]dictionary
	numbers [numberColumns]series
	dead    *roaring.Bitmap // rows whose text must not be found any more

	// The postings of a term are a list from the newest to the oldest.
	terms *terms.Set // of a term and its field: see key
	post  []posting
	bytes int // about how much memory the table takes

	some terms.Batch // scratch
}

// A dictionary is a growing column of text.
type dictionary struct {
	codes  []uint32
	values []string
	index  map[string]uint32
}

// A series is a growing column of numbers.
type series struct {
	values   []int64
	presence []uint64
	known    int
	min, max int64
}

// A posting says that a term is in a row.
type posting struct {
	row  uint32
	prev int32 // the previous posting of the same term; -1 if there is none
}

// NewTable returns an empty table that begins at a record.
func NewTable(first uint64) *Table {
	t := &Table{first: first, terms: terms.NewSet(), dead: roaring.New()}
	for i := range t.texts {
		t.texts[i].values = []string{""}
		t.texts[i].index = map[string]uint32{"": 0}
	}
	return t
}

// First returns the sequence number of the first record.
func (t *Table) First() uint64 { return t.first }

// Rows returns the number of records.
func (t *Table) Rows() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows
}

// Last returns the hash of the last record, or zero if that was removed from
// the log.
func (t *Table) Last() record.Hash {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.last
}

// Add adds the next record. Its text is not indexed if searchable is false.
func (t *Table) Add(r *record.Record, searchable bool) {
	var texts [textColumns]string
	var numbers [numberColumns]number
	textsOf(r, &texts)
	numbersOf(r, &numbers)
	if !searchable && texts[ToldBy] == "" {
		texts[Parts] = "" // they were taken from the text
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	row := t.rows
	for i := range t.texts {
		t.bytes += t.texts[i].add(texts[i])
	}
	for i := range t.numbers {
		t.numbers[i].add(row, numbers[i])
	}
	t.bytes += 9 * int(numberColumns)
	t.rows++
	t.last = r.Hash
	if searchable && r.State == record.Readable {
		t.addText(uint32(row), r)
	}
}

func (d *dictionary) add(s string) (bytes int) {
	code, ok := d.index[s]
	if !ok {
		code = uint32(len(d.values))
		d.values = append(d.values, s)
		d.index[s] = code
		bytes = 2*len(s) + 64
	}
	d.codes = append(d.codes, code)
	return bytes + 4
}

func (s *series) add(row int, v number) {
	if row%64 == 0 {
		s.presence = append(s.presence, 0)
	}
	s.values = append(s.values, v.n)
	if !v.known {
		return
	}
	// Readers copy this word: see Numbers.
	s.presence[row/64] |= 1 << (row % 64)
	if s.known == 0 || v.n < s.min {
		s.min = v.n
	}
	if s.known == 0 || v.n > s.max {
		s.max = v.n
	}
	s.known++
}

// addText enters the terms of a record.
func (t *Table) addText(row uint32, r *record.Record) {
	t.some.Reset()
	for field, s := range text.Of(&r.Event) {
		sc := text.Scanner{Text: s}
		for sc.Scan() {
			t.some.Add(t.terms, sc.Term(), byte(field))
			if p := sc.Pair(); p != nil {
				t.some.Add(t.terms, p, byte(field))
			}
			if p := sc.Edge(); p != nil {
				t.some.Add(t.terms, p, byte(field))
			}
		}
	}
	t.some.Enter(t.terms, func(is *terms.Term, isNew bool) {
		if isNew {
			t.bytes += len(is.Key) + 64
		} else if is.Last == row {
			return
		}
		t.post = append(t.post, posting{row, is.Head})
		is.Head, is.Last = int32(len(t.post)-1), row
		t.bytes += 8
	})
}

// key appends the key of a term in a field. By these keys all fields of a term
// follow each other, and the terms are in order, since no byte of a term is as
// small as a field.
func key(dst []byte, field text.Field, term []byte) []byte {
	return append(append(dst, term...), byte(field))
}

// Full reports whether no more records should be added.
func (t *Table) Full() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.post) > math.MaxInt32/2 || t.bytes > MaxTableBytes
}

// MaxTableBytes is about the most memory that a table should take.
const MaxTableBytes = 64 << 20

// Erase makes the text of rows unfindable: of a row before the record that
// until returns for the row's subject and class.
func (t *Table) Erase(until func(subject, class string) uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	memo := make(map[[2]uint32]uint64)
	var parts []uint32 // copied, since others read the old one
	for row := range t.rows {
		k := [2]uint32{t.texts[Subject].codes[row], t.texts[Class].codes[row]}
		limit, ok := memo[k]
		if !ok {
			limit = until(t.texts[Subject].values[k[0]], t.texts[Class].values[k[1]])
			memo[k] = limit
		}
		if t.first+uint64(row) < limit {
			t.dead.Add(uint32(row))
			if t.texts[ToldBy].codes[row] == 0 && t.texts[Parts].codes[row] != 0 {
				if parts == nil {
					parts = slices.Clone(t.texts[Parts].codes)
				}
				parts[row] = 0 // they were known from the text alone
			}
		}
	}
	if parts != nil {
		t.texts[Parts].codes = parts
	}
}

// Texts returns a column of text.
func (t *Table) Texts(c TextColumn) (*Texts, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	d := &t.texts[c]
	return &Texts{
		values: d.values, hex: textTraits[c].hex, codes: d.codes[:t.rows:t.rows], index: d.index, growing: &t.mu,
	}, nil
}

// Numbers returns a column of numbers.
func (t *Table) Numbers(c NumberColumn) (*Numbers, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := &t.numbers[c]
	out := &Numbers{n: t.rows, values: s.values[:t.rows:t.rows], min: s.min, max: s.max, scale: 1, none: s.known == 0}
	if s.known < t.rows {
		out.presence = slices.Clone(s.presence)
	}
	return out, nil
}

// NumberBounds returns the least and the largest number of a column.
func (t *Table) NumberBounds(c NumberColumn) (least, most int64, known bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := &t.numbers[c]
	return s.min, s.max, s.known > 0
}

// Absent returns how many rows are of records that were removed from the log.
func (t *Table) Absent() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rows - t.numbers[Size].known
}

// Term returns the rows that have a term in a field, or in any.
func (t *Table) Term(field text.Field, term string) (*roaring.Bitmap, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	set := roaring.New()
	for _, f := range fieldsOf(field) {
		if id, ok := t.terms.Get(key(nil, f, []byte(term))); ok {
			t.collect(set, id)
		}
	}
	set.AndNot(t.dead)
	return set, nil
}

// fieldsOf returns the fields to search for a field: all of them for Any.
func fieldsOf(field text.Field) []text.Field {
	if field == text.Any {
		return text.Fields()
	}
	return []text.Field{field}
}

func (t *Table) collect(set *roaring.Bitmap, id uint32) {
	for i := t.terms.All()[id].Head; i >= 0; i = t.post[i].prev {
		set.Add(t.post[i].row)
	}
}

// Prefix returns the rows that have a term with a prefix in a field, or in any.
func (t *Table) Prefix(field text.Field, prefix string) (*roaring.Bitmap, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	set := roaring.New()
	for id, is := range t.terms.All() {
		if matches(is.Key, field, prefix) {
			t.collect(set, uint32(id))
		}
	}
	set.AndNot(t.dead)
	return set, nil
}

// matches reports whether a key is that of a term with a prefix, in a field or
// in any.
func matches(key string, field text.Field, prefix string) bool {
	n := len(key) - 1
	return n >= len(prefix) && key[:len(prefix)] == prefix && (field == text.Any || text.Field(key[n]) == field)
}

// postings yields the keys in order with their rows, without the dead rows.
func (t *Table) postings(yield func(key string, rows []uint32, err error) bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := t.terms.All()
	ids := make([]uint32, len(list))
	for i := range ids {
		ids[i] = uint32(i)
	}
	slices.SortFunc(ids, func(a, b uint32) int { return compare(list[a].Key, list[b].Key) })
	rows, ends := t.sorted()
	for _, id := range ids {
		from := uint32(0)
		if id > 0 {
			from = ends[id-1]
		}
		some := rows[from:ends[id]]
		if !t.dead.IsEmpty() {
			some = slices.DeleteFunc(some, t.dead.Contains)
		}
		if len(some) > 0 && !yield(list[id].Key, some, nil) {
			return
		}
	}
}

// sorted returns the rows of all postings, by their terms, and where those of
// each term end. Following the lists instead would wait for memory at each
// step.
func (t *Table) sorted() (rows, ends []uint32) {
	list := t.terms.All()
	owner := make([]uint32, len(t.post)) // the term of each posting
	for id, is := range list {
		owner[is.Head] = uint32(id)
	}
	ends = make([]uint32, len(list)+1)
	for i := len(t.post) - 1; i >= 0; i-- {
		if prev := t.post[i].prev; prev >= 0 {
			owner[prev] = owner[i]
		}
		ends[owner[i]+1]++
	}
	for id := range list {
		ends[id+1] += ends[id]
	}
	rows = make([]uint32, len(t.post))
	for i := range t.post {
		at := &ends[owner[i]]
		rows[*at] = t.post[i].row
		*at++
	}
	return rows, ends
}
