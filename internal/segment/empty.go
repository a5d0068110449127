package segment

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
)

// EmptyPrefix is the prefix of the name of an empty segment that was put
// aside.
const EmptyPrefix = "empty-"

// dropEmpty takes the empty segments out of segs, except for one at the end
// that begins with the record after the last: that one was begun, and is
// written to next. The others were left by a failed begin in a process that
// continued, or were put there by somebody: they contain nothing, and a file's
// name proves nothing.
func (s *Store) dropEmpty(segs []*seg) (kept, empty []*seg) {
	kept = make([]*seg, 0, len(segs))
	for i, g := range segs {
		last := i == len(segs)-1
		if g.gone != nil || g.filled {
			kept = append(kept, g)
			continue
		}
		st, err := vfs.StatFile(s.fs, g.name+lineExt) // a pipe is not empty
		if err == nil && st.Size() == 0 && (!last || len(kept) > 0 && !s.endsBefore(kept[len(kept)-1], g.first)) {
			empty = append(empty, g)
			if left := s.newGone(g.first); !isMissing(left.bad) {
				kept = append(kept, left) // the empty file is where its lines were
			}
			continue
		}
		g.filled = err == nil && st.Size() > 0
		kept = append(kept, g)
	}
	return kept, empty
}

// endsBefore reports whether the last whole line of a segment, or the last
// record of a removed one, is the one before the record seq. If that cannot be
// read, the answer is yes: a reader that needs the record gets the error.
func (s *Store) endsBefore(g *seg, seq uint64) bool {
	if g.gone != nil {
		return g.bad != nil || g.gone.Next() == seq
	}
	f, err := s.fs.Open(g.name + lineExt)
	if err != nil {
		return true
	}
	defer func() { _ = f.Close() }() // only read from: nothing to lose
	size, err := f.Size()
	if err != nil {
		return true
	}
	last, ok := tombstone.LastSeq(f, size)
	return !ok || last+1 == seq
}

// dropBeside takes tombstones out of segs whose first record is in another
// segment of the log, or in the tombstone of one.
func (s *Store) dropBeside(segs []*seg) (kept, beside []*seg) {
	kept = segs[:0]
	for _, g := range segs {
		if n := len(kept); g.gone != nil && n > 0 && s.covers(kept[n-1], g.first) {
			g.beside = true
			beside = append(beside, g)
			continue
		}
		kept = append(kept, g)
	}
	return kept, beside
}

// covers reports whether a record that is not the first of a segment is one of
// its records.
func (s *Store) covers(g *seg, seq uint64) bool {
	if g.gone != nil {
		return g.bad == nil && g.gone.Next() > seq
	}
	f, err := s.fs.Open(g.name + lineExt)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read from: nothing to lose
	size, err := f.Size()
	return err == nil && tombstone.Beside(f, size, seq)
}

// PutAside renames the empty segments that are not the log's, so that they
// cannot be taken for segments. They do no harm: if a renaming fails, the
// file remains. It is for the writer.
func (s *Store) PutAside(logger *slog.Logger) {
	s.mu.Lock()
	empty := s.empty
	s.empty = nil
	s.mu.Unlock()
	for _, g := range empty {
		// The side file is derived, and of no records.
		_ = s.fs.Remove(g.name + sideExt)
		aside := filepath.Join(s.dir, fmt.Sprintf("%s%020d", EmptyPrefix, g.first))
		if err := s.fs.Rename(g.name+lineExt, aside); err != nil {
			logger.Warn("an empty segment is not the log's, and cannot be put aside", slog.Uint64("first", g.first), slog.Any("error", err))
			continue
		}
		logger.Warn("put an empty segment aside, which is not the log's", slog.Uint64("first", g.first), slog.String("kept as", filepath.Base(aside)))
	}
}

// SetAside renames the tombstones after the segment last, and with all the
// segments after it too, so that the log ends with that segment. It returns the
// new names. It is for recovery, which has made sure that none of their records
// was signed.
func (s *Store) SetAside(last uint64, all bool, name func(first uint64) string) (aside []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	move := func(g *seg, ext string) error {
		to := name(g.first)
		if err := s.fs.Rename(g.name+ext, filepath.Join(s.dir, to)); err != nil {
			return fmt.Errorf("put segment %d aside: %w", g.first, err)
		}
		aside = append(aside, to)
		return nil
	}
	for ; len(s.stray) > 0; s.stray = s.stray[1:] {
		if err := move(s.stray[0], tombstone.Ext); err != nil {
			return aside, err
		}
	}
	// The newest first, so that an interruption leaves no gap.
	for n := len(s.segs); all && n > 0 && s.segs[n-1].first > last; n = len(s.segs) {
		g := s.segs[n-1]
		ext := lineExt
		if g.gone != nil {
			ext = tombstone.Ext
		}
		s.files.forget(g.name + ext)
		s.files.forget(g.name + sideExt)
		_ = s.fs.Remove(g.name + sideExt) // derived
		if err := move(g, ext); err != nil {
			return aside, err
		}
		s.segs = s.segs[:n-1]
	}
	if len(aside) == 0 {
		return nil, nil
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return aside, fmt.Errorf("put segments aside: %w", err)
	}
	return aside, nil
}

// Empty returns the paths of the empty segments that are not the log's.
func (s *Store) Empty() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var paths []string
	for _, g := range s.empty {
		paths = append(paths, g.name+lineExt)
	}
	return paths
}

// DropEmpty takes out the empty segments at the end, when the segment before
// them is damaged: no writer began them after that one was complete. It is for
// recovery.
func (s *Store) DropEmpty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.segs); n > 1; n = len(s.segs) {
		g := s.segs[n-1]
		if st, err := s.fs.Stat(g.name + lineExt); g.gone != nil || err != nil || st.Size() > 0 {
			return
		}
		s.segs, s.empty = s.segs[:n-1], append(s.empty, g)
	}
}
