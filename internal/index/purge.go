package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"audittrail/internal/index/block"
	"audittrail/keyring"
)

// A doom says whose text must not be found any more: for each data subject and
// class, the text of the records before one.
type doom struct {
	subjects map[string]uint64
	classes  map[string]uint64
}

func (d *doom) add(o *keyring.Destruction) {
	if d.subjects == nil {
		d.subjects, d.classes = make(map[string]uint64), make(map[string]uint64)
	}
	for _, s := range o.Subjects {
		d.subjects[string(s[:])] = max(d.subjects[string(s[:])], o.Seq)
	}
	for _, c := range o.Classes {
		d.classes[c] = max(d.classes[c], o.Seq)
	}
}

// until is the first record of a subject and a class whose text may be found.
func (d *doom) until(subject, class string) uint64 {
	return max(d.subjects[subject], d.classes[class])
}

// forget removes from a table the text of data subjects who were erased while
// it was filled, before Purge can see the table. It is called with mu held.
func (x *Index) forget(t *block.Table) {
	if x.doomed.subjects != nil {
		t.Erase(x.doomed.until)
	}
}

// Purge removes from the index the text that is encrypted under keys which are
// about to be destroyed: that of the subjects and classes of d, in records
// before d.Seq. It returns the ids of the block keys to be destroyed with them:
// those of the blocks that were replaced, and those that no block uses, as
// somebody may have a copy of a block's file. After an error, all block keys
// must be destroyed.
func (x *Index) Purge(ctx context.Context, d keyring.Destruction) (drop []keyring.FileID, err error) {
	var order doom
	order.add(&d)
	x.mu.Lock()
	x.doomed.add(&d)
	tables := slices.Clone(x.tables)
	x.mu.Unlock()
	for _, t := range tables {
		t.Erase(order.until)
	}
	// From here on, only this function writes blocks.
	x.building.Lock()
	defer x.building.Unlock()
	var old, blocks []*openBlock
	x.mu.Lock()
	all, following := slices.Clone(x.blocks), x.following
	x.mu.Unlock()
	if !following {
		return nil, errors.New("purge index: the index does not follow the log")
	}
	for _, b := range all {
		if err = ctx.Err(); err != nil {
			break
		}
		var touched bool
		if touched, err = concerns(b, &d); err != nil {
			break
		}
		if !touched {
			continue
		}
		var next *openBlock
		if next, err = x.writeBlock([]block.Source{b}, func(subject, class string, seq uint64) bool { return seq < order.until(subject, class) }); err != nil {
			break
		}
		old, blocks = append(old, b), append(blocks, next)
	}
	if err == nil && len(old) > 0 {
		x.mu.Lock()
		err = x.replace(old, blocks)
		x.mu.Unlock()
	}
	if err != nil {
		// All block keys are destroyed: nothing of the old index can be read
		// again.
		return nil, errors.Join(fmt.Errorf("purge index: %w", err), x.begin(blocks))
	}
	err = x.discard(old)
	if err == nil {
		drop, err = x.unused()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("purge index: %w", err), x.begin(nil))
	}
	return drop, nil
}

// unused returns the ids of the keys that no block uses.
func (x *Index) unused() ([]keyring.FileID, error) {
	ids, err := x.ring.FileKeys()
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	used := idsOf(x.blocks)
	return slices.DeleteFunc(ids, func(id keyOf) bool { return slices.Contains(used, id) }), nil
}

// begin empties the index, which is then built again from the log.
func (x *Index) begin(more []*openBlock) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := slices.Concat(x.blocks, more)
	err := x.replace(x.blocks, nil)
	x.blocks = nil
	poke(x.wake)
	return errors.Join(err, x.discard(all))
}

// concerns reports whether a block has a record whose text must be removed.
func concerns(b *openBlock, d *keyring.Destruction) (bool, error) {
	if b.First() >= d.Seq {
		return false, nil
	}
	subjects, err := b.Texts(block.Subject)
	if err != nil {
		return false, err
	}
	classes, err := b.Texts(block.Class)
	if err != nil {
		return false, err
	}
	for _, c := range d.Classes {
		if _, ok := classes.Find(c); ok {
			return true, nil
		}
	}
	for _, s := range d.Subjects {
		if code, ok := subjects.Find(s.String()); ok && code > 0 {
			return true, nil
		}
	}
	return false, nil
}
