package lines_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"audittrail/internal/verify/lines"
	"audittrail/internal/vfs"
)

// TestReader reads lines of all lengths, with reads of all lengths, also from a
// file that has become shorter since its length was read.
func TestReader(t *testing.T) {
	const name = "file"
	var text strings.Builder
	for i := range 40 {
		text.WriteString(strings.Repeat("x", 100*i) + "\n")
	}
	for _, end := range []string{"", "no end", strings.Repeat("y", 10_000)} {
		whole := text.String() + end
		want := strings.SplitAfter(whole, "\n")
		want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
		disk := vfs.NewMem()
		if err := vfs.WriteFile(disk, name, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := disk.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range []int64{0, 1, 7, 5000} {
			for _, more := range []int64{0, 1, 100_000} { // that the file was longer
				what := fmt.Sprintf("%d bytes at once, %d bytes gone, an end of %d", block, more, len(end))
				r := lines.New(block)
				r.Reset(f, 0, int64(len(whole))/2, int64(len(whole))+more)
				at := int64(0)
				for _, w := range want {
					if r.At() != at {
						t.Fatalf("%s: At() = %d, want %d", what, r.At(), at)
					}
					line, hasEnd, err := r.Next()
					text, wantEnd := strings.CutSuffix(w, "\n")
					if err != nil || string(line) != text || hasEnd != wantEnd {
						t.Fatalf("%s: at %d: %d bytes, %t, %v, want %d bytes, %t", what, at, len(line), hasEnd, err, len(text), wantEnd)
					}
					at += int64(len(w))
				}
				if _, _, err := r.Next(); !errors.Is(err, io.EOF) {
					t.Errorf("%s: after the last: %v, want EOF", what, err)
				}
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
