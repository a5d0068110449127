package tombstone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"io"
	"iter"
	"math"
	"slices"

	"audittrail/event"
	"audittrail/internal/canonical"
	"audittrail/record"
)

// A Row counts the records that have left of one subject, by one actor, in one
// trace and session of a domain, of one month of a retention class.
type Row struct {
	Domain  string // empty: the records name none
	Subject record.Subject
	Actor   record.Subject // zeros: none, or in the second version not known
	Trace   [16]byte       // zeros: none
	Session [16]byte       // the keyed hash; zeros: none
	Class   string         // such as standard/2026-11
	Records uint32
}

// rowLen is the length of a row in the file: subject, domain (2), trace,
// session, class (2), records (4), actor. Domain and class are indexes into the
// names, that of the domain from 1 on. Rows of the second version have no
// actor.
const (
	rowLen  = rowLen2 + 16
	rowLen2 = 16 + 2 + 16 + 16 + 2 + 4
)

// rowLen returns the length of a row of this tombstone.
func (m *Tombstone) rowLen() int {
	if m.version == 2 {
		return rowLen2
	}
	return rowLen
}

// A rowKey is a row without its number.
type rowKey struct {
	domain  string
	subject record.Subject
	trace   [16]byte
	session [16]byte
	class   string
	actor   record.Subject
}

func compareKeys(a, b rowKey) int {
	return cmp.Or(
		bytes.Compare(a.subject[:], b.subject[:]), cmp.Compare(a.domain, b.domain), bytes.Compare(a.trace[:], b.trace[:]),
		bytes.Compare(a.session[:], b.session[:]), cmp.Compare(a.class, b.class), bytes.Compare(a.actor[:], b.actor[:]),
	)
}

// A table counts the records that leave.
type table map[rowKey]uint32

// add counts a line, and reports whether its format is known.
func (t table) add(line []byte) bool {
	r, err := record.Decode(line)
	if err != nil {
		return false
	}
	t[keyOf(r)]++
	return true
}

func keyOf(r *record.Record) rowKey {
	k := rowKey{domain: r.Domain, subject: r.Subject, session: r.Session, class: r.Class, actor: r.Actor}
	if b, err := hex.DecodeString(r.Event.TraceID); err == nil && len(b) == len(k.trace) {
		copy(k.trace[:], b)
	}
	return k
}

// encode returns the names and the rows, of the given length. The same records
// give the same bytes.
func (t table) encode(length int) (names, rows []byte, err error) {
	keys := make([]rowKey, 0, len(t))
	texts := map[string]uint16{}
	for k := range t {
		keys = append(keys, k)
		texts[k.class] = 0
		if k.domain != "" {
			texts[k.domain] = 0
		}
	}
	sorted := make([]string, 0, len(texts))
	for s := range texts {
		sorted = append(sorted, s)
	}
	slices.Sort(sorted)
	if len(sorted) >= math.MaxUint16 {
		return nil, nil, damaged("its table has %d classes and domains", len(sorted))
	}
	for i, s := range sorted {
		texts[s] = uint16(i)
		names = append(append(names, byte(len(s))), s...)
	}
	slices.SortFunc(keys, compareKeys)
	for _, k := range keys {
		rows = append(rows, k.subject[:]...)
		domain := uint16(0)
		if k.domain != "" {
			domain = texts[k.domain] + 1
		}
		rows = binary.BigEndian.AppendUint16(rows, domain)
		rows = append(append(rows, k.trace[:]...), k.session[:]...)
		rows = binary.BigEndian.AppendUint16(rows, texts[k.class])
		rows = binary.BigEndian.AppendUint32(rows, t[k])
		if length == rowLen {
			rows = append(rows, k.actor[:]...)
		}
	}
	return names, rows, nil
}

// Tabled reports whether the tombstone has a table of the records that have
// left. Tombstones of the first version do not.
func (m *Tombstone) Tabled() bool { return m.version > 1 }

// TellsActs reports whether the table has actors. Tables of the second version
// do not.
func (m *Tombstone) TellsActs() bool { return m.version > 2 }

func (m *Tombstone) namesAt() int64 { return m.linesAt() + m.kept }

// Rows yields the table of the records that have left, by subject. The table of
// a tombstone that Check has accepted is in order.
func (m *Tombstone) Rows(file io.ReaderAt) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		names, err := m.readNames(file)
		if err != nil {
			yield(Row{}, err)
			return
		}
		const together = 1024
		length := m.rowLen()
		buf := make([]byte, length*int(min(together, m.rows)))
		for from := uint64(0); from < m.rows; from += together {
			b := buf[:length*int(min(together, m.rows-from))]
			if err := readFull(file, b, m.namesAt()+int64(m.names)+int64(length)*int64(from)); err != nil {
				yield(Row{}, err)
				return
			}
			for ; len(b) > 0; b = b[length:] {
				r, err := parseRow(b[:length], names)
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

func parseRow(b []byte, names []string) (Row, error) {
	domain, class := int(binary.BigEndian.Uint16(b[16:])), int(binary.BigEndian.Uint16(b[50:]))
	if domain > len(names) || class >= len(names) {
		return Row{}, damaged("a row of its table has a class or domain that is not among its names")
	}
	r := Row{
		Subject: record.Subject(b[:16]), Trace: [16]byte(b[18:34]), Session: [16]byte(b[34:50]), Class: names[class],
		Records: binary.BigEndian.Uint32(b[52:]),
	}
	if domain > 0 {
		r.Domain = names[domain-1]
	}
	copy(r.Actor[:], b[rowLen2:])
	return r, nil
}

func (m *Tombstone) readNames(file io.ReaderAt) ([]string, error) {
	b := make([]byte, m.names) // not longer than the file
	if err := readFull(file, b, m.namesAt()); err != nil {
		return nil, err
	}
	var names []string
	for len(b) > 0 {
		n := 1 + int(b[0])
		if n > len(b) {
			return nil, damaged("its names are cut off")
		}
		names = append(names, string(b[1:n]))
		b = b[n:]
	}
	return names, nil
}

// checkTable checks that the table is in canonical form and counts all records
// that have left.
func (m *Tombstone) checkTable(file io.ReaderAt) error {
	if m.version == 1 {
		return nil
	}
	t := table{}
	total := uint64(0)
	for r, err := range m.Rows(file) {
		if err != nil {
			return err
		}
		k := rowKey{r.Domain, r.Subject, r.Trace, r.Session, r.Class, r.Actor}
		if _, _, err := record.SplitClass(r.Class); err != nil || r.Records == 0 || t[k] > 0 || r.Domain != "" && !event.ValidClass(r.Domain) {
			return damaged("a row of its table cannot be decoded")
		}
		t[k] = r.Records
		total += uint64(r.Records)
	}
	names, rows, err := t.encode(m.rowLen())
	if err != nil {
		return err
	}
	is := make([]byte, int(m.names)+m.rowLen()*int(m.rows))
	if err := readFull(file, is, m.namesAt()); err != nil {
		return err
	}
	if err := canonical.Check(is, append(names, rows...)); err != nil {
		return damaged("its table is %v", err)
	}
	if total != m.Records-uint64(len(m.places)) {
		return damaged("its table counts %d records, but %d have left", total, m.Records-uint64(len(m.places)))
	}
	return nil
}
