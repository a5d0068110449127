package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"audittrail/keyring/internal/ringfile"
)

// probes are buffers of one byte, which would be allocated for every read
// through an interface.
var probes = sync.Pool{New: func() any { return new([1]byte) }}

// follow makes sure that a reader does not use destroyed keys. The writer
// overwrites a generation, from its first byte on, before a destruction
// returns; so while the first byte is unchanged, the generation is in force.
// The check is one pread of a cached byte, and needs no second file that could
// disagree with the ring.
func (r *Ring) follow() error {
	if !r.o.ReadOnly {
		return nil // this process replaces the generations itself, and empties the caches
	}
	r.mu.RLock()
	current := r.current()
	r.mu.RUnlock()
	if current {
		return nil
	}
	_, err := r.refresh()
	return err
}

// CurrentGeneration returns the generation that is in force now, even if
// another process is the writer.
func (r *Ring) CurrentGeneration() (uint64, error) {
	if err := r.follow(); err != nil {
		return 0, fmt.Errorf("follow keyring: %w", err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return 0, ErrClosed
	}
	return r.st.Generation(), nil
}

func (r *Ring) current() bool {
	if r.st == nil {
		return false
	}
	b := probes.Get().(*[1]byte)
	defer probes.Put(b)
	return r.st.Intact(b)
}

// A view is the state of the ring that a reader has read.
type view struct {
	generation uint64
	tail       int64
}

// read calls f with the file as read so far. If f does not find an entry, or
// the file changes during the call, a reader refreshes from the folder and
// calls f again, as long as there is something new.
func (r *Ring) read(f func(*ringfile.File) error) error {
	var err error
	for range maxChases {
		var seen, now view
		seen, err = r.look(f)
		if !r.o.ReadOnly || !errors.Is(err, ErrLost) && !errors.Is(err, ErrDamaged) {
			return err
		}
		if _, rerr := r.refresh(); rerr != nil {
			return rerr
		}
		if now, _ = r.look(func(*ringfile.File) error { return nil }); now == seen {
			return err
		}
	}
	return err
}

func (r *Ring) look(f func(*ringfile.File) error) (view, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.st == nil {
		return view{}, ErrClosed
	}
	return view{r.st.Generation(), r.st.Tail()}, f(r.st)
}

// Refresh makes a reader read what the writer has written since. It reports
// whether there was anything new. In the writer it does nothing.
func (r *Ring) Refresh() (changed bool, err error) {
	changed, err = r.refresh()
	if err != nil {
		return false, fmt.Errorf("refresh keyring: %w", err)
	}
	return changed, nil
}

func (r *Ring) refresh() (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.st == nil {
		return false, ErrClosed
	}
	if !r.o.ReadOnly {
		return false, nil
	}
	generation, err := r.newest()
	if err != nil {
		return false, err
	}
	if generation == r.st.Generation() && r.current() {
		if grown, err := r.extend(); err == nil {
			return grown, nil
		}
		// The file may have been replaced meanwhile; if not, load returns the
		// error.
	}
	st, sig, err := r.load(context.Background())
	if err != nil {
		return false, err
	}
	old := r.st
	r.st, r.signed = st, sig
	r.opening.empty()
	return true, old.Close()
}

// extend reads the frames that were appended to the file.
func (r *Ring) extend() (grown bool, err error) {
	text, err := r.readSigned()
	if err != nil {
		return false, err
	}
	tail := r.st.Tail()
	if err := r.st.Replay(); err != nil {
		return false, err
	}
	if r.st.Dying() {
		r.opening.empty()
	}
	if _, err := r.st.Torn(); err != nil {
		return false, err
	}
	sig, err := r.checkSigned(text, r.st)
	if err != nil {
		return false, err
	}
	grown = r.st.Tail() > tail || sig != r.signed
	r.signed = sig
	return grown, nil
}
