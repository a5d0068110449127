package index

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"audittrail/internal/canonical"
	"audittrail/internal/index/block"
	"audittrail/internal/vfs"
	"audittrail/keyring"
	"audittrail/record"
)

const (
	manifestName = "manifest"
	blockExt     = ".block"
	tmpExt       = ".tmp"
	manifestMax  = 1 << 20
	manifestV    = 1
	maxBlocks    = 4096
)

// A manifest lists the blocks. It is one line of JSON with its members in this
// order.
type manifest struct {
	V      int     `json:"v"`
	Origin string  `json:"origin"`
	Blocks []entry `json:"blocks"`
}

type entry struct {
	ID    string `json:"id"` // 32 hexadecimal digits
	First uint64 `json:"first"`
	Rows  int    `json:"rows"`
}

func (m *manifest) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	return append(b, '\n'), err
}

var errManifest = errors.New("invalid index manifest")

// parseManifest decodes the one encoding that encode returns, and refuses
// others.
func parseManifest(b []byte) (*manifest, error) {
	m := new(manifest)
	if err := canonical.Decode(b, m, (*manifest).encode); err != nil {
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	if m.Blocks == nil || len(m.Blocks) > maxBlocks {
		return nil, errManifest
	}
	if m.V != manifestV {
		return nil, fmt.Errorf("the manifest is of version %d; this program reads version %d", m.V, manifestV)
	}
	next := uint64(0)
	for _, e := range m.Blocks {
		id, err := hex.DecodeString(e.ID)
		if err != nil || len(id) != len(keyOf{}) || e.ID != hex.EncodeToString(id) ||
			e.First < next || e.Rows <= 0 || e.Rows > block.MaxRows {
			return nil, errManifest
		}
		next = e.First + uint64(e.Rows)
	}
	return m, nil
}

// An openBlock is a block with its file. The file is closed when the block was
// dropped and its last reader has finished.
type openBlock struct {
	*block.Block
	id    keyOf
	file  vfs.File
	bytes int64

	mu      sync.Mutex // guards both below
	refs    int
	dropped bool
}

func (b *openBlock) acquire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refs++
}

func (b *openBlock) release() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refs--
	return b.closeUnused()
}

func (b *openBlock) drop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropped = true
	return b.closeUnused()
}

func (b *openBlock) closeUnused() error {
	if !b.dropped || b.refs > 0 || b.file == nil {
		return nil
	}
	b.Close()
	f := b.file
	b.file = nil
	return f.Close()
}

// Bytes returns the total size of the block files.
func (x *Index) Bytes() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := int64(0)
	for _, b := range x.blocks {
		n += b.bytes
	}
	return n
}

func (x *Index) path(id keyOf) string {
	return filepath.Join(x.dir, hex.EncodeToString(id[:])+blockExt)
}

// open opens the block of an entry of the manifest.
func (x *Index) open(e entry) (*openBlock, error) {
	raw, err := hex.DecodeString(e.ID)
	if err != nil {
		return nil, err
	}
	id := keyOf(raw)
	key, err := x.fileKey(id)
	if err != nil {
		return nil, err
	}
	f, err := x.o.FS.Open(x.path(id))
	if err != nil {
		return nil, fmt.Errorf("open index block: %w", err)
	}
	size, err := f.Size()
	var b *block.Block
	if err == nil {
		b, err = block.Open(f, size, key, x.cache)
	}
	if err == nil && (b.Origin() != x.log.Origin() || b.First() != e.First || b.Rows() != e.Rows) {
		err = fmt.Errorf("open index block: %w: the block is of another log or another range of records", block.ErrDamaged)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &openBlock{Block: b, id: id, file: f, bytes: size}, nil
}

// load reads the manifest and opens those of its blocks that are not open yet.
// Blocks that cannot be read are left out. It is called with mu held, or before
// x is shared.
func (x *Index) load() error {
	text, err := vfs.ReadFile(x.o.FS, filepath.Join(x.dir, manifestName), manifestMax)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return x.use(nil, "")
	case errors.Is(err, vfs.ErrTooLarge):
		text = []byte("too large")
	case err != nil:
		return err
	}
	if string(text) == x.manifest {
		return nil
	}
	m, err := parseManifest(text)
	if err == nil && m.Origin != x.log.Origin() {
		err = errors.New("the manifest is of another log")
	}
	if err != nil {
		x.renewing(err)
		return x.use(nil, string(text))
	}
	return x.use(m.Blocks, string(text))
}

// use makes the blocks of a manifest those of x.
func (x *Index) use(entries []entry, text string) error {
	open := make(map[string]*openBlock)
	for _, b := range x.blocks {
		open[hex.EncodeToString(b.id[:])] = b
	}
	x.blocks, x.manifest = nil, text
	for _, e := range entries {
		b := open[e.ID]
		delete(open, e.ID)
		if b == nil {
			var err error
			if b, err = x.open(e); err != nil {
				x.renewing(err)
				continue
			}
		}
		x.blocks = append(x.blocks, b)
	}
	var errs []error
	for _, b := range open {
		errs = append(errs, b.drop())
	}
	for n := len(x.blocks); n > 0 && !x.follows(x.blocks[n-1]); n-- {
		x.renewing(errOtherEnd)
		errs = append(errs, x.blocks[n-1].drop())
		x.blocks = x.blocks[:n-1]
	}
	return errors.Join(errs...)
}

var errOtherEnd = errors.New("the index has records that the log does not have: the end of the log was cut off and replaced")

// follows reports whether the log has the last record of a block. Since records
// are chained, the log then has the block's earlier records, too.
func (x *Index) follows(b *openBlock) bool {
	want := b.Last()
	if want == (record.Hash{}) {
		return true
	}
	return x.log.Has(context.Background(), end(b)-1, want)
}

// renewing logs that part of the index has to be built again. It logs nothing
// in a reader whose block was replaced meanwhile, or is of another version:
// both are normal.
func (x *Index) renewing(err error) {
	var other *block.VersionError
	isOther := errors.As(err, &other)
	if x.mended || !x.o.Write && (isOther || errors.Is(err, fs.ErrNotExist) || errors.Is(err, keyring.ErrLost)) {
		return
	}
	x.mended = true
	if isOther {
		x.o.Logger.Info("the format of the index has changed; the index is built again from the log")
		return
	}
	what := "part of the index cannot be used; that part is built again from the log"
	if !x.o.Write {
		what = "part of the index cannot be used; the log is read instead, and the next writer builds that part again"
	}
	x.o.Logger.Warn(what, slog.Any("error", err))
}

// sweep removes files and keys that belong to no block of the manifest, such as
// those that a crash left.
func (x *Index) sweep() error {
	names, err := x.o.FS.ReadDir(x.dir)
	if err != nil {
		return err
	}
	used := func(hexID string) bool {
		return slices.ContainsFunc(x.blocks, func(b *openBlock) bool { return hex.EncodeToString(b.id[:]) == hexID })
	}
	for _, name := range names {
		id, isBlock := strings.CutSuffix(name, blockExt)
		if strings.HasSuffix(name, tmpExt) || isBlock && !used(id) {
			if err := x.o.FS.Remove(filepath.Join(x.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	ids, err := x.unused()
	if err != nil || len(ids) == 0 {
		return err
	}
	return x.ring.DropFileKeys(ids...)
}

// writeBlock writes a block from sources under a new key, and opens it.
func (x *Index) writeBlock(sources []block.Source, forget func(subject, class string, seq uint64) bool) (_ *openBlock, err error) {
	id, key, err := x.ring.NewFileKey()
	if err != nil {
		return nil, err
	}
	name := x.path(id)
	f, err := x.o.FS.OpenFile(name+tmpExt, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write index block: %w", err)
	}
	err = block.Write(&appender{file: f}, key, x.log.Origin(), sources, forget)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = x.o.FS.Rename(name+tmpExt, name)
	}
	if err != nil {
		return nil, errors.Join(err, ignoreMissing(x.o.FS.Remove(name+tmpExt)), x.ring.DropFileKeys(id))
	}
	rows := 0
	for _, s := range sources {
		rows += s.Rows()
	}
	return x.open(entry{ID: hex.EncodeToString(id[:]), First: sources[0].First(), Rows: rows})
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// An appender writes to the end of a file.
type appender struct {
	file io.WriterAt
	at   int64
}

// Write appends b.
func (a *appender) Write(b []byte) (int, error) {
	n, err := a.file.WriteAt(b, a.at)
	a.at += int64(n)
	return n, err
}

// replace replaces old blocks by new ones, in the manifest and in x. It is
// called with mu held. If it fails, x is unchanged.
func (x *Index) replace(old, blocks []*openBlock) error {
	next := slices.DeleteFunc(slices.Clone(x.blocks), func(b *openBlock) bool { return slices.Contains(old, b) })
	next = append(next, blocks...)
	slices.SortFunc(next, func(a, b *openBlock) int {
		if a.First() < b.First() {
			return -1
		}
		return 1
	})
	m := &manifest{V: manifestV, Origin: x.log.Origin(), Blocks: []entry{}}
	for _, b := range next {
		m.Blocks = append(m.Blocks, entry{hex.EncodeToString(b.id[:]), b.First(), b.Rows()})
	}
	text, err := m.encode()
	if err != nil {
		return err
	}
	// The manifest needs no sync: after a crash, parts that do not fit together
	// are built again.
	name := filepath.Join(x.dir, manifestName)
	f, err := vfs.CreateNew(x.o.FS, name+tmpExt, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err = errors.Join(err, f.Close()); err == nil {
		err = x.o.FS.Rename(name+tmpExt, name)
	}
	if err != nil {
		return err
	}
	x.blocks, x.manifest = next, string(text)
	return nil
}

// discard closes and removes blocks that have been replaced.
func (x *Index) discard(blocks []*openBlock) error {
	var errs []error
	for _, b := range blocks {
		errs = append(errs, b.drop(), ignoreMissing(x.o.FS.Remove(x.path(b.id))))
	}
	return errors.Join(errs...)
}
