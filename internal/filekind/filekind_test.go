package filekind_test

import (
	"strings"
	"testing"

	"audittrail/internal/filekind"
)

func TestName(t *testing.T) {
	tar := strings.Repeat("\x00", 257) + "ustar"
	for head, want := range map[string]string{
		"":                                   "",
		`{"type":"prompt"}` + "\n":           "",
		"caf\xe9":                            "",
		"{\"a\":\"\xff\xfe\"}":               "",
		"\x1b[31mred":                        "",
		strings.Repeat("caf\xe9 ol\xe9 ", 9): "",
		"\x1f\x8b\x08\x00":                   "a gzip file",
		"\x28\xb5\x2f\xfd\x00":               "a zstd file",
		"BZh91AY":                            "a bzip2 file",
		"\xfd7zXZ\x00\x00":                   "an xz file",
		"PK\x03\x04":                         "a zip file",
		"PAR1":                               "a Parquet file",
		"Obj\x01":                            "an Avro file",
		"SQLite format 3\x00":                "an SQLite database",
		"%PDF-1.4":                           "a PDF file",
		"<?xml version":                      "an XML file",
		"<!DOCTYPE html>":                    "a web page",
		tar:                                  "a tar file",
		"\xff\xfe{\x00":                      "UTF-16 text",
		"\xfe\xff\x00{":                      "UTF-16 text",
		"{\x00\"\x00":                        "UTF-16 text",
		"\x00{\x00\"":                        "UTF-16 text",
		"\xff\xfe\x00\x00{\x00\x00\x00":      "UTF-32 text",
		"\x00\x00\xfe\xff\x00\x00\x00{":      "UTF-32 text",
		"{\x00\x00\x00":                      "UTF-32 text",
		"\x00\x00\x00{":                      "UTF-32 text",
		"\x00\x01\x02{":                      "a binary file",
		"{\"a\":\"\x01\"}":                   "",
		"ab\x00":                             "a binary file",
		strings.Repeat("\x90a\x03b\xf7", 9):  "a binary file",
	} {
		if got := filekind.Name([]byte(head)); got != want {
			t.Errorf("Name(%.40q) = %q, want %q", head, got, want)
		}
	}
}
