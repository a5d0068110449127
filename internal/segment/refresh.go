package segment

import (
	"context"
	"fmt"

	"audittrail/record"
)

// Refresh looks how far the log goes, for a store that does not write. If a
// writer is at work, its side file says how far that is; if none is (live is
// false), lines that follow on without a break are durable as well: the side
// file is not synced, and may have lost its end in a crash.
func (s *Store) Refresh(ctx context.Context, live bool) error {
	if err := s.list(); err != nil {
		return err
	}
	s.mu.RLock()
	var g, prev *seg
	if n := len(s.segs); n > 0 {
		g = s.segs[n-1]
		if n > 1 {
			prev = s.segs[n-2]
		}
	}
	s.mu.RUnlock()
	if g == nil {
		s.size.Store(0)
		return nil
	}
	count, err := s.sideCount(g)
	if err != nil {
		return err
	}
	if count > 0 {
		if start, end, err := s.bounds(g, count-1); err != nil {
			count = 0
		} else if _, err := s.readLine(g, g.first+count-1, start, end); err != nil {
			count = 0
		}
	}
	if !live {
		count, err = s.extendTail(ctx, g, prev, count)
		if err != nil {
			return err
		}
	}
	s.size.Store(g.first + count)
	return nil
}

// extendTail counts the lines of the last segment, of which count are known
// from its side file, as far as they form a chain.
func (s *Store) extendTail(ctx context.Context, g, prev *seg, count uint64) (uint64, error) {
	var last record.Hash
	offset := int64(0)
	var known []entry
	switch {
	case count > 0:
		var err error
		if known, err = s.entries(g, 0, count); err != nil {
			known, count = nil, 0
			break
		}
		start := int64(0)
		if count > 1 {
			start = int64(known[count-2].end)
		}
		offset = int64(known[count-1].end)
		line, err := s.readLine(g, g.first+count-1, start, offset)
		if err != nil {
			return 0, err
		}
		t, _ := record.ParseTail(line)
		last = t.Hash
	}
	if count == 0 && prev != nil {
		line, err := s.Peek(g.first - 1)
		if err != nil {
			return 0, fmt.Errorf("read the end of the log: %w", err)
		}
		t, _ := record.ParseTail(line)
		last = t.Hash
	}
	var failed error
	first := g.first == s.First()
	s.scanFile(ctx, g, offset, func(raw Raw, err error) bool {
		failed = err
		if err != nil || !raw.Whole {
			return false
		}
		t, ok := record.ParseTail(raw.Line)
		chained := t.Prev == last || count == 0 && first && g.first > 0
		if !ok || t.Seq != g.first+count || !chained || !record.Intact(raw.Line, &t) {
			return false
		}
		known = append(known, entryOf(raw.Line, raw.Pos.Offset+int64(len(raw.Line))+1))
		last = t.Hash
		count++
		return true
	})
	if failed != nil {
		return 0, failed
	}
	g.sideMu.Lock()
	g.memory = known
	g.sideMu.Unlock()
	return count, nil
}
