package segment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"audittrail/event"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A side file is a header and one entry per line:
//
//	0   24  "audittrail-side/v1", padded with zeros
//	24   8  first sequence number
//	32 16n  entries: end of the line (4), flags (1), check (3), id hash (8)
//
// and, once the segment is full, the places in it of the administrative
// records: their number, each place, and a CRC-32C, four bytes each. All
// numbers are big endian. The check is the low 24 bits of the CRC-32C of the
// record's sequence number and the rest of the entry.
const (
	sideMagic  = "audittrail-side/v1"
	sideHeader = 32
	entryLen   = 16

	flagAdmin = 1
)

// An entry is what a side file holds of a line.
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
	return crc32.Checksum(buf[:], castagnoli)
}

var errSide = errors.New("side file is damaged")

func parseEntry(b []byte, seq uint64) (entry, error) {
	sum := entrySum(b, seq)
	if b[4]&^flagAdmin != 0 || b[5] != byte(sum>>16) || b[6] != byte(sum>>8) || b[7] != byte(sum) {
		return entry{}, errSide
	}
	return entry{
		end: binary.BigEndian.Uint32(b), flag: b[4],
		id: binary.BigEndian.Uint64(b[8:]),
	}, nil
}

// idHash spreads ids, which clients choose, evenly.
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

// entries reads the entries of the lines from (inclusive) to to (exclusive).
func (s *Store) entries(g *seg, from, to uint64) ([]entry, error) {
	if g.gone != nil {
		return s.goneEntries(g, from, to)
	}
	g.sideMu.Lock()
	memory := g.memory
	g.sideMu.Unlock()
	if to <= uint64(len(memory)) {
		return memory[from:to], nil
	}
	h, err := s.files.acquire(g.name + sideExt)
	if err != nil {
		return nil, fmt.Errorf("read side file: %w", err)
	}
	defer s.files.release(h)
	buf := make([]byte, (to-from)*entryLen)
	if n, err := h.file.ReadAt(buf, sideHeader+int64(from*entryLen)); n < len(buf) {
		if err == io.EOF {
			err = errSide
		}
		return nil, fmt.Errorf("read side file %s: %w", g.name+sideExt, err)
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

// sideCount returns how many whole entries the side file of the last segment
// has, which is how far its writer has come; 0 where it has none.
func (s *Store) sideCount(g *seg) (uint64, error) {
	f, err := s.fs.Open(g.name + sideExt)
	if isMissing(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read side file: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from: nothing to lose
	head := make([]byte, sideHeader)
	if n, err := f.ReadAt(head, 0); n < len(head) || string(head) != string(sideHead(g.first)) {
		if err == nil || err == io.EOF {
			return 0, nil
		}
		return 0, fmt.Errorf("read side file: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return 0, fmt.Errorf("read side file: %w", err)
	}
	return uint64(size-sideHeader) / entryLen, nil
}

// measure makes the entries of a segment from its lines, from the nth on, up
// to the first that is not in its place.
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
	if id, kind, ok := record.Glance(line); ok {
		e.id = idHash(id)
		if event.Type(kind).Administrative() {
			e.flag |= flagAdmin
		}
	}
	return e
}

// remember makes the side of a segment from its lines and keeps it in memory,
// for when its file is missing, wrong, or cannot be written.
func (s *Store) remember(g *seg) error {
	if g.gone != nil {
		return fmt.Errorf("rebuild side of segment %d: its lines have left the log", g.first)
	}
	entries, err := s.measure(context.Background(), g, 0, 0)
	if err != nil {
		return fmt.Errorf("rebuild side of segment %d: %w", g.first, err)
	}
	g.sideMu.Lock()
	g.memory = entries
	g.sideMu.Unlock()
	return nil
}

// allEntries is entries, whatever has become of the side file and of the
// segment.
func (s *Store) allEntries(g *seg, from, to uint64) ([]entry, error) {
	entries, err := s.entries(g, from, to)
	if err == nil {
		return entries, nil
	}
	if err = s.remember(g); err == nil {
		entries, err = s.entries(g, from, to)
	}
	if isMissing(err) {
		if g, ok := s.moved(g); ok {
			return s.goneEntries(g, from, to)
		}
	}
	return entries, err
}

// appendAdmin appends what closes the side file of a full segment.
func appendAdmin(dst []byte, places []uint32) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(places)))
	for _, p := range places {
		dst = binary.BigEndian.AppendUint32(dst, p)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[at:], castagnoli))
}

// parseAdmin reads what appendAdmin wrote about a segment of count lines.
func parseAdmin(b []byte, count uint64) ([]uint32, error) {
	if len(b) < 8 {
		return nil, errSide
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > count || uint64(len(b)) != 8+4*uint64(n) ||
		crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, errSide
	}
	places := make([]uint32, 0, n)
	for i := range n {
		p := binary.BigEndian.Uint32(b[4+4*i:])
		if uint64(p) >= count || i > 0 && p <= places[i-1] {
			return nil, errSide
		}
		places = append(places, p)
	}
	return places, nil
}

// Administrative returns the sequence numbers, from one on, of the records by
// which the log is governed, in order. It reads no line where the side files
// are whole.
func (s *Store) Administrative(from uint64) ([]uint64, error) {
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	s.mu.RUnlock()
	var out []uint64
	for i, g := range segs {
		end := s.Size()
		full := i+1 < len(segs) && segs[i+1].first <= end
		if full {
			end = segs[i+1].first
		}
		count := end - g.first
		if end <= max(from, g.first) {
			continue
		}
		skip := uint64(0)
		if from > g.first && !full {
			skip = from - g.first
		}
		places, err := s.adminOf(g, skip, count, full)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			if seq := g.first + uint64(p); seq >= from {
				out = append(out, seq)
			}
		}
	}
	return out, nil
}

// adminOf returns the places of the administrative records of a segment, at
// least of those behind the first skip.
func (s *Store) adminOf(g *seg, skip, count uint64, full bool) ([]uint32, error) {
	if g.gone != nil {
		return g.gone.Administrative(), g.bad
	}
	if full {
		if places, err := s.readAdmin(g, count); err == nil {
			return places, nil
		}
	}
	entries, err := s.allEntries(g, skip, count)
	if err != nil {
		return nil, err
	}
	return adminPlaces(entries, skip), nil
}

// adminPlaces returns the places of the administrative records among entries,
// the first of which is that of the skipth line.
func adminPlaces(entries []entry, skip uint64) (places []uint32) {
	for i, e := range entries {
		if e.flag&flagAdmin != 0 {
			places = append(places, uint32(skip)+uint32(i))
		}
	}
	return places
}

func (s *Store) readAdmin(g *seg, count uint64) ([]uint32, error) {
	h, err := s.files.acquire(g.name + sideExt)
	if err != nil {
		return nil, fmt.Errorf("read side file: %w", err)
	}
	defer s.files.release(h)
	at := sideHeader + int64(count*entryLen)
	size, err := h.file.Size()
	if err != nil || size < at+8 || size > at+8+4*int64(count) {
		return nil, errors.Join(errSide, err)
	}
	buf := make([]byte, size-at)
	if n, err := h.file.ReadAt(buf, at); n < len(buf) {
		return nil, errors.Join(errSide, err)
	}
	return parseAdmin(buf, count)
}

// openSide opens the side file of the last segment for appending, and makes it
// agree with the first count lines, which end at end. Where its last entry is
// right, those before it are believed until they are used.
func (s *Store) openSide(ctx context.Context, g *seg, count uint64, end int64) (vfs.File, error) {
	have, err := s.sideCount(g)
	if err != nil {
		return nil, err
	}
	kept, offset := min(have, count), int64(0)
	if kept > 0 {
		start, stop, err := s.bounds(g, kept-1)
		if err == nil && stop <= end {
			_, err = s.readLine(g, g.first+kept-1, start, stop)
		}
		if err != nil || stop > end {
			kept, stop = 0, 0 // damaged: from the lines, then
		}
		offset = stop
	}
	var more []entry
	if kept < count {
		if more, err = s.measure(ctx, g, kept, offset); err != nil {
			return nil, fmt.Errorf("rebuild side of segment %d: %w", g.first, err)
		}
		if n := count - kept; uint64(len(more)) >= n {
			more = more[:n]
			offset = int64(more[n-1].end)
		}
	}
	if kept+uint64(len(more)) != count || offset != end {
		return nil, fmt.Errorf("rebuild side of segment %d: %d lines end at byte %d, want %d that end at byte %d", g.first, kept+uint64(len(more)), offset, count, end)
	}
	return s.writeSide(g, more, kept)
}

// writeSide writes entries behind the first kept that the file has, and cuts
// what is behind them.
func (s *Store) writeSide(g *seg, entries []entry, kept uint64) (vfs.File, error) {
	f, err := s.fs.OpenFile(g.name+sideExt, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open side file: %w", err)
	}
	buf := sideHead(g.first)
	at := int64(0)
	if kept > 0 {
		buf, at = buf[:0], sideHeader+int64(kept*entryLen)
	}
	for i, e := range entries {
		buf = e.append(buf, g.first+kept+uint64(i))
	}
	if len(buf) > 0 {
		_, err = f.WriteAt(buf, at)
	}
	if err == nil {
		err = f.Truncate(at + int64(len(buf)))
	}
	if err != nil {
		return nil, fmt.Errorf("write side file: %w", errors.Join(err, f.Close()))
	}
	s.files.forget(g.name + sideExt)
	return f, nil
}
