package segment

import (
	"context"
	"fmt"
	"io"
	"math"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// Refresh finds the end of the log, for a store that does not write, and lets
// readers see all records.
func (s *Store) Refresh(ctx context.Context, live bool, signed uint64) error {
	found, err := s.Look(ctx, live, signed)
	if err == nil {
		s.Show(found)
	}
	return err
}

// Show lets readers see the first size records, of those that Look has found.
func (s *Store) Show(size uint64) { s.size.Store(size) }

// Found returns how many records Look has found, of which readers may see Size.
func (s *Store) Found() uint64 { return max(s.found.Load(), s.Size()) }

// Look finds the end of the log, for a store that does not write, without
// letting readers see more. If a writer is at work, its side file says where
// that is. If none is (live is false), the lines after it that form a chain are
// durable as well: the side file is not synced, and may have lost its end in a
// crash.
//
// The signed records are durable whatever the side file says, and are found:
// somebody without keys can cut the side file short.
func (s *Store) Look(ctx context.Context, live bool, signed uint64) (uint64, error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	found, err := s.look(ctx, live, signed)
	if err == nil {
		s.found.Store(found)
	}
	return found, err
}

func (s *Store) look(ctx context.Context, live bool, signed uint64) (uint64, error) {
	if err := s.list(); err != nil {
		return 0, err
	}
	s.mu.RLock()
	var g, prev *seg
	if n := len(s.segs); n > 0 {
		g = s.segs[n-1]
		if n > 1 {
			prev = s.segs[n-2]
			prev.dropKnown() // its side file is sealed
		}
	}
	s.mu.RUnlock()
	if g == nil {
		return 0, nil
	}
	if g.gone != nil { // the newest is never removed: verify reports it
		return g.gone.Next(), nil
	}
	count, end, err := s.published(g)
	if err != nil {
		return 0, err
	}
	s.broken.Store(nil)
	if upto := uint64(math.MaxUint64); !live || g.first+count < signed {
		if live {
			upto = signed
		}
		if count, err = s.extendTail(ctx, g, prev, count, end, upto); err != nil {
			return 0, err
		}
	}
	size := g.first + count
	if old := s.size.Load(); size < old {
		// A writer rewrites the side file when it begins: records that were
		// seen remain, but a torn line is no longer there.
		if _, err := s.Peek(old - 1); err == nil {
			size = old
		} else {
			g.dropKnown()
		}
	}
	return size, nil
}

// published returns how many lines of the last segment have an entry in its
// side file, and where they end; none if the last of these lines is not where
// its entry says, or has another id.
func (s *Store) published(g *seg) (count uint64, end int64, err error) {
	x, err := s.readSeal(g)
	if err == nil && x.count > 0 {
		var entries []entry
		if entries, err = s.entries(g, x.count-min(x.count, 2), x.count); err == nil {
			err = s.sealFits(g, x, entries)
			end = int64(entries[len(entries)-1].end)
		}
	}
	switch {
	case isIO(err):
		return 0, 0, err
	case err != nil:
		return 0, 0, nil // missing or damaged: it is derived
	}
	return x.count, end, nil
}

// extendTail counts the lines of the last segment, of which the first count
// end at offset and are known, as far as they form a chain, up to the record
// before upto.
func (s *Store) extendTail(ctx context.Context, g, prev *seg, count uint64, offset int64, upto uint64) (uint64, error) {
	st, err := vfs.StatFile(s.fs, g.name+lineExt)
	if err != nil {
		return 0, fmt.Errorf("read the end of the log: %w", err)
	}
	if st.Size() == offset {
		return count, nil
	}
	var known []entry
	if count > 0 {
		if known, err = s.entries(g, 0, count); err != nil {
			count, offset = 0, 0 // an earlier entry is damaged
		}
	}
	last, chained, err := s.tailBefore(g, prev, count)
	if err != nil {
		return 0, err
	}
	s.scanFile(ctx, g, offset, func(raw Raw, scanned error) bool {
		err = scanned
		if err != nil || !raw.Whole || g.first+count >= upto {
			return false
		}
		t, ok := record.ParseChainLink(raw.Line)
		if !ok || t.Seq != g.first+count || chained && (t.Prev != last.Hash || t.Logged.Before(last.Logged)) || !record.VerifyHash(raw.Line, &t) {
			s.broken.Store(&record.CorruptError{Seq: g.first + count, File: raw.File, Offset: raw.Pos.Offset})
			return false
		}
		known = append(known, entryOf(raw.Line, raw.Pos.Offset+int64(len(raw.Line))+1))
		last, chained = t, true
		count++
		return true
	})
	if err != nil {
		return 0, err
	}
	g.sideMu.Lock()
	g.memory = known
	g.sideMu.Unlock()
	return count, nil
}

// tailBefore returns the chain link of the line before the line count of a
// segment, if it is known. For a segment's first line it is unknown if the
// segment before is missing, and only its hash is known if that was removed.
func (s *Store) tailBefore(g, prev *seg, count uint64) (tail record.ChainLink, known bool, err error) {
	if count == 0 && prev == nil {
		return record.ChainLink{}, g.first == 0, nil
	}
	if count == 0 && prev.gone != nil {
		var last [1][32]byte
		err := s.fromTombstone(prev, func(f io.ReaderAt) error { return prev.gone.Hashes(f, prev.gone.Records-1, last[:]) })
		return record.ChainLink{Hash: last[0]}, err == nil && prev.gone.Next() == g.first, err
	}
	line, err := s.Peek(g.first + count - 1)
	switch {
	case isIO(err):
		return record.ChainLink{}, false, fmt.Errorf("read the end of the log: %w", err)
	case err != nil:
		return record.ChainLink{}, false, nil // the rest can be read; verify reports the gap
	}
	tail, _ = record.ParseChainLink(line) // checked by Peek
	return tail, true, nil
}
