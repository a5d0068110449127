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
// are computed from the entries, a sequence that can be iterated again, and
// must give the checkpoint's root. Existing files are kept, so that an export
// can be interrupted, continued and updated; the checkpoint is written last. A
// folder with another log, or a longer one, is refused. Files are compared byte
// by byte, and hence not synced one by one: if the machine stops, running it
// again makes the export whole.
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

// continues returns an error if an export of c cannot continue the earlier
// export in out.
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
		return fmt.Errorf("%s has a checkpoint that does not belong to a log: %w", out, err)
	case old.Origin != c.Origin:
		return fmt.Errorf("%s contains the log %q, not %q", out, old.Origin, c.Origin)
	case old.Size > c.Size:
		return fmt.Errorf("%s contains that log with size %d, which is more than %d", out, old.Size, c.Size)
	}
	rng, err := batches(ctx, old.Size, entries, new(batch), func() error { return nil })
	if err == nil && rng.Root() != old.Root {
		err = fmt.Errorf("checkpoint of size %d has root %v, the tree %v", old.Size, old.Root, rng.Root())
	}
	if err != nil {
		return fmt.Errorf("%s contains another history of that log: %w", out, err)
	}
	return nil
}

// An exporter writes tiles as files.
type exporter struct {
	fs          vfs.FS
	out         string
	progress    func(done, total uint64)
	done, total uint64
	dir         string           // the folder that was created last
	data, have  []byte           // one tile, reused
	rest        [numFiles][]byte // hashes that do not fill a tile yet
	next        [numFiles]uint64 // index of the tile that they belong to
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

// flush writes the tiles of file i that have at least width hashes.
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

// tile writes one tile of file i, unless it exists.
func (e *exporter) tile(i int, index uint64, hashes []byte) error {
	e.data = appendTile(e.data[:0], i, hashes)
	width := len(hashes) / hashSize
	// The level of the entries' file is -1 in xtlog as well.
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

// holds reports whether a file already contains the tile.
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

// write creates the tile's file atomically, so that a server never sees half of
// it.
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

// makeDir creates a folder, unless it is the one created last.
func (e *exporter) makeDir(dir string) error {
	if dir == e.dir {
		return nil
	}
	e.dir = dir
	return e.fs.MkdirAll(dir, dirPerm)
}
