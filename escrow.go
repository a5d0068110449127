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
	"sync"

	"audittrail/internal/barrier"
	"audittrail/internal/content"
	"audittrail/internal/escrow"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

// escrowDir holds the keys of records that a hold keeps beyond their class.
const escrowDir = "escrow"

func (l *Log) escrowName(id keyring.FileID) string {
	return filepath.Join(l.dir, escrowDir, hex.EncodeToString(id[:]))
}

// escrows are the open files of escrows, by class.
type escrows struct {
	mu   sync.Mutex // guards the map; a file may be read without
	open map[string]openEscrow
}

type openEscrow struct {
	id   keyring.FileID
	file *escrow.File
}

func (es *escrows) close() error {
	es.mu.Lock()
	defer es.mu.Unlock()
	var errs []error
	for _, e := range es.open {
		errs = append(errs, e.file.Close())
	}
	es.open = nil
	return errors.Join(errs...)
}

// keyOf finds the key to a record's content, or why there is none.
func (l *Log) keyOf(r *record.Record) (record.Key, State, error) {
	if l.ring == nil {
		return record.Key{}, Sealed, nil
	}
	prk, state, err := l.opening(r.Subject, r.Class)
	switch {
	case err != nil:
		return record.Key{}, Readable, err
	case state == Expired:
		return l.escrowed(r)
	case state != Readable:
		return record.Key{}, state, nil
	}
	key, err := r.KeyFrom(prk)
	return key, Readable, err
}

// opening finds the key of the records about a subject in a class, or says why
// there is none: in the keyring's words or in a guard's, whoever has heard of
// more.
func (l *Log) opening(s record.Subject, class string) (record.PRK, State, error) {
	refused, err := l.refused(s, class)
	if err != nil || refused == Erased {
		return record.PRK{}, refused, err
	}
	prk, err := l.ring.ForOpening(s, class)
	state, absent := content.StateOf(err)
	switch {
	case absent && state == Erased, refused == Readable && absent:
		return prk, state, nil
	case refused == Expired:
		return record.PRK{}, Expired, nil
	}
	return prk, Readable, err
}

// escrowed finds the key of a record whose class has expired, if a hold keeps
// it.
func (l *Log) escrowed(r *record.Record) (record.Key, State, error) {
	e, ok, err := l.ring.Escrow(r.Class)
	if err != nil || !ok {
		return record.Key{}, Expired, err
	}
	key, ok, err := l.fromEscrow(&e, r.Seq)
	if errors.Is(err, fs.ErrNotExist) {
		return record.Key{}, Lost, nil
	}
	if err != nil || !ok {
		return record.Key{}, Expired, err
	}
	kept, err := l.stillHeld(&e, r)
	if err != nil || !kept {
		return record.Key{}, Expired, err
	}
	return key, Readable, nil
}

// fromEscrow reads one key.
func (l *Log) fromEscrow(e *keyring.Escrow, seq uint64) (record.Key, bool, error) {
	l.escrows.mu.Lock()
	defer l.escrows.mu.Unlock()
	o, ok := l.escrows.open[e.Class]
	if !ok || o.id != e.File {
		file, err := escrow.Open(l.opts.fs, l.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
		if err != nil {
			return record.Key{}, false, err
		}
		if ok {
			_ = o.file.Close() // only read from: nothing to lose
		}
		if l.escrows.open == nil {
			l.escrows.open = map[string]openEscrow{}
		}
		o = openEscrow{e.File, file}
		l.escrows.open[e.Class] = o
	}
	return o.file.Find(seq)
}

// stillHeld tells whether a hold keeps a record that is in an escrow. That is
// so, unless a hold was released since the escrow was made, and the keyring has
// not heard of it.
func (l *Log) stillHeld(e *keyring.Escrow, r *record.Record) (bool, error) {
	if l.lock != nil {
		return true, nil // a release is carried out before anybody reads
	}
	kept := true
	var active []Hold
	err := l.knownHolds(context.Background(), func(hs *barrier.Holds) {
		if hs.Released() > e.Seq {
			kept = false
			active = hs.Active()
		}
	})
	if err != nil || kept {
		return kept, err
	}
	keeps, err := l.keepers(active)
	return err == nil && keeps(r), err
}

// keepers returns a function that tells whether one of the holds keeps a
// record.
func (l *Log) keepers(active []Hold) (func(*record.Record) bool, error) {
	users := make([]string, 0, len(active))
	for _, h := range active {
		users = append(users, h.User)
	}
	subjects, err := l.living(users)
	return func(r *record.Record) bool {
		return slices.ContainsFunc(active, func(h Hold) bool {
			return h.Matches(r, func(user string) bool {
				s, ok := subjects[user]
				return ok && s == r.Subject
			})
		})
	}, err
}

// escrow puts aside the keys of those records that are held, of the classes
// that a doom is about to destroy.
func (l *Log) escrow(ctx context.Context, d *doom) error {
	if len(d.Classes) == 0 {
		return nil
	}
	var active []Hold
	var upTo uint64
	if err := l.readHolds(ctx, func(hs *barrier.Holds) { active, upTo = hs.Active(), hs.Released() }); err != nil {
		return err
	}
	living, err := l.ring.Classes()
	if err != nil {
		return err
	}
	out := newEscrowSet(l, upTo)
	for _, c := range d.Classes {
		if slices.Contains(living, c) && slices.ContainsFunc(active, func(h Hold) bool { return h.Reaches(c) }) {
			out.classes[c] = nil
		}
	}
	if len(out.classes) == 0 {
		return nil
	}
	keeps, err := l.keepers(active)
	if err != nil {
		return err
	}
	err = l.left.Scan(ctx, 0, l.store.Size(), func(_, class []byte) bool {
		_, ok := out.classes[string(class)]
		return ok
	}, func(r *record.Record) error {
		if !keeps(r) {
			return nil
		}
		prk, err := l.ring.ForOpening(r.Subject, r.Class)
		if _, absent := content.StateOf(err); absent {
			return nil
		}
		if err != nil {
			return err
		}
		key, err := r.KeyFrom(prk)
		if err != nil {
			return err
		}
		return out.add(r.Class, r.Seq, key)
	})
	return out.finish(err)
}

// countHeld counts the records from a sequence number on that are in escrow, and
// says which escrows cannot be read.
func (l *Log) countHeld(from uint64) (held uint64, missing []string) {
	all, err := l.ring.Escrows()
	if err != nil {
		return 0, []string{fmt.Sprintf("what is held: %v", err)}
	}
	for _, e := range all {
		file, err := escrow.Open(l.opts.fs, l.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
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
			missing = append(missing, fmt.Sprintf("what is held of class %s: %v", e.Class, err))
		}
	}
	return held, missing
}

// settleEscrows lets go of what is in escrow, and no hold keeps any more.
func (l *Log) settleEscrows(ctx context.Context) error {
	all, err := l.ring.Escrows()
	if err != nil || len(all) == 0 {
		return err
	}
	var active []Hold
	var upTo uint64
	if err := l.readHolds(ctx, func(hs *barrier.Holds) { active, upTo = hs.Active(), hs.Released() }); err != nil {
		return err
	}
	keeps, err := l.keepers(active)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Seq < upTo {
			if err := l.settleEscrow(ctx, &e, keeps, upTo); err != nil {
				return fmt.Errorf("let go of what is held no more in class %s: %w", e.Class, err)
			}
		}
	}
	return nil
}

func (l *Log) settleEscrow(ctx context.Context, e *keyring.Escrow, keeps func(*record.Record) bool, upTo uint64) error {
	old, err := escrow.Open(l.opts.fs, l.escrowName(e.File), e.Class, (*[32]byte)(&e.Key))
	if errors.Is(err, fs.ErrNotExist) {
		l.opts.Logger.Warn("what a hold kept is gone: its escrow is not there", slog.String("class", e.Class))
		return l.ring.SetEscrows(keyring.Escrow{Class: e.Class, Seq: upTo})
	}
	if err != nil {
		return err
	}
	out := newEscrowSet(l, upTo)
	out.classes[e.Class] = nil
	lines := l.left.Cursor()
	defer lines.Close()
	err = old.Each(func(seq uint64, key record.Key) error {
		line, err := lines.Line(ctx, seq)
		if dropped := new(DroppedError); errors.As(err, &dropped) {
			return nil // nobody reads it again
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
	// Its key is gone: that the file goes, too, is for tidiness.
	if err := l.opts.fs.Remove(l.escrowName(e.File)); err != nil {
		l.opts.Logger.Warn("remove an escrow that nothing opens any more", slog.Any("error", err))
	}
	return nil
}

// An escrowSet is new escrows of classes that are being written.
type escrowSet struct {
	log     *Log
	upTo    uint64
	classes map[string]*newEscrow // nil as long as nothing is in it
}

type newEscrow struct {
	keyring.Escrow
	w *escrow.Writer
}

func newEscrowSet(l *Log, upTo uint64) *escrowSet {
	return &escrowSet{log: l, upTo: upTo, classes: map[string]*newEscrow{}}
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
	l := s.log
	e := &newEscrow{Escrow: keyring.Escrow{Class: class, Seq: s.upTo}}
	for _, b := range [][]byte{e.File[:], e.Key[:]} {
		if _, err := io.ReadFull(l.opts.rand, b); err != nil {
			return nil, fmt.Errorf("read random bytes: %w", err)
		}
	}
	if err := vfs.MakeDir(l.opts.fs, filepath.Join(l.dir, escrowDir), 0o755); err != nil {
		return nil, err
	}
	var err error
	e.w, err = escrow.Create(l.opts.fs, l.escrowName(e.File), class, (*[32]byte)(&e.Key))
	return e, err
}

// finish makes the escrows durable and puts them in force; after an error it
// takes them back. A class for which there is nothing loses its escrow.
func (s *escrowSet) finish(err error) error {
	var all []keyring.Escrow
	some := false
	for class, e := range s.classes {
		switch {
		case e == nil:
			if _, ok, eerr := s.log.ring.Escrow(class); ok || eerr != nil {
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
		err = s.log.opts.fs.SyncDir(filepath.Join(s.log.dir, escrowDir))
	}
	if err != nil || len(all) == 0 {
		return err
	}
	return s.log.ring.SetEscrows(all...)
}
