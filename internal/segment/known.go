package segment

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"sync"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// Signed is the signed tree over the log's records. Agrees and Proves compare a
// record's hash with the signed one, and return the signed one if it differs;
// Proves also follows the path up to the signed root.
type Signed interface {
	Size() uint64
	Agrees(ctx context.Context, seq uint64, got record.Hash) (ok bool, want record.Hash, err error)
	Proves(ctx context.Context, seq uint64, got record.Hash) (ok bool, want record.Hash, err error)
}

// Authenticate gives a store the key under which derived files are
// authenticated. Without a key, a store relies on the lines alone.
func (s *Store) Authenticate(key Key) { s.macs = newMACs(&key) }

// Hold gives a store the signed tree with which lines are compared where
// derived files or decisions depend on them.
func (s *Store) Hold(tree Signed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree = tree
}

// A prefix is the first entries of a segment, authenticated: made from lines
// that form a chain, or sealed by a holder of the key.
type prefix struct {
	entries []entry
	admin   []governor  // those of the governance records
	digest  hash.Hash   // as a seal has it
	last    record.Hash // of the line of the last
}

func newPrefix() *prefix { return &prefix{digest: sha256.New()} }

func (p *prefix) count() uint64 { return uint64(len(p.entries)) }

// end returns where the lines end.
func (p *prefix) end() int64 {
	if len(p.entries) == 0 {
		return 0
	}
	return int64(p.entries[len(p.entries)-1].end)
}

// add appends entries to the prefix, with the hashes of the governance records
// among them and of the last record. It appends their encoding, for the segment
// that begins with the record first, to dst.
func (p *prefix) add(dst []byte, first uint64, more []entry, governing []record.Hash, last record.Hash) []byte {
	at := len(dst)
	n := first + p.count()
	for i, e := range more {
		dst = e.append(dst, n+uint64(i))
	}
	p.take(dst[at:], more, governing)
	p.last = last
	return dst
}

// take appends encoded entries, with the hashes of the governance records
// among them.
func (p *prefix) take(encoded []byte, more []entry, governing []record.Hash) {
	from := 0
	for i, e := range more {
		if e.flag&flagAdmin == 0 {
			continue
		}
		end := (i + 1) * entryLen
		p.digest.Write(encoded[from:end])
		p.digest.Write(governing[0][:])
		p.admin = append(p.admin, governor{uint32(len(p.entries) + i), governing[0]})
		governing, from = governing[1:], end
	}
	p.digest.Write(encoded[from:])
	p.entries = append(p.entries, more...)
}

// governors returns the governance records among the first count records.
func (p *prefix) governors(count uint64) []governor {
	n, _ := slices.BinarySearchFunc(p.admin, count, func(r governor, count uint64) int {
		return cmp.Compare(uint64(r.place), count)
	})
	return p.admin[:n:n]
}

// seal returns the seal of the prefix.
func (p *prefix) seal(full bool) *seal {
	x := &seal{count: p.count(), full: full, last: p.last}
	p.digest.Sum(x.digest[:0])
	if full {
		x.admin = p.admin
	}
	return x
}

// knownOf returns a prefix of a segment that has at least count entries. The
// prefix of the segment that is written to is kept in memory, since it is
// needed again.
func (s *Store) knownOf(ctx context.Context, g *seg, count uint64, keep bool) (*prefix, error) {
	g.knowing.Lock()
	defer g.knowing.Unlock()
	p := g.prefix()
	if p != nil && p.count() >= count {
		return p, nil
	}
	if g.gone != nil {
		return s.knownGone(ctx, g, count)
	}
	p, err := s.know(ctx, g, p, count)
	if err != nil {
		return nil, err
	}
	if keep {
		g.sideMu.Lock()
		g.known = p
		g.sideMu.Unlock()
		return g.prefix(), nil
	}
	return p, nil
}

// know makes a prefix of at least count entries, from what the side file's seal
// covers and, where that ends, from the lines.
func (s *Store) know(ctx context.Context, g *seg, p *prefix, count uint64) (*prefix, error) {
	sealed, err := s.takeSealed(g, p)
	if err != nil && p != nil {
		sealed, err = s.takeSealed(g, nil) // the end of the log may have been cut off since
	}
	switch {
	case err == nil:
		p = sealed
	case isIO(err):
		return nil, err
	case p == nil:
		p = newPrefix()
	default:
		p = p.clone()
	}
	if p.count() >= count {
		return p, nil
	}
	known := p.count()
	if err = s.takeLines(ctx, g, p, count); err != nil && known > 0 && ctx.Err() == nil {
		p = newPrefix()
		err = s.takeLines(ctx, g, p, count)
	}
	if err != nil {
		return nil, err
	}
	if s.writing.Load() && !s.isLast(g) {
		s.remake(g, p)
	}
	return p, nil
}

// isIO reports whether an error says that a file could not be read, and not
// that it is missing or damaged.
func isIO(err error) bool {
	var line *record.CorruptError
	return err != nil && !errors.Is(err, errSide) && !isMissing(err) && !errors.As(err, &line)
}

// takeSealed extends a prefix by the entries that the seal of the side file
// covers. The seal has to agree with the line at its end.
func (s *Store) takeSealed(g *seg, p *prefix) (*prefix, error) {
	if !s.macs.known() {
		return nil, errSide
	}
	x, err := s.readSeal(g)
	if err != nil {
		return nil, err
	}
	from := uint64(0)
	out := newPrefix()
	if p != nil {
		if from = p.count(); x.count < from {
			return nil, errSide
		}
		out = p.clone()
	}
	raw, err := s.rawEntries(g, from, x.count)
	if err != nil {
		return nil, err
	}
	more := make([]entry, 0, len(raw)/entryLen)
	for b := raw; len(b) > 0; b = b[entryLen:] {
		more = append(more, decodeEntry(b))
	}
	governing, err := s.governing(g, x, out, more)
	if err != nil {
		return nil, err
	}
	out.take(raw, more, governing)
	if [sha256.Size]byte(out.digest.Sum(nil)) != x.digest {
		return nil, errSide
	}
	out.last = x.last
	return out, s.sealFits(g, x, out.entries)
}

// governing returns the hashes of the governance records among the entries that
// follow a prefix: those in the seal if it has them, else those of the lines,
// which are right if they give the seal's digest.
func (s *Store) governing(g *seg, x *seal, p *prefix, more []entry) (out []record.Hash, err error) {
	start := p.end()
	for i, e := range more {
		n := p.count() + uint64(i)
		at := start
		start = int64(e.end)
		if e.flag&flagAdmin == 0 {
			continue
		}
		if x.full {
			r, ok := governorAt(x.admin, n)
			if !ok {
				return nil, errSide
			}
			out = append(out, r.hash)
			continue
		}
		var line []byte
		if g.gone != nil {
			line, err = s.keptLine(g, g.first+n)
		} else {
			line, err = s.readLine(g, g.first+n, at, int64(e.end))
		}
		if err != nil {
			return nil, err
		}
		t, _ := record.ParseChainLink(line) // checked by the reader
		out = append(out, t.Hash)
	}
	if x.full && len(p.admin)+len(out) != len(x.admin) {
		return nil, errSide
	}
	return out, nil
}

// governorAt returns the governor at a place.
func governorAt(all []governor, place uint64) (governor, bool) {
	i, ok := slices.BinarySearchFunc(all, place, func(r governor, place uint64) int {
		return cmp.Compare(uint64(r.place), place)
	})
	if !ok {
		return governor{}, false
	}
	return all[i], true
}

// clone returns a copy of the prefix, which can grow without changing p.
func (p *prefix) clone() *prefix {
	digest, err := p.digest.(hash.Cloner).Clone()
	if err != nil {
		panic("segment: SHA-256 cannot be cloned: " + err.Error())
	}
	return &prefix{entries: slices.Clip(p.entries), admin: slices.Clip(p.admin), digest: digest, last: p.last}
}

// sealFits reports whether the line at the end of the sealed entries is the
// one that was sealed.
func (s *Store) sealFits(g *seg, x *seal, entries []entry) error {
	if x.count == 0 {
		return nil
	}
	if g.gone != nil {
		return s.sealFitsGone(g, x)
	}
	start, end := int64(0), int64(entries[len(entries)-1].end)
	if len(entries) > 1 {
		start = int64(entries[len(entries)-2].end)
	}
	line, err := s.readLine(g, g.first+x.count-1, start, end)
	if err != nil {
		return err
	}
	if t, ok := record.ParseChainLink(line); !ok || t.Hash != x.last {
		return errSide
	}
	return nil
}

// rawEntries reads the entries of the lines from (inclusive) to to (exclusive)
// as they are in the side file.
func (s *Store) rawEntries(g *seg, from, to uint64) ([]byte, error) {
	h, err := s.files.acquire(g.name + sideExt)
	if err != nil {
		return nil, sideError(g.name+sideExt, err)
	}
	defer s.files.release(h)
	size, err := h.file.Size()
	if err != nil {
		return nil, sideError(g.name+sideExt, err)
	}
	if size < sideHeader+int64(to)*entryLen {
		return nil, sideError(g.name+sideExt, errSide)
	}
	buf := make([]byte, (to-from)*entryLen)
	if n, err := h.file.ReadAt(buf, sideHeader+int64(from*entryLen)); n < len(buf) {
		return nil, sideError(g.name+sideExt, noEOF(err))
	}
	return buf, nil
}

// takeLines extends a prefix from the lines until it has count entries. The
// lines must be intact and form a chain, and the last signed one must have
// the signed hash.
func (s *Store) takeLines(ctx context.Context, g *seg, p *prefix, count uint64) error {
	var chain record.Chain
	tail, chained := record.ChainLink{}, false
	if p.count() > 0 {
		line, err := s.readLine(g, g.first+p.count()-1, p.start(), p.end())
		if err != nil {
			return err
		}
		if tail, _ = record.ParseChainLink(line); tail.Hash != p.last {
			return &record.TamperError{Seq: tail.Seq}
		}
		chain.Start(tail)
		chained = true
	} else {
		var err error
		if tail, chained, err = s.tailBeforeSegment(g); err != nil {
			return err
		}
	}
	at, compare := g.first+p.count(), s.compared()
	var more []entry
	var governing []record.Hash
	var last record.Hash
	var seen record.Hash // of the last line that was signed
	var failed error
	s.scanFile(ctx, g, p.end(), func(raw Raw, err error) bool {
		if err != nil || !raw.Whole || !hasSeq(raw.Line, at) {
			failed = err
			if err == nil {
				failed = &record.CorruptError{Seq: at, File: raw.File, Offset: raw.Pos.Offset}
			}
			return false
		}
		if p.count() == 0 && len(more) == 0 {
			t, _ := record.ParseChainLink(raw.Line) // checked by hasSeq
			if chained && (t.Prev != tail.Hash || t.Logged.Before(tail.Logged)) || !record.VerifyHash(raw.Line, &t) {
				failed = &record.TamperError{Seq: at}
				return false
			}
			chain.Start(t)
		} else if !chain.Next(raw.Line) {
			failed = &record.TamperError{Seq: at}
			return false
		}
		more = append(more, entryOf(raw.Line, raw.Pos.Offset+int64(len(raw.Line))+1))
		last = chain.Hash()
		if more[len(more)-1].flag&flagAdmin != 0 {
			governing = append(governing, last)
		}
		if at < compare {
			seen = last
		}
		at++
		return at < g.first+count
	})
	if failed == nil && at < g.first+count {
		failed = &record.CorruptError{Seq: at, File: g.name + lineExt, Offset: p.end()}
	}
	if failed != nil {
		// If the next line does not continue a line, that line may be the one
		// that was altered.
		if err := s.compare(ctx, min(at, compare), g.first+p.count(), seen); errors.As(err, new(*record.TamperError)) {
			failed = err
		}
		return fmt.Errorf("read governance records: %w", failed)
	}
	if err := s.compare(ctx, min(at, compare), g.first+p.count(), seen); err != nil {
		return err
	}
	p.add(nil, g.first, more, governing, last)
	return nil
}

// start returns where the last line begins.
func (p *prefix) start() int64 {
	if len(p.entries) < 2 {
		return 0
	}
	return int64(p.entries[len(p.entries)-2].end)
}

// compared returns how many records were signed, as far as is known.
func (s *Store) compared() uint64 {
	if tree := s.held(); tree != nil {
		return tree.Size()
	}
	return 0
}

func (s *Store) held() Signed {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tree
}

// compare compares the hash of the record before end with the signed hash, if
// that record is not before from.
func (s *Store) compare(ctx context.Context, end, from uint64, got record.Hash) error {
	if end <= from {
		return nil
	}
	ok, want, err := s.held().Proves(ctx, end-1, got)
	return compared(end-1, got, ok, want, err)
}

func compared(seq uint64, got record.Hash, ok bool, want record.Hash, err error) error {
	if err != nil {
		return fmt.Errorf("compare record %d with the signed tree: %w", seq, err)
	}
	if !ok {
		return &record.TamperError{Seq: seq, Want: want, Got: got}
	}
	return nil
}

// tailBeforeSegment returns the chain link of the line that the first line of a
// segment continues, if the segment before or its tombstone is here.
func (s *Store) tailBeforeSegment(g *seg) (record.ChainLink, bool, error) {
	if g.first == 0 {
		return record.ChainLink{}, true, nil
	}
	prev, next, err := s.find(g.first - 1)
	if err != nil || next == nil || next.first != g.first {
		return record.ChainLink{}, false, nil // verify reports the gap
	}
	return s.tailBefore(g, prev, 0)
}

// Checked is Line for a record on which a decision depends: the line must have
// the hash that it states, and that must be the signed one. For a record that
// Administrative has listed, it is compared with the hash found then, whatever
// the files of the tree say.
func (s *Store) Checked(ctx context.Context, seq uint64) ([]byte, error) {
	line, err := s.Line(seq)
	if err != nil {
		return nil, err
	}
	g, _, err := s.find(seq)
	if err != nil {
		return nil, err
	}
	if want, ok := g.governor(seq - g.first); ok {
		if t, ok := record.ParseChainLink(line); !ok || t.Hash != want {
			return nil, &record.TamperError{Seq: seq, Want: want, Got: t.Hash}
		}
	}
	if err := s.check(ctx, seq, line); err != nil {
		return nil, err
	}
	return line, nil
}

// governor returns the hash of the governance record at a place, if it is
// known.
func (g *seg) governor(place uint64) (record.Hash, bool) {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	r, ok := governorAt(g.admin, place)
	return r.hash, ok
}

func (s *Store) check(ctx context.Context, seq uint64, line []byte) error {
	t, ok := record.ParseChainLink(line)
	if !ok || !record.VerifyHash(line, &t) {
		return &record.TamperError{Seq: seq}
	}
	tree := s.held()
	if tree == nil {
		return nil
	}
	ok, want, err := tree.Agrees(ctx, seq, t.Hash)
	return compared(seq, t.Hash, ok, want, err)
}

// isLast reports whether a segment is the one that is written to.
func (s *Store) isLast(g *seg) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := len(s.segs)
	return n > 0 && s.segs[n-1].first == g.first
}

// prefix returns a copy of the authenticated prefix that is in memory.
func (g *seg) prefix() *prefix {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	if g.known == nil {
		return nil
	}
	now := *g.known
	return &now
}

// dropKnown releases the authenticated prefix that is in memory.
func (g *seg) dropKnown() {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	g.known = nil
}

// remake writes the side file of a full segment again. It is derived: if that
// fails, the next process that needs it writes it.
func (s *Store) remake(g *seg, p *prefix) {
	b := s.sideOf(g, p, 0, true)
	err := vfs.WriteFile(s.fs, g.name+sideExt, b, 0o644)
	if err != nil {
		s.removeDerived(g.name + sideExt)
		err = vfs.WriteFile(s.fs, g.name+sideExt, b, 0o644)
	}
	if err == nil {
		s.files.forget(g.name + sideExt)
	}
}

// Administrative returns the sequence numbers of the governance records from
// one on, in order, as sealed under the key. For segments that are not sealed,
// it reads the lines.
func (s *Store) Administrative(from uint64) ([]uint64, error) {
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	s.mu.RUnlock()
	size := s.Size()
	type part struct {
		g     *seg
		count uint64
		full  bool
		admin []governor
		err   error
	}
	var parts []*part
	for i, g := range segs {
		p := &part{g: g, count: size - min(g.first, size)}
		if i+1 < len(segs) && segs[i+1].first <= size {
			p.count, p.full = segs[i+1].first-g.first, true
		}
		if p.count > 0 && g.first+p.count > from {
			parts = append(parts, p)
		}
	}
	// Most segments are sealed; the lines of the others are read on all
	// processors.
	todo := make(chan *part, len(parts))
	for _, p := range parts {
		if p.admin, p.err = s.sealedAdmin(p.g, p.count, p.full); p.err != nil {
			todo <- p
		}
	}
	close(todo)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(todo)) {
		wg.Go(func() {
			for p := range todo {
				p.admin, p.err = s.measuredAdmin(p.g, p.count, p.full)
			}
		})
	}
	wg.Wait()
	var out []uint64
	for _, p := range parts {
		if p.err != nil {
			return nil, p.err
		}
		for _, r := range p.admin {
			if seq := p.g.first + uint64(r.place); seq >= from {
				out = append(out, seq)
			}
		}
	}
	return out, nil
}

var errNotSealed = errors.New("the side file is not sealed")

// sealedAdmin returns the governance records of a segment without reading its
// lines.
func (s *Store) sealedAdmin(g *seg, count uint64, full bool) ([]governor, error) {
	if admin, ok := g.governed(count); ok {
		return admin, nil
	}
	if g.bad != nil {
		return nil, g.bad
	}
	if !full || !s.macs.known() {
		return nil, errNotSealed
	}
	x, err := s.readSeal(g)
	if err == nil && (!x.full || x.count != count) {
		err = errNotSealed
	}
	var entries []entry
	if err == nil && g.gone == nil {
		entries, err = s.entries(g, count-min(count, 2), count)
	}
	if err == nil {
		err = s.sealFits(g, x, entries)
	}
	if err != nil {
		return nil, err
	}
	g.govern(x.admin, count)
	return x.admin, nil
}

// measuredAdmin finds them in the lines, if sealedAdmin fails, and for the
// segment that is written to.
func (s *Store) measuredAdmin(g *seg, count uint64, full bool) ([]governor, error) {
	if g.bad != nil {
		return nil, g.bad
	}
	p, err := s.knownOf(context.Background(), g, count, !full)
	if err != nil && isMissing(err) && g.gone == nil {
		if now, ok := s.moved(g); ok {
			g = now
			p, err = s.knownOf(context.Background(), g, count, false)
		}
	}
	if err != nil {
		return nil, err
	}
	admin := p.governors(count)
	g.govern(admin, count)
	return admin, nil
}

// governed returns the governance records among the first count records of a
// segment, if they are known.
func (g *seg) governed(count uint64) ([]governor, bool) {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	return g.admin, g.governedTo == count && count > 0
}

func (g *seg) govern(admin []governor, count uint64) {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	g.admin, g.governedTo = admin, count
}
