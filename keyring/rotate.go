package keyring

import (
	"context"
	"errors"
	"fmt"
)

// RotateMaster wraps the ring by another master key, under a new wrapping key,
// so that the old master key opens nothing any more. The new key must be in its
// permanent place; if that is a file which does not exist, the file is created.
//
// If to is nil, a new key replaces the old one, if that is in a file. After a
// crash at any moment the ring opens with one of the keys that are there.
func (r *Ring) RotateMaster(ctx context.Context, to Master) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if err := r.rotateMaster(ctx, to); err != nil {
		return fmt.Errorf("rotate master key: %w", err)
	}
	return nil
}

func (r *Ring) rotateMaster(ctx context.Context, to Master) error {
	r.mu.RLock()
	err := r.usable()
	r.mu.RUnlock()
	if err != nil {
		return err
	}
	to = r.guarded(to)
	file, isFile := r.o.Master.(*masterFile)
	target, _ := to.(*masterFile)
	if to == nil {
		target = file
	}
	inPlace := to == nil || isFile && target != nil && target.Follows(file)
	if inPlace {
		if !isFile {
			return errors.New("the master key is not in a file that can be replaced: say where the new one is")
		}
		if err := r.finishMaster(); err != nil {
			return err
		}
		to = target.Next()
	}
	key, err := masterOrNew(ctx, to, r.o.Rand) // may take long, so without mu
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if key == r.master {
		return errors.New("the new master key is the old one")
	}
	err = r.advance(r.st.Meta(), key, true)
	if r.master != key {
		return err
	}
	// The ring is wrapped by the new key, even if the previous generation could
	// not be wiped.
	if inPlace {
		r.o.Master = target
		return errors.Join(err, target.Promote())
	}
	r.o.Master = to
	return err
}
