package segment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strings"

	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A GoneError reports that a record's line was removed from the log:
// archived or dropped.
type GoneError struct {
	Seq     uint64
	First   uint64 // of the removed segment
	Records uint64
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("read record %d: its segment, records %d to %d, was removed from the log", e.Seq, e.First, e.First+e.Records-1)
}

// newGone reads the tombstone of a removed segment. If that cannot be read,
// the log can still be opened, and reads of this segment return the error.
func (s *Store) newGone(first uint64) *seg {
	g := s.newSeg(first)
	f, err := s.fs.Open(g.name + tombstone.Ext)
	if err == nil {
		var size int64
		if size, err = f.Size(); err == nil {
			g.gone, err = tombstone.Read(f, size)
		}
		_ = f.Close() // only read from: nothing to lose
	}
	if err == nil && g.gone.First != first {
		err = fmt.Errorf("%w: the tombstone is of the segment that begins with record %d", tombstone.ErrDamaged, g.gone.First)
	}
	if err != nil {
		g.gone = new(tombstone.Tombstone)
		g.bad = fmt.Errorf("read %s%s: %w; restore it from a backup, or the segment from its archive", g.name, tombstone.Ext, err)
	}
	return g
}

// tombstoneName reads the first sequence number from the name of a tombstone.
func tombstoneName(name string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, tombstone.Ext)
	if !ok {
		return 0, false
	}
	return segmentName(base + lineExt)
}

// fromTombstone reads from the tombstone of a segment.
func (s *Store) fromTombstone(g *seg, read func(io.ReaderAt) error) error {
	if g.bad != nil {
		return g.bad
	}
	h, err := s.files.acquire(g.name + tombstone.Ext)
	if err != nil {
		return fmt.Errorf("read tombstone: %w", err)
	}
	defer s.files.release(h)
	return read(h.file)
}

// keptLine returns the line of a record that the tombstone of a segment
// keeps.
func (s *Store) keptLine(g *seg, seq uint64) (line []byte, err error) {
	if g.bad == nil && seq >= g.gone.Next() {
		return nil, fmt.Errorf("find record %d: %w", seq, ErrBeyond)
	}
	err = s.fromTombstone(g, func(f io.ReaderAt) (err error) {
		line, err = g.gone.Line(f, seq)
		return err
	})
	if err == nil && line == nil {
		err = &GoneError{Seq: seq, First: g.first, Records: g.gone.Records}
	}
	return line, err
}

// keptLines yields the lines that the tombstone keeps, and returns the first
// record of the next segment.
func (s *Store) keptLines(ctx context.Context, g *seg, from, to uint64, yield func([]byte, error) bool) (uint64, bool) {
	more := true
	err := s.fromTombstone(g, func(f io.ReaderAt) error {
		for line, err := range g.gone.Lines(f) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			t, _ := record.ParseChainLink(line) // checked by Lines
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

// goneEntries makes the entries of a removed segment. They have no places of
// lines, and are not authenticated.
func (s *Store) goneEntries(g *seg, from, to uint64) ([]entry, error) {
	if g.bad == nil && to > g.gone.Records {
		return nil, fmt.Errorf("read tombstone of segment %d: %w: the tombstone has %d records", g.first, tombstone.ErrDamaged, g.gone.Records)
	}
	ids := make([]record.ID, to-from)
	if err := s.fromTombstone(g, func(f io.ReaderAt) error { return g.gone.IDs(f, from, ids) }); err != nil {
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

// lastGone returns the hash of the last record of a removed segment, from its
// tombstone.
func (s *Store) lastGone(g *seg) (record.Hash, error) {
	var last [1][32]byte
	err := s.fromTombstone(g, func(f io.ReaderAt) error { return g.gone.Hashes(f, g.gone.Records-1, last[:]) })
	return last[0], err
}

// sealFitsGone is sealFits for a removed segment.
func (s *Store) sealFitsGone(g *seg, x *seal) error {
	last, err := s.lastGone(g)
	if err == nil && (x.count != g.gone.Records || last != x.last) {
		err = errSide
	}
	return err
}

// knownGone is knownOf for a removed segment: from the seal, or else from its
// tombstone, if that is the one that the log names.
func (s *Store) knownGone(ctx context.Context, g *seg, count uint64) (*prefix, error) {
	if g.bad != nil {
		return nil, g.bad
	}
	if p, err := s.takeSealed(g, nil); err == nil && p.count() >= count {
		return p, nil
	}
	if err := s.vouch(ctx, g); err != nil {
		return nil, err
	}
	p, err := s.prefixGone(g)
	if err != nil {
		return nil, err
	}
	if s.writing.Load() {
		s.remake(g, p)
	}
	if p.count() < count {
		return nil, fmt.Errorf("read tombstone of segment %d: %w: the tombstone has %d records", g.first, tombstone.ErrDamaged, g.gone.Records)
	}
	return p, nil
}

// prefixGone makes the entries of a segment from its tombstone.
func (s *Store) prefixGone(g *seg) (*prefix, error) {
	entries, err := s.goneEntries(g, 0, g.gone.Records)
	if err != nil {
		return nil, err
	}
	last, err := s.lastGone(g)
	if err != nil {
		return nil, err
	}
	var governing []record.Hash
	for _, place := range g.gone.Administrative() {
		var h [1][32]byte
		if err := s.fromTombstone(g, func(f io.ReaderAt) error { return g.gone.Hashes(f, uint64(place), h[:]) }); err != nil {
			return nil, err
		}
		governing = append(governing, h[0])
	}
	p := newPrefix()
	p.add(nil, g.first, entries, governing, last)
	return p, nil
}

// vouch returns nil if the tombstone of a segment is the one that a later
// record names; that record is itself compared with the tree. Nothing else
// signs a tombstone.
func (s *Store) vouch(ctx context.Context, g *seg) error {
	g.sideMu.Lock()
	done := g.trusted
	g.sideMu.Unlock()
	if done {
		return nil
	}
	var sum [32]byte
	err := s.fromTombstone(g, func(f io.ReaderAt) (err error) {
		_, sum, err = tombstone.Check(f, g.gone.Size())
		return err
	})
	if err != nil {
		return fmt.Errorf("read %s%s: %w; restore it from a backup, or the segment from its archive", g.name, tombstone.Ext, err)
	}
	// The record that names a tombstone comes after the segment. If that
	// record was removed as well, it is in a tombstone, which has to be
	// named in turn.
	seqs, err := s.Administrative(s.after(g))
	if err != nil {
		return err
	}
	for _, seq := range slices.Backward(seqs) {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := s.Checked(ctx, seq)
		if err != nil {
			return err
		}
		if !record.HasTypePrefix(line, "segments_") {
			continue
		}
		r, err := record.Decode(line)
		if err != nil {
			return fmt.Errorf("read record %d: %w", seq, err)
		}
		if said, ok := tombstone.ParseStatement(r); ok && said.First == g.first && said.Records == g.gone.Records && said.Tombstone == sum {
			g.sideMu.Lock()
			g.trusted = true
			g.sideMu.Unlock()
			return nil
		}
	}
	return fmt.Errorf("%s%s: %w: no record of the log has its hash; run verify, and restore it from a backup, or the segment from its archive",
		g.name, tombstone.Ext, tombstone.ErrDamaged)
}

// Named returns nil if a record of the log names the tombstone of a segment,
// given by its first record, and an error that is tombstone.ErrDamaged if none
// does.
func (s *Store) Named(ctx context.Context, first uint64) error {
	g, _, err := s.find(first)
	if err != nil {
		return err
	}
	if g.bad != nil {
		return g.bad
	}
	return s.vouch(ctx, g)
}

// AllNamed is Named for every removed segment.
func (s *Store) AllNamed(ctx context.Context) error {
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	s.mu.RUnlock()
	for _, g := range segs {
		if g.gone == nil {
			continue
		}
		if err := s.Named(ctx, g.first); err != nil {
			return err
		}
	}
	return nil
}

// Departed calls use with the table of the records that were removed with a
// segment, given by its first record, if a record of the log names its
// tombstone. It returns whether there is a table, and whether the table has the
// actors: tombstones of version 1 have no table, and those of version 2 no
// actors in it.
func (s *Store) Departed(ctx context.Context, first uint64, use func(tombstone.Row) error) (tabled, acts bool, err error) {
	g, _, err := s.find(first)
	if err != nil {
		return false, false, err
	}
	if g.gone == nil || g.first != first {
		return false, false, fmt.Errorf("segment %d was not removed from the log", first)
	}
	if g.bad != nil {
		return false, false, g.bad
	}
	if !g.gone.Tabled() {
		return false, false, nil
	}
	if err := s.vouch(ctx, g); err != nil {
		return false, false, err
	}
	err = s.fromTombstone(g, func(f io.ReaderAt) error {
		for r, err := range g.gone.Rows(f) {
			if err == nil {
				err = use(r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return true, g.gone.TellsActs(), err
}

// after returns the first record of the segment after g. It does not use g's
// tombstone, which is not authenticated yet.
func (s *Store) after(g *seg) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, other := range s.segs {
		if other.first > g.first {
			return other.first
		}
	}
	return math.MaxUint64
}

// HasID reports whether a record that FindID names, which may have been
// removed, has an id. A line that differs from the signed one is an error, and
// so is a line whose id has another hash than the one by which the record was
// found.
func (s *Store) HasID(ctx context.Context, seq uint64, id record.ID) (bool, error) {
	g, _, err := s.find(seq)
	if err != nil {
		return false, err
	}
	if g.gone != nil && (g.bad != nil || seq < g.gone.Next()) {
		return s.hasIDGone(ctx, g, seq, id)
	}
	line, err := s.Peek(seq)
	if err == nil {
		err = s.check(ctx, seq, line)
	}
	if err != nil {
		return false, err
	}
	own, _, ok := record.Peek(line)
	if ok && own == id {
		return true, nil
	}
	if ok && idHash(own) == idHash(id) {
		return false, nil
	}
	t, _ := record.ParseChainLink(line) // checked by check
	if tree := s.held(); tree != nil {
		ok, want, err := tree.Proves(ctx, seq, t.Hash)
		if err := compared(seq, t.Hash, ok, want, err); err != nil {
			return false, err
		}
	}
	return false, &record.TamperError{Seq: seq}
}

func (s *Store) hasIDGone(ctx context.Context, g *seg, seq uint64, id record.ID) (bool, error) {
	var own [1]record.ID
	err := s.fromTombstone(g, func(f io.ReaderAt) error { return g.gone.IDs(f, seq-g.first, own[:]) })
	if err != nil || own[0] == id {
		return own[0] == id, err
	}
	// The tombstone has another id: does the seal agree with it?
	p, err := s.knownOf(ctx, g, g.gone.Records, false)
	if err != nil {
		return false, err
	}
	if p.entries[seq-g.first].id != idHash(own[0]) {
		return false, fmt.Errorf("read %s%s: %w: the tombstone has another id for record %d than the log had", g.name, tombstone.Ext, tombstone.ErrDamaged, seq)
	}
	return false, nil
}

// Hashes yields the hashes of the records from (inclusive) to to (exclusive),
// including removed ones. Those of lines are checked; the others are those that
// tombstones keep.
func (s *Store) Hashes(ctx context.Context, from, to uint64) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		from := from // the iterator can be used again
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
			err = s.fromTombstone(g, func(f io.ReaderAt) error { return g.gone.Hashes(f, from-g.first, part) })
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
		end, _ := record.ParseChainLink(line) // checked by Lines
		if !record.VerifyHash(line, &end) {
			return yield([32]byte{}, &record.TamperError{Seq: end.Seq}) && false
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

// PutTombstone writes the tombstone of a segment durably. As long as the
// segment's lines are here, the tombstone is ignored.
func (s *Store) PutTombstone(first uint64, b []byte) error {
	g := s.newSeg(first)
	if err := vfs.WriteFile(s.fs, g.name+tombstone.Ext, b, 0o644); err != nil {
		return fmt.Errorf("write tombstone: %w", err)
	}
	s.files.forget(g.name + tombstone.Ext)
	return nil
}

// Leave removes the lines of a segment whose tombstone PutTombstone has
// written. Readers that have the file open finish; later ones get a
// *GoneError. It is for the writer.
func (s *Store) Leave(first uint64) error {
	gone := s.newGone(first)
	if gone.bad != nil {
		return gone.bad
	}
	p, err := s.prefixGone(gone)
	if err != nil {
		return fmt.Errorf("remove segment %d: %w", first, err)
	}
	if err := s.swap(gone); err != nil {
		return fmt.Errorf("remove segment %d: %w", first, err)
	}
	s.files.forget(gone.name + lineExt)
	if err := s.fs.Remove(gone.name + lineExt); err != nil && !isMissing(err) {
		return fmt.Errorf("remove segment %d: %w", first, err)
	}
	s.remake(gone, p) // from the tombstone: so readers need not read all of that
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("remove segment %d: %w", first, err)
	}
	return nil
}

// Return takes in the lines of a segment that were restored under its name. The
// tombstone remains, for readers that have not noticed yet, and is ignored.
func (s *Store) Return(first uint64) error {
	g := s.newSeg(first)
	if _, err := vfs.StatFile(s.fs, g.name+lineExt); err != nil {
		return fmt.Errorf("restore segment %d: %w", first, err)
	}
	// The side file was made from the tombstone, and does not say where
	// lines are.
	if err := s.fs.Remove(g.name + sideExt); err != nil && !isMissing(err) {
		return fmt.Errorf("restore segment %d: %w", first, err)
	}
	s.files.forget(g.name + sideExt)
	if err := s.swap(g); err != nil {
		return fmt.Errorf("restore segment %d: %w", first, err)
	}
	_, next, err := s.find(first)
	if err == nil && next != nil {
		_, err = s.knownOf(context.Background(), g, next.first-first, false)
	}
	if err != nil {
		return fmt.Errorf("restore segment %d: %w", first, err)
	}
	return nil
}

// swap replaces the entry of a segment in s.segs.
func (s *Store) swap(g *seg) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, old := range s.segs {
		if old.first != g.first {
			continue
		}
		if i == len(s.segs)-1 {
			return errors.New("the newest segment cannot be removed: it is being written to")
		}
		if g.gone != nil && g.gone.Next() != s.segs[i+1].first {
			return fmt.Errorf("%w: it ends with record %d", tombstone.ErrDamaged, g.gone.Next()-1)
		}
		s.segs[i] = g
		return nil
	}
	return ErrBeyond
}

// moved reports, when the lines of a segment were not found, whether they
// were removed meanwhile, and returns the segment as it is now.
func (s *Store) moved(g *seg) (*seg, bool) {
	if !s.writing.Load() {
		if err := s.list(); err != nil {
			return g, false
		}
	}
	now, _, err := s.find(g.first)
	return now, err == nil && now.first == g.first && now.gone != nil
}

// Kept yields the lines that the tombstones of all removed segments keep.
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

// Gone returns the ranges of records whose lines were removed from the log,
// each as its first sequence number and the one after its last, in order.
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
