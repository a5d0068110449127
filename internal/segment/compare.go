package segment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// A Difference is a derived file that differs from what its lines give, or that
// cannot be read.
type Difference struct {
	First  uint64 // sequence number of the file's first record
	File   string // name in the log's folder
	Detail string
}

// A Comparison compares side files with lines that its caller reads for
// another purpose.
type Comparison struct {
	store *Store

	mu      sync.Mutex // guards below
	differs map[uint64]bool
}

// Compare begins a comparison.
func (s *Store) Compare() *Comparison { return &Comparison{store: s, differs: make(map[uint64]bool)} }

// A Comparer compares lines that come in order. It is for one goroutine.
type Comparer struct {
	all   *Comparison
	first uint64 // of the segment
	file  *handle
	from  uint64 // place of the first entry in buf
	buf   []byte
	limit uint64 // how many entries the file has
	seal  *seal
}

// Comparer returns a comparer, which must be closed.
func (c *Comparison) Comparer() *Comparer { return &Comparer{all: c} }

// Close closes the side file.
func (r *Comparer) Close() {
	if r.file != nil {
		r.all.store.files.release(r.file)
		r.file = nil
	}
}

// Line compares a line with its entry in the side file: first is the first
// record of the line's segment, end the offset at which the line ends.
func (r *Comparer) Line(first, seq uint64, line []byte, end int64) {
	if r.first != first || r.file == nil && r.limit == 0 {
		r.open(first)
	}
	n := seq - first
	if n >= r.limit {
		return // the side file has no entry for it
	}
	if have := uint64(len(r.buf) / entryLen); n < r.from || n >= r.from+have {
		if !r.read(n) {
			return
		}
	}
	want := entryOf(line, end)
	if decodeEntry(r.buf[(n-r.from)*entryLen:]) != want { // Differences verifies the checks of the entries
		r.differ()
		return
	}
	if want.flag&flagAdmin == 0 || !r.seal.full {
		return
	}
	t, _ := record.ParseChainLink(line)
	if own, ok := governorAt(r.seal.admin, n); !ok || own.hash != t.Hash {
		r.differ()
	}
}

func (r *Comparer) differ() {
	r.limit = 0
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	r.all.differs[r.first] = true
}

// open opens the side file of another segment. If it is missing, or of another
// form, nothing is compared.
func (r *Comparer) open(first uint64) {
	r.Close()
	r.first, r.limit, r.buf = first, 0, r.buf[:0]
	s := r.all.store
	g := s.newSeg(first)
	x, err := s.readSealAs(g, macs{})
	if err != nil {
		return // Differences reports it
	}
	if r.file, err = s.files.acquire(g.name + sideExt); err != nil {
		r.file = nil
		return
	}
	r.limit, r.seal = x.count, x
}

// read reads the entries from the nth on.
func (r *Comparer) read(n uint64) bool {
	const some = 4096
	k := min(some, r.limit-n)
	r.buf = slices.Grow(r.buf[:0], int(k*entryLen))[:k*entryLen]
	r.from = n
	if got, _ := r.file.file.ReadAt(r.buf, sideHeader+int64(n*entryLen)); got < len(r.buf) {
		r.buf = r.buf[:0]
		r.differ()
		return false
	}
	return true
}

// Differences returns the derived files that differ from what their lines
// give. Files that are missing or of an earlier version are not among them,
// since the next writer creates them; nor is a side file of the newest segment
// that lags.
func (c *Comparison) Differences(ctx context.Context) ([]Difference, error) {
	s := c.store
	s.mu.RLock()
	segs, stray := slices.Clone(s.segs), slices.Clone(s.stray)
	s.mu.RUnlock()
	var out []Difference
	for _, g := range stray {
		if g.beside {
			out = append(out, Difference{
				First: g.first, File: filepath.Base(g.name + tombstone.Ext),
				Detail: "the tombstone is of records whose lines are in the log; it is ignored, and the next writer puts it aside",
			})
		}
	}
	for i, g := range segs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if g.bad != nil {
			continue // the tombstone is damaged, which is the graver finding
		}
		// The lines of a removed segment were read while it was being removed:
		// its side file was then written again from the tombstone.
		suspect := g.gone == nil && c.suspected(g.first)
		err := s.sideAgrees(g, segs[i+1:], suspect)
		if err != nil && g.gone == nil {
			err = s.confirm(ctx, g, segs[i+1:], err)
		}
		if err != nil && !s.sameStill(g) {
			err = nil // its lines were removed meanwhile, and the side file was replaced
		}
		if err != nil {
			out = append(out, difference(g.first, g.name+sideExt, err))
		}
	}
	tables, err := s.tableDifferences(ctx)
	return append(out, tables...), err
}

func difference(first uint64, path string, err error) Difference {
	detail := "the file differs from what the lines give"
	var unreadable *unreadableError
	if errors.As(err, &unreadable) {
		detail = unreadable.Error()
	} else if !errors.Is(err, errSide) && !errors.Is(err, errTable) {
		detail = err.Error()
	}
	return Difference{
		First: first, File: filepath.Base(path),
		Detail: detail + "; it is ignored, and doctor --repair makes it again",
	}
}

func (c *Comparison) suspected(first uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.differs[first]
}

// sameStill reports whether a segment is still where it was listed.
func (s *Store) sameStill(g *seg) bool {
	_, err := s.fs.Stat(g.name + lineExt)
	return isMissing(err) == (g.gone != nil)
}

// sideAgrees reports whether a side file is consistent and agrees with the end
// of its segment, which with a key proves it. suspect says that an entry
// disagreed with a line.
func (s *Store) sideAgrees(g *seg, next []*seg, suspect bool) error {
	if old, err := s.earlierForm(g.name+sideExt, sideMagicV1); err != nil || old {
		return err // nil if it is missing
	}
	x, err := s.readSeal(g)
	if err != nil {
		return err
	}
	raw, err := s.rawEntries(g, 0, x.count)
	if err != nil {
		return err
	}
	entries := make([]entry, 0, x.count)
	for at := uint64(0); at < x.count; at++ {
		e, err := parseEntry(raw[at*entryLen:], g.first+at)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	governing, err := s.governing(g, x, newPrefix(), entries)
	if err != nil {
		return err
	}
	full := len(next) > 0
	switch {
	case suspect, digestOf(raw, entries, governing) != x.digest:
		return errSide
	case full && (!x.full || x.count != next[0].first-g.first):
		return errSide
	}
	if g.gone != nil && !s.macs.known() {
		if err := s.agreesGone(g, entries); err != nil {
			return err
		}
	}
	err = s.sealFits(g, x, entries)
	var line *record.CorruptError
	if errors.As(err, &line) {
		err = errSide
	}
	return err
}

// agreesGone compares entries with the tombstone of their segment.
func (s *Store) agreesGone(g *seg, entries []entry) error {
	want, err := s.goneEntries(g, 0, g.gone.Records)
	if err != nil {
		return nil //nolint:nilerr // a finding about the tombstone, not about the side file
	}
	same := func(a, b entry) bool { return a.id == b.id && a.flag == b.flag }
	if !slices.EqualFunc(entries, want, same) {
		return errSide
	}
	return nil
}

// confirm compares a side file that seems to differ with all lines, while a
// writer may be about to write it again. A file that an interrupted write left
// counts as missing: its entries agree with the lines, and the bytes after them
// are too few for a seal. So does a file with an older seal of these lines, or
// with the seal made from their tombstone. If the lines are not in order, the
// side file is not at fault.
func (s *Store) confirm(ctx context.Context, g *seg, next []*seg, why error) error {
	if isIO(why) || errors.As(why, new(*unreadableError)) {
		return why
	}
	const limit = 1 << 30
	b, err := vfs.ReadFile(s.fs, g.name+sideExt, limit)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	lines, err := s.measure(ctx, g, 0, 0)
	if len(next) > 0 && err == nil {
		lines = lines[:min(uint64(len(lines)), next[0].first-g.first)]
	}
	p := newPrefix()
	if err == nil && len(lines) > 0 {
		err = s.takeLines(ctx, g, p, uint64(len(lines)))
	}
	if err != nil {
		return ctx.Err()
	}
	head := sideHead(g.first)
	if len(b) < len(head) && bytes.HasPrefix(head, b) {
		return nil
	}
	body, ok := bytes.CutPrefix(b, head)
	if !ok {
		return errSide
	}
	want := p.seal(len(next) > 0)
	agree := uint64(0)
	for ; agree < p.count() && uint64(len(body)) >= (agree+1)*entryLen; agree++ {
		got, e := body[agree*entryLen:][:entryLen], p.entries[agree]
		gone := entry{flag: e.flag, id: e.id}
		if !bytes.Equal(e.append(nil, g.first+agree), got) && !bytes.Equal(gone.append(nil, g.first+agree), got) {
			break
		}
	}
	if uint64(len(body)) < agree*entryLen+governorLen*uint64(len(want.admin))+sealLen {
		return nil
	}
	return s.sealAgrees(g, b, p, agree, want)
}

// sealAgrees reports whether the seal of a side file is right for the first
// agree entries of a prefix, or for fewer.
func (s *Store) sealAgrees(g *seg, b []byte, p *prefix, agree uint64, want *seal) error {
	end := b[len(b)-sealLen:]
	_, k, err := parseSealEnd(end, int64(len(b)))
	if err != nil {
		return err
	}
	x, err := parseSeal(b[int64(len(b))-sealLen-governorLen*k:], int64(len(b)), g.first, s.macs)
	if err != nil {
		return err
	}
	if x.count > agree || x.full && (!want.full || x.count != want.count || !slices.Equal(x.admin, want.admin)) {
		return errSide
	}
	var governing []record.Hash
	for _, r := range p.governors(x.count) {
		governing = append(governing, r.hash)
	}
	if digestOf(b[sideHeader:][:x.count*entryLen], p.entries[:x.count], governing) != x.digest {
		return errSide
	}
	return s.sealFits(g, x, p.entries[:x.count])
}

// digestOf returns the digest that a seal has of encoded entries and of the
// hashes of the governance records among them.
func digestOf(raw []byte, entries []entry, governing []record.Hash) (sum [sha256.Size]byte) {
	p := newPrefix()
	p.take(raw, entries, governing)
	p.digest.Sum(sum[:0])
	return sum
}

// earlierForm reports whether a file is of an earlier version, or is
// missing: in both cases there is nothing to compare.
func (s *Store) earlierForm(name, magic string) (bool, error) {
	f, err := s.fs.Open(name)
	if isMissing(err) {
		return true, nil
	}
	if err != nil {
		return false, sideError(name, err)
	}
	defer func() { _ = f.Close() }() // only read from: nothing to lose
	head := make([]byte, len(magic))
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return false, sideError(name, err)
	}
	return string(head[:n]) == magic, nil
}

// tableDifferences checks the id tables. Without a key they can be neither
// checked nor used.
func (s *Store) tableDifferences(ctx context.Context) (out []Difference, err error) {
	names, err := s.fs.ReadDir(s.dir)
	if isMissing(err) || !s.macs.known() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list id tables: %w", err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t := s.tableNamed(name)
		if t == nil {
			continue
		}
		old, err := s.earlierForm(t.name, idMagicV1)
		if err == nil && !old {
			err = s.tableAgrees(t)
		}
		if err != nil && !isMissing(err) && t.to > s.Found() {
			err = s.agreesNow(ctx, t, err)
		}
		if err != nil && !isMissing(err) {
			out = append(out, difference(t.from, t.name, err))
		}
	}
	return out, nil
}

// agreesNow compares a table that covers more records than were found with the
// log as it is now, since a writer may have appended meanwhile. If the log has
// fewer records than the table, it returns why.
func (s *Store) agreesNow(ctx context.Context, t *table, why error) error {
	now, err := Open(s.fs, s.dir, s.roll)
	if err != nil {
		return err
	}
	now.macs = s.macs
	if err = now.Refresh(ctx, false, 0); err == nil && now.Found() >= t.to {
		why = now.tableAgrees(t)
	}
	return errors.Join(why, err, now.Close())
}

// tableNamed returns the table of this name, or nil.
func (s *Store) tableNamed(name string) *table {
	t := &table{name: filepath.Join(s.dir, name)}
	if !strings.HasPrefix(name, tabPrefix) || !strings.HasSuffix(name, tabExt) {
		return nil
	}
	if _, err := fmt.Sscanf(name, tabPrefix+"%d-%d"+tabExt, &t.from, &t.to); err != nil || s.tableName(t.from, t.to) != t.name || t.to <= t.from {
		return nil
	}
	t.pages = pagesFor(t.to - t.from)
	return t
}

// tableAgrees reads a table to its end.
func (s *Store) tableAgrees(t *table) error {
	if err := s.checkTable(t); err != nil {
		return err
	}
	src := &tableSource{store: s, table: t}
	last := idRef{}
	for n := uint64(0); ; n++ {
		r, err := src.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 && compareRefs(last, r) >= 0 || r.seq < t.from || r.seq >= t.to {
			return errTable
		}
		last = r
	}
}
