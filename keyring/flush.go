package keyring

import (
	"context"
	"errors"
	"fmt"
	"os"

	"audittrail/keyring/internal/ringfile"
)

const (
	// A journal is merged into the base when it has a quarter as many subjects
	// as the base, within these bounds: a short journal costs nothing to read,
	// and a long one would make opening slow.
	minCompact = 4096
	maxCompact = 32768
)

// Flush makes all keys durable that were returned before it was called. If all
// are durable it returns at once.
//
// A write that fails, as on a full disk, is undone, and Flush may be called
// again. If a sync fails, the ring writes nothing more.
func (r *Ring) Flush() error {
	if r.unflushed.Load() == 0 {
		return nil
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	err := r.flush()
	if err == nil {
		err = r.merge()
	}
	if err != nil {
		return fmt.Errorf("flush keyring: %w", err)
	}
	return nil
}

// flush writes the entries that are pending now. It is called with writing
// held.
func (r *Ring) flush() error {
	r.mu.RLock()
	left := len(r.pending)
	err := r.usable()
	r.mu.RUnlock()
	for left > 0 && err == nil {
		var n int
		n, err = r.flushSome(left)
		left -= n
	}
	return err
}

// flushSome writes as many pending entries as fit one frame, and returns how
// many. Every frame is synced before the next one is written: so at most one
// can be torn.
func (r *Ring) flushSome(limit int) (int, error) {
	var payload []byte
	n := 0
	r.mu.RLock()
	for n < limit && len(payload)+frameMargin < ringfile.MaxPayload {
		payload = ringfile.AppendEntry(payload, &r.pending[n])
		n++
	}
	r.mu.RUnlock()
	defer clear(payload)
	if err := r.append(ringfile.KindEntries, payload); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.pending[:n])
	r.pending = r.pending[n:]
	if len(r.pending) == 0 {
		r.pending = nil // releases the array
	}
	r.unflushed.Add(int64(-n))
	return n, nil
}

// frameMargin is more than any entry takes.
const frameMargin = 2048

// append writes one frame to the journal, durably. It is called with writing
// held, so that nothing else changes the file, and without mu, so that others
// can read meanwhile.
func (r *Ring) append(kind byte, payload []byte) error {
	r.mu.RLock()
	st, err := r.st, r.usable()
	r.mu.RUnlock()
	if err != nil {
		return err
	}
	n, err := st.Write(kind, payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Grow(n)
	return r.settle(err)
}

// settle makes the ring refuse all further writes if the content of the disk is
// unknown after err. It is called with writing and mu held.
func (r *Ring) settle(err error) error {
	if fatal := (*ringfile.FatalError)(nil); errors.As(err, &fatal) && r.failed == nil {
		r.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		r.unflushed.Add(1) // so that no Flush returns early
		r.sealing.empty()
	}
	if r.failed != nil {
		return r.failed
	}
	return err
}

// setCompact sets when the journal is merged. It is called with mu held, or
// before the ring is shared.
func (r *Ring) setCompact() {
	_, base := r.st.Journal()
	r.compact = min(max(minCompact, base/4), maxCompact)
}

// merge writes the next generation if the journal has become long. The keys are
// durable without it, so a full disk only delays it.
func (r *Ring) merge() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return err
	}
	return r.mergeFrom(r.compact)
}

func (r *Ring) mergeFrom(entries int) error {
	journal, _ := r.st.Journal()
	if journal < entries {
		return nil
	}
	err := r.advance(r.st.Meta(), r.master, r.st.Dying())
	if r.failed != nil {
		return err
	}
	if err != nil {
		r.compact += journal / 4
	}
	return nil
}

// tidy leaves a short journal to the next process that opens the ring.
func (r *Ring) tidy() error {
	if r.usable() != nil || len(r.pending) > 0 {
		return nil // pending keys must not become durable
	}
	return r.mergeFrom(minCompact)
}

// advance writes the next generation, under a new wrapping key, and wipes the
// one before. If it destroys no keys, only the old wrapping key is wiped. It is
// called with writing and mu held. Pending keys become durable with it.
func (r *Ring) advance(m *ringfile.Meta, master Secret, destroy bool) error {
	all := destroy || r.unswept
	if err := r.settle(r.replace(m, master)); err != nil {
		return err
	}
	if destroy {
		r.opening.empty()
		r.sealing.empty()
	}
	return r.settle(r.sweep(false, all))
}

// replace writes the next generation, which replaces this one.
func (r *Ring) replace(m *ringfile.Meta, master Secret) error {
	generation := r.st.Generation() + 1
	name, err := r.writeBase(&ringfile.Base{
		Generation: generation, Origin: r.origin, Master: master,
		Pages: r.st.Pages, Meta: m, Classes: r.st.Entries(),
	})
	if err != nil {
		return err
	}
	// From here on the new file may be the ring, even after an error, and then
	// nothing more must be written to the old one.
	if err := r.o.FS.Rename(name+tmpSuffix, name); err != nil {
		return &ringfile.FatalError{Err: fmt.Errorf("put ring in place: %w", err)}
	}
	if err := r.o.FS.SyncDir(r.dir); err != nil {
		return &ringfile.FatalError{Err: fmt.Errorf("sync %s: %w", r.dir, err)}
	}
	file, err := r.o.FS.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return &ringfile.FatalError{Err: fmt.Errorf("open ring: %w", err)}
	}
	r.master = master
	st, err := r.loadFile(context.Background(), file, generation)
	if err != nil {
		return &ringfile.FatalError{Err: errors.Join(err, file.Close())}
	}
	old := r.st
	r.st, r.unswept = st, true
	clear(r.pending)
	r.pending = nil
	r.unflushed.Store(0)
	r.setCompact()
	return old.Close()
}
