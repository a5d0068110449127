package block

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/internal/index/text"
	"audittrail/keyring"
	"audittrail/record"
)

// A Source is what a block is written from: a table, or older blocks.
type Source interface {
	First() uint64
	Rows() int
	// Last returns the hash of the last record, or zero if that was removed
	// from the log.
	Last() record.Hash
	Texts(TextColumn) (*Texts, error)
	Numbers(NumberColumn) (*Numbers, error)
	postings(yield func(key string, rows []uint32, err error) bool)
}

// Write writes a block from sources that follow each other without a gap. The
// text of rows for which forget returns true is left out; forget may be nil.
func Write(w io.Writer, key keyring.FileKey, origin string, sources []Source, forget func(subject, class string, seq uint64) bool) error {
	s, err := newSealer(key)
	if err != nil {
		return err
	}
	// Parts of the blocks to be merged are read once, and not worth caching.
	sources = slices.Clone(sources)
	for i, src := range sources {
		if b, ok := src.(interface{ uncached() *Block }); ok {
			sources[i] = b.uncached()
		}
	}
	b := &writer{out: bufio.NewWriterSize(w, 1<<18), seal: s, sources: sources}
	b.foot = footer{
		V: version, Origin: origin, Text: text.Version,
		First: sources[0].First(), Last: sources[len(sources)-1].Last().String(),
	}
	for _, src := range sources {
		if src.First() != b.foot.First+uint64(b.foot.Rows) {
			return fmt.Errorf("write index block: record %d does not follow", src.First())
		}
		b.base = append(b.base, b.foot.Rows)
		b.foot.Rows += src.Rows()
	}
	if b.foot.Rows == 0 || b.foot.Rows > MaxRows {
		return fmt.Errorf("write index block: %d records", b.foot.Rows)
	}
	if err := b.write(forget); err != nil {
		return fmt.Errorf("write index block: %w", err)
	}
	return nil
}

type writer struct {
	out     *bufio.Writer
	at      int64
	seal    *sealer
	sources []Source
	base    []int // the new row of each source's first row
	foot    footer
	dead    []*roaring.Bitmap // of each source
}

func (w *writer) write(forget func(subject, class string, seq uint64) bool) error {
	if err := w.put([]byte(magic)); err != nil {
		return err
	}
	if err := w.forget(forget); err != nil {
		return err
	}
	for c := range textColumns {
		if err := w.texts(c); err != nil {
			return err
		}
	}
	for c := range numberColumns {
		if err := w.numbers(c); err != nil {
			return err
		}
	}
	if err := w.pages(); err != nil {
		return err
	}
	foot, err := w.foot.encode()
	if err != nil {
		return err
	}
	if err := w.put(appendTail(nil, foot, w.seal)); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *writer) put(b []byte) error {
	w.at += int64(len(b))
	_, err := w.out.Write(b)
	return err
}

// section writes a part in cleartext, and returns its place and its tag.
func (w *writer) section(b []byte, n int) (sectionPart, []byte, error) {
	at := sectionPart{w.at, len(b)}
	return at, w.seal.tag(b, partColumn, n), w.put(b)
}

// texts writes a column of text, its values in order.
func (w *writer) texts(c TextColumn) error {
	columns := make([]*Texts, len(w.sources))
	for i, src := range w.sources {
		var err error
		if columns[i], err = src.Texts(c); err != nil {
			return err
		}
	}
	all := unite(columns)
	b := all.text
	part := textPart{Name: textTraits[c].name, Values: all.values, Bytes: len(b)}
	width := widthOf(uint64(all.values - 1))
	codes := make([]uint32, 0, w.foot.Rows)
	for i, t := range columns {
		rows := w.sources[i].Rows()
		from := len(codes)
		codes = codes[:from+rows]
		t.Codes(codes[from:], 0)
		for j, code := range codes[from:] {
			codes[from+j] = all.codes[i][code]
		}
		if c == Parts && w.dead[i] != nil {
			if err := w.unknow(i, codes[from:]); err != nil {
				return err
			}
		}
	}
	b = slices.Grow(b, part.length(w.foot.Rows, part.inverted(c))-len(b))
	for _, code := range codes {
		b = appendPacked(b, uint64(code), width)
	}
	if part.inverted(c) {
		b = invert(b, codes, all.values)
	}
	var err error
	part.Where, part.Tag, err = w.section(b, int(c))
	w.foot.Texts = append(w.foot.Texts, part)
	return err
}

// unknow removes the parts of those rows of a source whose text is left out, if
// they were known from the text alone: their records are of the version that
// does not list parts, and has no source.
func (w *writer) unknow(source int, codes []uint32) error {
	t, err := w.sources[source].Texts(ToldBy)
	if err != nil {
		return err
	}
	for it := w.dead[source].Iterator(); it.HasNext(); {
		if row := it.Next(); t.Code(int(row)) == 0 {
			codes[row] = 0
		}
	}
	return nil
}

// invert appends where the rows of each code begin, and the rows by their
// codes.
func invert(b []byte, codes []uint32, values int) []byte {
	starts := make([]uint32, values+1)
	for _, c := range codes {
		starts[c+1]++
	}
	for i := range values {
		starts[i+1] += starts[i]
	}
	width := widthOf(uint64(len(codes)))
	for _, s := range starts {
		b = appendPacked(b, uint64(s), width)
	}
	rows := make([]uint32, len(codes))
	for row, c := range codes {
		rows[starts[c]] = uint32(row)
		starts[c]++
	}
	width = widthOf(uint64(len(codes) - 1))
	for _, r := range rows {
		b = appendPacked(b, uint64(r), width)
	}
	return b
}

// numbers writes a column of numbers.
func (w *writer) numbers(c NumberColumn) error {
	part := numPart{Name: numberNames[c], Scale: 1}
	columns := make([]*Numbers, len(w.sources))
	for i, src := range w.sources {
		var err error
		if columns[i], err = src.Numbers(c); err != nil {
			return err
		}
	}
	values := make([]int64, 0, w.foot.Rows)
	presence := make([]uint64, (w.foot.Rows+63)/64)
	for i, t := range columns {
		for row := range w.sources[i].Rows() {
			v, ok := t.At(row)
			if ok {
				at := len(values)
				presence[at/64] |= 1 << (at % 64)
				if part.Known == 0 {
					part.Min, part.Max = v, v
				}
				part.Min, part.Max = min(part.Min, v), max(part.Max, v)
				part.Known++
			}
			values = append(values, v)
		}
	}
	known := func(row int) bool { return presence[row/64]>>(row%64)&1 == 1 }
	part.Scale = scaleOf(values, known, part.Min)
	if part.Known == 0 {
		part.Scale = 1
	}
	b := make([]byte, 0, part.length(w.foot.Rows))
	if part.Known > 0 && part.Known < w.foot.Rows {
		for _, word := range presence {
			b = binary.LittleEndian.AppendUint64(b, word)
		}
	}
	if part.Known > 0 {
		width := part.width()
		for row, v := range values {
			if !known(row) {
				v = part.Min
			}
			b = appendPacked(b, (uint64(v)-uint64(part.Min))/uint64(part.Scale), width)
		}
	}
	var err error
	part.Where, part.Tag, err = w.section(b, int(textColumns)+int(c))
	w.foot.Numbers = append(w.foot.Numbers, part)
	return err
}

// scaleOf returns the largest of a few powers of ten that divides the
// differences of all numbers from least.
func scaleOf(values []int64, known func(int) bool, least int64) int64 {
	scale := int64(1e9)
	for row, v := range values {
		for scale > 1 && known(row) && (uint64(v)-uint64(least))%uint64(scale) != 0 {
			scale /= 1000
		}
		if scale == 1 {
			break
		}
	}
	return scale
}

// forget finds the rows whose text is left out.
func (w *writer) forget(forget func(subject, class string, seq uint64) bool) error {
	w.dead = make([]*roaring.Bitmap, len(w.sources))
	if forget == nil {
		return nil
	}
	for i, src := range w.sources {
		subjects, err := src.Texts(Subject)
		if err != nil {
			return err
		}
		classes, err := src.Texts(Class)
		if err != nil {
			return err
		}
		dead := roaring.New()
		for row := range src.Rows() {
			s, c := subjects.raw(subjects.Code(row)), classes.raw(classes.Code(row))
			if forget(s, c, src.First()+uint64(row)) {
				dead.Add(uint32(row))
			}
		}
		if !dead.IsEmpty() {
			w.dead[i] = dead
		}
	}
	return nil
}

// pages writes the postings and their directory.
func (w *writer) pages() error {
	w.foot.Pages.At = w.at
	var lengths []uint32
	var packedPage, sealed []byte
	stream := &streamWriter{rows: w.foot.Rows}
	stream.put = func(page []byte) error {
		packedPage = encoder().EncodeAll(page, packedPage[:0])
		sealed = w.seal.seal(sealed[:0], packedPage, partPage, len(lengths))
		lengths = append(lengths, uint32(len(sealed)))
		return w.put(sealed)
	}
	if err := w.merge(stream.entry); err != nil {
		return err
	}
	if err := stream.end(); err != nil {
		return err
	}
	w.foot.Pages.Count = len(lengths)
	d := appendDirectory(nil, lengths, stream.marks)
	d = w.seal.seal(nil, encoder().EncodeAll(d, nil), partDirectory, 0)
	w.foot.Places = sectionPart{w.at, len(d)}
	return w.put(d)
}

// merge calls put with the entries of all sources, by their keys.
func (w *writer) merge(put func(key string, rows []uint32) error) error {
	if len(w.sources) == 1 {
		return w.copy(put)
	}
	var h entryHeap
	defer func() {
		for _, e := range h {
			e.stop()
		}
	}()
	for i, src := range w.sources {
		next, stop := iter.Pull2(entries(src))
		e := &entrySource{source: i, next: next, stop: stop}
		if ok, err := e.advance(); err != nil {
			stop()
			return err
		} else if ok {
			h = append(h, e)
		} else {
			stop()
		}
	}
	heap.Init(&h)
	var rows []uint32
	for len(h) > 0 {
		k := h[0].key
		rows = rows[:0]
		for len(h) > 0 && h[0].key == k {
			rows = w.take(rows, h[0].source, h[0].rows)
			ok, err := h[0].advance()
			if err != nil {
				return err
			}
			if ok {
				heap.Fix(&h, 0)
			} else {
				h[0].stop()
				heap.Pop(&h)
			}
		}
		if len(rows) == 0 {
			continue
		}
		if err := put(k, rows); err != nil {
			return err
		}
	}
	return nil
}

// copy calls put with the entries of the only source.
func (w *writer) copy(put func(key string, rows []uint32) error) (err error) {
	var rows []uint32
	w.sources[0].postings(func(key string, some []uint32, failed error) bool {
		if err = failed; err != nil {
			return false
		}
		if rows = w.take(rows[:0], 0, some); len(rows) > 0 {
			err = put(key, rows)
		}
		return err == nil
	})
	return err
}

// take appends the rows of a source whose text is not left out, as rows of the
// new block.
func (w *writer) take(rows []uint32, source int, some []uint32) []uint32 {
	base, dead := uint32(w.base[source]), w.dead[source]
	for _, r := range some {
		if dead == nil || !dead.Contains(r) {
			rows = append(rows, base+r)
		}
	}
	return rows
}

// An entry is a key with its rows.
type entry struct {
	rows []uint32
	err  error
}

func entries(src Source) iter.Seq2[string, entry] {
	return func(yield func(string, entry) bool) {
		src.postings(func(key string, rows []uint32, err error) bool { return yield(key, entry{rows, err}) })
	}
}

// An entrySource is how far the entries of a source have been read.
type entrySource struct {
	source int
	key    string
	rows   []uint32
	next   func() (string, entry, bool)
	stop   func()
}

func (e *entrySource) advance() (bool, error) {
	k, v, ok := e.next()
	e.key, e.rows = k, v.rows
	return ok && v.err == nil, v.err
}

// An entryHeap is a heap of sources, first the one with the least key, and
// among equal keys the earliest source.
type entryHeap []*entrySource

func (h entryHeap) Len() int      { return len(h) }
func (h entryHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h entryHeap) Less(i, j int) bool {
	if h[i].key != h[j].key {
		return h[i].key < h[j].key
	}
	return h[i].source < h[j].source
}

// Push adds a source, for container/heap.
func (h *entryHeap) Push(x any) { *h = append(*h, x.(*entrySource)) }

// Pop removes the last one.
func (h *entryHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
