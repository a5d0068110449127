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

// idIndex finds records by id: tables for what they cover, memory for the rest,
// as far as somebody vouches for it. The lines of what is left are gone over.
type idIndex struct {
	mu     sync.Mutex // guards all below
	tables []*table   // ascending, without gaps, from the first segment on
	recent map[uint64]uint64
	more   []idRef     // those of recent whose hash is taken
	bare   [][2]uint64 // ranges of records for which only their lines speak
	from   uint64      // recent, more and bare cover [from, upto)
	upto   uint64
	listed bool
	broken bool          // a table was, and is to be made again
	buf    [pageLen]byte // scratch of lookups

	building sync.WaitGroup
	busy     bool // a builder runs
	again    bool // and has to look once more
}

// FindID returns the sequence numbers of the records that may have an id: all
// that do, and hardly ever another, in ascending order. That there is none is
// authenticated, or is what the lines say.
//
// Of the records for which only lines speak it may return the one that it finds
// first.
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

// searchIDs looks an id's hash up, and returns the ranges of records for which
// this says nothing.
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
// files claim that it is, then everywhere.
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
				if attempt > 0 && s.writing.Load() {
					_ = s.fs.Remove(t.name) // derived: it is made again
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

// restart forgets what is in memory.
func (x *idIndex) restart() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recent = nil
}

// addBare adds a range for which only its lines speak.
func (x *idIndex) addBare(from, to uint64) {
	if n := len(x.bare); n > 0 && x.bare[n-1][1] == from {
		x.bare[n-1][1] = to
		return
	}
	x.bare = append(x.bare, [2]uint64{from, to})
}

// idsOf returns the first count entries of a segment, authenticated. Without a key
// nobody can say what they are but the lines, which are gone over for each id
// instead of being kept.
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
