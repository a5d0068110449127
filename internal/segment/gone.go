package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"audittrail/internal/remnant"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A GoneError says that a record's line has left the log: it was archived or
// dropped.
type GoneError struct {
	Seq     uint64
	First   uint64 // of the segment that is gone
	Records uint64
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("read record %d: its segment, records %d to %d, has left the log", e.Seq, e.First, e.First+e.Records-1)
}

// newGone reads the remnant of a segment that has left. If it cannot be read,
// the others can, and whoever needs it is told.
func (s *Store) newGone(first uint64) *seg {
	g := s.newSeg(first)
	f, err := s.fs.Open(g.name + remnant.Ext)
	if err == nil {
		var size int64
		if size, err = f.Size(); err == nil {
			g.gone, err = remnant.Read(f, size)
		}
		_ = f.Close() // only read from: nothing to lose
	}
	if err == nil && g.gone.First != first {
		err = fmt.Errorf("%w: it is of record %d", remnant.ErrDamaged, g.gone.First)
	}
	if err != nil {
		g.gone = new(remnant.Remnant)
		g.bad = fmt.Errorf("read %s%s: %w; bring it back from a backup, or the segment from its archive", g.name, remnant.Ext, err)
	}
	return g
}

// remnantName reads the first sequence number from the name of a remnant.
func remnantName(name string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, remnant.Ext)
	if !ok {
		return 0, false
	}
	return segmentName(base + lineExt)
}

// fromRemnant reads from the remnant of a segment.
func (s *Store) fromRemnant(g *seg, read func(io.ReaderAt) error) error {
	if g.bad != nil {
		return g.bad
	}
	h, err := s.files.acquire(g.name + remnant.Ext)
	if err != nil {
		return fmt.Errorf("read remnant: %w", err)
	}
	defer s.files.release(h)
	return read(h.file)
}

// keptLine returns the line of a record that was kept of a segment.
func (s *Store) keptLine(g *seg, seq uint64) (line []byte, err error) {
	if g.bad == nil && seq >= g.gone.Next() {
		return nil, fmt.Errorf("find record %d: %w", seq, ErrBeyond)
	}
	err = s.fromRemnant(g, func(f io.ReaderAt) (err error) {
		line, err = g.gone.Line(f, seq)
		return err
	})
	if err == nil && line == nil {
		err = &GoneError{Seq: seq, First: g.first, Records: g.gone.Records}
	}
	return line, err
}

// keptLines yields the lines that were kept, and tells where the next segment
// begins.
func (s *Store) keptLines(ctx context.Context, g *seg, from, to uint64, yield func([]byte, error) bool) (uint64, bool) {
	more := true
	err := s.fromRemnant(g, func(f io.ReaderAt) error {
		for line, err := range g.gone.Lines(f) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			t, _ := record.ParseTail(line) // Lines has looked at it
			if t.Seq >= from && t.Seq < to && !yield(line, nil) {
				more = false
				break
			}
		}
		return nil
	})
	if err != nil {
		return 0, yield(nil, err) && false
	}
	return min(to, g.gone.Next()), more
}

// goneEntries makes the entries of a segment that has left. They say nothing of
// where lines are.
func (s *Store) goneEntries(g *seg, from, to uint64) ([]entry, error) {
	if g.bad == nil && to > g.gone.Records {
		return nil, fmt.Errorf("read remnant of segment %d: %w: it has %d records", g.first, remnant.ErrDamaged, g.gone.Records)
	}
	ids := make([]record.ID, to-from)
	if err := s.fromRemnant(g, func(f io.ReaderAt) error { return g.gone.IDs(f, from, ids) }); err != nil {
		return nil, err
	}
	out := make([]entry, len(ids))
	for i, id := range ids {
		if id != (record.ID{}) {
			out[i].id = idHash(id)
		}
	}
	for _, p := range g.gone.Administrative() {
		if n := uint64(p); n >= from && n < to {
			out[n-from].flag = flagAdmin
		}
	}
	return out, nil
}

// HasID tells whether a record, which may have left, has an id.
func (s *Store) HasID(seq uint64, id record.ID) (bool, error) {
	g, _, err := s.find(seq)
	if err != nil {
		return false, err
	}
	if g.gone != nil && (g.bad != nil || seq < g.gone.Next()) {
		var own [1]record.ID
		err := s.fromRemnant(g, func(f io.ReaderAt) error { return g.gone.IDs(f, seq-g.first, own[:]) })
		return own[0] == id, err
	}
	line, err := s.Peek(seq)
	if err != nil {
		return false, err
	}
	own, _, ok := record.Glance(line)
	return ok && own == id, nil
}

// Hashes yields the hashes of the records from (inclusive) to to (exclusive), of
// those that have left too. Those of lines are checked; the others are what was
// kept of them.
func (s *Store) Hashes(ctx context.Context, from, to uint64) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		from := from // it can be gone over again
		for from < to {
			g, next, err := s.find(from)
			if err != nil {
				yield([32]byte{}, err)
				return
			}
			end := to
			if next != nil {
				end = min(end, next.first)
			}
			some := s.hashesOfLines
			if g.gone != nil {
				some = s.hashesKept
			}
			if !some(ctx, g, from, end, yield) {
				return
			}
			from = end
		}
	}
}

func (s *Store) hashesKept(ctx context.Context, g *seg, from, to uint64, yield func([32]byte, error) bool) bool {
	buf := make([][32]byte, 1<<12)
	for from < to {
		part := buf[:min(to-from, uint64(len(buf)))]
		err := ctx.Err()
		if err == nil {
			err = s.fromRemnant(g, func(f io.ReaderAt) error { return g.gone.Hashes(f, from-g.first, part) })
		}
		if err != nil {
			return yield([32]byte{}, err) && false
		}
		for _, h := range part {
			if !yield(h, nil) {
				return false
			}
		}
		from += uint64(len(part))
	}
	return true
}

func (s *Store) hashesOfLines(ctx context.Context, _ *seg, from, to uint64, yield func([32]byte, error) bool) bool {
	for line, err := range s.Lines(ctx, from, to) {
		if err != nil {
			return yield([32]byte{}, err) && false
		}
		end, _ := record.ParseTail(line) // Lines has looked at it
		if !record.Intact(line, &end) {
			return yield([32]byte{}, &AlteredError{end.Seq}) && false
		}
		if !yield(end.Hash, nil) {
			return false
		}
		from = end.Seq + 1
	}
	if from < to {
		return yield([32]byte{}, fmt.Errorf("read record %d: %w: the log has %d", from, ErrBeyond, s.Size())) && false
	}
	return true
}

// An AlteredError names a record whose line is not what its hash says.
type AlteredError struct{ Seq uint64 }

func (e *AlteredError) Error() string {
	return fmt.Sprintf("record %d: the line is not what its hash says; run verify", e.Seq)
}

// PutRemnant writes what is to stay of a segment, durably. As long as the
// segment's lines are here, it means nothing.
func (s *Store) PutRemnant(first uint64, b []byte) error {
	g := s.newSeg(first)
	if err := vfs.WriteFile(s.fs, g.name+remnant.Ext, b, 0o644); err != nil {
		return fmt.Errorf("write remnant: %w", err)
	}
	s.files.forget(g.name + remnant.Ext)
	return nil
}

// Leave removes the lines of a segment of which PutRemnant has put down what
// stays. Readers that are in them finish; others find them gone. It is for the
// writer.
func (s *Store) Leave(first uint64) error {
	gone := s.newGone(first)
	if gone.bad != nil {
		return gone.bad
	}
	if err := s.swap(gone); err != nil {
		return fmt.Errorf("remove segment %d: %w", first, err)
	}
	for _, ext := range []string{lineExt, sideExt} {
		s.files.forget(gone.name + ext)
		if err := s.fs.Remove(gone.name + ext); err != nil && !isMissing(err) {
			return fmt.Errorf("remove segment %d: %w", first, err)
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("remove segment %d: %w", first, err)
	}
	return nil
}

// Return takes the lines of a segment back that stand under its name again. Its
// remnant stays, for readers that have not seen it yet, and means nothing.
func (s *Store) Return(first uint64) error {
	g := s.newSeg(first)
	if _, err := vfs.StatFile(s.fs, g.name+lineExt); err != nil {
		return fmt.Errorf("take segment %d back: %w", first, err)
	}
	if err := s.swap(g); err != nil {
		return fmt.Errorf("take segment %d back: %w", first, err)
	}
	return nil
}

// swap puts another view of a segment in the place of the one that there is.
func (s *Store) swap(g *seg) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, old := range s.segs {
		if old.first != g.first {
			continue
		}
		if i == len(s.segs)-1 {
			return errors.New("it is the newest, which is being written to")
		}
		if g.gone != nil && g.gone.Next() != s.segs[i+1].first {
			return fmt.Errorf("%w: it ends with record %d", remnant.ErrDamaged, g.gone.Next()-1)
		}
		s.segs[i] = g
		return nil
	}
	return ErrBeyond
}

// moved tells, when the lines of a segment were not found, whether they have
// left since, and what is there now.
func (s *Store) moved(g *seg) (*seg, bool) {
	if !s.writing.Load() {
		if err := s.list(); err != nil {
			return g, false
		}
	}
	now, _, err := s.find(g.first)
	return now, err == nil && now.first == g.first && now.gone != nil
}

// Kept yields the lines that were kept of all segments that have left.
func (s *Store) Kept(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s.mu.RLock()
		segs := slices.Clone(s.segs)
		s.mu.RUnlock()
		for _, g := range segs {
			if g.gone == nil || g.bad != nil {
				continue
			}
			if _, ok := s.keptLines(ctx, g, g.first, g.gone.Next(), yield); !ok {
				return
			}
		}
	}
}

// Gone returns the ranges of records whose lines have left the log, each by its
// first sequence number and the one behind its last, in order.
func (s *Store) Gone() [][2]uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all [][2]uint64
	for i, g := range s.segs {
		if g.gone == nil || i+1 == len(s.segs) {
			continue
		}
		if n := len(all); n > 0 && all[n-1][1] == g.first {
			all[n-1][1] = s.segs[i+1].first
		} else {
			all = append(all, [2]uint64{g.first, s.segs[i+1].first})
		}
	}
	return all
}
