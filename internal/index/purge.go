package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"audittrail"
	"audittrail/internal/index/block"
	"audittrail/keyring"
	"audittrail/record"
)

// dooms tells whether the text of a record is to be forgotten.
func dooms(d *audittrail.Doomed, subject, class string, seq uint64) bool {
	if seq >= d.Seq {
		return false
	}
	return slices.Contains(d.Classes, class) ||
		len(subject) == len(record.Subject{}) && slices.Contains(d.Subjects, record.Subject([]byte(subject)))
}

// purge takes the text of those out of the index who are about to be forgotten.
// It returns the ids of the blocks' keys that are to be destroyed with theirs.
func (x *Index) purge(ctx context.Context, d audittrail.Doomed) (drop []keyring.FileID, err error) {
	if x.log == nil {
		return nil, errors.New("purge index: it does not follow the log yet")
	}
	forget := forgetter(&d)
	x.mu.Lock()
	x.doomed = append(x.doomed, d)
	tables := slices.Clone(x.tables)
	x.mu.Unlock()
	for _, t := range tables {
		t.Forget(d.Seq, func(subject, class string) bool { return forget(subject, class, 0) })
	}
	// From here on, no block is written but here.
	x.building.Lock()
	defer x.building.Unlock()
	var old, blocks []*openBlock
	x.mu.Lock()
	all := slices.Clone(x.blocks)
	x.mu.Unlock()
	for _, b := range all {
		if err = ctx.Err(); err != nil {
			break
		}
		var touched bool
		if touched, err = concerns(b, &d, forget); err != nil {
			break
		}
		if !touched {
			continue
		}
		var next *openBlock
		if next, err = x.writeBlock([]block.Source{b}, forget); err != nil {
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
		// All keys go with theirs: nothing of what there is can be read again.
		return nil, errors.Join(fmt.Errorf("purge index: %w", err), x.begin(blocks))
	}
	if err := x.discard(old); err != nil {
		return nil, errors.Join(fmt.Errorf("purge index: %w", err), x.begin(nil))
	}
	return idsOf(old), nil
}

// begin makes the index empty: it is made anew from the log.
func (x *Index) begin(more []*openBlock) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := slices.Concat(x.blocks, more)
	err := x.replace(x.blocks, nil)
	x.blocks = nil
	poke(x.wake)
	return errors.Join(err, x.discard(all))
}

// forgetter is dooms with what is looked for in a form that is fast to find.
func forgetter(d *audittrail.Doomed) func(subject, class string, seq uint64) bool {
	subjects := make(map[string]bool, len(d.Subjects))
	for _, s := range d.Subjects {
		subjects[string(s[:])] = true
	}
	return func(subject, class string, seq uint64) bool {
		return seq < d.Seq && (subjects[subject] || slices.Contains(d.Classes, class))
	}
}

// concerns tells whether a block has a record whose text is to be forgotten.
func concerns(b *openBlock, d *audittrail.Doomed, forget func(subject, class string, seq uint64) bool) (bool, error) {
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
		if code, ok := subjects.Find(s.String()); ok && forget(string(s[:]), "", 0) && code > 0 {
			return true, nil
		}
	}
	return false, nil
}
