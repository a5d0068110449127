package render_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// carriedReport is the signed report in a page, of which a golden file has the
// hash alone: another file has the report.
var carriedReport = regexp.MustCompile(`<pre id="report-json">[^<]*</pre>`)

// golden holds a report against a file of testdata, and shows the lines that
// differ.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if filepath.Ext(name) == ".html" {
		got = carriedReport.ReplaceAllFunc(got, func(b []byte) []byte {
			return fmt.Appendf(nil, `<pre id="report-json">%d bytes, SHA-256 %x</pre>`, len(b), sha256.Sum256(b))
		})
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(b []byte) []string {
		switch filepath.Ext(name) {
		case ".pdf":
			return readable(t, b)
		case ".json": // one line
			return strings.SplitAfter(string(b), "},")
		}
		return strings.Split(string(b), "\n")
	}
	if d := cmp.Diff(lines(want), lines(got)); d != "" {
		t.Errorf("%s differs (-want +got); -update writes it again:\n%s", name, d)
	}
}

var (
	pdfStream = regexp.MustCompile(`(?s)stream\r?\n(.*?)\nendstream`)
	pdfText   = regexp.MustCompile(`\(((?s:\\.|[^\\)])*)\)`)
	pdfLength = regexp.MustCompile(`/Length[0-9]* [0-9]+`)
)

// readable is a PDF in lines: its objects, its pages as what they draw, with
// words as words, and of typefaces their hashes. Lengths and places in the file
// are left out: they are those of one way to compress.
func readable(t *testing.T, pdf []byte) []string {
	t.Helper()
	body, _, _ := bytes.Cut(pdf, []byte("\nxref\n"))
	var out []string
	for at := 0; ; {
		m := pdfStream.FindSubmatchIndex(body[at:])
		if m == nil {
			return append(out, outside(body[at:])...)
		}
		out = append(out, outside(body[at:at+m[0]])...)
		out = append(out, inside(t, body[at+m[2]:at+m[3]])...)
		at += m[1]
	}
}

func outside(b []byte) []string {
	return strings.Split(pdfLength.ReplaceAllString(string(b), "/Length"), "\n")
}

// inside is a stream in lines.
func inside(t *testing.T, b []byte) []string {
	t.Helper()
	if r, err := zlib.NewReader(bytes.NewReader(b)); err == nil {
		if b, err = io.ReadAll(r); err != nil {
			t.Fatalf("read a stream of the PDF: %v", err)
		}
	}
	if !bytes.Contains(b, []byte("BT ")) {
		return []string{fmt.Sprintf("%d bytes, SHA-256 %x", len(b), sha256.Sum256(b))}
	}
	return strings.Split(pdfText.ReplaceAllStringFunc(string(b), words), "\n")
}

// words are those that a page's operand shows, which are UTF-16 with escapes.
func words(s string) string {
	raw := strings.NewReplacer(`\\`, `\`, `\(`, `(`, `\)`, `)`, `\r`, "\r").Replace(s[1 : len(s)-1])
	if len(raw)%2 != 0 {
		return s
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16([]byte(raw[2*i:]))
	}
	return "(" + string(utf16.Decode(units)) + ")"
}
