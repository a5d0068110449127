// Package artifact computes the digests of datasets and models on disk, as
// docs/format/lineage.md defines them: of a file, its SHA-256, SHA-384 or
// SHA-512; of a folder, the SHA-256 of a manifest of the files in it.
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

// Folder is the algorithm of a folder.
const Folder = "dir-sha256"

// MaxFiles is how many files a folder may have.
const MaxFiles = 5_000_000

// hashes are the algorithms of a file. They are part of the format.
var hashes = map[string]func() hash.Hash{
	"sha256": sha256.New,
	"sha384": sha512.New384,
	"sha512": sha512.New,
}

// A KindError means that an artifact is not what an algorithm is for.
type KindError struct {
	Algorithm string
	Name      string
	Got       string // "a file", "a folder", …
}

func (e *KindError) Error() string {
	if e.Algorithm == "" {
		return fmt.Sprintf("%s is %s: digests are of files and folders", e.Name, e.Got)
	}
	want := "a file"
	if e.Algorithm == Folder {
		want = "a folder"
	}
	return fmt.Sprintf("%s is %s, and %s is of %s", e.Name, e.Got, e.Algorithm, want)
}

// A Progress is told how many bytes of how many have been read.
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
		return "", fmt.Errorf("%s is an algorithm that this program has not; it has sha256, sha384, sha512 and %s", algorithm, Folder)
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

// bare is an error of the file system without the name that the message has
// already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// A reader hashes files, and tells how far it is.
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
	defer func() { _ = f.Close() }() // nothing was written
	if r.buf == nil {
		r.buf = make([]byte, 1<<20)
	}
	for {
		if err := r.ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(r.buf)
		h.Write(r.buf[:n]) // a hash takes everything
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

// folder is the SHA-256 of the manifest of a folder.
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
		_, _ = io.WriteString(manifest, sum+"  "+name+"\n") // a hash takes everything
	}
	return hex.EncodeToString(manifest.Sum(nil)), nil
}

// list returns the paths of the files in a folder, in the order of a manifest,
// and their bytes.
func list(ctx context.Context, root string) (files []string, total uint64, err error) {
	// A link to the folder itself is no link in it.
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
		info, err := os.Stat(path) // of what a link leads to
		switch {
		case err != nil:
			return err
		case !utf8.ValidString(rel) || strings.ContainsFunc(rel, func(r rune) bool { return unicode.IsControl(r) || r == '\\' }):
			return fmt.Errorf("a file in it has a name that cannot stand in a manifest, %q: rename it", rel)
		case info.IsDir():
			return fmt.Errorf("%s in it is a link to a folder: put the folder in its place", rel)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s in it is neither a file nor a folder: take it out", rel)
		case len(files) == MaxFiles:
			return fmt.Errorf("it has more than %d files; take the digest of an archive of it", MaxFiles)
		}
		files = append(files, rel)
		total += uint64(info.Size())
		return nil
	})
	slices.Sort(files)
	return files, total, err
}
