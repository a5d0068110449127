// Package filekind names the format of files that are not JSON by their first
// bytes, so that an error can say what the file is.
package filekind

import "bytes"

// kinds are formats by the first bytes of their files, the longer ones first.
var kinds = []struct{ begin, name string }{
	{"\x1f\x8b", Gzip},
	{"\x28\xb5\x2f\xfd", Zstd},
	{"BZh", Bzip2},
	{"\xfd7zXZ\x00", XZ},
	{"PK\x03\x04", Zip},
	{"7z\xbc\xaf\x27\x1c", "a 7-Zip file"},
	{"PAR1", "a Parquet file"},
	{"ARROW1\x00\x00", "an Arrow file"},
	{"Obj\x01", "an Avro file"},
	{"SQLite format 3\x00", "an SQLite database"},
	{"%PDF-", "a PDF file"},
	{"\xff\xfe\x00\x00", UTF32},
	{"\x00\x00\xfe\xff", UTF32},
	{"\xff\xfe", UTF16},
	{"\xfe\xff", UTF16},
	{"<?xml", "an XML file"},
	{"<!DOCTYPE html", "a web page"},
	{"<!doctype html", "a web page"},
	{"<html", "a web page"},
}

// The names of the formats for which a program can say what to do.
const (
	Gzip  = "a gzip file"
	Zstd  = "a zstd file"
	Bzip2 = "a bzip2 file"
	XZ    = "an xz file"
	Zip   = "a zip file"
	Tar   = "a tar file"
	UTF16 = "UTF-16 text"
	UTF32 = "UTF-32 text"
)

// Name returns the format of a file that begins with head, such as "a gzip
// file", or "" if the file may be text in UTF-8.
func Name(head []byte) string {
	for _, k := range kinds {
		if bytes.HasPrefix(head, []byte(k.begin)) {
			return k.name
		}
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return Tar
	}
	head = head[:min(len(head), 1024)]
	if at := bytes.IndexByte(head, 0); at >= 0 {
		return unmarked(head, at)
	}
	controls := 0
	for _, c := range head {
		if c < ' ' && !bytes.ContainsRune([]byte("\t\n\r\f\x1b"), rune(c)) {
			controls++
		}
	}
	if controls > 4 && controls > len(head)/16 {
		return "a binary file"
	}
	return ""
}

// unmarked names the format of a file with zero bytes, the first of them at
// offset at: text with two or four bytes for each character, without a byte
// order mark, or an unknown format.
func unmarked(head []byte, at int) string {
	ascii := func(i int) bool {
		return i < len(head) && (head[i] >= ' ' && head[i] < 0x7f || head[i] == '\n' || head[i] == '\r')
	}
	zero := func(i int) bool { return i < len(head) && head[i] == 0 }
	switch {
	case at == 0 && zero(1) && zero(2) && ascii(3), at == 1 && ascii(0) && zero(2) && zero(3):
		return UTF32
	case at == 0 && ascii(1), at == 1 && ascii(0):
		return UTF16
	}
	return "a binary file"
}
