package block

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/klauspost/compress/zstd"
)

// The postings are one stream of entries, in the order of their keys:
//
//	uvarint  length of what the key shares with the one before
//	uvarint  length of the rest of the key, then the rest
//	uvarint  number of rows
//	uvarint  length of the list, then the list: each row as a uvarint, less the
//	         row before and one; or, where that is shorter, a bitmap of all rows
//
// The lowest bit of the list's length says which of the two it is. The stream
// is cut every pageLen bytes, wherever that is: so the length of a page does
// not reveal how often a term occurs in the log. The key of the first entry
// that begins in a page is complete, and is in the directory as well.
const pageLen = 16 << 10

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(1)))
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		return must(zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDirectory), zstd.WithDecoderConcurrency(0)))
	})
)

// must is for constructors whose only errors are of their options, which are
// constants here.
func must[T any](v T, err error) T {
	if err != nil {
		panic("block: " + err.Error())
	}
	return v
}

// maxDirectory bounds the decompressed directory: more than that of a block of
// MaxRows can have.
const maxDirectory = 256 << 20

// A mark is the first entry that begins in a page.
type mark struct {
	page   int
	offset int // in the page
	key    string
}

// A streamWriter cuts a stream into pages.
type streamWriter struct {
	rows  int // of the block
	put   func(page []byte) error
	page  []byte
	pages int
	marks []mark
	last  string
	buf   []byte
	list  []byte
}

func (w *streamWriter) entry(key string, rows []uint32) error {
	shared := 0
	if n := len(w.marks); n > 0 && w.marks[n-1].page == w.pages {
		for shared < len(key) && shared < len(w.last) && key[shared] == w.last[shared] {
			shared++
		}
	} else {
		w.marks = append(w.marks, mark{w.pages, len(w.page), key})
	}
	w.last = key
	b := binary.AppendUvarint(w.buf[:0], uint64(shared))
	b = binary.AppendUvarint(b, uint64(len(key)-shared))
	b = append(b, key[shared:]...)
	b = binary.AppendUvarint(b, uint64(len(rows)))
	w.list = w.list[:0]
	next := uint32(0)
	for _, r := range rows {
		w.list = binary.AppendUvarint(w.list, uint64(r-next))
		next = r + 1
	}
	if dense := (w.rows + 7) / 8; dense < len(w.list) {
		w.list = w.list[:dense]
		clear(w.list)
		for _, r := range rows {
			w.list[r/8] |= 1 << (r % 8)
		}
		b = binary.AppendUvarint(b, uint64(dense)<<1|1)
	} else {
		b = binary.AppendUvarint(b, uint64(len(w.list))<<1)
	}
	w.buf = b
	if err := w.write(b); err != nil {
		return err
	}
	return w.write(w.list)
}

func (w *streamWriter) write(b []byte) error {
	for len(b) > 0 {
		n := min(pageLen-len(w.page), len(b))
		w.page = append(w.page, b[:n]...)
		b = b[n:]
		if len(w.page) == pageLen {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *streamWriter) flush() error {
	err := w.put(w.page)
	w.page = w.page[:0]
	w.pages++
	return err
}

// end writes the last page.
func (w *streamWriter) end() error {
	if len(w.page) == 0 {
		return nil
	}
	return w.flush()
}

// A streamReader reads entries from a place in the stream on.
type streamReader struct {
	rows int
	page func(n int) ([]byte, error) // never io.EOF: the number of pages is known
	n    int                         // the next page
	all  int                         // number of pages
	buf  []byte                      // the rest of the current page
	key  []byte

	count uint64
	size  int // bytes of the list that follows
	dense bool
}

func (r *streamReader) more() bool { return len(r.buf) > 0 || r.n < r.all }

func (r *streamReader) fill() error {
	if len(r.buf) > 0 {
		return nil
	}
	if r.n >= r.all {
		return fmt.Errorf("%w: the postings end too early", ErrDamaged)
	}
	var err error
	r.buf, err = r.page(r.n)
	r.n++
	if err == nil && len(r.buf) == 0 {
		err = fmt.Errorf("%w: an empty page", ErrDamaged)
	}
	return err
}

func (r *streamReader) uvarint() (uint64, error) {
	v, shift := uint64(0), 0
	for {
		if err := r.fill(); err != nil {
			return 0, err
		}
		c := r.buf[0]
		r.buf = r.buf[1:]
		if shift > 28 || c == 0 && shift > 0 {
			return 0, fmt.Errorf("%w: a number is too long", ErrDamaged)
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, nil
		}
		shift += 7
	}
}

// bytes appends the next n bytes.
func (r *streamReader) bytes(dst []byte, n int) ([]byte, error) {
	for n > 0 {
		if err := r.fill(); err != nil {
			return dst, err
		}
		k := min(n, len(r.buf))
		if dst != nil {
			dst = append(dst, r.buf[:k]...)
		}
		r.buf = r.buf[k:]
		n -= k
	}
	return dst, nil
}

// next reads the head of an entry: its key, and the length and form of its
// list.
func (r *streamReader) next() error {
	var v [4]uint64
	for i := range v {
		if i == 2 {
			if v[0] > uint64(len(r.key)) || v[0]+v[1] > maxKey || v[0]+v[1] == 0 {
				return fmt.Errorf("%w: a key of %d bytes", ErrDamaged, v[0]+v[1])
			}
			var err error
			if r.key, err = r.bytes(r.key[:v[0]:cap(r.key)], int(v[1])); err != nil {
				return err
			}
		}
		var err error
		if v[i], err = r.uvarint(); err != nil {
			return err
		}
	}
	r.count, r.size, r.dense = v[2], int(v[3]>>1), v[3]&1 == 1
	limit := maxUvarint * r.rows
	if r.dense {
		limit = (r.rows + 7) / 8
	}
	if r.count == 0 || r.count > uint64(r.rows) || v[3]>>1 > uint64(limit) || r.dense && r.size != limit {
		return fmt.Errorf("%w: a list of %d rows in %d bytes", ErrDamaged, r.count, r.size)
	}
	return nil
}

const (
	maxKey     = 256 // more than a term and its field have
	maxUvarint = 5
)

func (r *streamReader) skip() error {
	_, err := r.bytes(nil, r.size)
	return err
}

// list appends the rows of the entry.
func (r *streamReader) list(rows []uint32) ([]uint32, error) {
	if r.dense {
		b, err := r.bytes(make([]byte, 0, r.size), r.size)
		if err != nil {
			return nil, err
		}
		n := len(rows)
		for i, c := range b {
			for ; c != 0; c &= c - 1 {
				rows = append(rows, uint32(8*i)+trailing[c])
			}
		}
		if uint64(len(rows)-n) != r.count || len(rows) > n && rows[len(rows)-1] >= uint32(r.rows) {
			return nil, fmt.Errorf("%w: a list has another number of rows than it states", ErrDamaged)
		}
		return rows, nil
	}
	next := uint64(0)
	for range r.count {
		v, err := r.uvarint()
		if err != nil {
			return nil, err
		}
		next += v
		if next >= uint64(r.rows) {
			return nil, fmt.Errorf("%w: a row beyond the last", ErrDamaged)
		}
		rows = append(rows, uint32(next))
		next++
	}
	return rows, nil
}

// trailing has, for each byte, the number of zero bits that it ends in.
var trailing = func() (t [256]uint32) {
	for i := 1; i < 256; i++ {
		for n := uint32(0); i>>n&1 == 0; n++ {
			t[i] = n + 1
		}
	}
	return t
}()

// into adds the rows of the entry to a set.
func (r *streamReader) into(set *roaring.Bitmap, scratch []uint32) ([]uint32, error) {
	if r.dense {
		words, err := r.words()
		if err == nil {
			set.Or(roaring.FromDense(words, false))
		}
		return scratch, err
	}
	scratch, err := r.list(scratch[:0])
	if err == nil {
		set.AddMany(scratch)
	}
	return scratch, err
}

// words returns a dense list as the words of its bitmap.
func (r *streamReader) words() ([]uint64, error) {
	b, err := r.bytes(make([]byte, 0, r.size+7), r.size)
	if err != nil {
		return nil, err
	}
	b = b[:(len(b)+7)/8*8] // bytes has zeroed the rest
	words := make([]uint64, len(b)/8)
	n := 0
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
		n += bits.OnesCount64(words[i])
	}
	last := len(words) - 1
	if uint64(n) != r.count || last >= 0 && 64*last+bits.Len64(words[last]) > r.rows {
		return nil, fmt.Errorf("%w: a list has another number of rows than it states", ErrDamaged)
	}
	return words, nil
}

// MaxRows is the largest number of rows of a block: rows must fit 32 bits.
const MaxRows = math.MaxInt32 / 64
