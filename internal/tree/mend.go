package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"

	"audittrail/tlog"
)

// ErrRoot reports that entries do not give the signed root.
var ErrRoot = errors.New("the root of the entries is not the one that was signed")

// Mend rewrites the files so that they contain the tree over the first size of
// the given entries, and nothing past these. If the entries do not give the
// root, it changes nothing, and the error is ErrRoot. It reads the entries
// twice, writes hashes that differ, replaces a file that cannot be read, and
// returns the first place in each file that it has changed.
func (t *Tree) Mend(ctx context.Context, size uint64, root tlog.Hash, entries iter.Seq2[[32]byte, error]) ([]*DamageError, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	damage, err := t.mend(ctx, size, root, entries)
	if err != nil {
		return nil, fmt.Errorf("mend tree of %d: %w", size, err)
	}
	return damage, nil
}

func (t *Tree) mend(ctx context.Context, size uint64, root tlog.Hash, entries iter.Seq2[[32]byte, error]) ([]*DamageError, error) {
	if err := t.writable(); err != nil {
		return nil, err
	}
	rng, err := batches(ctx, size, entries, &t.batch, func() error { return nil })
	if err != nil {
		return nil, err
	}
	if rng.Root() != root {
		return nil, ErrRoot
	}
	v := *t.now.Load()
	var first [numFiles]*DamageError
	note := func(i int, d *DamageError) {
		if first[i] == nil {
			first[i] = d
		}
	}
	for i := range v.files {
		if err := v.bad[i]; err != nil {
			note(i, &DamageError{File: fileName(i), Detail: fmt.Sprintf("it cannot be read: %v", err)})
			if err := t.replace(&v, i); err != nil {
				t.keep(v)
				return nil, err
			}
		}
	}
	t.synced, t.replaced = 0, [numFiles]bool{}
	for again := true; again; {
		again = false
		rng, err = batches(ctx, size, entries, &t.batch, func() error {
			for i := range t.batch.files {
				replaced, err := t.mendFile(&v, i, note)
				again = again || replaced
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && rng.Root() != root {
			err = ErrRoot // the entries have changed since
		}
		if err != nil {
			t.keep(v)
			return nil, err
		}
	}
	v.rng = *rng
	if err := t.settle(v); err != nil {
		return nil, err
	}
	var all []*DamageError
	for _, d := range first {
		if d != nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// mendFile writes the batch's hashes for file i, if the file has others, and
// calls note. A file that can be neither read nor written is replaced by an
// empty one, so that another pass is needed.
func (t *Tree) mendFile(v *view, i int, note func(int, *DamageError)) (replaced bool, err error) {
	want := t.batch.files[i]
	if len(want) == 0 {
		return false, nil
	}
	offset := length(i, t.batch.start)
	have := make([]byte, len(want))
	rerr := v.read(i, have, offset)
	if rerr == nil && bytes.Equal(have, want) {
		return false, nil
	}
	d := &DamageError{File: fileName(i), Offset: offset}
	var short *DamageError
	switch {
	case errors.As(rerr, &short):
		d = short
	case rerr != nil:
		d.Detail = fmt.Sprintf("it cannot be read: %v", rerr)
	default:
		at := 0
		for have[at] == want[at] {
			at++
		}
		d.Offset += int64(at - at%hashSize)
		d.Detail = "the hash is not that of the records"
	}
	note(i, d)
	if err = t.write(v, i); err == nil && rerr != nil {
		err = v.read(i, have, offset)
	}
	if err == nil || rerr == nil || short != nil || t.replaced[i] {
		return false, err
	}
	return true, t.replace(v, i)
}

// replace replaces file i by a new, empty file. Readers may still use the old
// one.
func (t *Tree) replace(v *view, i int) error {
	if f := v.files[i]; f != nil {
		t.old = append(t.old, f)
		v.files[i] = nil
	}
	if err := t.fs.Remove(filepath.Join(t.dir, fileName(i))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	v.bad[i], t.replaced[i] = nil, true
	return t.openFile(v, i, true)
}

// batches fills b with the hashes that the first size entries add to each file,
// in several portions, and calls visit for each portion. It returns the range
// over the entries.
func batches(ctx context.Context, size uint64, entries iter.Seq2[[32]byte, error], b *batch, visit func() error) (*tlog.Range, error) {
	var rng tlog.Range
	b.begin(0)
	for entry, err := range entries {
		if err != nil {
			return nil, err
		}
		if rng.Size() == size {
			break
		}
		b.add(&rng, entry)
		if rng.Size()%maxBatch != 0 {
			continue
		}
		if err := errors.Join(ctx.Err(), visit()); err != nil {
			return nil, err
		}
		b.begin(rng.Size())
	}
	if err := visit(); err != nil {
		return nil, err
	}
	if rng.Size() < size {
		return nil, fmt.Errorf("%w: there are %d entries", ErrBeyond, rng.Size())
	}
	return &rng, nil
}
