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

// repair brings the files to the order that a writer leaves behind: nothing
// half written, nothing of earlier generations, no destruction half done.
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
		// A full disk does not keep the log from being read: the destruction
		// counts, LastDestruction does not say that it is complete, and Destroy will
		// try again.
		err := r.advance(r.st.Meta(), r.master, true)
		if err != nil && (r.failed != nil || !errors.Is(err, syscall.ENOSPC)) {
			return err
		}
	}
	return nil
}

// cutTorn cuts off what a crash left of a last frame that was not synced: no
// record uses its keys.
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

// persist makes durable what a writer that was killed may have left in the
// system's memory, before anything relies on it. What was there when the signed
// state was written was durable then.
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

// sweep wipes what earlier generations left and, while opening, what attempts
// left that were cut short.
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

// isTmp tells whether a file is one that a crash kept from getting its name.
func isTmp(name string) bool {
	whole, ok := strings.CutSuffix(name, tmpSuffix)
	return ok && (whole == signedName || strings.HasPrefix(whole, masterName) ||
		strings.HasPrefix(whole, ringPrefix) || strings.HasPrefix(whole, tornPrefix))
}

// finishMaster ends a rotation of a master key's file that was cut short,
// before or after the ring was wrapped anew.
func (r *Ring) finishMaster() error {
	file, ok := r.o.Master.(*masterFile)
	if !ok {
		return nil
	}
	ctx := context.Background() // files need none
	next, err := file.Next().MasterKey(ctx)
	switch {
	case errors.Is(err, ErrNoMaster):
		return nil
	case err == nil && next == r.master:
		return file.Promote()
	case err != nil && !errors.Is(err, ErrMasterFormat):
		return err
	}
	// The rotation did not get as far as the ring. A key is wiped only if the
	// one that counts is seen to be where it belongs.
	if key, err := file.MasterKey(ctx); err != nil || key != r.master {
		return err
	}
	return file.Next().Drop()
}
