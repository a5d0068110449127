package keyring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"

	"audittrail/internal/vfs"
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
	if r.st.dying {
		// A full disk does not keep the log from being read: the destruction
		// counts, Applied does not say that it is complete, and Destroy will
		// try again.
		err := r.advance(r.st.meta, r.master, true)
		if err != nil && (r.failed != nil || !errors.Is(err, syscall.ENOSPC)) {
			return err
		}
	}
	return nil
}

// cutTorn cuts off what a crash left of a last frame that was not synced: no
// record uses its keys.
func (r *Ring) cutTorn() error {
	torn, err := r.st.torn()
	if err != nil || len(torn) == 0 {
		return err
	}
	aside := r.path(fmt.Sprintf("%s%016x-%016x", tornPrefix, r.st.head.Generation, r.st.tail))
	if err := vfs.WriteFile(r.o.FS, aside, torn, filePerm); err != nil {
		return fmt.Errorf("copy a torn frame aside: %w", err)
	}
	if err := r.st.file.Truncate(r.st.tail); err != nil {
		return fmt.Errorf("cut a torn frame off: %w", err)
	}
	if err := r.st.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", r.st.name, err)
	}
	r.st.end = r.st.tail
	return nil
}

// torn returns what stands behind the last whole frame. It is an error if that
// is no torn write: if it is longer than one frame, or if a whole frame is in
// it. What was durable when the signed state was written is for checkSigned.
func (st *state) torn() ([]byte, error) {
	n := st.end - st.tail
	if n > frameHead+maxSealed {
		return nil, st.damaged(st.tail, errors.New("frame is not whole, and more follows than a crash leaves"))
	}
	torn := make([]byte, n)
	if got, err := st.file.ReadAt(torn, st.tail); got < len(torn) && err != io.EOF {
		return nil, fmt.Errorf("read %s: %w", st.name, err)
	}
	if st.seal.holdsFrame(torn, st.tail) {
		return nil, st.damaged(st.tail, errors.New("frame is not whole, and a whole one follows"))
	}
	return torn, nil
}

// persist makes durable what a writer that was killed may have left in the
// system's memory, before anything relies on it. What was there when the signed
// state was written was durable then.
func (r *Ring) persist() error {
	if r.signed.generation == r.st.head.Generation && r.signed.length >= r.st.tail {
		return nil
	}
	if err := r.st.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", r.st.name, err)
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
		digits, isTorn := strings.CutPrefix(name, tornPrefix)
		torn, ok := generationOf(ringPrefix+digits[:min(16, len(digits))], ringPrefix)
		switch {
		case isRing && ring < r.st.head.Generation:
		case isTorn && ok && torn < r.st.head.Generation:
		case opening && isTmp(name):
		default:
			continue
		}
		if err := wipe(r.o.FS, r.path(name), all); err != nil {
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
	next, err := file.next().MasterKey(context.Background())
	if errors.Is(err, ErrNoMaster) {
		return nil
	}
	if err == nil && next == r.master {
		return file.promote()
	}
	return wipe(file.fs, file.next().path, true)
}

// promote puts the next master key in the place of the one before, which is
// overwritten.
func (m *masterFile) promote() error {
	if err := wipe(m.fs, m.path, true); err != nil {
		return err
	}
	if err := m.fs.Rename(m.next().path, m.path); err != nil {
		return fmt.Errorf("put master key in place: %w", err)
	}
	if err := m.fs.SyncDir(filepath.Dir(m.path)); err != nil {
		return fmt.Errorf("sync %s: %w", filepath.Dir(m.path), err)
	}
	return nil
}
