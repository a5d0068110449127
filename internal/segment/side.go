package segment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"audittrail/event"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A side file is a header, an entry per line, and a seal:
//
//	0   24  "audittrail-side/v2", padded with zeros
//	24   8  first sequence number
//	32 16n  entries: end of the line (4), flags (1), check (3), id hash (8)
//	        seal, see there
//
// All numbers are big endian. The check is the low 24 bits of the CRC-32C of
// the record's sequence number and the rest of the entry. The place of a line
// in an entry is used once the line was found there; the rest of an entry only
// if the seal covers it. Version 1 had the same entries and no seal: only its
// places are used.
const (
	sideMagic   = "audittrail-side/v2"
	sideMagicV1 = "audittrail-side/v1"
	sideHeader  = 32
	entryLen    = 16

	flagAdmin = 1
)

// An entry is what a side file contains of a line.
type entry struct {
	end  uint32 // offset in the segment of the byte after its LF
	flag byte
	id   uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (e entry) append(dst []byte, seq uint64) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, e.end)
	dst = append(dst, e.flag, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, e.id)
	sum := entrySum(dst[at:], seq)
	dst[at+5], dst[at+6], dst[at+7] = byte(sum>>16), byte(sum>>8), byte(sum)
	return dst
}

func entrySum(b []byte, seq uint64) uint32 {
	var buf [21]byte
	binary.BigEndian.PutUint64(buf[:], seq)
	copy(buf[8:], b[:5])
	copy(buf[13:], b[8:entryLen])
	sum := ^uint32(0)
	for _, c := range buf { // crc32.Checksum would put buf on the heap, once an entry
		sum = castagnoli[byte(sum)^c] ^ sum>>8
	}
	return ^sum
}

var errSide = errors.New("side file is damaged")

// An unreadableError reports that a side file cannot be read. It is an errSide,
// since a side file is derived: the lines are read instead, and if they cannot
// be read either, that is the error returned.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string        { return fmt.Sprintf("cannot be read: %v", e.err) }
func (e *unreadableError) Unwrap() error        { return e.err }
func (e *unreadableError) Is(target error) bool { return target == errSide }

// sideError adds the name of a side file to its error.
func sideError(name string, err error) error {
	if !isMissing(err) && !errors.Is(err, errSide) {
		err = &unreadableError{err}
	}
	return fmt.Errorf("read side file %s: %w", name, err)
}

func parseEntry(b []byte, seq uint64) (entry, error) {
	sum := entrySum(b, seq)
	if b[4]&^flagAdmin != 0 || b[5] != byte(sum>>16) || b[6] != byte(sum>>8) || b[7] != byte(sum) {
		return entry{}, errSide
	}
	return decodeEntry(b), nil
}

// decodeEntry reads an entry whose check is known to be right.
func decodeEntry(b []byte) entry {
	return entry{end: binary.BigEndian.Uint32(b), flag: b[4], id: binary.BigEndian.Uint64(b[8:])}
}

// idHash returns the hash of an id. It spreads ids evenly, since clients
// choose them.
func idHash(id record.ID) uint64 {
	sum := sha256.Sum256(id[:])
	return binary.BigEndian.Uint64(sum[:])
}

func sideHead(first uint64) []byte {
	b := make([]byte, sideHeader)
	copy(b, sideMagic)
	binary.BigEndian.PutUint64(b[sideHeader-8:], first)
	return b
}

// bounds returns where the nth line of a segment begins and ends.
func (s *Store) bounds(g *seg, n uint64) (start, end int64, err error) {
	from := n
	if n > 0 {
		from--
	}
	entries, err := s.entries(g, from, n+1)
	if err != nil {
		return 0, 0, err
	}
	end = int64(entries[len(entries)-1].end)
	if n > 0 {
		start = int64(entries[0].end)
	}
	if end <= start {
		return 0, 0, fmt.Errorf("locate record %d: %w", g.first+n, errSide)
	}
	return start, end, nil
}

// entries reads the entries of the lines from (inclusive) to to (exclusive),
// for the places in them: the rest of an entry from a file is not
// authenticated.
func (s *Store) entries(g *seg, from, to uint64) ([]entry, error) {
	if g.gone != nil {
		return s.goneEntries(g, from, to)
	}
	g.sideMu.Lock()
	memory := g.memory
	if g.known != nil && uint64(len(memory)) < to {
		memory = g.known.entries
	}
	g.sideMu.Unlock()
	if to <= uint64(len(memory)) {
		return memory[from:to], nil
	}
	h, err := s.files.acquire(g.name + sideExt)
	if err != nil {
		return nil, sideError(g.name+sideExt, err)
	}
	defer s.files.release(h)
	buf := make([]byte, (to-from)*entryLen)
	if n, err := h.file.ReadAt(buf, sideHeader+int64(from*entryLen)); n < len(buf) {
		return nil, sideError(g.name+sideExt, noEOF(err))
	}
	out := make([]entry, 0, to-from)
	for i := from; i < to; i++ {
		e, err := parseEntry(buf[(i-from)*entryLen:], g.first+i)
		if err != nil {
			return nil, fmt.Errorf("read side file %s: %w", g.name+sideExt, err)
		}
		out = append(out, e)
	}
	return out, nil
}

// measure makes the entries of a segment from its lines, from the nth on, up
// to the first line that does not have the sequence number of its place.
func (s *Store) measure(ctx context.Context, g *seg, n uint64, offset int64) ([]entry, error) {
	var out []entry
	var failed error
	s.scanFile(ctx, g, offset, func(raw Raw, err error) bool {
		failed = err
		if err != nil || !raw.Whole || !hasSeq(raw.Line, g.first+n) {
			return false
		}
		out = append(out, entryOf(raw.Line, raw.Pos.Offset+int64(len(raw.Line))+1))
		n++
		return true
	})
	return out, failed
}

func entryOf(line []byte, end int64) entry {
	e := entry{end: uint32(end)}
	if id, kind, ok := record.Peek(line); ok {
		e.id = idHash(id)
		if event.Type(kind).Governance() {
			e.flag |= flagAdmin
		}
	}
	return e
}

// remember makes the entries of a segment from its lines and keeps them in
// memory, for a side file that is missing, wrong, or cannot be written.
func (s *Store) remember(g *seg) error {
	if g.gone != nil {
		return fmt.Errorf("rebuild side file of segment %d: its lines were removed from the log", g.first)
	}
	entries, err := s.measure(context.Background(), g, 0, 0)
	if err != nil {
		return fmt.Errorf("rebuild side file of segment %d: %w", g.first, err)
	}
	g.sideMu.Lock()
	g.memory = entries
	g.sideMu.Unlock()
	return nil
}

// openSide opens the side file of the last segment for appending, and makes it
// agree with the first count lines, which end at end: sealed entries are kept,
// the others are made from the lines.
func (s *Store) openSide(ctx context.Context, g *seg, count uint64, end int64) (vfs.File, *prefix, error) {
	p, err := s.takeSealed(g, nil)
	if err != nil && isIO(err) {
		return nil, nil, err
	}
	if err != nil || p.count() > count {
		p = newPrefix()
	}
	kept := p.count()
	if kept < count {
		if err := s.takeLines(ctx, g, p, count); err != nil {
			return nil, nil, fmt.Errorf("rebuild side file of segment %d: %w", g.first, err)
		}
	}
	if p.end() != end {
		return nil, nil, fmt.Errorf("rebuild side file of segment %d: %d lines end at byte %d, want byte %d", g.first, count, p.end(), end)
	}
	f, err := s.writeSide(g, p, kept)
	return f, p, err
}

// sideOf returns the bytes of the side file of a prefix, or those after the
// first kept entries if the file has these.
func (s *Store) sideOf(g *seg, p *prefix, kept uint64, full bool) (b []byte) {
	if kept == 0 {
		b = sideHead(g.first)
	}
	for i, e := range p.entries[kept:] {
		b = e.append(b, g.first+kept+uint64(i))
	}
	return p.seal(full).append(b, g.first, s.macs)
}

// writeSide writes the side file of the segment that is written to. The
// first kept entries are in the file already; bytes after the new end are
// cut off.
func (s *Store) writeSide(g *seg, p *prefix, kept uint64) (vfs.File, error) {
	f, err := s.fs.OpenFile(g.name+sideExt, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		// The name may be taken by a folder, or by another user's file.
		kept = 0
		s.removeDerived(g.name + sideExt)
		f, err = s.fs.OpenFile(g.name+sideExt, os.O_RDWR|os.O_CREATE, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("open side file: %w", err)
	}
	buf, at := s.sideOf(g, p, kept, false), int64(0)
	if kept > 0 {
		at = sideHeader + int64(kept*entryLen)
	}
	_, err = f.WriteAt(buf, at)
	if err == nil {
		err = f.Truncate(at + int64(len(buf)))
	}
	if err != nil {
		return nil, fmt.Errorf("write side file: %w", errors.Join(err, f.Close()))
	}
	s.files.forget(g.name + sideExt)
	return f, nil
}

// removeDerived removes a derived file. A folder of that name that is not empty
// is renamed.
func (s *Store) removeDerived(name string) {
	s.files.forget(name)
	if err := s.fs.Remove(name); err != nil && !isMissing(err) {
		_ = s.fs.Rename(name, filepath.Join(s.dir, "torn-"+filepath.Base(name))) // if it fails, the caller's own error says what is there
	}
}
