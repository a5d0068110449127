package segment

import (
	"cmp"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"

	"audittrail/record"
)

// An id table holds the id hashes of a range of full segments in order:
//
//	page 0   "audittrail-ids/v2", zeros to 24, from (8), to (8), hash of the
//	         record before to (32), zeros, and a tag in the page's last 16 bytes
//	page n   63 entries of id hash (8) and sequence number (8), ascending, zeros
//	         where there are fewer, and a tag
//
// A tag is the first 16 bytes of the HMAC-SHA256 of from, to, that hash, n (8)
// and the rest of the page, under the Key by which derived files are
// authenticated: so the absence of an id from these records is authenticated,
// too. Pages have 1,024 bytes, numbers are big endian. Id hashes are evenly
// spread, so an entry is found by interpolation: three or four reads among a
// hundred million. Tables of similar size are merged, so that there are few.
const (
	idMagic   = "audittrail-ids/v2"
	idMagicV1 = "audittrail-ids/v1"
	pageLen   = 1024
	tagLen    = 16
	pageSlots = (pageLen - tagLen) / entryLen
	tabPrefix = "ids-"
	tabExt    = ".tab"
)

// A table is one id table.
type table struct {
	name     string
	from, to uint64
	last     record.Hash // of the record before to
	pages    int64
}

// bind returns the bytes that all tags of a table cover, followed by the
// number of a page.
func (t *table) bind(n int64) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 56), t.from)
	b = binary.BigEndian.AppendUint64(b, t.to)
	b = append(b, t.last[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

func (s *Store) tableName(from, to uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s%020d-%020d%s", tabPrefix, from, to, tabExt))
}

// listTables finds the tables that cover the log from its start on without a
// gap, the largest first where they overlap.
func (s *Store) listTables() error {
	names, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list id tables: %w", err)
	}
	var all []*table
	for _, name := range names {
		if t := s.tableNamed(name); t != nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *table) int {
		return cmp.Or(cmp.Compare(a.from, b.from), -cmp.Compare(a.to, b.to))
	})
	x := &s.ids
	x.tables = nil
	if !s.macs.known() {
		x.listed = true
		return nil // without a key no table can be authenticated
	}
	at := s.start()
	for _, t := range all {
		if t.from == at && t.to <= s.Size() && s.checkTable(t) == nil {
			x.tables = append(x.tables, t)
			at = t.to
		}
	}
	x.listed = true
	return nil
}

func pagesFor(entries uint64) int64 {
	return 1 + int64((entries+pageSlots-1)/pageSlots)
}

func (t *table) head(m macs) []byte {
	b := make([]byte, pageLen)
	copy(b, idMagic)
	binary.BigEndian.PutUint64(b[24:], t.from)
	binary.BigEndian.PutUint64(b[32:], t.to)
	copy(b[40:], t.last[:])
	return t.closePage(b, 0, m)
}

// closePage puts the tag at the end of the nth page of a table.
func (t *table) closePage(b []byte, n int64, m macs) []byte {
	var sum [macLen]byte
	copy(b[pageLen-tagLen:], m.append(sum[:0], domainTable, t.bind(n), b[:pageLen-tagLen]))
	return b
}

// checkPage reports whether the tag of the nth page is right.
func (t *table) checkPage(b []byte, n int64, m macs) bool {
	var sum [macLen]byte
	return subtle.ConstantTimeCompare(m.append(sum[:0], domainTable, t.bind(n), b[:pageLen-tagLen])[:tagLen], b[pageLen-tagLen:]) == 1
}

var errTable = errors.New("id table is damaged")

// checkTable returns an error if a table's head or length is wrong, or if it
// is of another log's records. Its pages are checked as they are read.
func (s *Store) checkTable(t *table) error {
	h, err := s.files.acquire(t.name)
	if err != nil {
		return err
	}
	defer s.files.release(h)
	head := make([]byte, pageLen)
	size, err := h.file.Size()
	if n, rerr := h.file.ReadAt(head, 0); n < pageLen || err != nil {
		s.files.forget(t.name)
		return errors.Join(errTable, err, rerr)
	}
	t.last = record.Hash(head[40:72])
	if size != t.pages*pageLen || string(head) != string(t.head(s.macs)) {
		s.files.forget(t.name) // another may be written under its name
		return errTable
	}
	last, err := s.hashAt(t.to - 1)
	if err == nil && last != t.last {
		err = errTable
	}
	return err
}

// hashAt returns the hash of a record from its line or its tombstone.
func (s *Store) hashAt(seq uint64) (record.Hash, error) {
	g, _, err := s.find(seq)
	if err != nil {
		return record.Hash{}, err
	}
	if g.gone != nil {
		var h [1][32]byte
		err := s.fromTombstone(g, func(f io.ReaderAt) error { return g.gone.Hashes(f, seq-g.first, h[:]) })
		return h[0], err
	}
	line, err := s.Peek(seq)
	if err != nil {
		return record.Hash{}, err
	}
	t, _ := record.ParseChainLink(line) // checked by Peek
	return t.Hash, nil
}

// A page contains the entries of one page of a table.
type page []byte

func (p page) len() int { return len(p) / entryLen }

func (p page) at(i int) idRef {
	return idRef{binary.BigEndian.Uint64(p[i*entryLen:]), binary.BigEndian.Uint64(p[i*entryLen+8:])}
}

// page reads the nth page of entries, from 0, into buf.
func (s *Store) page(t *table, n int64, buf *[pageLen]byte) (page, error) {
	h, err := s.files.acquire(t.name)
	if err != nil {
		return nil, err
	}
	defer s.files.release(h)
	if got, err := h.file.ReadAt(buf[:], (n+1)*pageLen); got < pageLen {
		return nil, errors.Join(errTable, err)
	}
	return t.parsePage(buf[:], n+1, min(pageSlots, t.to-t.from-uint64(n)*pageSlots), s.macs)
}

func (t *table) parsePage(b []byte, n int64, slots uint64, m macs) (page, error) {
	if !t.checkPage(b, n, m) {
		return nil, errTable
	}
	for _, c := range b[slots*entryLen : pageLen-tagLen] {
		if c != 0 {
			return nil, errTable
		}
	}
	return b[:slots*entryLen], nil
}

// lookup returns the records of a table that have an id hash; called with
// ids.mu held.
func (s *Store) lookup(t *table, id uint64) ([]uint64, error) {
	// The first page whose last entry is not below id is in [lo, hi].
	lo, hi := int64(0), t.pages-1
	loID, hiID := uint64(0), ^uint64(0)
	buf := &s.ids.buf
	for lo < hi {
		// Look where an even spread would put it.
		mid := lo + int64(float64(hi-lo)*(float64(id-loID)/(float64(hiID-loID)+1)))
		mid = min(max(mid, lo), hi-1)
		refs, err := s.page(t, mid, buf)
		if err != nil {
			return nil, err
		}
		switch first, last := refs.at(0).id, refs.at(refs.len()-1).id; {
		case last < id:
			lo, loID = mid+1, last
		case first < id:
			lo, hi = mid, mid
		default:
			hi, hiID = mid, first
		}
	}
	return s.collect(t, lo, id)
}

// collect gathers the run of an id hash from a page on.
func (s *Store) collect(t *table, from int64, id uint64) (out []uint64, err error) {
	buf := &s.ids.buf
	for n := from; n < t.pages-1; n++ {
		refs, err := s.page(t, n, buf)
		if err != nil {
			return nil, err
		}
		i := sort.Search(refs.len(), func(i int) bool { return refs.at(i).id >= id })
		for ; i < refs.len() && refs.at(i).id == id; i++ {
			out = append(out, refs.at(i).seq)
		}
		if i < refs.len() {
			break
		}
	}
	return out, nil
}
