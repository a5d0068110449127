package block

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
)

// Texts are a column of text: for each row the code of its value. Code 0 is
// absent, and its value is empty.
type Texts struct {
	values []string // of the codes, in the form of the file, or
	flat   []byte   // the values one after another, all but the first of the same length
	stride int      // from one to the next in flat
	index  map[string]uint32
	sorted bool // values ascend, so that no index is needed

	growing *sync.RWMutex // held while index changes

	hex bool

	codes []uint32 // of the rows, or
	file  packed

	starts, rows packed // of each code, where its rows begin, and the rows; if inverted
}

// Values returns the number of codes.
func (t *Texts) Values() int {
	if t.flat != nil {
		return 1 + len(t.flat)/t.stride
	}
	return len(t.values)
}

// raw returns the value of a code in the form of the file.
func (t *Texts) raw(code uint32) string {
	if t.flat == nil {
		return t.values[code]
	}
	if code == 0 {
		return ""
	}
	end := int(code) * t.stride
	return string(t.flat[end-t.stride+1 : end])
}

// Raw returns the value of a code in the form of the file: as bytes where a
// record has hexadecimal digits.
func (t *Texts) Raw(code uint32) string { return t.raw(code) }

// appendRaw appends the value that raw returns.
func (t *Texts) appendRaw(dst []byte, code uint32) []byte {
	if t.flat == nil {
		return append(dst, t.values[code]...)
	}
	if code == 0 {
		return dst
	}
	end := int(code) * t.stride
	return append(dst, t.flat[end-t.stride+1:end]...)
}

// Value returns the value of a code as a record has it.
func (t *Texts) Value(code uint32) string {
	if t.hex {
		return hex.EncodeToString([]byte(t.raw(code)))
	}
	return t.raw(code)
}

// Find returns the code of a value, and false if no row has it.
func (t *Texts) Find(value string) (uint32, bool) {
	if t.hex && value != "" {
		value = unhex(value)
		if value == "" {
			return 0, false
		}
	}
	return t.find(value)
}

func (t *Texts) find(value string) (uint32, bool) {
	if t.sorted {
		i, ok := sort.Find(t.Values(), func(i int) int { return compare(value, t.raw(uint32(i))) })
		return uint32(i), ok
	}
	t.growing.RLock()
	defer t.growing.RUnlock()
	code, ok := t.index[value]
	return code, ok && int(code) < len(t.values)
}

// Code returns the code of a row.
func (t *Texts) Code(row int) uint32 {
	if t.codes != nil {
		return t.codes[row]
	}
	return uint32(t.file.at(row))
}

// Codes fills dst with the codes of the rows from one on.
func (t *Texts) Codes(dst []uint32, from int) {
	if t.codes != nil {
		copy(dst, t.codes[from:])
		return
	}
	switch t.file.width {
	case 0:
		clear(dst)
	case 1:
		for i, c := range t.file.b[from : from+len(dst)] {
			dst[i] = uint32(c)
		}
	case 2:
		b := t.file.b[2*from:]
		for i := range dst {
			dst[i] = uint32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	default:
		for i := range dst {
			dst[i] = uint32(t.file.at(from + i))
		}
	}
}

// Rows returns the rows that have a code, if they are known without a scan of
// all rows.
func (t *Texts) Rows(code uint32) (*roaring.Bitmap, bool) {
	if t.starts.b == nil {
		return nil, false
	}
	from, to := t.starts.at(int(code)), t.starts.at(int(code)+1)
	all := make([]uint32, 0, to-from)
	for i := from; i < to; i++ {
		all = append(all, uint32(t.rows.at(int(i))))
	}
	return roaring.BitmapOf(all...), true
}

// Numbers are a column of numbers.
type Numbers struct {
	n        int
	values   []int64  // of the rows, or
	file     packed   // the numbers of the rows, less min, divided by scale
	presence []uint64 // bit i: row i has a number; nil if all have
	none     bool     // no row has

	min, max, scale int64
}

// Bounds returns the least and the largest number, and false if there is none.
func (t *Numbers) Bounds() (least, most int64, known bool) { return t.min, t.max, !t.none }

// At returns the number of a row, and whether it has one.
func (t *Numbers) At(row int) (int64, bool) {
	if !t.has(uint32(row)) {
		return 0, false
	}
	return t.of(uint32(row)), true
}

// Pick appends the numbers that some rows have, which ascend, and which of the
// rows those are.
func (t *Numbers) Pick(rows []uint32, which []int32, values []int64) ([]int32, []int64) {
	if t.none || len(rows) == 0 {
		return which, values
	}
	n := len(values)
	which, values = slices.Grow(which, len(rows)), slices.Grow(values, len(rows))
	if first := rows[0]; int(rows[len(rows)-1]-first) == len(rows)-1 {
		t.decode(values[n:n+len(rows)], int(first))
	} else {
		for i, row := range rows {
			values[:n+len(rows)][n+i] = t.of(row)
		}
	}
	if t.presence == nil {
		for i := range rows {
			which = append(which, int32(i))
		}
		return which, values[:n+len(rows)]
	}
	all := values[n : n+len(rows)]
	for i, row := range rows {
		if t.has(row) { // never after the row that is read
			which, values = append(which, int32(i)), append(values, all[i])
		}
	}
	return which, values
}

// decode fills dst with the numbers of the rows from one on; the value for a
// row without a number is arbitrary.
func (t *Numbers) decode(dst []int64, from int) {
	if t.values != nil {
		copy(dst, t.values[from:])
		return
	}
	width := t.file.width
	b := t.file.b[width*from:]
	least, scale, i := uint64(t.min), uint64(t.scale), 0
	switch width {
	case 0:
		for i := range dst {
			dst[i] = t.min
		}
		return
	case 1:
		for i, v := range b[:len(dst)] {
			dst[i] = int64(least + uint64(v)*scale)
		}
		return
	case 2:
		for i := range dst {
			dst[i] = int64(least + uint64(binary.LittleEndian.Uint16(b[2*i:]))*scale)
		}
		return
	}
	mask := ^uint64(0) >> (64 - 8*width)
	for ; i < len(dst) && width*i+8 <= len(b); i++ {
		dst[i] = int64(least + binary.LittleEndian.Uint64(b[width*i:])&mask*scale)
	}
	for ; i < len(dst); i++ {
		dst[i] = t.of(uint32(from + i))
	}
}

// Within returns those of some rows whose numbers are in a range. A nil bound
// is open.
func (t *Numbers) Within(rows []uint32, least, most *int64) []uint32 {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if least != nil {
		low = *least
	}
	if most != nil {
		high = *most
	}
	n := 0
	for _, row := range rows {
		rows[n] = row
		if t.has(row) {
			if v := t.of(row); low <= v && v <= high {
				n++
			}
		}
	}
	return rows[:n]
}

// has reports whether a row has a number.
func (t *Numbers) has(row uint32) bool {
	return !t.none && (t.presence == nil || t.presence[row/64]>>(row%64)&1 == 1)
}

// of returns the number of a row that has one.
func (t *Numbers) of(row uint32) int64 {
	if t.values != nil {
		return t.values[row]
	}
	// Unsigned, so that a large difference does not overflow.
	return int64(uint64(t.min) + t.file.at(int(row))*uint64(t.scale))
}

// compare orders texts, the empty one first.
func compare(a, b string) int { return strings.Compare(a, b) }
