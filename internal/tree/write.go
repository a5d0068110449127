package tree

import (
	"fmt"
	"path/filepath"

	"audittrail/tlog"
)

// maxBatch is the number of entries that are hashed before they are written,
// which bounds the memory of an append.
const maxBatch = 1 << 16

// A batch is the hashes that an append adds to each file.
type batch struct {
	start uint64 // size of the tree before the append
	files [numFiles][]byte
}

// begin empties b, to append to a tree of that size.
func (b *batch) begin(size uint64) {
	b.start = size
	for i := range b.files {
		b.files[i] = b.files[i][:0]
	}
}

// add appends one entry to r, and the hashes of it and of the subtrees that it
// completes to the batch.
func (b *batch) add(r *tlog.Range, entry [32]byte) {
	leaf := tlog.LeafHash(entry)
	b.files[entriesFile] = append(b.files[entriesFile], entry[:]...)
	b.files[firstLevel] = append(b.files[firstLevel], leaf[:]...)
	r.Append(leaf, b.complete)
}

// complete takes the hash of a subtree that an entry completed.
func (b *batch) complete(level int, h tlog.Hash) {
	if level%tileShift == 0 {
		i := firstLevel + level/tileShift
		b.files[i] = append(b.files[i], h[:]...)
	}
}

// writable returns why the tree cannot be written.
func (t *Tree) writable() error {
	if t.readOnly {
		return ErrReadOnly
	}
	return t.failed
}

// fail makes the tree refuse all writes from here on.
func (t *Tree) fail(err error) error {
	t.failed = fmt.Errorf("%w: %w", ErrFailed, err)
	return t.failed
}

// Append adds entries. They are visible to readers when it returns, and durable
// after [Tree.Sync]. After an error the tree is as before, and the append can
// be tried again.
func (t *Tree) Append(entries [][32]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return fmt.Errorf("append to tree: %w", err)
	}
	v := *t.now.Load()
	if uint64(len(entries)) > tlog.MaxSize-v.rng.Size() {
		return fmt.Errorf("append to tree: more than %d entries", uint64(tlog.MaxSize))
	}
	if err := t.append(&v, entries); err != nil {
		t.keep(v)
		return fmt.Errorf("append to tree: %w", err)
	}
	t.now.Store(&v)
	return nil
}

// keep leaves the tree at its size after v could not be reached, with the files
// that were opened on the way.
func (t *Tree) keep(v view) {
	v.rng = t.now.Load().rng
	t.now.Store(&v)
	// Files may now be longer than the tree. A later append, maybe of fewer
	// entries, must overwrite or cut these ends, so that the next Open does not
	// take them for part of the tree.
	t.long = true
}

func (t *Tree) append(v *view, entries [][32]byte) error {
	if err := t.trim(v); err != nil {
		return err
	}
	for len(entries) > 0 {
		n := min(len(entries), maxBatch)
		t.batch.begin(v.rng.Size())
		for _, e := range entries[:n] {
			t.batch.add(&v.rng, e)
		}
		for i := range t.batch.files {
			if err := t.write(v, i); err != nil {
				return err
			}
		}
		entries = entries[n:]
	}
	return nil
}

// write writes what the batch adds to file i.
func (t *Tree) write(v *view, i int) error {
	data := t.batch.files[i]
	if len(data) == 0 {
		return nil
	}
	if v.files[i] == nil {
		if err := t.openFile(v, i, true); err != nil {
			return err
		}
	}
	t.dirty[i] = true
	if _, err := v.files[i].WriteAt(data, length(i, t.batch.start)); err != nil {
		return fmt.Errorf("write %s: %w", fileName(i), err)
	}
	return nil
}

// trim cuts the files to the length that they have at v's size.
func (t *Tree) trim(v *view) error {
	if !t.long {
		return nil
	}
	for i, f := range v.files {
		if f == nil {
			continue
		}
		want := length(i, v.rng.Size())
		have, err := f.Size()
		if err != nil {
			return fmt.Errorf("trim %s: %w", fileName(i), err)
		}
		if have <= want {
			continue
		}
		t.dirty[i] = true
		if err := f.Truncate(want); err != nil {
			return fmt.Errorf("trim %s: %w", fileName(i), err)
		}
	}
	t.long, v.held = false, 0
	return nil
}

// Sync makes the entries that were appended before durable. After an error the
// tree is not written to again, since the state of the files after a failed
// sync is not known.
func (t *Tree) Sync() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return fmt.Errorf("sync tree: %w", err)
	}
	return t.sync()
}

func (t *Tree) sync() error {
	v := t.now.Load()
	for i, f := range v.files {
		if !t.dirty[i] || f == nil {
			continue
		}
		if err := f.Sync(); err != nil {
			return t.fail(fmt.Errorf("sync %s: %w", fileName(i), err))
		}
		t.dirty[i] = false
	}
	if t.newName {
		for _, dir := range []string{t.dir, filepath.Dir(t.dir)} {
			if err := t.fs.SyncDir(dir); err != nil {
				return t.fail(err)
			}
		}
		t.newName = false
	}
	t.synced = v.rng.Size()
	return nil
}

// Cut removes everything past size, so that it can be appended again.
func (t *Tree) Cut(size uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.writable(); err != nil {
		return fmt.Errorf("cut tree: %w", err)
	}
	v := *t.now.Load()
	if size > v.rng.Size() {
		return fmt.Errorf("cut tree to %d: %w, which has %d", size, ErrBeyond, v.rng.Size())
	}
	if _, err := v.load(size); err != nil {
		return fmt.Errorf("cut tree to %d: %w", size, err)
	}
	t.synced = min(t.synced, size)
	if err := t.settle(v); err != nil {
		return fmt.Errorf("cut tree to %d: %w", size, err)
	}
	return nil
}

// settle makes v what readers see, and cuts the files to what it has.
func (t *Tree) settle(v view) error {
	v.held = 0
	// This comes first, since readers must not read where the files are about
	// to end.
	t.now.Store(&v)
	t.long = true
	if err := t.trim(&v); err != nil {
		return t.fail(err)
	}
	return nil
}
