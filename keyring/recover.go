package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"audittrail/internal/vfs"
	"audittrail/keyring/internal/ringfile"
)

// repair restores the order of the files that a writer leaves: no torn frame,
// no earlier generations, no unfinished destruction.
func (r *Ring) repair() error {
	if err := r.cutTorn(); err != nil {
		return err
	}
	if err := r.persist(); err != nil {
		return err
	}
	if err := r.sweep(true, true); err != nil {
		return err
	}
	if err := r.finishMaster(); err != nil {
		return err
	}
	if r.st.Dying() {
		// The log can be read even on a full disk: the keys count as destroyed,
		// LastDestruction does not return the destruction as complete, and
		// Destroy will try again.
		err := r.advance(r.st.Meta(), r.master, true)
		if err != nil && (r.failed != nil || !errors.Is(err, syscall.ENOSPC)) {
			return err
		}
	}
	return nil
}

// cutTorn cuts off a torn last frame that a crash left. It was not synced, so
// no record uses its keys.
func (r *Ring) cutTorn() error {
	torn, err := r.st.Torn()
	if err != nil || len(torn) == 0 {
		return err
	}
	aside := r.path(fmt.Sprintf("%s%016x-%016x", tornPrefix, r.st.Generation(), r.st.Tail()))
	if err := vfs.WriteFile(r.o.FS, aside, torn, filePerm); err != nil {
		return fmt.Errorf("copy a torn frame aside: %w", err)
	}
	return r.st.Cut()
}

// persist makes frames durable that a killed writer may have left unsynced,
// before anything relies on them. Frames that were there when the signed state
// was written were durable then.
func (r *Ring) persist() error {
	if r.signed.generation == r.st.Generation() && r.signed.length >= r.st.Tail() {
		return nil
	}
	if err := r.st.Sync(); err != nil {
		return err
	}
	if err := r.o.FS.SyncDir(r.dir); err != nil {
		return fmt.Errorf("sync %s: %w", r.dir, err)
	}
	return nil
}

// sweep wipes the files of earlier generations and, while opening, those of
// interrupted writes.
func (r *Ring) sweep(opening, all bool) error {
	r.unswept = true
	names, err := r.o.FS.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("list keyring: %w", err)
	}
	for _, name := range names {
		ring, isRing := generationOf(name, ringPrefix)
		torn, isTorn := generationOf(name[:min(len(name), len(tornPrefix)+16)], tornPrefix)
		switch {
		case isRing && ring < r.st.Generation():
		case isTorn && torn < r.st.Generation():
		case opening && isTmp(name):
		default:
			continue
		}
		if err := ringfile.Wipe(r.o.FS, r.path(name), all); err != nil {
			return err
		}
	}
	r.unswept = false
	return nil
}

// isTmp reports whether a file still has its temporary name, because of a
// crash.
func isTmp(name string) bool {
	whole, ok := strings.CutSuffix(name, tmpSuffix)
	return ok && (whole == signedName || strings.HasPrefix(whole, masterName) ||
		strings.HasPrefix(whole, ringPrefix) || strings.HasPrefix(whole, tornPrefix))
}

// finishMaster completes an interrupted rotation of a master key's file, before
// or after the ring was wrapped by the new key.
func (r *Ring) finishMaster() error {
	file, ok := r.o.Master.(*masterFile)
	if !ok {
		return nil
	}
	ctx := context.Background() // a masterFile does not use it
	next, err := file.Next().MasterKey(ctx)
	switch {
	case errors.Is(err, ErrNoMaster):
		return nil
	case err == nil && next == r.master:
		return file.Promote()
	case err != nil && !errors.Is(err, ErrMasterFormat):
		return err
	}
	// The rotation was interrupted before the ring was wrapped again. The new
	// key is wiped only if the one that wraps the ring is found in its place.
	if key, err := file.MasterKey(ctx); err != nil || key != r.master {
		return err
	}
	return file.Next().Drop()
}
