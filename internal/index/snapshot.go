package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"audittrail/internal/index/block"
	"audittrail/internal/index/text"
)

// A Snapshot is the index of all records that were durable when it was taken.
type Snapshot struct {
	x      *Index
	size   uint64
	chunks []*Chunk
	held   []*openBlock
}

// A Chunk is a range of records, of which row i is record First+i.
type Chunk struct {
	First uint64
	Rows  int
	// Gone are ranges of rows whose records were removed from the log, except
	// governance records: the first and the one after the last.
	Gone [][2]int

	source searchable // nil if the log has to be read
	block  *openBlock // source, if it is a block
	x      *Index
}

// searchable has the methods of blocks and tables that queries use.
type searchable interface {
	Texts(block.TextColumn) (*block.Texts, error)
	Numbers(block.NumberColumn) (*block.Numbers, error)
	NumberBounds(block.NumberColumn) (least, most int64, known bool)
	Absent() int
	Term(text.Field, string) (*roaring.Bitmap, error)
	Prefix(text.Field, string) (*roaring.Bitmap, error)
}

// Snapshot returns the index as it is now. It must be closed.
func (x *Index) Snapshot(ctx context.Context) (*Snapshot, error) {
	size, err := x.log.Size()
	if err != nil {
		return nil, err
	}
	if !x.kept {
		return &Snapshot{x: x, size: size, chunks: unindexed(0, size)}, nil
	}
	if err := x.catchUp(ctx, size); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	s := x.snapshot(size)
	s.markGone(x.log.Gone())
	for _, c := range s.chunks {
		if err := c.checkGone(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (x *Index) snapshot(size uint64) *Snapshot {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := &Snapshot{x: x, size: size}
	at := uint64(0)
	for _, r := range x.ranges() {
		if r.First() >= size {
			break
		}
		s.fill(at, r.First())
		at = min(end(r), size)
		c := &Chunk{First: r.First(), Rows: int(at - r.First()), x: x}
		switch r := r.(type) {
		case *openBlock:
			r.acquire()
			s.held = append(s.held, r)
			c.source, c.block = r, r
		case *block.Table:
			c.source = r
		}
		if c.Rows > 0 {
			s.chunks = append(s.chunks, c)
		}
	}
	s.fill(at, size)
	return s
}

// fill adds chunks for records that have to be read from the log.
func (s *Snapshot) fill(from, to uint64) { s.chunks = append(s.chunks, unindexed(from, to)...) }

// Unindexed returns chunks for a log of a size that has no index.
func Unindexed(size uint64) []*Chunk { return unindexed(0, size) }

func unindexed(from, to uint64) (chunks []*Chunk) {
	const most = 1 << 20
	for from < to {
		n := min(to-from, most)
		chunks = append(chunks, &Chunk{First: from, Rows: int(n)})
		from += n
	}
	return chunks
}

func (s *Snapshot) markGone(gone [][2]uint64) {
	for _, c := range s.chunks {
		for _, g := range gone {
			from, to := max(g[0], c.First), min(g[1], c.First+uint64(c.Rows))
			if from < to {
				c.Gone = append(c.Gone, [2]int{int(from - c.First), int(to - c.First)})
			}
		}
	}
}

// checkGone leaves a chunk to be read from the log, if it has records that were
// removed when they were indexed and restored since.
func (c *Chunk) checkGone() error {
	if !c.Indexed() || c.Absent() == 0 {
		return nil
	}
	types, err := c.Texts(block.Type)
	if err != nil {
		return err
	}
	at := 0
	for _, g := range append(slices.Clone(c.Gone), [2]int{c.Rows, c.Rows}) {
		for ; at < g[0]; at++ {
			if types.Code(at) == 0 {
				c.source, c.block = nil, nil
				return nil
			}
		}
		at = max(at, g[1])
	}
	return nil
}

// Size returns the number of records in the snapshot.
func (s *Snapshot) Size() uint64 { return s.size }

// Chunks returns the records in ranges that follow each other.
func (s *Snapshot) Chunks() []*Chunk { return s.chunks }

// Close releases the files.
func (s *Snapshot) Close() error {
	var errs []error
	for _, b := range s.held {
		errs = append(errs, b.release())
	}
	s.held, s.chunks = nil, nil
	return errors.Join(errs...)
}

// Indexed reports whether the chunk is indexed. If not, its records have to be
// read from the log.
func (c *Chunk) Indexed() bool { return c.source != nil }

// Texts returns a column of text.
func (c *Chunk) Texts(col block.TextColumn) (*block.Texts, error) {
	t, err := c.source.Texts(col)
	return t, c.failed(err)
}

// Numbers returns a column of numbers.
func (c *Chunk) Numbers(col block.NumberColumn) (*block.Numbers, error) {
	t, err := c.source.Numbers(col)
	return t, c.failed(err)
}

// Absent returns how many rows are of records that were already removed when
// they were indexed.
func (c *Chunk) Absent() int { return c.source.Absent() }

// NumberBounds returns the least and the largest number of a column. It reads
// nothing from disk. Records that the chunk does not cover may have others.
func (c *Chunk) NumberBounds(col block.NumberColumn) (least, most int64, known bool) {
	return c.source.NumberBounds(col)
}

// Term returns the rows that have a term in a field, or in any.
func (c *Chunk) Term(field text.Field, term string) (*roaring.Bitmap, error) {
	set, err := c.source.Term(field, term)
	return c.within(set), c.failed(err)
}

// Prefix returns the rows that have a term with a prefix in a field, or in any.
func (c *Chunk) Prefix(field text.Field, prefix string) (*roaring.Bitmap, error) {
	set, err := c.source.Prefix(field, prefix)
	return c.within(set), c.failed(err)
}

// within leaves out the rows that were added after the snapshot.
func (c *Chunk) within(set *roaring.Bitmap) *roaring.Bitmap {
	if c.block == nil && set != nil {
		set.RemoveRange(uint64(c.Rows), 1<<32)
	}
	return set
}

// failed checks whether an error shows that the chunk's block is damaged, and
// has to be built again. The query can then be run again on another snapshot.
func (c *Chunk) failed(err error) error {
	if err == nil || c.block == nil {
		return err
	}
	return c.x.suspect([]*openBlock{c.block}, err)
}

// suspect finds which of some blocks can no longer be read, and drops them. It
// returns the error that reading them gave.
func (x *Index) suspect(blocks []*openBlock, err error) error {
	if !errors.Is(err, block.ErrDamaged) {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	bad := blocks
	if len(bad) > 1 {
		bad = slices.DeleteFunc(slices.Clone(blocks), func(b *openBlock) bool { return block.Check(b.Block) == nil })
	}
	x.renewing(err)
	if !x.o.Write {
		x.blocks = slices.DeleteFunc(x.blocks, func(b *openBlock) bool { return slices.Contains(bad, b) })
		for _, b := range bad {
			err = errors.Join(err, b.drop())
		}
		return err
	}
	bad = slices.DeleteFunc(slices.Clone(bad), func(b *openBlock) bool { return !slices.Contains(x.blocks, b) })
	if rerr := x.replace(bad, nil); rerr != nil {
		return errors.Join(err, rerr)
	}
	poke(x.wake)
	return errors.Join(err, x.discard(bad))
}

// catchUp lets a reader see the records and blocks that were written since it
// looked last, and indexes the records that are in no block. In the process
// that writes, it indexes records from before that process began.
func (x *Index) catchUp(ctx context.Context, size uint64) error {
	x.reading.Lock()
	defer x.reading.Unlock()
	if !x.o.Write {
		if err := x.reload(); err != nil {
			return err
		}
	}
	x.mu.Lock()
	gaps := x.gaps(size)
	x.mu.Unlock()
	total := uint64(0)
	for _, g := range gaps {
		total += g.to - g.from
	}
	if total > uint64(x.o.InMemory) || x.o.Write && total > idleRows {
		return nil // they are read from the log until they are in blocks
	}
	for _, g := range gaps {
		index := x.cover
		if x.o.Write && g.to == size {
			index = x.overtake
		}
		if err := index(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// overtake indexes the newest records, which wait for the goroutine that
// follows the log, in its place.
func (x *Index) overtake(ctx context.Context, g gap) error {
	for r, err := range x.log.Records(ctx, g.from, g.to) {
		if err != nil {
			return fmt.Errorf("index the log: %w", err)
		}
		x.add(r)
	}
	return ctx.Err()
}

// cover indexes a gap in memory.
func (x *Index) cover(ctx context.Context, g gap) error {
	x.mu.Lock()
	var t *block.Table
	for _, other := range x.tables {
		if !x.o.Write && end(other) == g.from && other.Rows() < x.o.BlockRows && !other.Full() {
			t = other
		}
	}
	x.mu.Unlock()
	isNew := t == nil
	if isNew {
		t = block.NewTable(g.from)
	}
	for end(t) < g.to {
		if err := x.extend(ctx, t, g.to); err != nil {
			return err
		}
		if isNew {
			x.insert(t)
		}
		if end(t) < g.to {
			t, isNew = block.NewTable(end(t)), true
		}
	}
	return nil
}

// insert adds a table, unless blocks or tables cover its records already.
func (x *Index) insert(t *block.Table) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.ranges() {
		if overlap(r, t) {
			return
		}
	}
	x.forget(t)
	x.tables = append(x.tables, t)
	slices.SortFunc(x.tables, func(a, b *block.Table) int {
		if a.First() < b.First() {
			return -1
		}
		return 1
	})
	poke(x.wake)
}

// reload makes a reader load what the process that writes has changed.
func (x *Index) reload() error {
	generation, err := x.keyGeneration()
	if err != nil {
		return nil // without a keyring there is no index, and the log is read
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if generation != x.generation {
		// A data subject may have been erased.
		x.generation, x.tables, x.manifest = generation, nil, ""
		for _, b := range x.blocks {
			if err := b.drop(); err != nil {
				return err
			}
		}
		x.blocks = nil
	}
	before := x.manifest
	if err := x.load(); err != nil {
		return err
	}
	if x.manifest != before {
		// Tables that a block covers now are no longer needed.
		x.tables = slices.DeleteFunc(x.tables, func(t *block.Table) bool {
			return slices.ContainsFunc(x.blocks, func(b *openBlock) bool { return overlap(b, t) })
		})
	}
	return nil
}
