package keyring

import (
	"errors"
	"fmt"
)

const (
	// A journal is merged into the base when it has more entries than a
	// quarter of the base, but not below the one number, where merging gains
	// nothing, and at the other, since the journal is read whole at open.
	minCompact = 4096
	maxCompact = 32768
)

// Flush makes all keys durable that were handed out before it was called. If
// there are none it returns at once.
//
// A write that fails, as on a full disk, is taken back, and Flush may be
// called again. If a sync fails, the ring writes no more.
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

// flush writes the entries that are pending now; writing is held.
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
	for n < limit && len(payload)+frameMargin < maxPayload {
		payload = appendEntry(payload, &r.pending[n])
		n++
	}
	r.mu.RUnlock()
	defer clear(payload)
	if err := r.append(kindEntries, payload); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.pending[:n])
	r.pending = r.pending[n:]
	if len(r.pending) == 0 {
		r.pending = nil // lets go of the array
	}
	r.unflushed.Add(int64(-n))
	return n, nil
}

// frameMargin is more than any entry takes.
const frameMargin = 2 * maxUser

// append writes one frame to the journal, durably. Writing is held, so that
// nobody else changes the file; mu is not, so that others read meanwhile.
func (r *Ring) append(kind byte, payload []byte) error {
	r.mu.RLock()
	st, err := r.st, r.usable()
	r.mu.RUnlock()
	if err != nil {
		return err
	}
	n, err := st.write(kind, payload)
	r.mu.Lock()
	defer r.mu.Unlock()
	st.tail += n
	return r.settle(err)
}

// appendLocked is append for those who hold mu as well.
func (r *Ring) appendLocked(kind byte, payload []byte) error {
	n, err := r.st.write(kind, payload)
	r.st.tail += n
	return r.settle(err)
}

// write puts a frame behind the last one, durably, and returns its length.
func (s *state) write(kind byte, payload []byte) (int64, error) {
	frame := s.seal.appendFrame(nil, s.tail, kind, payload)
	if _, err := s.file.WriteAt(frame, s.tail); err != nil {
		err = fmt.Errorf("write %s: %w", s.name, err)
		if terr := s.file.Truncate(s.tail); terr != nil {
			err = &fatalError{errors.Join(err, terr)}
		}
		return 0, err
	}
	if err := s.file.Sync(); err != nil {
		return 0, &fatalError{fmt.Errorf("sync %s: %w", s.name, err)}
	}
	return int64(len(frame)), nil
}

// settle makes the ring refuse all further writes if err is one after
// which nobody knows what the disk holds. Writing and mu are held.
func (r *Ring) settle(err error) error {
	if fatal := (*fatalError)(nil); errors.As(err, &fatal) && r.failed == nil {
		r.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		r.unflushed.Add(1) // no Flush returns early any more
		r.sealing.empty()
	}
	if r.failed != nil {
		return r.failed
	}
	return err
}

// setCompact fixes when the journal is merged; mu is held, or nobody else
// knows the ring.
func (r *Ring) setCompact() {
	r.compact = min(max(minCompact, int(r.st.dir.live)/4), maxCompact)
}

// merge writes the next generation if the journal has become long. The keys
// are durable without it, so a full disk only puts it off.
func (r *Ring) merge() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return err
	}
	if len(r.st.subjects) < r.compact {
		return nil
	}
	err := r.advance(r.st.meta, r.master, r.st.dying)
	if r.failed != nil {
		return err
	}
	if err != nil {
		r.compact += len(r.st.subjects) / 4
	}
	return nil
}

// advance writes the next generation, under a new wrapping key, and wipes the
// one before. If nothing is destroyed by it, it is enough that the old wrapping
// key is gone. Writing and mu are held. What is pending becomes durable on the
// way.
func (r *Ring) advance(m *meta, master Secret, destroy bool) error {
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
