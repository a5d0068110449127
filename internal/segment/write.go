package segment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// A Batch is a run of lines that are made durable together.
type Batch struct {
	Lines []byte // each with its LF
	Marks []Mark // one for each line
}

// A Mark is what the side file records of a line.
type Mark struct {
	End   int // offset in Lines of the byte after its LF
	ID    record.ID
	Admin bool
}

// Reset empties the batch and keeps its memory, unless that is larger than
// usual batches need.
func (b *Batch) Reset() {
	const keep = 16 << 20
	if cap(b.Lines) > keep {
		b.Lines = nil
	}
	b.Lines, b.Marks = b.Lines[:0], b.Marks[:0]
}

// A tail is the end of the log, where lines are appended.
type tail struct {
	seg  *seg
	file vfs.File
	side vfs.File
	off  int64 // length of the durable lines
	err  error // why nothing more may be written
	cut  bool  // the end was cut off, which is not synced yet

	litter *seg // what a failed begin left, to be removed

	known   *prefix // the side of the segment; guarded by the segment's sideMu
	entries []entry // scratch for the entries of a batch
	buf     []byte  // entries for the side file
	sideOff int64   // where buf is to be written
}

// Claim tells a store that this process is the log's only writer, which may
// rewrite derived files.
func (s *Store) Claim() { s.writing.Store(true) }

// OpenTail prepares the store for Append: the log ends at pos with size
// records. Bytes after pos in the last segment must have been cut off.
func (s *Store) OpenTail(ctx context.Context, pos Pos, size uint64) error {
	s.mu.RLock()
	var g *seg
	if n := len(s.segs); n > 0 {
		g = s.segs[n-1]
	}
	s.mu.RUnlock()
	s.Claim()
	if g == nil {
		if err := s.begin(size); err != nil {
			return err
		}
		s.size.Store(size)
		return nil
	}
	if g.first != pos.First || size < g.first || g.gone != nil {
		return fmt.Errorf("open log for writing: its last segment begins with record %d, want %d", g.first, pos.First)
	}
	f, err := s.fs.OpenFile(g.name+lineExt, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open log for writing: %w", err)
	}
	// The lines that recovery read may never have been synced. From now on
	// they count as acknowledged, so they must be durable.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync log: %w", errors.Join(err, f.Close()))
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("sync log: %w", errors.Join(err, f.Close()))
	}
	side, known, err := s.openSide(ctx, g, size-g.first, pos.Offset)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	// Recovery may have seen records that it cut off.
	s.ids.restart()
	g.keep(known)
	g.govern(nil, 0)
	s.tail = tail{
		seg: g, file: f, side: side, off: pos.Offset, known: known,
		sideOff: sideHeader + int64((size-g.first)*entryLen),
	}
	s.size.Store(size)
	s.ids.start(s)
	return nil
}

// begin creates the segment whose first record is first, or leaves nothing of
// it: the process may continue with the one before.
func (s *Store) begin(first uint64) error {
	g := s.newSeg(first)
	t, err := s.create(g)
	if err != nil {
		s.tail.litter = g
		return fmt.Errorf("begin segment %d: %w", first, errors.Join(err, s.clear()))
	}
	s.tail = t
	s.mu.Lock()
	if n := len(s.segs); n == 0 || s.segs[n-1].first != first {
		s.segs = append(s.segs, g)
	} else {
		s.segs[n-1] = g
	}
	s.mu.Unlock()
	return nil
}

// create creates the files of a segment.
func (s *Store) create(g *seg) (t tail, err error) {
	f, err := s.fs.OpenFile(g.name+lineExt, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return tail{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	// Only a file that an earlier attempt of this process left may be there.
	switch size, err := f.Size(); {
	case err != nil:
		return tail{}, err
	case size > 0:
		return tail{}, fmt.Errorf("%s has %d bytes already: %w", g.name+lineExt, size, os.ErrExist)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return tail{}, fmt.Errorf("%w: sync: %w", ErrFailed, err)
	}
	known := newPrefix()
	side, err := s.writeSide(g, known, 0)
	if err != nil {
		return tail{}, err
	}
	g.keep(known)
	return tail{seg: g, file: f, side: side, known: known, sideOff: sideHeader}, nil
}

// clear removes what a failed begin left. Until that has succeeded nothing is
// appended to the segment before: otherwise an empty segment with a smaller
// number than the last record would remain permanently.
func (s *Store) clear() error {
	g := s.tail.litter
	if g == nil {
		return nil
	}
	s.files.forget(g.name + sideExt)
	if err := s.fs.Remove(g.name + sideExt); err != nil && !isMissing(err) {
		return fmt.Errorf("remove the unfinished segment: %w", err)
	}
	switch st, err := s.fs.Stat(g.name + lineExt); {
	case isMissing(err):
	case err != nil:
		return fmt.Errorf("remove the unfinished segment: %w", err)
	case st.Size() > 0: // another process wrote to the file
		return fmt.Errorf("remove the unfinished segment: %s has %d bytes: %w", g.name+lineExt, st.Size(), os.ErrExist)
	default:
		if err := s.fs.Remove(g.name + lineExt); err != nil && !isMissing(err) {
			return fmt.Errorf("remove the unfinished segment: %w", err)
		}
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return fmt.Errorf("%w: sync: %w", ErrFailed, err)
	}
	s.tail.litter = nil
	return nil
}

// Append makes a batch durable and lets readers see it. It is for one
// goroutine at a time.
//
// If a write fails, the bytes written are cut off again, the batch is
// refused, and the log continues from where it was: a full disk is survived.
// If cutting off or a sync fails, the store refuses everything from then on
// with ErrFailed, since the content of the disk is not known.
//
// It returns whether a new segment was begun.
func (s *Store) Append(b *Batch) (rolled bool, err error) {
	t := &s.tail
	if t.err != nil {
		return rolled, t.err
	}
	if len(b.Lines) > maxBatch {
		return rolled, fmt.Errorf("append %d bytes at once: the limit is %d", len(b.Lines), maxBatch)
	}
	// Readers in other processes must see all acknowledged records before
	// more are acknowledged.
	if err := s.flushSide(); err != nil {
		return false, err
	}
	if err := s.fail(s.clear()); err != nil {
		return false, err
	}
	if t.off > 0 && t.off+int64(len(b.Lines)) > s.roll {
		if t.cut {
			// The rest of a failed write was cut off, but reappears after a
			// power loss unless that is synced. Before another segment it would
			// not pass for a torn write.
			if err := t.sync(); err != nil {
				return false, err
			}
		}
		if err := s.fail(s.rollOver()); err != nil {
			return false, err
		}
		t, rolled = &s.tail, true
	}
	if _, err := t.file.WriteAt(b.Lines, t.off); err != nil {
		if terr := t.file.Truncate(t.off); terr != nil {
			t.err = fmt.Errorf("%w: %w", ErrFailed, errors.Join(err, terr))
			return rolled, t.err
		}
		t.cut = true
		return rolled, fmt.Errorf("write %d records: %w", len(b.Marks), err)
	}
	if err := t.sync(); err != nil {
		return rolled, err
	}
	if err := s.inPlace(t.off + int64(len(b.Lines))); err != nil {
		return rolled, err
	}
	s.publish(b)
	return rolled, nil
}

// inPlace makes sure that the segment's name still leads to the file that is
// written, which has size bytes: if its folder was exchanged, or a copy put in
// its place, acknowledged records would not be in the log. If the file system
// cannot tell, the file is taken to be the same.
func (s *Store) inPlace(size int64) error {
	t := &s.tail
	name := t.seg.name + lineExt
	st, err := s.fs.Stat(name)
	switch {
	case isMissing(err):
		t.err = fmt.Errorf("%w: %s was moved or removed, or its folder exchanged, while this process wrote to it: end this process, and start it again in the right folder", ErrFailed, name)
	case err == nil && st.Size() != size:
		t.err = fmt.Errorf("%w: %s is another file than the one that this process writes: the file was replaced or changed, or its folder exchanged: end this process, and start it again in the right folder", ErrFailed, name)
	}
	return t.err
}

// sync makes the lines durable. After an error nothing more is written.
func (t *tail) sync() error {
	if err := t.file.Sync(); err != nil {
		t.err = fmt.Errorf("%w: sync: %w", ErrFailed, err)
		return t.err
	}
	t.cut = false
	return nil
}

// fail stops all further writing after a failed sync.
func (s *Store) fail(err error) error {
	if errors.Is(err, ErrFailed) {
		s.tail.err = err
	}
	return err
}

// publish appends to the side file, by whose length readers in other
// processes know how far they may read.
func (s *Store) publish(b *Batch) {
	t := &s.tail
	seq := s.size.Load()
	entries := t.entries[:0]
	for _, m := range b.Marks {
		e := entry{end: uint32(t.off + int64(m.End)), id: idHash(m.ID)}
		if m.Admin {
			e.flag = flagAdmin
		}
		entries = append(entries, e)
	}
	t.entries = entries
	if n := len(b.Marks); n > 0 {
		from := 0
		if n > 1 {
			from = b.Marks[n-2].End
		}
		last, _ := record.ParseChainLink(b.Lines[from : b.Marks[n-1].End-1]) // a line of this process's own
		t.seg.sideMu.Lock()
		t.buf = t.known.add(t.buf, t.seg.first, entries, b.governing(), last.Hash)
		t.seg.sideMu.Unlock()
	}
	t.off += int64(len(b.Lines))
	s.size.Store(seq + uint64(len(b.Marks)))
	// The records are durable, and are acknowledged even if the side file
	// cannot be written: it is derived. Entries that cannot be written now
	// are written before the next batch.
	_ = s.flushSide()
}

// governing returns the hashes of the batch's governance records.
func (b *Batch) governing() (out []record.Hash) {
	from := 0
	for _, m := range b.Marks {
		if m.Admin {
			t, _ := record.ParseChainLink(b.Lines[from : m.End-1]) // a line of this process's own
			out = append(out, t.Hash)
		}
		from = m.End
	}
	return out
}

// flushSide writes the entries that the side file does not have yet, and the
// seal, in one write.
func (s *Store) flushSide() error {
	t := &s.tail
	if len(t.buf) == 0 {
		return nil
	}
	n := len(t.buf)
	sealed := t.known.seal(false).append(t.buf, t.seg.first, s.macs)
	if _, err := t.side.WriteAt(sealed, t.sideOff); err != nil {
		return fmt.Errorf("write side file: %w", err)
	}
	t.sideOff += int64(n)
	t.buf = sealed[:0]
	return nil
}

// rollOver closes the last segment and begins the next.
func (s *Store) rollOver() error {
	old := s.tail
	size := s.size.Load()
	if err := s.begin(size); err != nil {
		return err
	}
	s.closeSide(&old)
	// Its bytes are synced: nothing is lost if this fails.
	_ = old.file.Close()
	s.ids.start(s)
	return nil
}

// closeSide ends the side file of a full segment with the places of its
// governance records. It is derived: if that fails, the file is removed or not
// sealed, and is written again when it is needed.
func (s *Store) closeSide(t *tail) {
	_, err := t.side.WriteAt(t.known.seal(true).append(nil, t.seg.first, s.macs), t.sideOff)
	if err := errors.Join(err, t.side.Close()); err != nil {
		_ = s.fs.Remove(t.seg.name + sideExt)
		s.files.forget(t.seg.name + sideExt)
	}
	if !s.macs.known() {
		t.seg.dropKnown() // else it is dropped when there is a table
	}
}

func (s *Store) closeTail() error {
	t := &s.tail
	if t.file == nil {
		return nil
	}
	err := errors.Join(t.file.Close(), t.side.Close())
	*t = tail{err: fmt.Errorf("append: %w", os.ErrClosed)}
	return err
}

// Cut removes the bytes of the last segment from pos on, after it has made a
// copy of them durable under the name aside in the same folder.
func (s *Store) Cut(pos Pos, aside string) (removed []byte, err error) {
	g := s.newSeg(pos.First)
	f, err := s.fs.OpenFile(g.name+lineExt, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("cut log: %w", err)
	}
	removed, err = s.cut(f, pos.Offset, aside)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("cut log: %w", err)
	}
	return removed, nil
}

func (s *Store) cut(f vfs.File, at int64, aside string) ([]byte, error) {
	size, err := f.Size()
	if err != nil || size <= at {
		return nil, err
	}
	torn := make([]byte, size-at)
	if n, err := f.ReadAt(torn, at); n < len(torn) {
		return nil, err
	}
	if err := vfs.WriteFile(s.fs, filepath.Join(s.dir, aside), torn, 0o600); err != nil {
		return nil, err
	}
	if err := f.Truncate(at); err != nil {
		return nil, err
	}
	return torn, f.Sync()
}
