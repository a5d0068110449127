//go:build linux || darwin || freebsd

package vfs_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"audittrail/internal/vfs"
)

// specials are the entries that somebody who may write to a folder can put in
// the place of a file. Each is, or leads to, something that must not be opened.
var specials = map[string]struct {
	plant func(t *testing.T, dir, name string)
	mode  fs.FileMode
}{
	"link to a file":   {func(t *testing.T, dir, name string) { symlink(t, filepath.Join(dir, "precious"), name) }, fs.ModeSymlink},
	"relative link":    {func(t *testing.T, _, name string) { symlink(t, "../precious", name) }, fs.ModeSymlink},
	"link to a folder": {func(t *testing.T, dir, name string) { symlink(t, dir, name) }, fs.ModeSymlink},
	"dangling link":    {func(t *testing.T, dir, name string) { symlink(t, filepath.Join(dir, "made"), name) }, fs.ModeSymlink},
	"link to itself":   {func(t *testing.T, _, name string) { symlink(t, name, name) }, fs.ModeSymlink},
	"link to a device": {func(t *testing.T, _, name string) { symlink(t, "/dev/zero", name) }, fs.ModeSymlink},
	"named pipe": {func(t *testing.T, _, name string) {
		if err := syscall.Mkfifo(name, 0o666); err != nil {
			t.Fatal(err)
		}
	}, fs.ModeNamedPipe},
	"socket": {func(t *testing.T, _, name string) {
		t.Chdir(filepath.Dir(name)) // the name of a socket must be short
		l, err := net.Listen("unix", filepath.Base(name))
		if err != nil {
			t.Skip(err)
		}
		closeLater(t, l)
	}, fs.ModeSocket},
}

func symlink(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Fatal(err)
	}
}

// wantType checks that an error says what was found under a name.
func wantType(t *testing.T, op string, err error, name string, found fs.FileMode, folder bool) {
	t.Helper()
	want := vfs.FileTypeError{Name: name, Found: found, Folder: folder}
	var got *vfs.FileTypeError
	if !errors.As(err, &got) || *got != want {
		t.Errorf("%s: %#v, want %#v", op, err, want)
	}
}

// Nothing but a regular file is opened, whatever for; nothing waits.
func TestOnlyRegularFiles(t *testing.T) {
	for what, special := range specials {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			mustWriteFile(t, vfs.OS, filepath.Join(dir, "precious"), "keys")
			mkdir(t, vfs.OS, filepath.Join(dir, "sub"))
			name := filepath.Join(dir, "sub", "f")
			special.plant(t, dir, name)
			for kind, fsys := range map[string]vfs.FS{"OS": vfs.OS, "Below": vfs.Below(dir), "Below sub": vfs.Below(filepath.Dir(name))} {
				testSpecial(t, kind, fsys, name, special.mode)
			}
			wantContent(t, vfs.OS, filepath.Join(dir, "precious"), "keys")
			wantNames(t, vfs.OS, dir, "precious", "sub")
		})
	}
}

func testSpecial(t *testing.T, kind string, fsys vfs.FS, name string, mode fs.FileMode) {
	t.Helper()
	for what, flag := range map[string]int{
		"read": os.O_RDONLY, "write": os.O_RDWR, "create": os.O_RDWR | os.O_CREATE,
		"truncate": os.O_RDWR | os.O_TRUNC, "create or truncate": os.O_RDWR | os.O_CREATE | os.O_TRUNC, "append": os.O_WRONLY,
	} {
		_, err := fsys.OpenFile(name, flag, 0o600)
		wantType(t, kind+" "+what, err, name, mode, false)
	}
	if _, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%s create alone: %v, want ErrExist", kind, err)
	}
	_, err := vfs.ReadFile(fsys, name, 10)
	wantType(t, kind+" ReadFile", err, name, mode, false)
	_, err = fsys.Lock(name, "me")
	wantType(t, kind+" Lock", err, name, mode, false)
	held, err := fsys.Locked(name)
	wantType(t, kind+" Locked", err, name, mode, false)
	if held || !errors.Is(err, vfs.ErrLockUnknown) {
		t.Errorf("%s Locked = %v, %v; want false, ErrLockUnknown", kind, held, err)
	}
	fi, err := fsys.Stat(name)
	if err != nil || fi.Mode().Type() != mode {
		t.Errorf("%s Stat = %v, %v; want %v", kind, fi, err, mode)
	}
}

// A link with a file's name is itself replaced and removed, not the file that
// it leads to.
func TestSpecialsAreReplaced(t *testing.T) {
	for what, special := range specials {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			fsys := vfs.Below(dir)
			mustWriteFile(t, fsys, filepath.Join(dir, "precious"), "keys")
			mkdir(t, fsys, filepath.Join(dir, "sub"))
			name := filepath.Join(dir, "sub", "f")
			special.plant(t, dir, name)
			special.plant(t, dir, name+".tmp")
			mustWriteFile(t, fsys, name, "new")
			wantContent(t, fsys, name, "new")
			special.plant(t, dir, name+"2")
			remove(t, fsys, name+"2")
			special.plant(t, dir, name+"3")
			f, err := vfs.CreateNew(fsys, name+"3", 0o600)
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, f)
			wantNames(t, fsys, filepath.Join(dir, "sub"), "f", "f3")
			wantContent(t, fsys, filepath.Join(dir, "precious"), "keys")
			wantNames(t, fsys, dir, "precious", "sub")
		})
	}
}

// A hard link is a file like any other, so a new file never has an old one's
// bytes: CreateNew and WriteFile leave the other name alone.
func TestNewFilesHaveNoOtherName(t *testing.T) {
	dir := t.TempDir()
	precious, name := filepath.Join(dir, "precious"), filepath.Join(dir, "f")
	mustWriteFile(t, vfs.OS, precious, "keys")
	for _, link := range []string{name + ".tmp", name + "2"} {
		if err := os.Link(precious, link); err != nil {
			t.Skip(err)
		}
	}
	mustWriteFile(t, vfs.OS, name, "new")
	f, err := vfs.CreateNew(vfs.OS, name+"2", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, f)
	writeAt(t, f, "other", 0)
	wantContent(t, vfs.OS, precious, "keys")
}

// Below a folder that a user named, folders are real as well.
func TestBelowFoldersAreReal(t *testing.T) {
	for what, special := range specials {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			mustWriteFile(t, vfs.OS, filepath.Join(dir, "precious"), "keys")
			real := filepath.Join(dir, "log")
			mkdir(t, vfs.OS, real)
			mustWriteFile(t, vfs.OS, filepath.Join(real, "from"), "x")
			folder := filepath.Join(real, "tree")
			special.plant(t, dir, folder)
			fsys := vfs.Below(real)
			for _, name := range []string{filepath.Join(folder, "f"), filepath.Join(folder, "deep", "f"), filepath.Join(folder, "precious")} {
				_, openErr := fsys.Open(name)
				_, createErr := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
				_, statErr := fsys.Stat(name)
				_, dirErr := fsys.ReadDir(name)
				_, lockErr := fsys.Lock(name, "me")
				_, lockedErr := fsys.Locked(name)
				for op, err := range map[string]error{
					"Open": openErr, "create": createErr, "Stat": statErr, "ReadDir": dirErr, "Lock": lockErr, "Locked": lockedErr,
					"Remove": fsys.Remove(name), "Rename from": fsys.Rename(name, filepath.Join(real, "to")),
					"Rename to": fsys.Rename(filepath.Join(real, "from"), name), "MkdirAll": fsys.MkdirAll(name, 0o700),
					"MakeDir": vfs.MakeDir(fsys, name, 0o700), "SyncDir": fsys.SyncDir(name), "WriteFile": vfs.WriteFile(fsys, name, nil, 0o600),
				} {
					wantType(t, op+" "+name, err, folder, special.mode, true)
				}
			}
			_, err := fsys.ReadDir(folder)
			wantType(t, "ReadDir", err, folder, special.mode, true)
			wantType(t, "SyncDir", fsys.SyncDir(folder), folder, special.mode, true)
			wantType(t, "MkdirAll", fsys.MkdirAll(folder, 0o700), folder, special.mode, true)
			wantNames(t, vfs.OS, dir, "log", "precious")
			wantNames(t, vfs.OS, real, "from", "tree")
			wantContent(t, vfs.OS, filepath.Join(dir, "precious"), "keys")
		})
	}
}

// The folder that a user names may be a link, and may be reached through one.
func TestBelowTakesTheFolderAsItIs(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, vfs.OS, filepath.Join(dir, "data", "audit", "log"))
	mustWriteFile(t, vfs.OS, filepath.Join(dir, "data", "audit", "log", "f"), "line")
	symlink(t, "data", filepath.Join(dir, "lib"))
	symlink(t, filepath.Join("data", "audit"), filepath.Join(dir, "audit"))
	t.Chdir(filepath.Join(dir, "audit"))
	for _, root := range []string{filepath.Join(dir, "audit"), filepath.Join(dir, "lib", "audit"), ".", "../audit"} {
		fsys := vfs.Below(root)
		name := filepath.Join(root, "log", "f")
		wantContent(t, fsys, name, "line")
		wantNames(t, fsys, root, "log")
		mkdir(t, fsys, root)
		mkdir(t, fsys, filepath.Join(root, "log"))
		syncDir(t, fsys, root)
		if fi, err := fsys.Stat(root); err != nil || !fi.IsDir() {
			t.Errorf("Stat(%s) = %v, %v; want a folder", root, fi, err)
		}
		fi, err := fsys.Stat(name)
		if err != nil || fi.Name() != "f" || fi.Size() != 4 || !fi.Mode().IsRegular() {
			t.Errorf("Stat(%s) = %v, %v", name, fi, err)
		}
		want, err := os.Stat(name)
		if err != nil || !fi.ModTime().Equal(want.ModTime()) || fi.Mode() != want.Mode() {
			t.Errorf("Stat(%s) = %v %v, want %v %v, %v", name, fi.Mode(), fi.ModTime(), want.Mode(), want.ModTime(), err)
		}
	}
	// A name that merely begins like the folder's is not below it.
	symlink(t, "data", filepath.Join(dir, "audit-old"))
	wantContent(t, vfs.Below(filepath.Join(dir, "audit")), filepath.Join(dir, "audit-old", "audit", "log", "f"), "line")
}

// A folder below one that was named before is one of its folders.
func TestBelowNestedFolder(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	mkdir(t, vfs.OS, elsewhere)
	mustWriteFile(t, vfs.OS, filepath.Join(elsewhere, "f"), "key")
	mkdir(t, vfs.OS, filepath.Join(dir, "log"))
	keys := filepath.Join(dir, "log", "keys")
	symlink(t, elsewhere, keys)
	_, err := vfs.Below(filepath.Join(dir, "log"), keys).Open(filepath.Join(keys, "f"))
	wantType(t, "Open", err, keys, fs.ModeSymlink, true)
	wantContent(t, vfs.Below(keys), filepath.Join(keys, "f"), "key")
	// A folder outside of the log's folder is given by itself.
	link := filepath.Join(dir, "keys")
	symlink(t, elsewhere, link)
	wantContent(t, vfs.Below(filepath.Join(dir, "log"), link), filepath.Join(link, "f"), "key")
}

// Files that a user names may be links, and be read from a pipe.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	mustWriteFile(t, vfs.OS, filepath.Join(dir, "secret"), "text")
	symlink(t, "secret", filepath.Join(dir, "link"))
	symlink(t, "link", filepath.Join(dir, "link2"))
	wantContent(t, vfs.Named, filepath.Join(dir, "link2"), "text")
	if fi, err := vfs.Named.Stat(filepath.Join(dir, "link2")); err != nil || !fi.Mode().IsRegular() {
		t.Errorf("Stat of a link = %v, %v; want the file", fi, err)
	}

	pipe := filepath.Join(dir, "pipe")
	for _, tt := range []struct {
		text string
		over bool
	}{{"from a pipe", false}, {"", false}, {strings.Repeat("x", 1<<20), false}, {strings.Repeat("x", 1<<20+1), true}} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		wrote := make(chan error, 1)
		go func() {
			f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(tt.text)
				err = errors.Join(err, f.Close())
			}
			wrote <- err
		}()
		got, err := vfs.ReadFile(vfs.Named, pipe, 1<<20)
		if tt.over && !errors.Is(err, vfs.ErrTooLarge) || !tt.over && (err != nil || string(got) != tt.text) {
			t.Errorf("%d bytes from a pipe: %d bytes, %v", len(tt.text), len(got), err)
		}
		if err := <-wrote; err != nil && !tt.over {
			t.Error(err)
		}
		remove(t, vfs.OS, pipe)
	}
}

// In memory as on the disk.
func TestMemPlant(t *testing.T) {
	for _, mode := range []fs.FileMode{fs.ModeSymlink, fs.ModeNamedPipe, fs.ModeSocket, fs.ModeDevice} {
		m := vfs.NewMem()
		mkdir(t, m, "/sub")
		syncDir(t, m, "/")
		for _, name := range []string{"/sub/f", "/sub/dir"} {
			if err := m.Plant(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		testSpecial(t, "Mem", m, "/sub/f", mode)
		_, err := m.Open("/sub/dir/f")
		wantType(t, "Open below", err, "sub/dir", mode, true)
		_, err = m.ReadDir("/sub/dir")
		wantType(t, "ReadDir", err, "/sub/dir", mode, true)
		wantType(t, "MkdirAll", m.MkdirAll("/sub/dir", 0o700), "/sub/dir", mode, true)
		remove(t, m, "/sub/f")
		mustWriteFile(t, m, "/sub/dir", "file now")
		wantContent(t, m.Crash(nil), "/sub/dir", "file now")
	}
}
