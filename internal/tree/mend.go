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

// ErrRoot says that entries do not give the root that they should.
var ErrRoot = errors.New("the entries give another root than the one that was signed")

// Mend makes the files hold the tree over the first size of the given entries,
// and forgets what lies past these, once it knows that the entries give the root:
// without that it changes nothing, and the error is ErrRoot. It goes over the
// entries twice, writes what differs, replaces a file that cannot be read, and
// returns the first place of each file that it has changed.
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
			err = ErrRoot // they are not what they were
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

// mendFile writes what the batch has for file i, if the file has something else,
// and notes that. A file that cannot be read, nor be written to, is replaced by an
// empty one, so that another round is needed.
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
		d.Detail = "the hash there is not the one that follows from the records"
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

// replace puts a new, empty file in the place of file i. Readers may still have
// the old one.
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

// batches fills b with what the first size entries add to each file, some at a
// time, and calls visit for each filling. It returns the range over them.
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
