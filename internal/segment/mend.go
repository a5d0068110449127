package segment

import (
	"context"
	"path/filepath"
	"slices"
)

// Mend makes the side files of full segments, and the id tables, again that are not
// what the lines make of them, and returns them. It reads all of them, and the
// lines of those that differ. It is for the writer, when it has opened the log.
func (s *Store) Mend(ctx context.Context) ([]Difference, error) {
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	s.mu.RUnlock()
	var mended []Difference
	for i := 0; i+1 < len(segs); i++ {
		if err := ctx.Err(); err != nil {
			return mended, err
		}
		g := segs[i]
		if g.bad != nil {
			continue // the remnant is damaged, which is more
		}
		why := s.sideAgrees(g, segs[i+1:], false)
		if why == nil {
			continue
		}
		// Lines that are not in order keep their side file from being made, and
		// are for verify to name.
		if s.mendSide(ctx, g, segs[i+1].first-g.first) == nil {
			mended = append(mended, difference(g.first, g.name+sideExt, why))
		}
	}
	tables, err := s.tableDifferences(ctx)
	if err != nil || len(tables) == 0 {
		return mended, err
	}
	s.ids.wait() // it may be making some of them
	if tables, err = s.tableDifferences(ctx); err != nil {
		return mended, err
	}
	x := &s.ids
	x.mu.Lock()
	for _, d := range tables {
		s.removeDerived(filepath.Join(s.dir, d.File))
	}
	x.listed, x.recent = false, nil
	x.mu.Unlock()
	s.ids.start(s)
	return append(mended, tables...), nil
}

// mendSide makes the side file of a full segment of count records again.
func (s *Store) mendSide(ctx context.Context, g *seg, count uint64) error {
	g.knowing.Lock()
	defer g.knowing.Unlock()
	p := newPrefix()
	var err error
	if g.gone == nil {
		err = s.takeLines(ctx, g, p, count)
	} else if err = s.vouch(ctx, g); err == nil {
		p, err = s.prefixGone(g)
	}
	if err != nil {
		return err
	}
	s.remake(g, p)
	g.sideMu.Lock()
	g.memory, g.known, g.governedTo = nil, nil, 0
	g.sideMu.Unlock()
	_, err = s.readSeal(g) // whether it could be written
	return err
}
