package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"audittrail/internal/segment"
	"audittrail/internal/tombstone"
	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// A Keeper reads the archives of one log, and restores segments from them.
type Keeper struct {
	FS      vfs.FS
	Store   *segment.Store
	Origin  string
	Entries Entries
	Keys    []tlog.KeyPeriods // of the signers that can have signed a manifest
}

// Entries are the entries of a log's tree.
type Entries interface {
	// ReadEntries fills dst with the entries from one on.
	ReadEntries(ctx context.Context, from uint64, dst [][32]byte) error
}

// ErrForeign reports that an archive belongs to another log.
var ErrForeign = errors.New("the archive belongs to another log")

// Hashes yields the tree's entries of a range.
func (k *Keeper) Hashes(ctx context.Context, from, to uint64) iter.Seq2[[32]byte, error] {
	return func(yield func([32]byte, error) bool) {
		buf := make([][32]byte, 1<<12)
		for from < to {
			part := buf[:min(uint64(len(buf)), to-from)]
			if err := errors.Join(ctx.Err(), k.Entries.ReadEntries(ctx, from, part)); err != nil {
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

// Manifest reads the manifest of an archive in the folder place, verifies that
// a key of the log signed it, and returns it with its SHA-256.
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
	if _, err := tlog.OpenStatement(kind, b, k.since(m.First+m.Records), k.Origin); err != nil {
		return nil, [32]byte{}, fmt.Errorf("%s: %w: %w", path, ErrManifest, err)
	}
	if m.First != first {
		return nil, [32]byte{}, fmt.Errorf("%s: %w: it is of the segment of record %d", path, ErrManifest, m.First)
	}
	return m, sha256.Sum256(b), nil
}

// since returns the verifier keys that can have signed a manifest of a segment that
// ends at a size.
func (k *Keeper) since(size uint64) []string {
	var keys []string
	for _, eras := range k.Keys {
		keys = append(keys, eras.Since(size)...)
	}
	return keys
}

// Check reads the whole archive of a statement of the log, and compares it with
// the tree. If the archive does not exist, the error is fs.ErrNotExist.
func (k *Keeper) Check(ctx context.Context, s *tombstone.Statement) (*Manifest, error) {
	m, sum, err := k.Manifest(s.To, s.First)
	if err != nil {
		return nil, err
	}
	if m.Records != s.Records || sum != s.Manifest {
		return nil, damaged("%s is not the manifest that record %d names", name(s.To, s.First, manifestExt), s.Seq)
	}
	return m, unpack(ctx, k.FS, PackedFile(s.To, s.First), m, k.Hashes, io.Discard, nil)
}

// Lines yields the lines of an archive, without their LFs, each compared with
// the tree. A line is valid until the next one.
func (k *Keeper) Lines(ctx context.Context, s *tombstone.Statement) iter.Seq2[[]byte, error] {
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

// discard removes the files of an archive.
func (k *Keeper) discard(s *tombstone.Statement) error {
	if m, _, err := k.Manifest(s.To, s.First); err == nil && (m.Records != s.Records) || errors.Is(err, ErrForeign) {
		return nil // not this log's archive
	}
	for _, ext := range []string{packedExt, manifestExt} {
		if err := k.FS.Remove(name(s.To, s.First, ext)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove archive: %w", err)
		}
	}
	return k.FS.SyncDir(s.To)
}

// There reports whether the file with the lines of an archive exists.
func (k *Keeper) There(s *tombstone.Statement) bool { return k.exists(s, packedExt) }

// Left reports whether any file of an archive exists.
func (k *Keeper) Left(s *tombstone.Statement) bool {
	return k.exists(s, packedExt) || k.exists(s, manifestExt)
}

func (k *Keeper) exists(s *tombstone.Statement, ext string) bool {
	if s.To == "" {
		return false
	}
	_, err := k.FS.Stat(name(s.To, s.First, ext))
	return err == nil
}

// Restore restores a segment from its archive, which stays.
func (k *Keeper) Restore(ctx context.Context, s *tombstone.Statement) error {
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
	return nil // the segment has not left, or was restored
}
