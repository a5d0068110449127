package block_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"audittrail/internal/index/block"
)

const vector = "../../../testdata/vectors/index/v2-terms2.block"

// TestVector reads a block that was written when the format was made. It must
// be read forever; set AUDITTRAIL_WRITE_VECTORS to write one of a new version.
func TestVector(t *testing.T) {
	name := filepath.FromSlash(vector)
	if os.Getenv("AUDITTRAIL_WRITE_VECTORS") != "" {
		if err := os.WriteFile(name, write(t, nil, table(5, 45)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	holdAgainst(t, openBlock(t, file), 5, 45, nil)
}

// TestForeign distinguishes a block of another version from a damaged one.
func TestForeign(t *testing.T) {
	for old, want := range map[string]bool{`{"v":1,`: true, `{"v":2,`: false} {
		foot := bytes.Replace(footerOf(t), []byte(`{"v":2,`), []byte(old), 1)
		_, err := block.ReadFooter(foot)
		var version *block.VersionError
		if errors.As(err, &version) != want {
			t.Errorf("footer %s…: %v", old, err)
		}
	}
	// Blocks of version 1, and of the first rules for terms, are built again
	// from the log.
	for name, want := range map[string]block.VersionError{"v1.block": {Block: 1, Text: 1}, "v2.block": {Block: 2, Text: 1}} {
		file, err := os.ReadFile(filepath.FromSlash("../../../testdata/vectors/index/" + name))
		if err != nil {
			t.Fatal(err)
		}
		var version *block.VersionError
		if _, err := block.Open(bytes.NewReader(file), int64(len(file)), blockKey, block.NewCache(1)); !errors.As(err, &version) || *version != want {
			t.Errorf("block %s: %v, want a VersionError", name, err)
		}
	}
}

// footerOf is the footer of a block.
func footerOf(t testing.TB) []byte {
	t.Helper()
	file := write(t, nil, table(0, 20))
	from := bytes.LastIndex(file, []byte(`{"v":2,"origin"`))
	to := from + bytes.Index(file[from:], []byte("}}")) + 2
	if i := bytes.LastIndex(file, []byte("}}")); i > to {
		to = i + 2
	}
	return file[from:to]
}

func FuzzFooter(f *testing.F) {
	f.Add(footerOf(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		if out, err := block.ReadFooter(in); err == nil && !bytes.Equal(in, out) {
			t.Errorf("two encodings: %s and %s", in, out)
		}
	})
}

func FuzzDirectory(f *testing.F) {
	f.Add([]byte{0, 0})
	f.Add([]byte{2, 40, 50, 1, 0, 3, 2, 'a', 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		if out, err := block.ReadDirectory(in); err == nil && !bytes.Equal(in, out) {
			t.Errorf("two encodings: %x and %x", in, out)
		}
	})
}

func FuzzStream(f *testing.F) {
	for _, rows := range []int{1, 9, 300} {
		page, err := block.WriteStream(rows, []string{"a\x01", "ab\x01", "b\x02"}, [][]uint32{{0}, {uint32(rows - 1)}, {uint32(rows / 2)}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(rows, page)
	}
	f.Fuzz(func(t *testing.T, rows int, in []byte) {
		if rows < 1 || rows > 1<<16 || len(in) > 1<<14 {
			return
		}
		err := block.ReadStream(rows, in, func(_ string, list []uint32) {
			if len(list) == 0 || list[len(list)-1] >= uint32(rows) || !slices.IsSorted(list) {
				t.Errorf("rows %v of %d", list, rows)
			}
		})
		if err != nil && !errors.Is(err, block.ErrDamaged) {
			t.Errorf("%v, want ErrDamaged", err)
		}
	})
}
