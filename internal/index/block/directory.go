package block

import (
	"encoding/binary"
	"fmt"
	"sort"

	"audittrail/internal/canonical"
)

// A directory has the places of pages, and the first keys in them.
//
//	uvarint  number of pages, then the length of each, sealed
//	uvarint  number of marks, then for each: pages since the one before,
//	         offset in the page, length of the key, the key
type directory struct {
	places []int64 // where each page begins, and where the last one ends
	marks  []mark
}

func appendDirectory(b []byte, lengths []uint32, marks []mark) []byte {
	b = binary.AppendUvarint(b, uint64(len(lengths)))
	for _, n := range lengths {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(marks)))
	page := 0
	for _, m := range marks {
		b = binary.AppendUvarint(b, uint64(m.page-page))
		b = binary.AppendUvarint(b, uint64(m.offset))
		b = binary.AppendUvarint(b, uint64(len(m.key)))
		b = append(b, m.key...)
		page = m.page
	}
	return b
}

// parseDirectory decodes the one encoding that appendDirectory gives, and
// refuses others. The pages begin at the offset at in the file.
func parseDirectory(b []byte, at int64) (*directory, error) {
	whole := b
	bad := fmt.Errorf("%w: the directory is not in canonical form", ErrDamaged)
	next := func(limit uint64) int {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > limit {
			b = nil
			return -1
		}
		b = b[n:]
		return int(v)
	}
	n := next(uint64(len(whole)))
	if n < 0 {
		return nil, bad
	}
	d := &directory{places: make([]int64, 0, n+1)}
	lengths := make([]uint32, 0, n)
	for range n {
		d.places = append(d.places, at)
		length := next(2 * pageLen)
		if length < tagLen {
			return nil, bad
		}
		lengths = append(lengths, uint32(length))
		at += int64(length)
	}
	d.places = append(d.places, at)
	page := 0
	for range next(uint64(len(whole))) {
		m := mark{page: next(uint64(n)), offset: next(pageLen - 1)}
		length := next(maxKey)
		if m.page < 0 || m.offset < 0 || length < 2 || length > len(b) {
			return nil, bad
		}
		m.page += page
		page = m.page
		m.key, b = string(b[:length]), b[length:]
		if k := len(d.marks); m.page >= n || k > 0 && (d.marks[k-1].page >= m.page || d.marks[k-1].key >= m.key) {
			return nil, bad
		}
		d.marks = append(d.marks, m)
	}
	if err := canonical.Check(whole, appendDirectory(nil, lengths, d.marks)); err != nil {
		return nil, fmt.Errorf("%w: its directory is %w", ErrDamaged, err)
	}
	return d, nil
}

// find returns the last mark whose key is not after key, or the first mark.
func (d *directory) find(key string) int {
	i := sort.Search(len(d.marks), func(i int) bool { return d.marks[i].key > key })
	return max(i-1, 0)
}
