package segment

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"audittrail/internal/vfs"
)

// start builds the tables that are missing, in the background.
func (x *idIndex) start(s *Store) {
	if !s.macs.known() {
		return // tables without a MAC are never used
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.again = true
	if x.busy {
		return
	}
	x.busy = true
	x.building.Go(func() { s.buildTables() })
}

func (x *idIndex) wait() { x.building.Wait() }

// buildTables covers every full segment. It gives up at the first error: the
// ids of segments without a table are looked up in memory.
func (s *Store) buildTables() {
	x := &s.ids
	for {
		x.mu.Lock()
		ok := x.again
		x.again = false
		if ok && !x.listed {
			ok = s.listTables() == nil
		}
		if !ok {
			x.busy = false
			x.mu.Unlock()
			return
		}
		tables := slices.Clone(x.tables)
		x.mu.Unlock()
		if built, err := s.extend(tables); err == nil {
			x.mu.Lock()
			x.tables = built
			x.mu.Unlock()
			s.removeTables(built)
		}
	}
}

// extend returns the tables, and one more for each full segment that they do
// not cover. Neighbours of similar size are merged.
func (s *Store) extend(tables []*table) ([]*table, error) {
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	s.mu.RUnlock()
	covered := uint64(0)
	if n := len(tables); n > 0 {
		covered = tables[n-1].to
	}
	for i := 0; i+1 < len(segs); i++ {
		g, to := segs[i], segs[i+1].first
		if to == g.first {
			continue
		}
		if g.first < covered {
			g.dropKnown()
			continue
		}
		p, err := s.knownOf(context.Background(), g, to-g.first, false)
		if err == nil && p.count() != to-g.first {
			err = errSide
		}
		if err != nil {
			return nil, err
		}
		last, err := s.hashAt(to - 1)
		if err == nil {
			err = s.settleSide(g, p)
		}
		if err != nil {
			return nil, err
		}
		refs := make([]idRef, len(p.entries))
		for j, e := range p.entries {
			refs[j] = idRef{e.id, g.first + uint64(j)}
		}
		slices.SortFunc(refs, compareRefs)
		t := &table{name: s.tableName(g.first, to), from: g.first, to: to, last: last, pages: pagesFor(to - g.first)}
		if err := s.writeTable(t, &sliceSource{refs: refs}); err != nil {
			return nil, err
		}
		g.dropKnown()
		tables = append(tables, t)
		if tables, err = s.merge(tables); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// settleSide makes the side file of a full segment durable, once it is
// complete. A side file that a power failure may have damaged is therefore one
// without a table; the others need not be looked at again.
func (s *Store) settleSide(g *seg, p *prefix) error {
	if x, err := s.readSeal(g); err != nil || !x.full || x.count != p.count() {
		s.remake(g, p)
	}
	f, err := s.fs.OpenFile(g.name+sideExt, os.O_RDWR, 0)
	if err != nil && !isMissing(err) {
		s.remake(g, p)
		f, err = s.fs.OpenFile(g.name+sideExt, os.O_RDWR, 0)
	}
	if err != nil {
		return fmt.Errorf("sync side file: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// merge joins the last two tables as long as the newer is at least half as
// large as the older, which leaves O(log n) of them.
func (s *Store) merge(tables []*table) ([]*table, error) {
	for len(tables) > 1 {
		a, b := tables[len(tables)-2], tables[len(tables)-1]
		if 2*(b.to-b.from) < a.to-a.from {
			break
		}
		t := &table{name: s.tableName(a.from, b.to), from: a.from, to: b.to, last: b.last, pages: pagesFor(b.to - a.from)}
		if err := s.writeTable(t, &mergeSource{from: [2]refSource{
			&tableSource{store: s, table: a}, &tableSource{store: s, table: b},
		}}); err != nil {
			return nil, err
		}
		tables = append(slices.Clone(tables[:len(tables)-2]), t)
	}
	return tables, nil
}

// removeTables removes the files of all tables that are not in built.
func (s *Store) removeTables(built []*table) {
	keep := make(map[string]bool)
	for _, t := range built {
		keep[t.name] = true
	}
	names, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return // they are removed the next time
	}
	for _, name := range names {
		path := filepath.Join(s.dir, name)
		if strings.HasPrefix(name, tabPrefix) && !keep[path] {
			_ = s.fs.Remove(path) // derived, and superseded: harmless if it remains
			s.files.forget(path)
		}
	}
}

// A refSource yields references in ascending order.
type refSource interface {
	next() (idRef, error) // io.EOF after the last
}

type sliceSource struct{ refs []idRef }

func (src *sliceSource) next() (idRef, error) {
	if len(src.refs) == 0 {
		return idRef{}, io.EOF
	}
	r := src.refs[0]
	src.refs = src.refs[1:]
	return r, nil
}

// mergeSource yields what two sources yield, in order.
type mergeSource struct {
	from  [2]refSource
	head  [2]idRef
	ended [2]bool
	begun bool
}

func (src *mergeSource) advance(i int) error {
	var err error
	src.head[i], err = src.from[i].next()
	if err == io.EOF {
		src.ended[i], err = true, nil
	}
	return err
}

func (src *mergeSource) next() (idRef, error) {
	if !src.begun {
		src.begun = true
		if err := errors.Join(src.advance(0), src.advance(1)); err != nil {
			return idRef{}, err
		}
	}
	i := 0
	switch {
	case src.ended[0] && src.ended[1]:
		return idRef{}, io.EOF
	case src.ended[0] || !src.ended[1] && compareRefs(src.head[1], src.head[0]) < 0:
		i = 1
	}
	r := src.head[i]
	return r, src.advance(i)
}

// tableSource yields the entries of a table.
type tableSource struct {
	store *Store
	table *table
	at    int64 // the next page
	refs  page
	buf   [pageLen]byte
}

func (src *tableSource) next() (idRef, error) {
	if len(src.refs) == 0 {
		if src.at == src.table.pages-1 {
			return idRef{}, io.EOF
		}
		refs, err := src.store.page(src.table, src.at, &src.buf)
		if err != nil {
			return idRef{}, err
		}
		src.refs = refs
		src.at++
	}
	r := src.refs.at(0)
	src.refs = src.refs[entryLen:]
	return r, nil
}

// writeTable writes a complete table under its name. A table must never be
// there in part, as Open does not read all of it.
func (s *Store) writeTable(t *table, src refSource) error {
	tmp := t.name + ".tmp"
	f, err := vfs.CreateNew(s.fs, tmp, 0o644)
	if err != nil {
		return fmt.Errorf("write id table: %w", err)
	}
	if err = fillTable(f, t, src, s.macs); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		_ = s.fs.Remove(tmp) // a leftover is replaced the next time
		return fmt.Errorf("write id table: %w", err)
	}
	err = s.fs.Rename(tmp, t.name)
	if err != nil {
		s.removeDerived(t.name)
		err = s.fs.Rename(tmp, t.name)
	}
	if err != nil {
		return fmt.Errorf("write id table: %w", err)
	}
	s.files.forget(t.name)
	return nil
}

func fillTable(f vfs.File, t *table, src refSource, m macs) error {
	const block = 256 * pageLen
	buf := t.head(m)
	n := int64(0)
	at := int64(0)
	flush := func() error {
		_, err := f.WriteAt(buf, at)
		at += int64(len(buf))
		buf = buf[:0]
		return err
	}
	page := make([]byte, 0, pageLen)
	for {
		r, err := src.next()
		if err != nil && err != io.EOF {
			return err
		}
		if err == nil {
			page = binary.BigEndian.AppendUint64(page, r.id)
			page = binary.BigEndian.AppendUint64(page, r.seq)
		}
		if len(page) == pageSlots*entryLen || err == io.EOF && len(page) > 0 {
			clear(page[len(page):pageLen])
			n++
			buf = append(buf, t.closePage(page[:pageLen], n, m)...)
			page = page[:0]
		}
		if len(buf) >= block || err == io.EOF {
			if err := flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}
