package segment

import (
	"context"
	"path/filepath"
	"slices"
)

// Mend writes again the side files of full segments and the id tables that
// differ from what the lines give, and returns them. It reads all derived
// files, and the lines of those that differ. It is for the writer, after it has
// opened the log.
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
			continue // the tombstone is damaged, which is the graver finding
		}
		why := s.sideAgrees(g, segs[i+1:], false)
		if why == nil {
			continue
		}
		// A side file cannot be made from lines that are not in order; verify
		// reports those.
		if s.mendSide(ctx, g, segs[i+1].first-g.first) == nil {
			mended = append(mended, difference(g.first, g.name+sideExt, why))
		}
	}
	tables, err := s.tableDifferences(ctx)
	if err != nil || len(tables) == 0 {
		return mended, err
	}
	s.ids.wait() // the builder may be writing some of them
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

// mendSide writes the side file of a full segment of count records again.
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
	_, err = s.readSeal(g) // to learn whether it was written
	return err
}
