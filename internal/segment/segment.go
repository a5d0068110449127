// Package segment keeps the log's lines in files of bounded size, and finds
// them again.
//
//	log/00000000000000000000.jsonl   lines; named by the first sequence number
//	log/00000000000000000000.side    derived: where each line ends, and its id
//	log/00000000000000000000.remnant the tombstone of a removed segment
//	log/ids-…-….tab                  derived: ids in order, over many segments
//
// A segment is only appended to, and never changes once the next one exists.
// Derived files are written without a sync, are checked whenever they are
// used, and are written again from the lines if they are missing or wrong.
// docs/format/segment.md draws the bytes.
//
// The package promises that Append returns after the lines and their file's
// name are durable. It does not promise that a line is authentic, unless the
// function says that it checks that.
package segment

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/record"
)

// DefaultRoll is the length in bytes at which a new segment is begun.
const DefaultRoll = 256 << 20

// maxBatch bounds what one Append writes, so that offsets in a side file fit
// 32 bits.
const maxBatch = 1 << 30

const (
	lineExt = ".jsonl"
	sideExt = ".side"
)

var (
	// ErrFailed reports that an earlier write could be neither made durable
	// nor undone. This process writes nothing more to these files.
	ErrFailed = errors.New("the log's files are in an unknown state after a failed write")
	// ErrBeyond reports a sequence number that is not in the log.
	ErrBeyond = errors.New("no such record")
)

// A Store is the folder of segments. Any number of goroutines may read while
// one appends.
type Store struct {
	fs   vfs.FS
	dir  string
	roll int64

	mu   sync.RWMutex // guards segs and the count of the last one
	segs []*seg       // ascending by first
	// empty are empty files with the name of a segment that are not the
	// log's; guarded by mu.
	empty []*seg
	// stray are tombstones after the newest segment, or of records whose lines
	// are here, which are not the log's; guarded by mu.
	stray []*seg

	tree  Signed // the signed tree to compare lines with; guarded by mu
	macs  macs
	files handles
	ids   idIndex

	size    atomic.Uint64                       // records that readers may see
	found   atomic.Uint64                       // records that a reader has found
	writing atomic.Bool                         // this store is the writer's
	broken  atomic.Pointer[record.CorruptError] // what a reader found instead of the next record

	refreshing sync.Mutex // held while a reader looks for the end of the log

	tail tail // the writer's end of the log
}

// A seg is one segment.
type seg struct {
	first  uint64
	name   string               // without extension
	filled bool                 // whether it was found to have lines; guarded by the store's mu
	gone   *tombstone.Tombstone // if its lines were removed
	bad    error                // why the tombstone cannot be read
	beside bool                 // the tombstone is of a record whose line is here

	knowing sync.Mutex // held while known is extended; taken before sideMu

	sideMu     sync.Mutex // guards the fields below
	memory     []entry    // the entries, if the side file cannot be used; nil otherwise
	known      *prefix    // the authenticated entries, if they are kept in memory
	admin      []governor // the authenticated governance records
	governedTo uint64     // among this many lines
	trusted    bool       // the tombstone is the one that the log names
}

// keep keeps an authenticated prefix in memory.
func (g *seg) keep(p *prefix) {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	g.known = p
}

// Info describes a segment.
type Info struct {
	First   uint64 // sequence number of its first record
	Records uint64
	File    string               // path of its lines
	Size    int64                // bytes of its lines, or of those that were removed
	Gone    *tombstone.Tombstone // nil if its lines are here
}

// Open lists the segments in dir. A missing folder is an empty log.
func Open(fsys vfs.FS, dir string, roll int64) (*Store, error) {
	if roll <= 0 {
		roll = DefaultRoll
	}
	s := &Store{fs: fsys, dir: dir, roll: roll}
	s.files.fs = fsys
	if err := s.list(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) list() error {
	names, err := s.fs.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.segs
	s.segs = make([]*seg, 0, len(names)/2)
	for i, name := range names { // the lines of a segment come before its tombstone
		first, here := segmentName(name)
		if !here {
			var ok bool
			if first, ok = tombstoneName(name); !ok || i > 0 && len(s.segs) > 0 && s.segs[len(s.segs)-1].first == first {
				continue
			}
		}
		for len(known) > 0 && known[0].first < first {
			known = known[1:]
		}
		if len(known) > 0 && known[0].first == first && (known[0].gone == nil) == here && known[0].bad == nil {
			s.segs = append(s.segs, known[0])
			continue
		}
		g := s.newSeg(first)
		if !here {
			g = s.newGone(first)
		}
		s.segs = append(s.segs, g)
	}
	s.segs, s.empty = s.dropEmpty(s.segs)
	s.segs, s.stray = s.dropBeside(s.segs)
	for n := len(s.segs); n > 0 && s.segs[n-1].gone != nil; n = len(s.segs) {
		// The newest segment is never removed: this tombstone is not the
		// log's.
		s.segs, s.stray = s.segs[:n-1], append(s.stray, s.segs[n-1])
	}
	return nil
}

func (s *Store) newSeg(first uint64) *seg {
	return &seg{first: first, name: filepath.Join(s.dir, fmt.Sprintf("%020d", first))}
}

// segmentName reads the first sequence number from the name of a segment.
func segmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, lineExt)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil
}

// Segments describes all segments, in order.
func (s *Store) Segments() ([]Info, error) {
	s.mu.RLock()
	segs := slices.Clone(s.segs)
	s.mu.RUnlock()
	infos := make([]Info, 0, len(segs))
	for i, g := range segs {
		if i > 0 && s.Size() < s.Found() && g.first >= s.Size() {
			break // readers may see none of its records
		}
		next := max(s.Size(), g.first)
		if i+1 < len(segs) && (segs[i+1].first <= s.Size() || s.Size() >= s.Found()) {
			next = segs[i+1].first
		}
		st, err := vfs.StatFile(s.fs, g.name+lineExt)
		if g.gone == nil && isMissing(err) {
			g, _ = s.moved(g)
		}
		if g.gone != nil {
			infos = append(infos, Info{First: g.first, Records: next - g.first, File: g.name + lineExt, Size: g.gone.Bytes, Gone: g.gone})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describe segment: %w", err)
		}
		size := st.Size()
		if next == s.Size() && next < s.Found() && next > g.first {
			if _, end, err := s.bounds(g, next-1-g.first); err == nil {
				size = min(size, end) // bytes after it are not counted
			}
		}
		infos = append(infos, Info{First: g.first, Records: next - g.first, File: g.name + lineExt, Size: size})
	}
	return infos, nil
}

// Size returns how many records readers may see. All of them are durable.
func (s *Store) Size() uint64 { return s.size.Load() }

// Broken returns an error if Refresh found, after the last record, a whole
// line that is not the next record. Later records may exist, but are not
// counted.
func (s *Store) Broken() error {
	if err := s.broken.Load(); err != nil {
		return err
	}
	return nil
}

// Overlook clears the error of Broken if that concerns no record below the
// signed size: beyond it, an interrupted write or somebody without keys may
// have left anything, and nothing was altered. It returns the cleared error.
func (s *Store) Overlook(signed uint64) *record.CorruptError {
	err := s.broken.Load()
	if err == nil || err.Seq < signed {
		return nil
	}
	s.broken.CompareAndSwap(err, nil)
	return err
}

// First returns the sequence number of the oldest record whose line is here.
// Some later segments may have been removed nevertheless.
func (s *Store) First() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, g := range s.segs {
		if g.gone == nil {
			return g.first
		}
	}
	return s.Size()
}

// start returns the sequence number of the oldest record of which the line or
// a tombstone is here.
func (s *Store) start() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.segs) == 0 {
		return 0
	}
	return s.segs[0].first
}

// LastSegment returns the first sequence number of the newest segment.
func (s *Store) LastSegment() (first uint64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.segs) == 0 {
		return 0, false
	}
	return s.segs[len(s.segs)-1].first, true
}

// find returns the segment that contains a record, and the one after it, if
// any.
func (s *Store) find(seq uint64) (g, next *seg, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, exact := slices.BinarySearchFunc(s.segs, seq, func(g *seg, seq uint64) int {
		switch {
		case g.first < seq:
			return -1
		case g.first > seq:
			return 1
		}
		return 0
	})
	if !exact {
		i--
	}
	if i < 0 {
		return nil, nil, fmt.Errorf("find record %d: %w", seq, ErrBeyond)
	}
	if i+1 < len(s.segs) {
		next = s.segs[i+1]
	}
	return s.segs[i], next, nil
}

// Line returns the line of a record without its LF. It checks that the line
// has that sequence number, not that it is authentic. If the line was
// removed, the error is a *GoneError.
func (s *Store) Line(seq uint64) ([]byte, error) {
	if seq >= s.Size() {
		if err := s.Broken(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("read record %d: %w: the log has %d", seq, ErrBeyond, s.Size())
	}
	return s.Peek(seq)
}

// Peek is Line for recovery: it reads a record that readers may not see yet.
func (s *Store) Peek(seq uint64) ([]byte, error) {
	g, _, err := s.find(seq)
	if err != nil {
		return nil, err
	}
	if g.gone != nil {
		return s.keptLine(g, seq)
	}
	line, err := s.lineHere(g, seq)
	if isMissing(err) {
		if g, ok := s.moved(g); ok {
			return s.keptLine(g, seq)
		}
	}
	return line, err
}

func (s *Store) lineHere(g *seg, seq uint64) ([]byte, error) {
	line, err := s.lineAt(g, seq)
	if err == nil {
		return line, nil
	}
	// The side file may be wrong: rebuild its entries from the lines.
	if rerr := s.remember(g); rerr != nil {
		return nil, fmt.Errorf("read record %d: %w", seq, errors.Join(err, rerr))
	}
	line, err = s.lineAt(g, seq)
	if errors.Is(err, errSide) {
		// The lines end before the record, and the next segment begins after
		// it.
		return nil, &record.CorruptError{Seq: seq, File: g.name + lineExt, Offset: g.lengthKnown()}
	}
	return line, err
}

// lengthKnown returns where the lines end whose entries are in memory.
func (g *seg) lengthKnown() int64 {
	g.sideMu.Lock()
	defer g.sideMu.Unlock()
	if n := len(g.memory); n > 0 {
		return int64(g.memory[n-1].end)
	}
	return 0
}

func (s *Store) lineAt(g *seg, seq uint64) ([]byte, error) {
	start, end, err := s.bounds(g, seq-g.first)
	if err != nil {
		return nil, err
	}
	return s.readLine(g, seq, start, end)
}

// Close closes the files. It does not sync, as Append did.
func (s *Store) Close() error {
	s.ids.wait()
	err := s.closeTail()
	return errors.Join(err, s.files.close())
}

// maxHandles bounds the files kept open for reading.
const maxHandles = 128

// handles keeps the most recently used files open for reading.
type handles struct {
	fs   vfs.FS
	mu   sync.Mutex // guards all below
	open map[string]*handle
	tick uint64
}

type handle struct {
	file vfs.File
	name string
	refs int
	used uint64 // tick of the last acquire
}

func (hs *handles) acquire(name string) (*handle, error) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.open[name]
	if h == nil {
		f, err := hs.fs.Open(name)
		if err != nil {
			return nil, err
		}
		hs.evict()
		if hs.open == nil {
			hs.open = make(map[string]*handle)
		}
		h = &handle{file: f, name: name}
		hs.open[name] = h
	}
	hs.tick++
	h.used = hs.tick
	h.refs++
	return h, nil
}

func (hs *handles) release(h *handle) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h.refs--
	if h.refs == 0 && hs.open[h.name] != h {
		_ = h.file.Close() // only read from: nothing to lose
	}
}

// forget drops a file, so that the next acquire of its name opens it again.
func (hs *handles) forget(name string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h := hs.open[name]; h != nil {
		delete(hs.open, name)
		if h.refs == 0 {
			_ = h.file.Close() // only read from: nothing to lose
		}
	}
}

// evict closes the least recently used file if there are too many. It is
// called with mu held.
func (hs *handles) evict() {
	if len(hs.open) < maxHandles {
		return
	}
	var oldest *handle
	for _, h := range hs.open {
		if h.refs == 0 && (oldest == nil || h.used < oldest.used) {
			oldest = h
		}
	}
	if oldest != nil {
		delete(hs.open, oldest.name)
		_ = oldest.file.Close() // only read from: nothing to lose
	}
}

func (hs *handles) close() error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	var errs []error
	for name, h := range hs.open {
		delete(hs.open, name)
		if h.refs == 0 {
			errs = append(errs, h.file.Close())
		}
	}
	return errors.Join(errs...)
}

// isMissing reports whether an error says that a file does not exist.
func isMissing(err error) bool { return errors.Is(err, os.ErrNotExist) }
