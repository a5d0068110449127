package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// MaxLine bounds the length of a line that is read, in bytes. No writer makes
// a longer one.
const MaxLine = 1 << 30

// A Pos is a place in the log's files.
type Pos struct {
	First  uint64 // first sequence number of the segment
	Offset int64
}

// A Raw is one physical line, whatever it contains.
type Raw struct {
	Pos  Pos
	File string
	Line []byte // without its LF; valid until the next line is read
	// Whole is false for the bytes after a segment's last LF.
	Whole bool
}

// scanBlock is how much of a file is read at once.
const scanBlock = 1 << 20

// Scan yields the physical lines from pos to the end of the last segment,
// whether readers may see them or not: it is for recovery and verification.
func (s *Store) Scan(ctx context.Context, pos Pos) iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		s.mu.RLock()
		segs := slices.Clone(s.segs)
		s.mu.RUnlock()
		for _, g := range segs {
			if g.first < pos.First || g.gone != nil {
				continue
			}
			from := int64(0)
			if g.first == pos.First {
				from = pos.Offset
			}
			if !s.scanFile(ctx, g, from, yield) {
				return
			}
		}
	}
}

func (s *Store) scanFile(ctx context.Context, g *seg, from int64, yield func(Raw, error) bool) bool {
	name := g.name + lineExt
	f, err := s.fs.Open(name)
	if err != nil {
		return yield(Raw{Pos: Pos{g.first, from}, File: name}, fmt.Errorf("scan segment: %w", err))
	}
	sc := &lineScanner{file: f, at: from}
	more := true
	for more {
		if err := ctx.Err(); err != nil {
			more = yield(Raw{}, err)
			break
		}
		at := sc.at
		line, whole, err := sc.next()
		if err == io.EOF {
			break
		}
		raw := Raw{Pos: Pos{g.first, at}, File: name, Line: line, Whole: whole}
		if err != nil {
			yield(raw, fmt.Errorf("scan %s at byte %d: %w", name, at, err))
			more = false
			break
		}
		more = yield(raw, nil)
	}
	_ = f.Close() // only read from: nothing to lose
	return more
}

var errLongLine = fmt.Errorf("a line is longer than %d bytes", MaxLine)

// lineScanner reads lines from a place in a file with few, large reads.
type lineScanner struct {
	file vfs.File
	at   int64 // offset of the next line
	buf  []byte
	off  int // start of the bytes of buf that are not used yet
	eof  bool
}

// next returns the next line without its LF; io.EOF after the last. The line
// is valid until the next call.
func (sc *lineScanner) next() (line []byte, whole bool, err error) {
	searched := sc.off
	for {
		if i := bytes.IndexByte(sc.buf[searched:], '\n'); i >= 0 {
			end := searched + i
			line = sc.buf[sc.off:end]
			sc.at += int64(len(line)) + 1
			sc.off = end + 1
			return line, true, nil
		}
		if sc.eof {
			break
		}
		left := len(sc.buf) - sc.off
		if left > MaxLine {
			return nil, false, errLongLine
		}
		if err := sc.fill(); err != nil {
			return nil, false, err
		}
		searched = sc.off + left
	}
	if sc.off == len(sc.buf) {
		return nil, false, io.EOF
	}
	line = sc.buf[sc.off:]
	sc.at += int64(len(line))
	sc.off = len(sc.buf)
	return line, false, nil
}

// fill moves the unused bytes to the front of the buffer and reads the next
// block after them.
func (sc *lineScanner) fill() error {
	left := copy(sc.buf, sc.buf[sc.off:])
	sc.off = 0
	want := left + max(scanBlock, left)
	if cap(sc.buf) < want {
		grown := make([]byte, left, want)
		copy(grown, sc.buf[:left])
		sc.buf = grown
	}
	sc.buf = sc.buf[:left]
	n, err := sc.file.ReadAt(sc.buf[left:want], sc.at+int64(left))
	sc.buf = sc.buf[:left+n]
	if errors.Is(err, io.EOF) {
		sc.eof = true
		err = nil
	}
	return err
}

// Lines yields the lines of the records from (inclusive) to to (exclusive),
// without their LF, as far as readers may see them. A line is valid until the
// next one is yielded. Lines checks that each has the sequence number of its
// place. It skips removed records, except for those whose lines a tombstone
// keeps.
func (s *Store) Lines(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		to = min(to, s.Size())
		for from < to {
			next, ok := s.linesOf(ctx, from, to, yield)
			if !ok {
				return
			}
			from = next
		}
	}
}

// linesOf yields the lines of one segment, and returns the first record of
// the next.
func (s *Store) linesOf(ctx context.Context, from, to uint64, yield func([]byte, error) bool) (uint64, bool) {
	g, next, err := s.find(from)
	if err != nil {
		return 0, yield(nil, err) && false
	}
	if next != nil {
		to = min(to, next.first)
	}
	if g.gone != nil {
		return s.keptLines(ctx, g, from, to, yield)
	}
	pos, err := s.Locate(ctx, from)
	var f vfs.File
	if err == nil {
		f, err = s.fs.Open(g.name + lineExt)
	}
	var gone *GoneError
	if isMissing(err) || errors.As(err, &gone) {
		if g, ok := s.moved(g); ok {
			return s.keptLines(ctx, g, from, to, yield)
		}
	}
	if err != nil {
		return 0, yield(nil, fmt.Errorf("read records: %w", err)) && false
	}
	defer func() { _ = f.Close() }() // only read from: nothing to lose
	sc := &lineScanner{file: f, at: pos.Offset}
	for ; from < to; from++ {
		if err := ctx.Err(); err != nil {
			return 0, yield(nil, err) && false
		}
		at := sc.at
		line, whole, err := sc.next()
		if err == io.EOF || err == nil && (!whole || !hasSeq(line, from)) {
			err = &record.CorruptError{Seq: from, File: g.name + lineExt, Offset: at}
		}
		if err != nil {
			return 0, yield(nil, err) && false
		}
		if !yield(line, nil) {
			return 0, false
		}
	}
	return from, true
}

// Locate returns where the line of a record begins.
func (s *Store) Locate(ctx context.Context, seq uint64) (Pos, error) {
	g, _, err := s.find(seq)
	if err != nil {
		return Pos{}, err
	}
	if g.gone != nil {
		return Pos{}, &GoneError{Seq: seq, First: g.first, Records: g.gone.Records}
	}
	if seq == g.first {
		return Pos{First: g.first}, nil
	}
	return s.End(ctx, seq-1)
}

// End returns where the line of a record ends: after its LF, in its segment.
func (s *Store) End(ctx context.Context, seq uint64) (Pos, error) {
	g, _, err := s.find(seq)
	if err != nil {
		return Pos{}, err
	}
	if g.gone != nil {
		return Pos{}, &GoneError{Seq: seq, First: g.first, Records: g.gone.Records}
	}
	// Trust the side file only if the line at the place that it gives is the
	// right one.
	if start, end, err := s.bounds(g, seq-g.first); err == nil {
		if _, err := s.readLine(g, seq, start, end); err == nil {
			return Pos{First: g.first, Offset: end}, nil
		}
	}
	at := g.first
	for raw, err := range s.Scan(ctx, Pos{First: g.first}) {
		if err != nil {
			return Pos{}, err
		}
		if raw.Pos.First != g.first || !raw.Whole || !hasSeq(raw.Line, at) {
			break
		}
		if at == seq {
			return Pos{First: g.first, Offset: raw.Pos.Offset + int64(len(raw.Line)) + 1}, nil
		}
		at++
	}
	return Pos{}, &record.CorruptError{Seq: at, File: g.name + lineExt}
}

func (s *Store) readLine(g *seg, seq uint64, start, end int64) ([]byte, error) {
	if end <= start || end-start > MaxLine {
		return nil, &record.CorruptError{Seq: seq, File: g.name + lineExt, Offset: start}
	}
	h, err := s.files.acquire(g.name + lineExt)
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	defer s.files.release(h)
	line := make([]byte, end-start)
	if n, err := h.file.ReadAt(line, start); n < len(line) && err != io.EOF {
		return nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	if !isLine(line, seq) {
		return nil, &record.CorruptError{Seq: seq, File: g.name + lineExt, Offset: start}
	}
	return line[:len(line)-1], nil
}

// isLine reports whether b is one whole line that has this sequence number.
func isLine(b []byte, seq uint64) bool {
	n := len(b) - 1
	return n >= 0 && b[n] == '\n' && bytes.IndexByte(b[:n], '\n') < 0 && hasSeq(b[:n], seq)
}

func hasSeq(line []byte, seq uint64) bool {
	t, ok := record.ParseChainLink(line)
	return ok && t.Seq == seq
}
