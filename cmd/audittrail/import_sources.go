package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"audittrail/cmd/audittrail/internal/fileid"
	"audittrail/internal/vfs"
)

// sourcesFile is the file in the log's folder that lists the imported files. It
// only chooses the name from which ids of a file's lines are generated: the log
// itself tells whether a line is on record. Without it, files are distinguished
// by their paths.
const sourcesFile = "imports.json"

const (
	maxSourcesFile = 16 << 20
	maxSources     = 4096 // files that are remembered, the latest ones
	maxBeside      = 4096 // files of a folder that are examined
)

// A sourceFile is a file that was imported.
type sourceFile struct {
	Path   string `json:"path"`   // path at the last import
	File   string `json:"file"`   // its identity
	Source string `json:"source"` // name from which ids of its lines are generated
	Lines  int    `json:"lines"`  // lines that were processed
}

// sources are the imported files, the latest one last.
type sources struct {
	name  string
	files []sourceFile
}

// openSources reads the imported files from disk. A damaged file counts as
// empty, since it is derived.
func openSources(dir string) *sources {
	s := &sources{name: filepath.Join(dir, sourcesFile)}
	b, err := vfs.ReadFile(vfs.OS, s.name, maxSourcesFile)
	if err == nil && json.Unmarshal(b, &s.files) != nil {
		s.files = nil
	}
	return s
}

// put makes f the latest file.
func (s *sources) put(f sourceFile) error {
	s.files = slices.DeleteFunc(s.files, func(old sourceFile) bool {
		return old.File == f.File || old.Path == f.Path && old.Source == f.Source
	})
	s.files = append(s.files, f)
	s.files = s.files[max(0, len(s.files)-maxSources):]
	b, err := json.Marshal(s.files)
	if err != nil {
		return err
	}
	return vfs.WriteFile(vfs.OS, s.name, append(b, '\n'), 0o600)
}

// latest returns the latest file for which is holds.
func (s *sources) latest(is func(sourceFile) bool) (sourceFile, bool) {
	for _, f := range slices.Backward(s.files) {
		if is(f) {
			return f, true
		}
	}
	return sourceFile{}, false
}

// newSource returns the source name of a file that took the place of another one
// at its path. A path cannot contain the NUL that the name has.
func (s *sources) newSource(path, file string) string {
	source := path + "\x00" + file
	for n := 2; slices.ContainsFunc(s.files, func(f sourceFile) bool { return f.Source == source }); n++ {
		source = path + "\x00" + file + "-" + strconv.Itoa(n) // the file was truncated and written again
	}
	return source
}

// source returns the name from which ids of a file's lines are generated: the
// path of the first file that had this path. A renamed file keeps its name. A
// file that took its place (logrotate), or that was truncated and written again,
// gets another name, so that a line that equals one of the earlier file is a new
// event.
func (im *importer) source(in input) (sourceFile, error) {
	path := in.source
	id, err := fileid.Of(in.path)
	if err != nil {
		return sourceFile{}, err
	}
	this := sourceFile{Path: path, File: id.String(), Source: path}
	if f, ok := im.sources.latest(func(f sourceFile) bool { return f.File == this.File }); ok {
		this.Source, this.Lines = f.Source, f.Lines
		known, err := im.known(in, f, false)
		if err != nil {
			return this, err
		}
		if !known {
			this.Source, this.Lines = im.sources.newSource(path, this.File), 0
		}
		return this, nil
	}
	before, ok := im.sources.latest(func(f sourceFile) bool { return f.Path == path })
	if !ok {
		return this, nil
	}
	known := false
	if !inFolderOf(path, before.File) {
		if known, err = im.known(in, before, true); err != nil {
			return this, err
		}
	}
	if known {
		this.Source, this.Lines = before.Source, before.Lines
		return this, nil
	}
	this.Source = im.sources.newSource(path, this.File)
	return this, nil
}

// known reports whether an input begins with the lines imported from a file.
func (im *importer) known(in input, f sourceFile, replaced bool) (bool, error) {
	if f.Lines == 0 {
		return true, nil
	}
	file, err := os.Open(in.path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	from := im.input(in)
	from.Reader, from.Source = file, f.Source
	return im.ingester.Known(im.ctx, from, f.Lines, replaced)
}

// inFolderOf reports whether a file is in the folder of path, under another name.
func inFolderOf(path, file string) bool {
	dir := filepath.Dir(path)
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	names, err := f.Readdirnames(maxBeside)
	if err != nil {
		return false
	}
	for _, name := range names {
		other := filepath.Join(dir, name)
		if info, err := os.Lstat(other); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if id, err := fileid.Of(other); err == nil && id.String() == file {
			return true
		}
	}
	return false
}

// remember stores the identity of a file for its next import.
func (im *importer) remember(f sourceFile) {
	err := im.sources.put(f)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		im.note("warning: %s was not written: %v; a file that later replaces %s may be mistaken for it", im.sources.name, err, filepath.Base(f.Path))
	}
}
