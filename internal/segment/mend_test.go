package segment_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"audittrail/internal/segment"
	"audittrail/internal/vfs"
)

// TestMend damages each derived file at some bytes, or lets reads of it fail:
// readers find the same as without it, and the writer writes it again as it
// was, and reports it.
func TestMend(t *testing.T) {
	plain, w := written(t)
	want := map[string][]byte{}
	for _, name := range derivedNames(t, plain) {
		want[name] = read(t, plain, name)
	}
	check := func(disk *vfs.Mem, name, how string) {
		t.Helper()
		reader := w.reader(disk, false)
		w.check(reader)
		if found, err := reader.Compare().Differences(t.Context()); err != nil || len(found) != 1 || found[0].File != filepath.Base(name) {
			t.Errorf("%s %s: Differences = %v, %v; want that file", name, how, found, err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		s := w.goOn(disk)
		mended, err := s.Mend(t.Context())
		if err != nil || len(mended) > 1 || len(mended) == 1 && mended[0].File != filepath.Base(name) {
			t.Errorf("%s %s: Mend = %v, %v; want at most that file", name, how, mended, err)
		}
		if again, err := s.Mend(t.Context()); err != nil || len(again) > 0 {
			t.Errorf("%s %s: the second Mend = %v, %v", name, how, again, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		disk.Inject(nil)
		if got := read(t, disk, name); !slices.Equal(got, want[name]) {
			t.Errorf("%s %s: it was not made again as it was", name, how)
		}
	}
	for name, b := range want {
		for at := 3; at < len(b); at += 1 + len(b)/9 {
			disk := plain.Clone()
			flip(t, disk, name, int64(at))
			check(disk, name, "with a bit flipped")
		}
		disk := plain.Clone()
		disk.Inject(func(op vfs.Op) error {
			if op.Name == name && op.Kind == vfs.OpRead {
				return syscall.EIO
			}
			return nil
		})
		reader := w.reader(disk, false)
		w.check(reader)
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		disk = plain.Clone()
		if err := disk.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := disk.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		check(disk, name, "is a folder")
	}
}

// A file named as the tombstone of records whose lines are here is reported,
// ignored, and set aside.
func TestRemnantBesideLines(t *testing.T) {
	plain, w := written(t)
	first := uint64(0)
	for _, name := range derivedNames(t, plain) {
		if n, err := firstOf(filepath.Base(name)); err == nil && strings.HasSuffix(name, ".side") && n > 0 && first == 0 {
			first = n
		}
	}
	for _, at := range []uint64{1, first - 1, first + 1} {
		disk := plain.Clone()
		name := filepath.Join(dir, fmt.Sprintf("%020d.remnant", at))
		put(t, disk, name, []byte("junk"))
		reader := w.reader(disk, false)
		w.check(reader)
		found, err := reader.Compare().Differences(t.Context())
		if err != nil || len(found) != 1 || found[0].File != filepath.Base(name) || found[0].First != at {
			t.Errorf("at %d: Differences = %v, %v; want the remnant", at, found, err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
		s, err := segment.Open(disk, dir, 8_000)
		if err != nil {
			t.Fatal(err)
		}
		aside, err := s.SetAside(1<<40, false, func(uint64) string { return "aside" })
		if err != nil || !slices.Equal(aside, []string{"aside"}) {
			t.Errorf("at %d: SetAside = %v, %v; want the remnant", at, aside, err)
		}
		if _, err := disk.Stat(name); !os.IsNotExist(err) {
			t.Errorf("at %d: the remnant is still there: %v", at, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	// Next to lines of the same name, a tombstone remains from an archived
	// segment that was restored.
	disk := plain.Clone()
	put(t, disk, filepath.Join(dir, fmt.Sprintf("%020d.remnant", first)), []byte("junk"))
	reader := w.reader(disk, false)
	w.check(reader)
	if found, err := reader.Compare().Differences(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("beside lines of the same name: Differences = %v, %v; want none", found, err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}

// A pipe in the place of a segment has no size, and is not an empty segment.
func TestPipeForSegment(t *testing.T) {
	disk, w := written(t)
	name := ""
	for _, d := range derivedNames(t, disk) {
		if n, err := firstOf(filepath.Base(d)); err == nil && strings.HasSuffix(d, ".side") && n > 0 && name == "" {
			name = strings.TrimSuffix(d, ".side") + ".jsonl"
		}
	}
	if err := errors.Join(disk.Remove(name), disk.Plant(name, fs.ModeNamedPipe)); err != nil {
		t.Fatal(err)
	}
	s := w.reader(disk, false)
	n, err := firstOf(strings.TrimSuffix(filepath.Base(name), ".jsonl") + ".side")
	if err != nil {
		t.Fatal(err)
	}
	var other *vfs.FileTypeError
	if _, err := s.Line(n); !errors.As(err, &other) || segment.Altered(err) {
		t.Errorf("Line(%d) = %v, want that it is a pipe", n, err)
	}
	if empty := s.Empty(); len(empty) > 0 {
		t.Errorf("Empty = %v, want none", empty)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
