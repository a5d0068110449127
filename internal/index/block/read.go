package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/internal/index/block/lru"
	"audittrail/internal/index/text"
	"audittrail/keyring"
	"audittrail/record"
)

// A Block is a block in a file. Any number of goroutines may read it.
type Block struct {
	file  io.ReaderAt
	seal  *sealer
	foot  *footer
	cache *Cache
}

// Open reads the footer of a block's file. The error is ErrDamaged if the file
// is not what was written under the key, and a *VersionError if another version
// wrote it.
func Open(file io.ReaderAt, size int64, key keyring.FileKey, cache *Cache) (*Block, error) {
	b, err := open(file, size, key, cache)
	if err != nil {
		return nil, fmt.Errorf("open index block: %w", err)
	}
	return b, nil
}

func open(file io.ReaderAt, size int64, key keyring.FileKey, cache *Cache) (*Block, error) {
	s, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	b := &Block{file: file, seal: s, cache: cache}
	if size < int64(len(magic)+tailLen) {
		return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, size)
	}
	head, err := b.bytes(0, len(magic))
	if err != nil {
		return nil, err
	}
	tail, err := b.bytes(size-int64(tailLen), tailLen)
	if err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(tail[tagLen:]))
	if string(head) != magic || string(tail[tagLen+4:]) != endMagic || n > maxFooter || n > size-int64(len(magic)+tailLen) {
		return nil, fmt.Errorf("%w: the first or last bytes are wrong", ErrDamaged)
	}
	at := size - int64(tailLen) - n
	text, err := b.bytes(at, int(n))
	if err != nil {
		return nil, err
	}
	if err := b.seal.check(text, tail[:tagLen], partFooter, 0); err != nil {
		return nil, err
	}
	if b.foot, err = parseFooter(text); err != nil {
		return nil, err
	}
	if end := b.foot.Places.At + int64(b.foot.Places.Len); end != at {
		return nil, fmt.Errorf("%w: the directory does not end where the footer begins", ErrDamaged)
	}
	return b, nil
}

// Close drops the parts that were read from the cache. It does not close the
// file.
func (b *Block) Close() { b.cache.Forget(func(k cacheKey) bool { return k.block == b }) }

// uncached returns a view of the block that keeps nothing in memory.
func (b *Block) uncached() *Block {
	return &Block{file: b.file, seal: b.seal, foot: b.foot, cache: NewCache(0)}
}

// Origin returns the name of the log.
func (b *Block) Origin() string { return b.foot.Origin }

// First returns the sequence number of the first record.
func (b *Block) First() uint64 { return b.foot.First }

// Rows returns the number of records.
func (b *Block) Rows() int { return b.foot.Rows }

// Last returns the hash of the last record, or zero if that was removed from
// the log.
func (b *Block) Last() record.Hash {
	h, _ := record.ParseHash(b.foot.Last) // the footer was checked
	return h
}

func (b *Block) bytes(at int64, n int) ([]byte, error) {
	buf := make([]byte, n)
	k, err := b.file.ReadAt(buf, at)
	if k == n {
		return buf, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: the file is too short", ErrDamaged)
	}
	return nil, fmt.Errorf("read index block: %w", err)
}

// section reads a part that is in cleartext, and authenticates it.
func (b *Block) section(p sectionPart, tag []byte, n int) ([]byte, error) {
	text, err := b.bytes(p.At, p.Len)
	if err == nil {
		err = b.seal.check(text, tag, partColumn, n)
	}
	return text, err
}

// Texts returns a column of text.
func (b *Block) Texts(c TextColumn) (*Texts, error) {
	return lru.Get(b.cache, cacheKey{b, partColumn, int(c)}, func() (*Texts, int, error) {
		p := &b.foot.Texts[c]
		s, err := b.section(p.Where, p.Tag, int(c))
		if err != nil {
			return nil, 0, err
		}
		t, err := b.parseTexts(s, p, textTraits[c].hex, p.inverted(c))
		return t, len(s) + 24*len(t.values), err
	})
}

func (b *Block) parseTexts(s []byte, p *textPart, isHex, inverted bool) (*Texts, error) {
	t := &Texts{sorted: true, hex: isHex}
	values, rest := s[:p.Bytes], s[p.Bytes:]
	if n := p.Values - 1; isHex && n > 0 && (p.Bytes-1)%n == 0 && uniform(values, n) {
		t.flat, t.stride = values[1:], (p.Bytes-1)/n
	} else {
		all := string(values)
		t.values = make([]string, 0, p.Values)
		at := 0
		for range p.Values {
			n, k := binary.Uvarint(values[at:])
			if k <= 0 || n > uint64(len(values)-at-k) {
				return t, fmt.Errorf("%w: a value of column %s", ErrDamaged, p.Name)
			}
			at += k
			t.values = append(t.values, all[at:at+int(n)])
			at += int(n)
		}
	}
	take := func(n, width int) packed {
		b := rest[: n*width : n*width]
		rest = rest[n*width:]
		return packed{b, width, n}
	}
	t.file = take(b.foot.Rows, widthOf(uint64(p.Values-1)))
	if inverted {
		t.starts = take(p.Values+1, widthOf(uint64(b.foot.Rows)))
		t.rows = take(b.foot.Rows, widthOf(uint64(b.foot.Rows-1)))
	}
	return t, nil
}

// uniform reports whether all values but the first, empty one have the same
// length of at most 127 bytes, which is stored in one byte.
func uniform(values []byte, n int) bool {
	stride := (len(values) - 1) / n
	if values[0] != 0 || stride < 2 || stride > 128 {
		return false
	}
	for at := 1; at < len(values); at += stride {
		if int(values[at]) != stride-1 {
			return false
		}
	}
	return true
}

// Numbers returns a column of numbers.
func (b *Block) Numbers(c NumberColumn) (*Numbers, error) {
	n := int(textColumns) + int(c)
	return lru.Get(b.cache, cacheKey{b, partColumn, n}, func() (*Numbers, int, error) {
		p := &b.foot.Numbers[c]
		s, err := b.section(p.Where, p.Tag, n)
		if err != nil {
			return nil, 0, err
		}
		t := &Numbers{n: b.foot.Rows, min: p.Min, max: p.Max, scale: p.Scale, none: p.Known == 0}
		if p.Known > 0 && p.Known < b.foot.Rows {
			t.presence = make([]uint64, (b.foot.Rows+63)/64)
			for i := range t.presence {
				t.presence[i] = binary.LittleEndian.Uint64(s[8*i:])
			}
			s = s[8*len(t.presence):]
		}
		t.file = packed{s, p.width(), b.foot.Rows}
		return t, len(s) + 8*len(t.presence), nil
	})
}

// NumberBounds returns the least and the largest number of a column. It reads
// nothing from disk.
func (b *Block) NumberBounds(c NumberColumn) (least, most int64, known bool) {
	p := &b.foot.Numbers[c]
	return p.Min, p.Max, p.Known > 0
}

// Absent returns how many rows are of records that were removed from the log.
func (b *Block) Absent() int { return b.foot.Rows - b.foot.Numbers[Size].Known }

// directory returns the directory.
func (b *Block) directory() (*directory, error) {
	return lru.Get(b.cache, cacheKey{b, partDirectory, 0}, func() (*directory, int, error) {
		s, err := b.bytes(b.foot.Places.At, b.foot.Places.Len)
		if err != nil {
			return nil, 0, err
		}
		packed, err := b.seal.open(nil, s, partDirectory, 0)
		if err != nil {
			return nil, 0, err
		}
		text, err := decoder().DecodeAll(packed, nil)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: directory: %w", ErrDamaged, err)
		}
		d, err := parseDirectory(text, b.foot.Pages.At)
		if err != nil {
			return nil, 0, err
		}
		if len(d.places)-1 != b.foot.Pages.Count || d.places[len(d.places)-1] != b.foot.Places.At {
			return nil, 0, fmt.Errorf("%w: the directory does not match the pages", ErrDamaged)
		}
		return d, len(text) + 40*len(d.marks) + 8*len(d.places), nil
	})
}

// page returns a page of the postings; cached says whether to keep it in
// memory.
func (b *Block) page(d *directory, n int, cached bool) ([]byte, error) {
	load := func() ([]byte, int, error) {
		s, err := b.bytes(d.places[n], int(d.places[n+1]-d.places[n]))
		if err != nil {
			return nil, 0, err
		}
		packed, err := b.seal.open(s[:0], s, partPage, n)
		if err != nil {
			return nil, 0, err
		}
		text, err := decoder().DecodeAll(packed, make([]byte, 0, pageLen))
		if err != nil || len(text) > pageLen {
			return nil, 0, fmt.Errorf("%w: page %d", ErrDamaged, n)
		}
		return text, len(text), nil
	}
	if !cached {
		text, _, err := load()
		return text, err
	}
	return lru.Get(b.cache, cacheKey{b, partPage, n}, load)
}

// from begins to read entries at the last mark that is not after a key. It
// returns nil if there are no entries.
func (b *Block) from(key string, cached bool) (*streamReader, error) {
	d, err := b.directory()
	if err != nil || len(d.marks) == 0 {
		return nil, err
	}
	m := d.marks[d.find(key)]
	r := &streamReader{
		rows: b.foot.Rows, n: m.page, all: b.foot.Pages.Count, key: make([]byte, 0, maxKey),
		page: func(n int) ([]byte, error) { return b.page(d, n, cached) },
	}
	if err := r.fill(); err != nil {
		return nil, err
	}
	if m.offset >= len(r.buf) {
		return nil, fmt.Errorf("%w: a mark beyond its page", ErrDamaged)
	}
	r.buf = r.buf[m.offset:]
	return r, nil
}

// seek calls use with each entry from the first whose key is not before key,
// until use returns that it is enough. use must read or skip the list.
func (b *Block) seek(key string, use func(r *streamReader) (more bool, err error)) error {
	r, err := b.from(key, true)
	if r == nil || err != nil {
		return err
	}
	for r.more() {
		if err := r.next(); err != nil {
			return err
		}
		if string(r.key) < key {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		if more, err := use(r); err != nil || !more {
			return err
		}
	}
	return nil
}

// Term returns the rows that have a term in a field, or in any.
func (b *Block) Term(field text.Field, term string) (*roaring.Bitmap, error) {
	set := roaring.New()
	var scratch []uint32
	err := b.term(field, term, func(r *streamReader) (err error) {
		scratch, err = r.into(set, scratch)
		return err
	})
	return set, err
}

// term calls use with the entries of a term.
func (b *Block) term(field text.Field, term string, use func(*streamReader) error) error {
	first, last := field, field
	if field == text.Any {
		all := text.Fields()
		first, last = all[0], all[len(all)-1]
	}
	start, end := string(key(nil, first, []byte(term))), string(key(nil, last, []byte(term)))
	return b.seek(start, func(r *streamReader) (bool, error) {
		if string(r.key) > end {
			return false, nil
		}
		return true, use(r)
	})
}

// Prefix returns the rows that have a term with a prefix in a field, or in any.
func (b *Block) Prefix(field text.Field, prefix string) (*roaring.Bitmap, error) {
	set := roaring.New()
	var scratch []uint32
	err := b.seek(prefix, func(r *streamReader) (bool, error) {
		if len(r.key) < len(prefix) || string(r.key[:len(prefix)]) != prefix {
			return false, nil
		}
		if !matches(string(r.key), field, prefix) {
			return true, r.skip()
		}
		var err error
		scratch, err = r.into(set, scratch)
		return true, err
	})
	return set, err
}

// postings yields the keys in order with their rows.
func (b *Block) postings(yield func(key string, rows []uint32, err error) bool) {
	r, err := b.from("", false)
	if err != nil {
		yield("", nil, err)
		return
	}
	var rows []uint32
	for r != nil && r.more() {
		err := r.next()
		if err == nil {
			rows, err = r.list(rows[:0])
		}
		if !yield(string(r.key), rows, err) || err != nil {
			return
		}
	}
}

// Check reads all of a block, and returns an error if it is damaged.
func Check(b *Block) error {
	for c := range textColumns {
		if _, err := b.section(b.foot.Texts[c].Where, b.foot.Texts[c].Tag, int(c)); err != nil {
			return err
		}
	}
	for c := range numberColumns {
		if _, err := b.section(b.foot.Numbers[c].Where, b.foot.Numbers[c].Tag, int(textColumns)+int(c)); err != nil {
			return err
		}
	}
	d, err := b.directory()
	for n := 0; err == nil && n < b.foot.Pages.Count; n++ {
		_, err = b.page(d, n, false)
	}
	return err
}
