// Package tombstone encodes and decodes the tombstone of a segment: the file
// that remains in the log when the segment's lines have left it. It contains
// the hash and the id of every record, and the unchanged lines of governance
// records.
//
//	log/00000000000000000000.remnant
//
//	0   24  "audittrail-remnant/v3", padded with zeros
//	24   8  sequence number of the first record
//	32   8  n, the number of records
//	40   8  k, the number of lines that are kept
//	48   8  m, the bytes of these, each with its LF
//	56   8  bytes that the segment had
//	64   8  when the first record was logged, in nanoseconds since 1970
//	72   8  when the last was
//	80   8  r, the number of rows of the table
//	88   8  s, the bytes of its names
//	96 32n  the records' hashes
//	   16n  the records' ids; zeros where a record's format is not understood
//	    8k  of each line that is kept: its place among the records, with the
//	        highest bit set for a governance record (4), and the offset
//	        after its LF among the lines (4)
//	     m  the lines
//	     s  the names of the table: retention classes' months and domains,
//	        ascending, each with its length in front (1)
//	   72r  the table of what has left: see Row
//	    32  SHA-256 of everything before
//
// The second version has rows of 56, without an actor; the first has neither r nor
// s, and no table. All numbers are big endian.
// The same lines always give the same file, and a record of the log names its
// SHA-256: docs/format/archive.md.
//
// The package promises that the parts of a tombstone that Check accepts agree
// with each other. The caller has to check that its hashes are those of the
// tree, and that a record of the log says that its lines have left.
package tombstone

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"audittrail/event"
	"audittrail/record"
)

const (
	magic    = "audittrail-remnant/v3"
	magic2   = "audittrail-remnant/v2"
	magic1   = "audittrail-remnant/v1"
	headLen  = 96
	headLen1 = 80
	hashLen  = 32
	idLen    = 16
	placeLen = 8
	sumLen   = sha256.Size

	adminBit = 1 << 31

	// Ext is the extension of a tombstone's name; the rest is that of its
	// segment.
	Ext = ".remnant"
)

// ErrDamaged reports that a file is not a whole tombstone.
var ErrDamaged = errors.New("the tombstone is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// A Header describes the segment of a tombstone.
type Header struct {
	First       uint64 // sequence number of the first record
	Records     uint64
	Bytes       int64 // bytes of the segment
	FirstLogged time.Time
	LastLogged  time.Time
}

// Next is the sequence number after the last record.
func (h *Header) Next() uint64 { return h.First + h.Records }

// A Tombstone is the head of a tombstone file, with the offsets of the lines in
// it.
type Tombstone struct {
	Header
	places []uint32 // ascending, without adminBit
	admin  []bool   // whether each is a governance record
	ends   []uint32
	kept   int64 // bytes of the lines

	version int
	rows    uint64
	names   uint64 // bytes of the table's names
}

// Size returns the length of the file.
func (m *Tombstone) Size() int64 {
	return m.sizeOf(m.Records, uint64(len(m.places)), uint64(m.kept))
}

func (m *Tombstone) sizeOf(records, kept, bytes uint64) int64 {
	return m.headLen() + int64((hashLen+idLen)*records+placeLen*kept+bytes+m.names+uint64(m.rowLen())*m.rows+sumLen)
}

func (m *Tombstone) headLen() int64 {
	if m.version == 1 {
		return headLen1
	}
	return headLen
}

func (m *Tombstone) idsAt() int64    { return m.headLen() + hashLen*int64(m.Records) }
func (m *Tombstone) placesAt() int64 { return m.idsAt() + idLen*int64(m.Records) }
func (m *Tombstone) linesAt() int64  { return m.placesAt() + placeLen*int64(len(m.places)) }

// Read reads the head of a file of a given size, with the offsets of its lines.
// It does not check the rest: Check does.
func Read(file io.ReaderAt, size int64) (*Tombstone, error) {
	head := make([]byte, headLen1)
	if err := readFull(file, head, 0); err != nil {
		return nil, err
	}
	first := [24]byte(head)
	m := &Tombstone{version: versionOf(first)}
	if m.version > 1 {
		head = make([]byte, headLen)
		if err := readFull(file, head, 0); err != nil {
			return nil, err
		}
		m.rows, m.names = binary.BigEndian.Uint64(head[80:]), binary.BigEndian.Uint64(head[88:])
	}
	n, kept, bytes := m.parseHead(head)
	switch {
	case m.version == 0:
		return nil, damaged("it does not begin with its magic number")
	case m.rows > n || m.names > math.MaxUint32:
		return nil, damaged("its table has %d rows for %d records", m.rows, n)
	case n == 0 || n > math.MaxInt32 || m.First > record.MaxSeq-n:
		return nil, damaged("a segment cannot have %d records from %d on", n, m.First)
	case kept > n || bytes > math.MaxUint32 || m.Bytes < 0 || m.LastLogged.Before(m.FirstLogged):
		return nil, damaged("its numbers do not agree")
	case m.sizeOf(n, kept, bytes) != size:
		return nil, damaged("it has %d bytes, but its head says %d", size, m.sizeOf(n, kept, bytes))
	}
	m.Records, m.kept = n, int64(bytes)
	index := make([]byte, placeLen*kept) // no longer than the file
	if err := readFull(file, index, m.placesAt()); err != nil {
		return nil, err
	}
	return m, m.parsePlaces(index)
}

// versionOf returns the version of a file with these first bytes; 0 if it is
// not a tombstone.
func versionOf(first [24]byte) int {
	for i, m := range []string{magic1, magic2, magic} {
		var b [24]byte
		copy(b[:], m)
		if first == b {
			return i + 1
		}
	}
	return 0
}

func (m *Tombstone) parseHead(b []byte) (n, kept, bytes uint64) {
	u := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	m.First, m.Bytes = u(24), int64(u(56))
	m.FirstLogged, m.LastLogged = time.Unix(0, int64(u(64))).UTC(), time.Unix(0, int64(u(72))).UTC()
	return u(32), u(40), u(48)
}

func (m *Tombstone) parsePlaces(b []byte) error {
	end := uint32(0)
	for ; len(b) > 0; b = b[placeLen:] {
		place, to := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		admin := place&adminBit != 0
		place &^= adminBit
		last := len(m.places) - 1
		if uint64(place) >= m.Records || last >= 0 && place <= m.places[last] || to <= end {
			return damaged("its lines are out of order")
		}
		m.places, m.admin, m.ends, end = append(m.places, place), append(m.admin, admin), append(m.ends, to), to
	}
	if int64(end) != m.kept {
		return damaged("its lines have %d bytes, but its head says %d", m.kept, end)
	}
	return nil
}

func readFull(file io.ReaderAt, b []byte, at int64) error {
	if n, err := file.ReadAt(b, at); n < len(b) {
		if err == io.EOF {
			return damaged("it ends at byte %d", at+int64(n))
		}
		return fmt.Errorf("read tombstone: %w", err)
	}
	return nil
}

// Hashes fills dst with the hashes of the records from the nth on.
func (m *Tombstone) Hashes(file io.ReaderAt, n uint64, dst [][32]byte) error {
	buf := make([]byte, hashLen*len(dst))
	if err := readFull(file, buf, m.headLen()+hashLen*int64(n)); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = [32]byte(buf[hashLen*i:])
	}
	return nil
}

// IDs fills dst with the ids of the records from the nth on.
func (m *Tombstone) IDs(file io.ReaderAt, n uint64, dst []record.ID) error {
	buf := make([]byte, idLen*len(dst))
	if err := readFull(file, buf, m.idsAt()+idLen*int64(n)); err != nil {
		return err
	}
	for i := range dst {
		dst[i] = record.ID(buf[idLen*i:])
	}
	return nil
}

// Kept returns the number of lines that have stayed.
func (m *Tombstone) Kept() uint64 { return uint64(len(m.places)) }

// Administrative returns the places of the governance records.
func (m *Tombstone) Administrative() (places []uint32) {
	for i, p := range m.places {
		if m.admin[i] {
			places = append(places, p)
		}
	}
	return places
}

// find returns the index of the line of a place, or -1.
func (m *Tombstone) find(place uint64) int {
	lo, hi := 0, len(m.places)
	for lo < hi {
		mid := (lo + hi) / 2
		if uint64(m.places[mid]) < place {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(m.places) && uint64(m.places[lo]) == place {
		return lo
	}
	return -1
}

// Line returns the line of a record without its LF, or nil if it was not kept.
func (m *Tombstone) Line(file io.ReaderAt, seq uint64) ([]byte, error) {
	i := m.find(seq - m.First)
	if i < 0 {
		return nil, nil
	}
	return m.line(file, i)
}

func (m *Tombstone) line(file io.ReaderAt, i int) ([]byte, error) {
	from := uint32(0)
	if i > 0 {
		from = m.ends[i-1]
	}
	b := make([]byte, m.ends[i]-from)
	if err := readFull(file, b, m.linesAt()+int64(from)); err != nil {
		return nil, err
	}
	line := b[:len(b)-1]
	t, ok := record.ParseChainLink(line)
	if !ok || b[len(b)-1] != '\n' || bytes.IndexByte(line, '\n') >= 0 || t.Seq != m.First+uint64(m.places[i]) {
		return nil, damaged("the line that it keeps of record %d is not of that record", m.First+uint64(m.places[i]))
	}
	return line, nil
}

// Lines yields the lines that are kept, without their LFs, in order.
func (m *Tombstone) Lines(file io.ReaderAt) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i := range m.places {
			line, err := m.line(file, i)
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// Check reads the whole file, and returns its SHA-256 if it is a tombstone
// whose parts agree.
func Check(file io.ReaderAt, size int64) (*Tombstone, [32]byte, error) {
	m, err := Read(file, size)
	if err != nil {
		return nil, [32]byte{}, err
	}
	whole := sha256.New()
	if _, err := io.Copy(whole, io.NewSectionReader(file, 0, size-sumLen)); err != nil {
		return nil, [32]byte{}, fmt.Errorf("read tombstone: %w", err)
	}
	sum := make([]byte, sumLen)
	if err := readFull(file, sum, size-sumLen); err != nil {
		return nil, [32]byte{}, err
	}
	if !bytes.Equal(whole.Sum(nil), sum) {
		return nil, [32]byte{}, damaged("it does not match its own hash")
	}
	whole.Write(sum)
	for line, err := range m.Lines(file) {
		if err == nil {
			err = m.agrees(file, line)
		}
		if err != nil {
			return nil, [32]byte{}, err
		}
	}
	if err := m.checkTable(file); err != nil {
		return nil, [32]byte{}, err
	}
	return m, [32]byte(whole.Sum(nil)), nil
}

// agrees compares a line that is kept with its hash and id.
func (m *Tombstone) agrees(file io.ReaderAt, line []byte) error {
	t, _ := record.ParseChainLink(line) // Lines has checked it
	var hash [1][32]byte
	var id [1]record.ID
	if err := errors.Join(m.Hashes(file, t.Seq-m.First, hash[:]), m.IDs(file, t.Seq-m.First, id[:])); err != nil {
		return err
	}
	own, _, _ := record.Peek(line)
	if !record.VerifyHash(line, &t) || t.Hash != hash[0] || own != id[0] {
		return damaged("the line that it keeps of record %d was altered", t.Seq)
	}
	return nil
}

// A Builder builds the tombstone of the lines that are added to it.
type Builder struct {
	head   Header
	hashes []byte
	ids    []byte
	places []byte
	lines  []byte
	last   record.ChainLink

	classes Classes
	left    table
}

// Add adds the next line, without its LF, and checks that it matches its own
// hash and continues the line before.
func (k *Builder) Add(line []byte) error {
	t, ok := record.ParseChainLink(line)
	if !ok || !record.VerifyHash(line, &t) {
		return fmt.Errorf("record %d: %w; run verify", k.head.Next(), record.ErrHash)
	}
	if k.head.Records == 0 {
		k.head.First, k.head.FirstLogged = t.Seq, t.Logged
	} else if t.Seq != k.head.Next() || t.Prev != k.last.Hash {
		return fmt.Errorf("record %d: the line does not continue the chain; run verify", k.head.Next())
	}
	place := uint32(k.head.Records)
	k.head.Records++
	k.head.Bytes += int64(len(line)) + 1
	k.head.LastLogged, k.last = t.Logged, t
	if k.classes == nil {
		k.classes, k.left = make(Classes), make(table)
	}
	k.classes.Add(line)
	id, kind, known := record.Peek(line)
	k.hashes = append(k.hashes, t.Hash[:]...)
	k.ids = append(k.ids, id[:]...)
	// A line of an unknown format may govern the log, and is kept too.
	if known && !event.Type(kind).Reserved() && k.left.add(line) {
		return nil
	}
	if event.Type(kind).Governance() {
		place |= adminBit
	}
	k.lines = append(append(k.lines, line...), '\n')
	k.places = binary.BigEndian.AppendUint32(k.places, place)
	k.places = binary.BigEndian.AppendUint32(k.places, uint32(len(k.lines)))
	return nil
}

// Header describes the lines that were added.
func (k *Builder) Header() Header { return k.head }

// Classes counts the records that were added and leave the log.
func (k *Builder) Classes() Classes { return k.classes }

// Last returns the end of the last line.
func (k *Builder) Last() record.ChainLink { return k.last }

// Bytes returns the file.
func (k *Builder) Bytes() ([]byte, error) {
	if k.head.Records == 0 || k.head.Records > math.MaxInt32 || uint64(len(k.lines)) > math.MaxUint32 {
		return nil, fmt.Errorf("build tombstone: %d records with %d bytes of lines to keep are past the limits of the format", k.head.Records, len(k.lines))
	}
	names, rows, err := k.left.encode(rowLen)
	if err != nil {
		return nil, fmt.Errorf("build tombstone: %w", err)
	}
	m := &Tombstone{version: 3, rows: uint64(len(rows) / rowLen), names: uint64(len(names))}
	b := make([]byte, 24, m.sizeOf(k.head.Records, uint64(len(k.places)/placeLen), uint64(len(k.lines))))
	copy(b, magic)
	for _, n := range []uint64{
		k.head.First, k.head.Records, uint64(len(k.places) / placeLen), uint64(len(k.lines)), uint64(k.head.Bytes),
		uint64(k.head.FirstLogged.UnixNano()), uint64(k.head.LastLogged.UnixNano()), m.rows, m.names,
	} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, k.hashes...)
	b = append(b, k.ids...)
	b = append(b, k.places...)
	b = append(b, k.lines...)
	b = append(b, names...)
	b = append(b, rows...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...), nil
}
