package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"

	"filippo.io/torchwood"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// Export writes the tree over entries, as the checkpoint has it, to the folder out,
// in the layout of c2sp.org/tlog-tiles, for any static file server. The hashes
// follow from the entries, which can be gone over again, and must give the
// checkpoint's root. What is there already is kept, so that an export can be
// interrupted, and brought up to date; the checkpoint comes last. A folder that
// holds another log, or a longer one, is refused. Files are compared byte by byte,
// and hence not synced one by one: if the machine stops, running it again makes
// the export whole.
//
// It calls progress, unless that is nil, with the number of tiles.
func Export(ctx context.Context, fsys vfs.FS, out string, checkpoint []byte, entries iter.Seq2[[32]byte, error], progress func(done, total uint64)) error {
	c, err := tlog.ReadCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	if err := continues(ctx, fsys, out, c, entries); err != nil {
		return err
	}
	e := &exporter{fs: fsys, out: out, progress: progress}
	if err := e.tiles(ctx, c, entries); err != nil {
		return err
	}
	if err := e.makeDir(out); err != nil {
		return err
	}
	return vfs.WriteFile(fsys, filepath.Join(out, checkpointName), checkpoint, filePerm)
}

// continues says why an export of c cannot go where an earlier one is.
func continues(ctx context.Context, fsys vfs.FS, out string, c tlog.Checkpoint, entries iter.Seq2[[32]byte, error]) error {
	signed, err := vfs.ReadFile(fsys, filepath.Join(out, checkpointName), tlog.MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := tlog.ReadCheckpoint(signed)
	switch {
	case err != nil:
		return fmt.Errorf("%s has a checkpoint of something else: %w", out, err)
	case old.Origin != c.Origin:
		return fmt.Errorf("%s holds the log %q, not %q", out, old.Origin, c.Origin)
	case old.Size > c.Size:
		return fmt.Errorf("%s holds that log at size %d, which is more than %d", out, old.Size, c.Size)
	}
	rng, err := batches(ctx, old.Size, entries, new(batch), func() error { return nil })
	if err == nil && rng.Root() != old.Root {
		err = fmt.Errorf("checkpoint of size %d has root %v, the tree %v", old.Size, old.Root, rng.Root())
	}
	if err != nil {
		return fmt.Errorf("%s holds another history of that log: %w", out, err)
	}
	return nil
}

// An exporter writes tiles as files.
type exporter struct {
	fs          vfs.FS
	out         string
	progress    func(done, total uint64)
	done, total uint64
	dir         string           // the folder made last
	data, have  []byte           // one tile, reused
	rest        [numFiles][]byte // what is not a whole tile yet
	next        [numFiles]uint64 // index of the tile that it belongs to
}

// tiles writes all tiles and entry bundles of the tree that a checkpoint covers.
func (e *exporter) tiles(ctx context.Context, c tlog.Checkpoint, entries iter.Seq2[[32]byte, error]) error {
	for i := range e.next {
		e.total += (uint64(length(i, c.Size))/hashSize + tileWidth - 1) / tileWidth
	}
	b := new(batch)
	rng, err := batches(ctx, c.Size, entries, b, func() error {
		for i, more := range b.files {
			e.rest[i] = append(e.rest[i], more...)
			if err := e.flush(ctx, i, tileWidth); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if rng.Root() != c.Root {
		return fmt.Errorf("the checkpoint of size %d: %w", c.Size, ErrRoot)
	}
	for i := range e.rest {
		if err := e.flush(ctx, i, 1); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the tiles of file i for which there are so many hashes or more.
func (e *exporter) flush(ctx context.Context, i, width int) error {
	rest := e.rest[i]
	for len(rest) >= width*hashSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(rest), tileWidth*hashSize)
		if err := e.tile(i, e.next[i], rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
		e.next[i]++
	}
	e.rest[i] = append(e.rest[i][:0], rest...)
	return nil
}

// tile writes one tile of file i, unless it is there.
func (e *exporter) tile(i int, index uint64, hashes []byte) error {
	e.data = appendTile(e.data[:0], i, hashes)
	width := len(hashes) / hashSize
	// Of the entries' file, the level is -1 there as well.
	tile := xtlog.Tile{H: tileShift, L: i - firstLevel, N: int64(index), W: width}
	name := filepath.Join(e.out, filepath.FromSlash(torchwood.TilePath(tile)))
	same, err := e.holds(name)
	if err == nil && !same {
		err = e.write(name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	e.done++
	if e.progress != nil {
		e.progress(e.done, e.total)
	}
	return nil
}

// holds tells whether a file is the tile already.
func (e *exporter) holds(name string) (same bool, err error) {
	f, err := e.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil || size != int64(len(e.data)) {
		return false, err
	}
	e.have = append(e.have[:0], e.data...)
	if err := readFull(f, name, e.have, 0); err != nil {
		return false, err
	}
	return bytes.Equal(e.have, e.data), nil
}

// write puts the tile under a name at once, so that a server never sees half.
func (e *exporter) write(name string) error {
	if err := e.makeDir(filepath.Dir(name)); err != nil {
		return err
	}
	tmp := name + ".tmp"
	f, err := vfs.CreateNew(e.fs, tmp, filePerm)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(e.data, 0)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return e.fs.Rename(tmp, name)
}

// makeDir makes a folder, unless it is the one made last.
func (e *exporter) makeDir(dir string) error {
	if dir == e.dir {
		return nil
	}
	e.dir = dir
	return e.fs.MkdirAll(dir, dirPerm)
}
