package block

import (
	"encoding/binary"
	"slices"
)

// A united has the values of columns of text merged, in order, as they are in a
// file: each after its length, the empty one first.
type united struct {
	text   []byte
	values int
	codes  [][]uint32 // of each column, the new codes of its values
}

// unite merges the values of columns. It makes no map of them, which would take
// much memory: a block can have a million, and the process that merges also
// records.
func unite(columns []*Texts) *united {
	u := &united{text: []byte{0}, values: 1, codes: make([][]uint32, len(columns))}
	heads := make([]valueHead, len(columns))
	for i, t := range columns {
		u.codes[i] = make([]uint32, t.Values())
		heads[i].start(t)
	}
	for {
		var least *valueHead
		for i := range heads {
			if h := &heads[i]; !h.done && (least == nil || string(h.value) < string(least.value)) {
				least = h
			}
		}
		if least == nil {
			return u
		}
		at := len(u.text)
		u.text = binary.AppendUvarint(u.text, uint64(len(least.value)))
		from := len(u.text)
		u.text = append(u.text, least.value...)
		value := u.text[from:]
		if len(value) == 0 {
			u.text = u.text[:at] // the value is there already
		} else {
			u.values++
		}
		for i := range heads {
			if h := &heads[i]; !h.done && string(h.value) == string(value) {
				u.codes[i][h.code()] = uint32(u.values - 1)
				h.next()
			}
		}
	}
}

// A valueHead is how far the values of a column have been read.
type valueHead struct {
	column *Texts
	order  []uint32 // codes by their values; nil: they are in order
	at     int
	value  []byte
	done   bool
}

func (h *valueHead) start(t *Texts) {
	h.column, h.at = t, -1
	if !t.sorted {
		h.order = make([]uint32, t.Values())
		for i := range h.order {
			h.order[i] = uint32(i)
		}
		slices.SortFunc(h.order, func(a, b uint32) int { return compare(t.raw(a), t.raw(b)) })
	}
	h.next()
}

func (h *valueHead) code() uint32 {
	if h.order == nil {
		return uint32(h.at)
	}
	return h.order[h.at]
}

func (h *valueHead) next() {
	if h.at++; h.at == h.column.Values() {
		h.done = true
		return
	}
	h.value = h.column.appendRaw(h.value[:0], h.code())
}
