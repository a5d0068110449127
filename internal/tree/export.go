package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"audittrail/internal/vfs"
	"audittrail/tlog"

	"filippo.io/torchwood"
	xtlog "golang.org/x/mod/sumdb/tlog"
)

// Export writes the tree as the checkpoint has it to the folder out, in the
// layout of c2sp.org/tlog-tiles, for any static file server. What is there
// already is kept, so that an export can be interrupted, and brought up to date;
// the checkpoint comes last. A folder that holds another log, or a longer one, is
// refused. Files are compared byte by byte, and hence not synced one by one: if
// the machine stops, running it again makes the export whole.
//
// It calls progress, unless that is nil, with the number of tiles.
func (t *Tree) Export(ctx context.Context, out string, checkpoint []byte, progress func(done, total uint64)) error {
	c, err := tlog.ReadCheckpoint(checkpoint)
	if err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	if err := t.covers(c); err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	if err := t.continues(out, c); err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	e := &exporter{fs: t.fs, out: out, view: t.now.Load(), progress: progress}
	if err := e.tiles(ctx, c.Size); err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	if err := e.makeDir(out); err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	if err := vfs.WriteFile(t.fs, filepath.Join(out, checkpointName), checkpoint, filePerm); err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	return nil
}

// continues says why an export of c cannot go where an earlier one is.
func (t *Tree) continues(out string, c tlog.Checkpoint) error {
	signed, err := vfs.ReadFile(t.fs, filepath.Join(out, checkpointName), tlog.MaxCheckpoint)
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
	if err := t.covers(old); err != nil {
		return fmt.Errorf("%s holds another history of that log: %w", out, err)
	}
	return nil
}

// An exporter writes tiles as files.
type exporter struct {
	fs          vfs.FS
	out         string
	view        *view
	progress    func(done, total uint64)
	done, total uint64
	dir         string // the folder made last
	data, have  []byte // one tile, reused
	tb          tileBuffer
}

// tiles writes all tiles and entry bundles of a tree of that size.
func (e *exporter) tiles(ctx context.Context, size uint64) error {
	var counts [numFiles]uint64
	for i := range counts {
		counts[i] = uint64(length(i, size)) / hashSize
		e.total += (counts[i] + tileWidth - 1) / tileWidth
	}
	for i, n := range counts {
		for index := uint64(0); index*tileWidth < n; index++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := e.tile(i, index, int(min(n-index*tileWidth, tileWidth))); err != nil {
				return err
			}
		}
	}
	return nil
}

// tile writes one tile of file i, unless it is there.
func (e *exporter) tile(i int, index uint64, width int) error {
	var err error
	if e.data, err = e.view.tile(e.data[:0], i, index, width, &e.tb); err != nil {
		return err
	}
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
