package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"audittrail/internal/vfs"
	"audittrail/record"
)

// ErrDamaged reports that an archive does not contain what its manifest says.
var ErrDamaged = errors.New("the archive is damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// A fileWriter appends to a file.
type fileWriter struct {
	file vfs.File
	at   int64
}

func (w *fileWriter) Write(b []byte) (int, error) {
	n, err := w.file.WriteAt(b, w.at)
	w.at += int64(n)
	return n, err
}

func name(dir string, first uint64, ext string) string {
	return filepath.Join(dir, fmt.Sprintf("%020d", first)+ext)
}

// PackedFile returns the path of the compressed lines of an archive in the
// folder place.
func PackedFile(place string, first uint64) string { return name(place, first, packedExt) }

// pack writes lines, compressed, under a name, durably.
func pack(fsys vfs.FS, path string, m *Manifest, lines iter.Seq2[[]byte, error]) error {
	tmp := path + ".tmp"
	f, err := vfs.CreateNew(fsys, tmp, 0o600)
	if err != nil {
		return err
	}
	err = packInto(f, m, lines)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = fsys.Remove(tmp) // the first error is the one to report; a leftover is replaced
		return err
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

func packInto(f vfs.File, m *Manifest, lines iter.Seq2[[]byte, error]) error {
	out := &fileWriter{file: f}
	packed, plain := sha256.New(), sha256.New()
	// One goroutine: the same lines give the same bytes.
	z, err := zstd.NewWriter(io.MultiWriter(out, packed), zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(true))
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }() // a second Close after an early return
	w := bufio.NewWriterSize(io.MultiWriter(z, plain), 1<<16)
	for line, err := range lines {
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		if err := w.WriteByte('\n'); err != nil {
			return err
		}
		m.Bytes += int64(len(line)) + 1
	}
	if err := errors.Join(w.Flush(), z.Close()); err != nil {
		return err
	}
	m.Packed = out.at
	m.Sum, m.PackedSum = [32]byte(plain.Sum(nil)), [32]byte(packed.Sum(nil))
	return nil
}

// Hashes yields the hashes that the records of a range must have.
type Hashes func(ctx context.Context, from, to uint64) iter.Seq2[[32]byte, error]

// unpack reads a whole archive, and compares every line with the hash that it
// must have, and the whole with the manifest. It writes the lines to w, which
// are right only if it returns no error, and calls use with each line that it
// has checked, until use returns false.
func unpack(ctx context.Context, fsys vfs.FS, path string, m *Manifest, hashes Hashes, w io.Writer, use func([]byte) bool) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from: nothing to lose
	size, err := f.Size()
	if err != nil {
		return err
	}
	if size != m.Packed {
		return damaged("%s has %d bytes, its manifest says %d", path, size, m.Packed)
	}
	packed, plain := sha256.New(), sha256.New()
	in := io.TeeReader(io.NewSectionReader(f, 0, size), packed)
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return err
	}
	defer z.Close()
	text := &limited{r: z, left: m.Bytes}
	err = checkLines(ctx, io.TeeReader(text, io.MultiWriter(plain, w)), m, hashes, use)
	if err == errEnough {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var failed *os.PathError
	if errors.As(err, &failed) || errors.Is(err, errHashes) {
		return err
	}
	if err != nil {
		return damaged("%s: %v", path, err)
	}
	if text.left != 0 || [32]byte(plain.Sum(nil)) != m.Sum || [32]byte(packed.Sum(nil)) != m.PackedSum {
		return damaged("%s does not match its manifest", path)
	}
	return nil
}

// limited fails if there are more bytes than the manifest says.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	if int64(len(b)) > l.left+1 {
		b = b[:l.left+1]
	}
	n, err := l.r.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, errors.New("it unpacks to more than its manifest says")
	}
	return n, err
}

var errEnough = errors.New("enough")

var errHashes = errors.New("the tree cannot be read")

// checkLines reads lines and checks that each is the record of its place.
func checkLines(ctx context.Context, in io.Reader, m *Manifest, hashes Hashes, use func([]byte) bool) error {
	lines := bufio.NewReaderSize(in, 1<<18)
	seq, prev := m.First, m.Before
	var long []byte
	for want, err := range hashes(ctx, m.First, m.First+m.Records) {
		if err != nil {
			return fmt.Errorf("%w: %w", errHashes, err)
		}
		line, err := lines.ReadSlice('\n')
		for long = long[:0]; err == bufio.ErrBufferFull; {
			long = append(long, line...)
			line, err = lines.ReadSlice('\n')
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		line = line[:len(line)-1]
		t, ok := record.ParseChainLink(line)
		if !ok || t.Seq != seq || t.Hash != want || t.Prev != prev || !record.VerifyHash(line, &t) {
			return fmt.Errorf("record %d is not the one that was signed", seq)
		}
		if use != nil && !use(line) {
			return errEnough
		}
		seq, prev = seq+1, t.Hash
	}
	if prev != m.Last {
		return errors.New("its last record is not the one that its manifest names")
	}
	if _, err := lines.ReadByte(); err != io.EOF {
		return errors.Join(errors.New("it continues after its last record"), err)
	}
	return nil
}

// restore unpacks an archive into a file, durably, and gives the file its name
// once the lines were found to be right.
func restore(ctx context.Context, fsys vfs.FS, from, to string, m *Manifest, hashes Hashes) error {
	tmp := to + ".tmp"
	f, err := vfs.CreateNew(fsys, tmp, 0o644)
	if err != nil {
		return err
	}
	out := &fileWriter{file: f}
	w := bufio.NewWriterSize(out, 1<<18)
	err = unpack(ctx, fsys, from, m, hashes, w, nil)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = fsys.Remove(tmp) // the first error is the one to report; a leftover is replaced
		return err
	}
	if err := fsys.Rename(tmp, to); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(to))
}
