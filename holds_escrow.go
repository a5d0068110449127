package audittrail

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/escrow"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

func (c *eraser) escrowName(id keyring.FileID) string {
	return filepath.Join(c.log.escrowPath(), hex.EncodeToString(id[:]))
}

// escrow copies the keys of records that a hold keeps, of the classes that a
// doom is about to destroy, into escrow files.
func (c *eraser) escrow(ctx context.Context, d *doom) error {
	if len(d.classes) == 0 {
		return nil
	}
	var active []governance.Hold
	var upTo uint64
	if err := c.readHolds(ctx, func(hs *governance.Holds) { active, upTo = hs.Active(), hs.Released() }); err != nil {
		return err
	}
	living, err := c.log.ring.Classes()
	if err != nil {
		return err
	}
	out := newEscrowSet(c, upTo)
	for _, class := range d.classes {
		if slices.Contains(living, class) && slices.ContainsFunc(active, func(h governance.Hold) bool { return h.Reaches(class) }) {
			out.classes[class] = nil
		}
	}
	if len(out.classes) == 0 {
		return nil
	}
	keeps, err := c.keepers(active)
	if err != nil {
		return err
	}
	since := map[string]func(*record.Record) bool{}
	for class, seq := range d.ordered {
		if since[class], err = c.keptSince(ctx, seq); err != nil {
			return err
		}
	}
	err = c.log.left.scan(ctx, 0, c.log.store.Size(), func(_, class []byte) bool {
		_, ok := out.classes[string(class)]
		return ok
	}, func(r *record.Record) error {
		if !keeps(r) || since[r.Class] != nil && !since[r.Class](r) {
			return nil
		}
		prk, err := c.log.ring.DecryptionKey(r.Subject, r.Class)
		if _, absent := keyring.StateOf(err); absent {
			return nil
		}
		if err != nil {
			return err
		}
		key, err := r.DeriveKey(prk)
		if err != nil {
			return err
		}
		return out.add(r.Class, r.Seq, key)
	})
	return out.finish(err)
}

// countHeld counts the records from a sequence number on whose keys are in
// escrow, and names the escrows that cannot be read.
func (c *eraser) countHeld(from uint64) (held uint64, missing []string) {
	all, err := c.log.ring.Escrows()
	if err != nil {
		return 0, []string{fmt.Sprintf("the legal holds: %v", err)}
	}
	for _, e := range all {
		file, err := escrow.Open(c.log.opts.fs, c.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
		if err == nil {
			err = file.Each(func(seq uint64, _ record.Key) error {
				if seq >= from {
					held++
				}
				return nil
			})
			_ = file.Close() // only read from: nothing to lose
		}
		if err != nil {
			missing = append(missing, fmt.Sprintf("the escrow of class %s: %v", e.Class, err))
		}
	}
	return held, missing
}

// settleEscrows destroys the keys in escrow that no hold keeps any more.
func (c *eraser) settleEscrows(ctx context.Context) error {
	all, err := c.log.ring.Escrows()
	if err != nil || len(all) == 0 {
		return err
	}
	var active []governance.Hold
	var upTo uint64
	if err := c.readHolds(ctx, func(hs *governance.Holds) { active, upTo = hs.Active(), hs.Released() }); err != nil {
		return err
	}
	keeps, err := c.keepers(active)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Seq < upTo {
			if err := c.settleEscrow(ctx, &e, keeps, upTo); err != nil {
				return fmt.Errorf("destroy the keys that no hold keeps any more in class %s: %w", e.Class, err)
			}
		}
	}
	return nil
}

func (c *eraser) settleEscrow(ctx context.Context, e *keyring.Escrow, keeps func(*record.Record) bool, upTo uint64) error {
	old, err := escrow.Open(c.log.opts.fs, c.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
	if errors.Is(err, fs.ErrNotExist) {
		c.log.opts.Logger.Warn("records that a legal hold kept can no longer be read: their escrow is missing", slog.String("class", e.Class))
		return c.log.ring.SetEscrows(keyring.Escrow{Class: e.Class, Seq: upTo})
	}
	if err != nil {
		return err
	}
	out := newEscrowSet(c, upTo)
	out.classes[e.Class] = nil
	lines := c.log.left.cursor()
	defer lines.Close()
	err = old.Each(func(seq uint64, key record.Key) error {
		line, err := lines.line(ctx, seq)
		if dropped := new(DroppedError); errors.As(err, &dropped) {
			return nil // it is never read again
		}
		if err != nil {
			return err
		}
		r, err := record.Decode(line)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if !keeps(r) {
			return nil
		}
		return out.add(e.Class, seq, key)
	})
	if cerr := old.Close(); err == nil {
		err = cerr
	}
	if err := out.finish(err); err != nil {
		return err
	}
	// Its key is destroyed, so that the file is useless; removing it only
	// tidies up.
	if err := c.log.opts.fs.Remove(c.escrowName(e.File)); err != nil {
		c.log.opts.Logger.Warn("remove an escrow that nothing opens any more", slog.Any("error", err))
	}
	return nil
}

// An escrowSet is a set of new escrows, one for each class, that are being
// written.
type escrowSet struct {
	eraser  *eraser
	upTo    uint64
	classes map[string]*newEscrow // nil while the class has no key in it
}

type newEscrow struct {
	keyring.Escrow
	w *escrow.Writer
}

func newEscrowSet(c *eraser, upTo uint64) *escrowSet {
	return &escrowSet{eraser: c, upTo: upTo, classes: map[string]*newEscrow{}}
}

func (s *escrowSet) add(class string, seq uint64, key record.Key) error {
	e := s.classes[class]
	if e == nil {
		var err error
		if e, err = s.begin(class); err != nil {
			return err
		}
		s.classes[class] = e
	}
	return e.w.Add(seq, key)
}

func (s *escrowSet) begin(class string) (*newEscrow, error) {
	c := s.eraser
	e := &newEscrow{Escrow: keyring.Escrow{Class: class, Seq: s.upTo}}
	for _, b := range [][]byte{e.File[:], e.Key[:]} {
		if _, err := io.ReadFull(c.log.opts.rand, b); err != nil {
			return nil, fmt.Errorf("read random bytes: %w", err)
		}
	}
	if err := vfs.MakeDir(c.log.opts.fs, c.log.escrowPath(), 0o755); err != nil {
		return nil, err
	}
	var err error
	e.w, err = escrow.Create(c.log.opts.fs, c.escrowName(e.File), class, (*[32]byte)(&e.Key))
	return e, err
}

// finish makes the escrows durable and enters them in the keyring; after an
// error it removes them. A class without any key to keep loses its escrow.
func (s *escrowSet) finish(err error) error {
	var all []keyring.Escrow
	some := false
	for class, e := range s.classes {
		switch {
		case e == nil:
			if _, ok, eerr := s.eraser.log.ring.Escrow(class); ok || eerr != nil {
				all, err = append(all, keyring.Escrow{Class: class, Seq: s.upTo}), errors.Join(err, eerr)
			}
		case err == nil:
			all, some = append(all, e.Escrow), true
			err = e.w.Close()
		default:
			err = errors.Join(err, e.w.Abandon())
		}
	}
	if err == nil && some {
		err = s.eraser.log.opts.fs.SyncDir(s.eraser.log.escrowPath())
	}
	if err != nil || len(all) == 0 {
		return err
	}
	return s.eraser.log.ring.SetEscrows(all...)
}

// keptSince returns a function that reports whether holds have kept a record at
// all times since an order: if none kept it then, or after a later release, its
// key is destroyed, and a hold that was placed afterwards does not restore it.
func (c *eraser) keptSince(ctx context.Context, order uint64) (func(*record.Record) bool, error) {
	var hs governance.Holds
	var keepers []func(*record.Record) bool
	begun := false
	add := func() error {
		keeps, err := c.keepers(hs.Active())
		keepers = append(keepers, keeps)
		return err
	}
	err := c.log.records.eachOwn(ctx, 0, holdTypes, func(r *record.Record) error {
		if !begun && r.Seq > order {
			begun = true
			if err := add(); err != nil {
				return err
			}
		}
		if err := hs.Take(r, r.State == record.Readable); err != nil {
			return err
		}
		if begun && r.Event.Type == event.HoldReleased {
			return add()
		}
		return nil
	})
	if err == nil && !begun {
		err = add()
	}
	return func(r *record.Record) bool {
		for _, keeps := range keepers {
			if !keeps(r) {
				return false
			}
		}
		return true
	}, err
}
