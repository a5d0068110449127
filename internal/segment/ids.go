package segment

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"audittrail/record"
)

// An idRef says that an id with this hash belongs to that record.
type idRef struct{ id, seq uint64 }

func compareRefs(a, b idRef) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.seq, b.seq))
}

// idIndex finds records by id: tables for what they cover, memory for the rest.
type idIndex struct {
	mu     sync.Mutex // guards all below
	tables []*table   // ascending, without gaps, from the first segment on
	recent map[uint64]uint64
	more   []idRef // those of recent whose hash is taken
	from   uint64  // recent and more hold [from, upto)
	upto   uint64
	listed bool
	buf    [pageLen]byte // scratch of lookups

	building sync.WaitGroup
	busy     bool // a builder runs
	again    bool // and has to look once more
}

// FindID returns the sequence numbers of the records that may have an id: all
// that do, and hardly ever another, in ascending order.
func (s *Store) FindID(ctx context.Context, id record.ID) ([]uint64, error) {
	x := &s.ids
	hash := idHash(id)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := s.catchUp(ctx); err != nil {
		return nil, fmt.Errorf("find id: %w", err)
	}
	out, err := s.searchTables(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("find id: %w", err)
	}
	if seq, ok := x.recent[hash]; ok {
		out = append(out, seq)
	}
	for _, r := range x.more {
		if r.id == hash {
			out = append(out, r.seq)
		}
	}
	slices.Sort(out)
	return out, nil
}

// searchTables looks a hash up in all tables. One that has gone is looked for
// under the name of what it was merged into; one that is damaged is dropped,
// with those behind it, and memory takes over from there.
func (s *Store) searchTables(ctx context.Context, hash uint64) ([]uint64, error) {
	x := &s.ids
	for attempt := 0; ; attempt++ {
		var out []uint64
		bad := -1
		for i, t := range x.tables {
			found, err := s.lookup(t, hash)
			if err != nil {
				bad = i
				s.files.forget(t.name)
				break
			}
			out = append(out, found...)
		}
		if bad < 0 {
			return out, nil
		}
		x.recent = nil
		if attempt == 0 {
			x.listed = false
		} else {
			x.tables = x.tables[:bad]
		}
		if err := s.catchUp(ctx); err != nil {
			return nil, err
		}
	}
}

// catchUp takes the records that no table covers into memory; called with
// ids.mu held.
func (s *Store) catchUp(ctx context.Context) error {
	x := &s.ids
	if !x.listed {
		if err := s.listTables(); err != nil {
			return err
		}
	}
	covered := s.start()
	if n := len(x.tables); n > 0 {
		covered = x.tables[n-1].to
	}
	if x.recent == nil || covered > x.from {
		x.recent, x.more = make(map[uint64]uint64), nil
		x.from, x.upto = covered, covered
	}
	for size := s.Size(); x.upto < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		g, next, err := s.find(x.upto)
		if err != nil {
			return err
		}
		to := size
		if next != nil {
			to = min(to, next.first)
		}
		entries, err := s.allEntries(g, x.upto-g.first, to-g.first)
		if err != nil {
			return err
		}
		for i, e := range entries {
			x.add(e.id, x.upto+uint64(i))
		}
		x.upto = to
	}
	return nil
}

func (x *idIndex) add(id, seq uint64) {
	if _, taken := x.recent[id]; taken {
		x.more = append(x.more, idRef{id, seq})
		return
	}
	x.recent[id] = seq
}
