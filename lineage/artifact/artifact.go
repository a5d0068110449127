// Package artifact computes the digests of datasets and models on disk, as
// docs/format/lineage.md defines them: for a file, its SHA-256, SHA-384 or
// SHA-512; for a folder, the SHA-256 of a manifest of its files.
package artifact

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Folder is the algorithm for folders.
const Folder = "dir-sha256"

// MaxFiles is how many files a folder may have.
const MaxFiles = 5_000_000

// hashes are the algorithms for files. They are part of the format.
var hashes = map[string]func() hash.Hash{
	"sha256": sha256.New,
	"sha384": sha512.New384,
	"sha512": sha512.New,
}

// A KindError reports that an algorithm does not apply to an artifact.
type KindError struct {
	Algorithm string
	Name      string
	Got       string // "a file", "a folder", …
}

func (e *KindError) Error() string {
	if e.Algorithm == "" {
		return fmt.Sprintf("%s is %s; a digest needs a file or a folder", e.Name, e.Got)
	}
	want := "a file"
	if e.Algorithm == Folder {
		want = "a folder"
	}
	return fmt.Sprintf("%s is %s, and %s is of %s", e.Name, e.Got, e.Algorithm, want)
}

// A Progress is called with the bytes that have been read, and the total.
type Progress func(done, total uint64)

// Digest returns the digest of a file or a folder by an algorithm: "sha256" and
// "dir-sha256" if that is empty. Progress may be nil.
func Digest(ctx context.Context, name, algorithm string, progress Progress) (string, error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	got, err := digest(ctx, name, algorithm, progress)
	if err != nil {
		return "", fmt.Errorf("compute the digest of %s: %w", name, err)
	}
	return got, nil
}

func digest(ctx context.Context, name, algorithm string, progress Progress) (string, error) {
	if algorithm != "" && algorithm != Folder && hashes[algorithm] == nil {
		return "", fmt.Errorf("unknown algorithm %s: use sha256, sha384, sha512 or %s", algorithm, Folder)
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", bare(err)
	}
	switch {
	case info.IsDir() && (algorithm == "" || algorithm == Folder):
		sum, err := folder(ctx, name, progress)
		return Folder + ":" + sum, err
	case info.IsDir():
		return "", &KindError{algorithm, name, "a folder"}
	case !info.Mode().IsRegular():
		return "", &KindError{"", name, "neither a file nor a folder"}
	case algorithm == Folder:
		return "", &KindError{algorithm, name, "a file"}
	case algorithm == "":
		algorithm = "sha256"
	}
	r := reader{ctx: ctx, total: uint64(info.Size()), progress: progress}
	sum, err := r.file(name, hashes[algorithm]())
	return algorithm + ":" + sum, err
}

// bare returns an error of the file system without the file name, which the
// message already contains.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// A reader hashes files, and reports progress.
type reader struct {
	ctx         context.Context
	done, total uint64
	progress    Progress
	buf         []byte
}

func (r *reader) file(name string, h hash.Hash) (sum string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // the file was only read
	if r.buf == nil {
		r.buf = make([]byte, 1<<20)
	}
	for {
		if err := r.ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(r.buf)
		h.Write(r.buf[:n]) // writing to a hash never fails
		r.done += uint64(n)
		r.progress(r.done, max(r.done, r.total))
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// folder returns the SHA-256 of the manifest of a folder.
func folder(ctx context.Context, root string, progress Progress) (string, error) {
	files, total, err := list(ctx, root)
	if err != nil {
		return "", err
	}
	r := reader{ctx: ctx, total: total, progress: progress}
	manifest := sha256.New()
	h := sha256.New()
	for _, name := range files {
		h.Reset()
		sum, err := r.file(filepath.Join(root, filepath.FromSlash(name)), h)
		if err != nil {
			return "", err
		}
		_, _ = io.WriteString(manifest, sum+"  "+name+"\n") // writing to a hash never fails
	}
	return hex.EncodeToString(manifest.Sum(nil)), nil
}

// list returns the paths of the files in a folder, in the order of a manifest,
// and their total size.
func list(ctx context.Context, root string) (files []string, total uint64, err error) {
	// A link to the folder itself is not a link inside it.
	root, err = filepath.EvalSymlinks(root)
	if err != nil {
		return nil, 0, err
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		info, err := os.Stat(path) // of the target of a link
		switch {
		case err != nil:
			return err
		case !utf8.ValidString(rel) || strings.ContainsFunc(rel, func(r rune) bool { return unicode.IsControl(r) || r == '\\' }):
			return fmt.Errorf("the file name %q is not allowed in a manifest; rename it", rel)
		case info.IsDir():
			return fmt.Errorf("%s is a link to a folder; replace it with the folder", rel)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder; remove it", rel)
		case len(files) == MaxFiles:
			return fmt.Errorf("more than %d files; compute the digest of an archive of the folder", MaxFiles)
		}
		files = append(files, rel)
		total += uint64(info.Size())
		return nil
	})
	slices.Sort(files)
	return files, total, err
}
