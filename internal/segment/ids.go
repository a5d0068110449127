package segment

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"audittrail/record"
)

// An idRef is the hash of an id and the record that has the id.
type idRef struct{ id, seq uint64 }

func compareRefs(a, b idRef) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.seq, b.seq))
}

// idIndex finds records by id: in tables for the full segments, and in memory
// for the rest as far as it is authenticated. Other records are searched for in
// their lines.
type idIndex struct {
	mu     sync.Mutex // guards all below
	tables []*table   // ascending, without gaps, from the first segment on
	recent map[uint64]uint64
	more   []idRef     // those whose hash is in recent already
	bare   [][2]uint64 // ranges of records to be searched for in their lines
	from   uint64      // recent, more and bare cover [from, upto)
	upto   uint64
	listed bool
	broken bool          // a table was damaged, and is to be built again
	buf    [pageLen]byte // scratch of lookups

	building sync.WaitGroup
	busy     bool // a builder is running
	again    bool // and must look for more to build before it ends
}

// FindID returns the sequence numbers of the records that may have an id: all
// that have it, and very rarely another with the same hash, in ascending
// order. That no record has it is authenticated, or was read from the lines.
//
// Of the records that are searched for in their lines it may return only the
// first it finds.
func (s *Store) FindID(ctx context.Context, id record.ID) ([]uint64, error) {
	out, bare, broken, err := s.searchIDs(ctx, idHash(id))
	if err != nil {
		return nil, fmt.Errorf("find id: %w", err)
	}
	if broken && s.writing.Load() {
		s.ids.start(s)
	}
	for _, span := range bare {
		seqs, err := s.searchLines(ctx, span, id)
		if err != nil {
			return nil, fmt.Errorf("find id: %w", err)
		}
		out = append(out, seqs...)
	}
	slices.Sort(out)
	return out, nil
}

// searchIDs looks an id's hash up, and returns the ranges of records that are
// neither in tables nor in memory.
func (s *Store) searchIDs(ctx context.Context, hash uint64) (out []uint64, bare [][2]uint64, broken bool, err error) {
	x := &s.ids
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := s.catchUp(ctx); err != nil {
		return nil, nil, false, err
	}
	if out, err = s.searchTables(ctx, hash); err != nil {
		return nil, nil, false, err
	}
	if seq, ok := x.recent[hash]; ok {
		out = append(out, seq)
	}
	for _, r := range x.more {
		if r.id == hash {
			out = append(out, r.seq)
		}
	}
	broken, x.broken = x.broken, false
	return out, slices.Clone(x.bare), broken, nil
}

// searchLines looks for an id in the lines of a range: first where the side
// files have its hash, then everywhere.
func (s *Store) searchLines(ctx context.Context, span [2]uint64, id record.ID) (out []uint64, err error) {
	hash := idHash(id)
	const some = 1 << 16
	for from := span[0]; from < span[1]; {
		g, next, err := s.find(from)
		if err != nil {
			return nil, err
		}
		to := min(span[1], from+some)
		if next != nil {
			to = min(to, next.first)
		}
		entries, err := s.entries(g, from-g.first, to-g.first)
		for i, e := range entries {
			if seq := from + uint64(i); err == nil && e.id == hash {
				if same, err := s.HasID(ctx, seq, id); err == nil && same {
					return []uint64{seq}, nil
				}
			}
		}
		from = to
	}
	for line, err := range s.Lines(ctx, span[0], span[1]) {
		if err != nil {
			return nil, err
		}
		if own, _, ok := record.Peek(line); ok && own == id {
			t, _ := record.ParseChainLink(line) // Lines has looked at it
			out = append(out, t.Seq)
		}
	}
	return out, nil
}

// searchTables looks a hash up in all tables. If a table's file is missing,
// the tables are listed again, since it may have been merged; a damaged one
// is dropped with those after it, and their records are indexed in memory.
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
				if attempt > 0 && s.writing.Load() {
					_ = s.fs.Remove(t.name) // derived: it is built again
					x.broken = true
				}
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

// catchUp indexes the records that no table covers in memory. It is called
// with ids.mu held.
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
		x.recent, x.more, x.bare = make(map[uint64]uint64), nil, nil
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
		entries, known, err := s.idsOf(ctx, g, to-g.first)
		if err != nil {
			return err
		}
		if known {
			for i, e := range entries[x.upto-g.first:] {
				x.add(e.id, x.upto+uint64(i))
			}
		} else {
			x.addBare(x.upto, to)
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

// restart empties the index in memory.
func (x *idIndex) restart() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recent = nil
}

// addBare adds a range of records to be searched for in their lines.
func (x *idIndex) addBare(from, to uint64) {
	if n := len(x.bare); n > 0 && x.bare[n-1][1] == from {
		x.bare[n-1][1] = to
		return
	}
	x.bare = append(x.bare, [2]uint64{from, to})
}

// idsOf returns the first count entries of a segment, authenticated. Without a
// key they cannot be authenticated, and the lines are searched for each id
// instead.
func (s *Store) idsOf(ctx context.Context, g *seg, count uint64) (entries []entry, known bool, err error) {
	if g.gone == nil && !s.macs.known() && !s.writing.Load() {
		return nil, false, nil
	}
	p, err := s.knownOf(ctx, g, count, s.isLast(g))
	if err != nil {
		return nil, true, err
	}
	return p.entries[:count], true, nil
}
