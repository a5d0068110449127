package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"

	"audittrail/internal/remnant"
	"audittrail/internal/segment"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// A Keeper is what it takes to move the segments of one log.
type Keeper struct {
	FS     vfs.FS
	Store  *segment.Store
	Origin string
	// Entries fills dst with the tree's entries from one on.
	Entries func(from uint64, dst [][32]byte) error
	// Keys are the verifier keys that can have signed a manifest of a segment
	// that ends at that size.
	Keys func(size uint64) []string

	// The rest is for a writer.

	Sign func(kind string, lines ...string) ([]byte, error)
	// Say records a statement, and returns when a signed checkpoint covers it.
	Say func(ctx context.Context, s remnant.Statement) error
	// Signed is the size of the newest checkpoint.
	Signed func(ctx context.Context) (uint64, error)
}

// ErrNotWhole means that a segment cannot leave yet.
var ErrNotWhole = errors.New("the segment is still being written to, or not signed yet")

// ErrForeign means that an archive is another log's.
var ErrForeign = errors.New("another log's archive is there")

// Hashes yields the tree's entries of a range.
func (k *Keeper) Hashes(ctx context.Context, from, to uint64) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		buf := make([][32]byte, 1<<12)
		for from < to {
			part := buf[:min(uint64(len(buf)), to-from)]
			if err := errors.Join(ctx.Err(), k.Entries(from, part)); err != nil {
				yield([32]byte{}, err)
				return
			}
			for _, h := range part {
				if !yield(h, nil) {
					return
				}
			}
			from += uint64(len(part))
		}
	}
}

// Manifest reads the manifest of an archive in a place, verifies that a key of
// the log signed it, and returns it with its SHA-256.
func (k *Keeper) Manifest(place string, first uint64) (*Manifest, [32]byte, error) {
	path := name(place, first, manifestExt)
	b, err := vfs.ReadFile(k.FS, path, tlog.MaxStatement)
	if err != nil {
		return nil, [32]byte{}, err
	}
	m, err := ReadManifest(b)
	if err != nil {
		return nil, [32]byte{}, fmt.Errorf("%s: %w", path, err)
	}
	if m.Origin != k.Origin {
		return nil, [32]byte{}, fmt.Errorf("%s: %w: that of %s", path, ErrForeign, m.Origin)
	}
	if _, err := tlog.OpenStatement(kind, b, k.Keys(m.First+m.Records), k.Origin); err != nil {
		return nil, [32]byte{}, fmt.Errorf("%s: %w: %w", path, ErrManifest, err)
	}
	if m.First != first {
		return nil, [32]byte{}, fmt.Errorf("%s: %w: it is of the segment of record %d", path, ErrManifest, m.First)
	}
	return m, sha256.Sum256(b), nil
}

// Check reads an archive that the log speaks of to its end, and holds it
// against the tree. What is not there is fs.ErrNotExist.
func (k *Keeper) Check(ctx context.Context, s *remnant.Statement) (*Manifest, error) {
	m, sum, err := k.Manifest(s.To, s.First)
	if err != nil {
		return nil, err
	}
	if m.Records != s.Records || sum != s.Manifest {
		return nil, damaged("%s is not the manifest that record %d names", name(s.To, s.First, manifestExt), s.Seq)
	}
	return m, unpack(ctx, k.FS, PackedFile(s.To, s.First), m, k.Hashes, io.Discard, nil)
}

// Lines yields the lines of an archive, without their LFs, each held against the
// tree. A line is valid until the next one.
func (k *Keeper) Lines(ctx context.Context, s *remnant.Statement) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		m, _, err := k.Manifest(s.To, s.First)
		if err == nil && m.Records != s.Records {
			err = damaged("%s is of %d records, record %d says %d", name(s.To, s.First, manifestExt), m.Records, s.Seq, s.Records)
		}
		if err == nil {
			err = unpack(ctx, k.FS, PackedFile(s.To, s.First), m, k.Hashes, io.Discard, func(line []byte) bool { return yield(line, nil) })
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// segment finds a whole segment whose lines are here.
func (k *Keeper) segment(ctx context.Context, first uint64) (segment.Info, error) {
	infos, err := k.Store.Segments()
	if err != nil {
		return segment.Info{}, err
	}
	for i, g := range infos {
		switch {
		case g.First != first:
		case i == len(infos)-1:
			return g, ErrNotWhole
		default:
			signed, err := k.Signed(ctx)
			if err == nil && g.Gone == nil && g.First+g.Records >= signed {
				err = ErrNotWhole
			}
			return g, err
		}
	}
	return segment.Info{}, fmt.Errorf("no segment begins with record %d", first)
}

// take reads the lines of a segment, holds them against the tree, and makes
// what is to stay of them.
func (k *Keeper) take(ctx context.Context, g segment.Info, maker *remnant.Maker, use func(line []byte) bool) error {
	next, stop := iter.Pull2(k.Hashes(ctx, g.First, g.First+g.Records))
	defer stop()
	for line, err := range k.Store.Lines(ctx, g.First, g.First+g.Records) {
		if err != nil {
			return err
		}
		if err := maker.Add(line); err != nil {
			return err
		}
		want, err, _ := next()
		if err != nil {
			return err
		}
		if maker.Last().Hash != want {
			return fmt.Errorf("record %d is not the one that was signed; run verify", maker.Last().Seq)
		}
		if !use(line) {
			return nil
		}
	}
	if h := maker.Header(); h.First != g.First || h.Records != g.Records {
		return fmt.Errorf("the segment has %d records, and %d of them were found", g.Records, h.Records)
	}
	return nil
}

// Archive moves a segment to a place. said is what the log says of it already,
// after an earlier try, or nil.
func (k *Keeper) Archive(ctx context.Context, first uint64, place, reason string, said *remnant.Statement) error {
	g, err := k.segment(ctx, first)
	if err != nil {
		return err
	}
	if g.Gone != nil {
		return nil // it has left
	}
	if place == "" || !filepath.IsAbs(place) {
		return fmt.Errorf("the place %q is not an absolute path", place)
	}
	maker := new(remnant.Maker)
	m := &Manifest{Origin: k.Origin}
	if _, _, err := k.Manifest(place, first); errors.Is(err, ErrForeign) {
		return err // never put over it
	}
	// It is not made: where a disk is not mounted, the archive would end up
	// beside the log.
	if _, err := k.FS.Stat(place); err != nil {
		return fmt.Errorf("reach the place of the archive, which must be there: %w", err)
	}
	err = pack(k.FS, PackedFile(place, first), m, func(yield func([]byte, error) bool) {
		if err := k.take(ctx, g, maker, func(line []byte) bool { return yield(line, nil) }); err != nil {
			yield(nil, err)
		}
	})
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return k.finish(ctx, place, reason, m, maker, said)
}

// finish signs for an archive, proves it, and lets the lines leave.
func (k *Keeper) finish(ctx context.Context, place, reason string, m *Manifest, maker *remnant.Maker, said *remnant.Statement) error {
	h := maker.Header()
	m.First, m.Records, m.FirstLogged, m.LastLogged, m.Last = h.First, h.Records, h.FirstLogged, h.LastLogged, maker.Last().Hash
	if h.First > 0 {
		var before [1][32]byte
		if err := k.Entries(h.First-1, before[:]); err != nil {
			return err
		}
		m.Before = before[0]
	}
	signed, err := k.Sign(kind, m.lines()...)
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(k.FS, name(place, h.First, manifestExt), signed, 0o600); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	s := remnant.Statement{First: h.First, Records: h.Records, Manifest: sha256.Sum256(signed), To: place, Reason: reason}
	if _, err := k.Check(ctx, &s); err != nil {
		return fmt.Errorf("the archive is not what was written; nothing was removed: %w", err)
	}
	return k.leave(ctx, s, maker, said)
}

// leave puts down what stays of a segment, says so, and removes its lines.
func (k *Keeper) leave(ctx context.Context, s remnant.Statement, maker *remnant.Maker, said *remnant.Statement) error {
	b, err := maker.Bytes()
	if err != nil {
		return err
	}
	s.Remnant, s.Classes = sha256.Sum256(b), maker.Classes()
	if err := k.Store.PutRemnant(s.First, b); err != nil {
		return err
	}
	if said == nil || said.Dropped != s.Dropped || said.Remnant != s.Remnant || said.Manifest != s.Manifest || said.To != s.To {
		if err := k.Say(ctx, s); err != nil {
			return err
		}
	}
	return k.Store.Leave(s.First)
}

// Drop removes a segment, or its archive if it was archived: what stays is its
// remnant. said is what the log says of it.
func (k *Keeper) Drop(ctx context.Context, first uint64, reason string, said *remnant.Statement) error {
	g, err := k.segment(ctx, first)
	if err != nil {
		return err
	}
	if g.Gone == nil {
		maker := new(remnant.Maker)
		if err := k.take(ctx, g, maker, func([]byte) bool { return true }); err != nil {
			return err
		}
		return k.leave(ctx, remnant.Statement{Dropped: true, First: g.First, Records: g.Records, Reason: reason}, maker, said)
	}
	if said == nil {
		return fmt.Errorf("the log does not say where the segment of record %d went; run verify", first)
	}
	if said.To == "" {
		return nil // dropped, and no archive of it
	}
	if !said.Dropped {
		// What is not there now may be there again tomorrow.
		if _, err := k.FS.Stat(PackedFile(said.To, said.First)); err != nil {
			return fmt.Errorf("reach the archive: %w", err)
		}
		s := *said
		s.Dropped, s.Reason = true, reason
		if err := k.Say(ctx, s); err != nil {
			return err
		}
	}
	return k.discard(said)
}

// discard removes the files of an archive.
func (k *Keeper) discard(s *remnant.Statement) error {
	if m, _, err := k.Manifest(s.To, s.First); err == nil && (m.Records != s.Records) || errors.Is(err, ErrForeign) {
		return nil // not ours
	}
	for _, ext := range []string{packedExt, manifestExt} {
		if err := k.FS.Remove(name(s.To, s.First, ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove archive: %w", err)
		}
	}
	return k.FS.SyncDir(s.To)
}

// There tells whether the lines of an archive are where they should be.
func (k *Keeper) There(s *remnant.Statement) bool { return k.exists(s, packedExt) }

// Left tells whether any file of an archive is there.
func (k *Keeper) Left(s *remnant.Statement) bool {
	return k.exists(s, packedExt) || k.exists(s, manifestExt)
}

func (k *Keeper) exists(s *remnant.Statement, ext string) bool {
	if s.To == "" {
		return false
	}
	_, err := k.FS.Stat(name(s.To, s.First, ext))
	return err == nil
}

// Restore brings a segment back from its archive, which stays.
func (k *Keeper) Restore(ctx context.Context, s *remnant.Statement) error {
	infos, err := k.Store.Segments()
	if err != nil {
		return err
	}
	for _, g := range infos {
		if g.First != s.First || g.Gone == nil {
			continue
		}
		m, _, err := k.Manifest(s.To, s.First)
		if err != nil {
			return err
		}
		if m.Records != g.Records {
			return damaged("%s is of %d records, %d have left", name(s.To, s.First, manifestExt), m.Records, g.Records)
		}
		if err := restore(ctx, k.FS, PackedFile(s.To, s.First), g.File, m, k.Hashes); err != nil {
			return err
		}
		return k.Store.Return(s.First)
	}
	return nil // it is here
}
