package tree

import (
	"bytes"
	"context"
	"fmt"

	"audittrail/tlog"
)

// Check computes the tree over the first size entries, and compares it with the
// files of the levels. The error is a *DamageError for the first difference.
// Check cannot know whether the entries are the right ones: compare the root
// that it returns with a signed one.
func (t *Tree) Check(ctx context.Context, size uint64) (tlog.Hash, error) {
	v := t.now.Load()
	if have := v.rng.Size(); size > have {
		return tlog.Hash{}, fmt.Errorf("check tree of %d: %w, which has %d", size, ErrBeyond, have)
	}
	var stored []byte
	rng, err := v.recompute(ctx, size, new(batch), func(b *batch, i int) error {
		want := b.files[i]
		stored = append(stored[:0], want...)
		offset := length(i, b.start)
		if err := v.read(i, stored, offset); err != nil {
			return err
		}
		for at := 0; at < len(want); at += hashSize {
			if !bytes.Equal(stored[at:at+hashSize], want[at:at+hashSize]) {
				return &DamageError{
					File: fileName(i), Offset: offset + int64(at),
					Detail: "the hash is not that of the entries below it",
				}
			}
		}
		return nil
	})
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("check tree: %w", err)
	}
	return rng.Root(), nil
}

// RootOfEntries computes the root of the first size leaves from the entries alone.
func (t *Tree) RootOfEntries(ctx context.Context, size uint64) (tlog.Hash, error) {
	v := t.now.Load()
	if size > v.rng.Size() {
		return tlog.Hash{}, fmt.Errorf("root of %d entries: %w, which has %d", size, ErrBeyond, v.rng.Size())
	}
	rng, err := v.recompute(ctx, size, new(batch), func(*batch, int) error { return nil })
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of %d entries: %w", size, err)
	}
	return rng.Root(), nil
}

// Rebuild computes all levels again from the first size entries, at most
// [Tree.Held], and removes everything past these. The tree then has that size,
// and is whole; if entries are damaged, it is still not the right tree.
func (t *Tree) Rebuild(ctx context.Context, size uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return fmt.Errorf("rebuild tree: %w", err)
	}
	v := *t.now.Load()
	if held := max(v.held, v.rng.Size()); size > held {
		return fmt.Errorf("rebuild tree to %d: %w, which has %d entries", size, ErrBeyond, held)
	}
	t.synced = 0
	rng, err := v.recompute(ctx, size, &t.batch, func(_ *batch, i int) error { return t.write(&v, i) })
	if err != nil {
		t.keep(v)
		return fmt.Errorf("rebuild tree to %d: %w", size, err)
	}
	v.rng = *rng
	if err := t.settle(v); err != nil {
		return fmt.Errorf("rebuild tree to %d: %w", size, err)
	}
	return nil
}

// recompute reads the first size entries and calls visit for the hashes that
// they add to each level, in several portions. It returns the range over the
// entries.
func (v *view) recompute(ctx context.Context, size uint64, b *batch, visit func(b *batch, i int) error) (*tlog.Range, error) {
	var rng tlog.Range
	buf := make([]byte, hashSize*min(size, maxBatch))
	for rng.Size() < size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		start := rng.Size()
		raw := buf[:hashSize*min(size-start, maxBatch)]
		if err := v.read(entriesFile, raw, int64(start)*hashSize); err != nil {
			return nil, err
		}
		b.begin(start)
		for ; len(raw) > 0; raw = raw[hashSize:] {
			b.add(&rng, [32]byte(raw))
		}
		for i := firstLevel; i < numFiles; i++ {
			if len(b.files[i]) == 0 {
				continue
			}
			if err := visit(b, i); err != nil {
				return nil, err
			}
		}
	}
	return &rng, nil
}
