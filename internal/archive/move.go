package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"audittrail/internal/segment"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
)

// ErrNotWhole reports that a segment cannot leave the log yet.
var ErrNotWhole = errors.New("the segment is still being written to, or not signed yet")

// ManifestKind is the kind of the manifest's statement.
const ManifestKind = kind

// A Move is the removal of a segment from the log. Between its steps the log
// signs the manifest, and records the statement:
//
//  1. Archive writes the archive; the log signs the lines of its manifest; Prove
//     reads the archive back. Drop has no such step.
//  2. The log records Statement, unless it is nil, and signs a checkpoint that
//     covers the record.
//  3. Complete removes the lines.
//
// After a crash between two steps, repeating all of them finishes the move.
type Move struct {
	// Statement is the statement that the log must record before any file is
	// removed; nil if it has recorded it already.
	Statement *tombstone.Statement

	keeper   *Keeper
	place    string
	manifest *Manifest
	maker    *tombstone.Builder
	first    uint64
	discard  *tombstone.Statement // of the archive to be removed, or nil
}

// whole finds a segment whose lines are all among the first signed records.
func (k *Keeper) whole(first, signed uint64) (segment.Info, error) {
	infos, err := k.Store.Segments()
	if err != nil {
		return segment.Info{}, err
	}
	for i, g := range infos {
		switch {
		case g.First != first:
		case i == len(infos)-1, g.Gone == nil && g.First+g.Records >= signed:
			return g, ErrNotWhole
		default:
			return g, nil
		}
	}
	return segment.Info{}, fmt.Errorf("no segment begins with record %d", first)
}

// take reads the lines of a segment, compares them with the tree, and adds them
// to the tombstone.
func (k *Keeper) take(ctx context.Context, g segment.Info, maker *tombstone.Builder, use func(line []byte) bool) error {
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

// Archive begins to move a segment to the folder place. signed is the number of
// records that the log has signed. It returns nil if the segment has left the
// log.
func (k *Keeper) Archive(ctx context.Context, first uint64, place string, signed uint64) (*Move, error) {
	g, err := k.whole(first, signed)
	if err != nil || g.Gone != nil {
		return nil, err
	}
	if place == "" || !filepath.IsAbs(place) {
		return nil, fmt.Errorf("archive folder %q: use an absolute path", place)
	}
	if _, _, err := k.Manifest(place, first); errors.Is(err, ErrForeign) {
		return nil, err // another log's archive is never overwritten
	}
	// The folder is not created: if a disk is not mounted, the archive would be
	// written to the log's own disk.
	if _, err := k.FS.Stat(place); err != nil {
		return nil, fmt.Errorf("open the archive folder, which must exist: %w", err)
	}
	m := &Move{keeper: k, place: place, first: first, manifest: &Manifest{Origin: k.Origin}, maker: new(tombstone.Builder)}
	err = pack(k.FS, PackedFile(place, first), m.manifest, func(yield func([]byte, error) bool) {
		if err := k.take(ctx, g, m.maker, func(line []byte) bool { return yield(line, nil) }); err != nil {
			yield(nil, err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("write archive: %w", err)
	}
	h := m.maker.Header()
	m.manifest.First, m.manifest.Records, m.manifest.Last = h.First, h.Records, m.maker.Last().Hash
	m.manifest.FirstLogged, m.manifest.LastLogged = h.FirstLogged, h.LastLogged
	if h.First > 0 {
		var before [1][32]byte
		if err := k.Entries.ReadEntries(ctx, h.First-1, before[:]); err != nil {
			return nil, err
		}
		m.manifest.Before = before[0]
	}
	return m, nil
}

// Manifest returns the lines of the statement that is to be signed.
func (m *Move) Manifest() []string { return m.manifest.lines() }

// Prove writes the signed manifest, reads the whole archive, and writes the
// tombstone. said is the log's statement about the segment from an earlier try,
// or nil.
func (m *Move) Prove(ctx context.Context, signed []byte, reason string, said *tombstone.Statement) error {
	k := m.keeper
	if err := vfs.WriteFile(k.FS, name(m.place, m.first, manifestExt), signed, 0o600); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	s := tombstone.Statement{First: m.first, Records: m.manifest.Records, Manifest: sha256.Sum256(signed), To: m.place, Reason: reason}
	if _, err := k.Check(ctx, &s); err != nil {
		return fmt.Errorf("the archive differs from the segment; nothing was removed: %w", err)
	}
	return m.leave(s, said)
}

// leave writes the tombstone of a segment, and finds out whether the log has to
// record the statement.
func (m *Move) leave(s tombstone.Statement, said *tombstone.Statement) error {
	b, err := m.maker.Bytes()
	if err != nil {
		return err
	}
	s.Tombstone, s.Classes = sha256.Sum256(b), m.maker.Classes()
	if err := m.keeper.Store.PutTombstone(s.First, b); err != nil {
		return err
	}
	if said == nil || said.Dropped != s.Dropped || said.Tombstone != s.Tombstone || said.Manifest != s.Manifest || said.To != s.To {
		m.Statement = &s
	}
	return nil
}

// Drop begins to remove a segment, or its archive if it was archived; its
// tombstone stays. said is the log's statement about the segment. It returns
// nil if nothing is left to remove.
func (k *Keeper) Drop(ctx context.Context, first uint64, reason string, signed uint64, said *tombstone.Statement) (*Move, error) {
	g, err := k.whole(first, signed)
	if err != nil {
		return nil, err
	}
	if g.Gone == nil {
		m := &Move{keeper: k, first: first, maker: new(tombstone.Builder)}
		if err := k.take(ctx, g, m.maker, func([]byte) bool { return true }); err != nil {
			return nil, err
		}
		return m, m.leave(tombstone.Statement{Dropped: true, First: g.First, Records: g.Records, Reason: reason}, said)
	}
	if said == nil {
		return nil, fmt.Errorf("the log does not say where the segment of record %d went; run verify", first)
	}
	if said.To == "" {
		return nil, nil // dropped, and without an archive
	}
	m := &Move{keeper: k, first: first, discard: said}
	if !said.Dropped {
		// An archive that cannot be found now may be available later.
		if _, err := k.FS.Stat(PackedFile(said.To, said.First)); err != nil {
			return nil, fmt.Errorf("reach the archive: %w", err)
		}
		s := *said
		s.Dropped, s.Reason = true, reason
		m.Statement = &s
	}
	return m, nil
}

// Complete removes the lines from the log, or the files of an archive that was
// dropped.
func (m *Move) Complete() error {
	if m.discard != nil {
		return m.keeper.discard(m.discard)
	}
	return m.keeper.Store.Leave(m.first)
}
