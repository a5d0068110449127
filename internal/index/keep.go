package index

import (
	"context"
	"fmt"
	"log/slog"
	"math/bits"
	"slices"
	"time"

	"audittrail/internal/index/block"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// How long the keeper waits after an error, at first and at most: a fault of a
// disk is not over with the next record.
const (
	shortPause = time.Second
	longPause  = time.Minute
)

// keep writes blocks as there are records for them, and indexes the records
// that an earlier process or a full queue has left out.
func (x *Index) keep(ctx context.Context) {
	for pause := shortPause; ; {
		did, err := x.keepOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		var wake <-chan struct{}
		var later <-chan time.Time
		switch {
		case err != nil:
			x.o.Logger.Warn("build index", slog.Any("error", err), slog.Duration("again_in", pause))
			later = time.After(pause)
			pause = min(2*pause, longPause)
		case did:
			pause = shortPause
			continue
		default:
			wake = x.wake
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-later:
		}
	}
}

// keepOnce writes one block, if there is one to be written.
func (x *Index) keepOnce(ctx context.Context) (did bool, err error) {
	x.mu.Lock()
	var full *block.Table
	if len(x.tables) > 0 {
		newest := len(x.tables) - 1
		for i, t := range x.tables {
			if i < newest || t.Rows() >= x.o.BlockRows {
				full = t
				break
			}
		}
	}
	x.mu.Unlock()
	if full != nil {
		return true, x.publish(full)
	}
	return x.mend(ctx, idleRows)
}

// publish writes a complete table as a block, unless a block that was written
// meanwhile covers its records.
func (x *Index) publish(t *block.Table) error {
	x.building.RLock()
	defer x.building.RUnlock()
	x.mu.Lock()
	covered := slices.ContainsFunc(x.blocks, func(b *openBlock) bool { return overlap(b, t) })
	if covered {
		x.letGo(t)
	} else {
		x.forget(t)
	}
	x.mu.Unlock()
	if covered {
		return nil
	}
	b, err := x.writeBlock([]block.Source{t}, nil)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.replace(nil, []*openBlock{b}); err != nil {
		return fmt.Errorf("%w; %w", err, x.discard([]*openBlock{b}))
	}
	x.letGo(t)
	poke(x.merge)
	return nil
}

// letGo drops a table. It is called with mu held.
func (x *Index) letGo(t *block.Table) {
	x.tables = slices.DeleteFunc(x.tables, func(other *block.Table) bool { return other == t })
}

// Renew builds the index from nothing. The index must not be attached.
func (x *Index) Renew(ctx context.Context, progress func(records uint64)) error {
	err := x.renew(ctx, progress)
	if err != nil {
		return fmt.Errorf("rebuild index: %w", err)
	}
	return nil
}

func (x *Index) renew(ctx context.Context, progress func(records uint64)) error {
	if err := vfs.MakeDir(x.o.FS, x.dir, 0o755); err != nil {
		return err
	}
	if err := x.load(); err != nil {
		return err
	}
	old := slices.Clone(x.blocks)
	if err := x.begin(nil); err != nil {
		return err
	}
	if err := x.ring.DropFileKeys(idsOf(old)...); err != nil {
		return err
	}
	if err := x.sweep(); err != nil {
		return err
	}
	for {
		did, err := x.mend(ctx, 1)
		if err != nil {
			return err
		}
		if !did {
			break
		}
		progress(end(x.blocks[len(x.blocks)-1]))
	}
	for {
		did, err := x.mergeOnce(maxRows)
		if !did || err != nil {
			return err
		}
	}
}

// mend writes a block of the first gap in the index that has at least least
// records. Gaps before other records are filled by mend alone; records at the
// end of the log are left to the follower while that has something to do.
func (x *Index) mend(ctx context.Context, least uint64) (did bool, err error) {
	idle := x.queue.idle()
	size, err := x.log.Size()
	if err != nil {
		return false, err
	}
	x.mu.Lock()
	gaps := x.gaps(size)
	x.mu.Unlock()
	total := uint64(0)
	for _, g := range gaps {
		total += g.to - g.from
	}
	for _, g := range gaps {
		if total < least || g.to == size && (!idle || g.to-g.from < least) {
			continue
		}
		t, err := x.tableOf(ctx, g.from, min(g.to, g.from+uint64(x.o.BlockRows)))
		if err != nil {
			return false, err
		}
		return true, x.publish(t)
	}
	return false, nil
}

// tableOf indexes records that are read from the log.
func (x *Index) tableOf(ctx context.Context, from, to uint64) (*block.Table, error) {
	t := block.NewTable(from)
	return t, x.extend(ctx, t, to)
}

// extend adds the records before to, or fewer if the table is full before.
func (x *Index) extend(ctx context.Context, t *block.Table, to uint64) error {
	for r, err := range x.log.Records(ctx, end(t), to) {
		if err != nil {
			return fmt.Errorf("index the log: %w", err)
		}
		for end(t) < r.Seq {
			t.Add(absent, false)
		}
		t.Add(r, true)
		if t.Full() {
			return nil
		}
	}
	for end(t) < to {
		t.Add(absent, false)
	}
	return ctx.Err()
}

// absent is the row of a record that was removed from the log: it has no type.
var absent = &record.Record{}

// A gap is a range that neither blocks nor tables cover.
type gap struct{ from, to uint64 }

// gaps returns the gaps of a log of a size. It is called with mu held.
func (x *Index) gaps(size uint64) []gap {
	var all []gap
	at := uint64(0)
	for _, r := range x.ranges() {
		if r.First() > at {
			all = append(all, gap{at, min(r.First(), size)})
		}
		at = max(at, end(r))
	}
	if at < size {
		all = append(all, gap{at, size})
	}
	return all
}

// ranges returns blocks and tables in order. Where they overlap, the table is
// left out.
func (x *Index) ranges() []ranged {
	all := make([]ranged, 0, len(x.blocks)+len(x.tables))
	for _, b := range x.blocks {
		all = append(all, b)
	}
	for _, t := range x.tables {
		if !slices.ContainsFunc(x.blocks, func(b *openBlock) bool { return overlap(b, t) }) {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b ranged) int {
		if a.First() < b.First() {
			return -1
		}
		return 1
	})
	return all
}

func overlap(a, b ranged) bool { return a.First() < end(b) && b.First() < end(a) }

// finish writes blocks of the records that no block covers, including those in
// memory, if there are many, so that the next process need not.
func (x *Index) finish(ctx context.Context, progress func(done, total uint64)) error {
	open, _, err := x.unwritten()
	if err != nil || open < idleRows {
		return err
	}
	for did := true; did; {
		if did, err = x.mend(ctx, 1); err != nil {
			return err
		}
		open, size, err := x.unwritten()
		if err != nil {
			return err
		}
		progress(size-open, size)
	}
	x.mu.Lock()
	tables := slices.Clone(x.tables)
	x.mu.Unlock()
	for _, t := range tables {
		if t.Rows() > 0 {
			if err := x.publish(t); err != nil {
				return err
			}
		}
	}
	return x.mergeSmall()
}

// unwritten returns how many records no block covers, and how many there are.
func (x *Index) unwritten() (open, size uint64, err error) {
	if size, err = x.log.Size(); err != nil {
		return 0, 0, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range x.tables {
		open += uint64(t.Rows())
	}
	for _, g := range x.gaps(size) {
		open += g.to - g.from
	}
	return open, size, nil
}

// mergeLoop merges blocks whenever there are enough of one size.
func (x *Index) mergeLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.merge:
		}
		for ctx.Err() == nil {
			did, err := x.mergeOnce(maxRows)
			if err != nil {
				x.o.Logger.Warn("merge index", slog.Any("error", err))
			}
			if !did || err != nil {
				break
			}
		}
	}
}

// mergeSmall merges the small blocks that short processes leave.
func (x *Index) mergeSmall() error {
	for {
		did, err := x.mergeOnce(4 * x.o.BlockRows)
		if !did || err != nil {
			return err
		}
	}
}

// fanIn is the number of blocks of one size that are merged into one.
const fanIn = 8

// level is the power of fanIn that a block has.
func level(b *openBlock) int { return (bits.Len(uint(b.Rows())) - 1) / 3 }

// mergeable returns blocks to be merged: fanIn of one level that follow each
// other, or a block and a larger one after it.
func (x *Index) mergeable(most int) []*openBlock {
	for i := 0; i < len(x.blocks); {
		j, rows := i+1, x.blocks[i].Rows()
		for j < len(x.blocks) && x.blocks[j].First() == end(x.blocks[j-1]) && level(x.blocks[j]) == level(x.blocks[i]) && j-i < fanIn {
			rows += x.blocks[j].Rows()
			j++
		}
		larger := j < len(x.blocks) && x.blocks[j].First() == end(x.blocks[j-1]) && level(x.blocks[j]) > level(x.blocks[i])
		if larger && rows+x.blocks[j].Rows() <= most {
			return x.blocks[i : j+1]
		}
		if j-i == fanIn && rows <= most {
			return x.blocks[i:j]
		}
		i = j
	}
	return nil
}

// mergeOnce merges some blocks into one of at most most rows.
func (x *Index) mergeOnce(most int) (did bool, err error) {
	x.building.RLock()
	defer x.building.RUnlock()
	x.mu.Lock()
	old := slices.Clone(x.mergeable(most))
	x.mu.Unlock()
	if len(old) == 0 {
		return false, nil
	}
	var sources []block.Source
	for _, b := range old {
		b.acquire()
		sources = append(sources, b)
	}
	merged, err := x.writeBlock(sources, nil)
	for _, b := range old {
		if rerr := b.release(); err == nil {
			err = rerr
		}
	}
	if err != nil {
		return false, x.suspect(old, err)
	}
	x.mu.Lock()
	for _, b := range old {
		if !slices.Contains(x.blocks, b) { // found to be damaged meanwhile
			x.mu.Unlock()
			return true, x.abandon([]*openBlock{merged})
		}
	}
	err = x.replace(old, []*openBlock{merged})
	x.mu.Unlock()
	if err != nil {
		return false, fmt.Errorf("%w; %w", err, x.abandon([]*openBlock{merged}))
	}
	return true, x.abandon(old)
}

// abandon discards blocks and their keys.
func (x *Index) abandon(blocks []*openBlock) error {
	if err := x.discard(blocks); err != nil {
		return err
	}
	return x.ring.DropFileKeys(idsOf(blocks)...)
}

func idsOf(blocks []*openBlock) (ids []keyring.FileID) {
	for _, b := range blocks {
		ids = append(ids, b.id)
	}
	return ids
}
