package ingest_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"audittrail/cmd/audittrail/internal/ingest"
)

func TestMend(t *testing.T) {
	const r = "�"
	for _, tt := range []struct {
		in, want string
		n        int
	}{
		{`{"a":"plain, é, 😀, \u00e9, \ud83d\ude00, \\ud83d"}`, `{"a":"plain, é, 😀, \u00e9, \ud83d\ude00, \\ud83d"}`, 0},
		{`{"a":"cut \ud83d"}`, `{"a":"cut ` + r + `"}`, 1},
		{`{"a":"\ude00\ud83d\ud83d\ude00"}`, `{"a":"` + r + r + `\ud83d\ude00"}`, 2},
		{`{"a":"\ud83d\u0041"}`, `{"a":"` + r + `\u0041"}`, 1},
		{"{\"a\":\"caf\xe9\"}", `{"a":"caf` + r + `"}`, 1},
		{"{\"caf\xe9\":\"\xff\xfe\"}", `{"caf` + r + `":"` + r + r + `"}`, 3},
		{"{\t\"a\":\"one\ttwo\x01\"}", "{\t\"a\":\"one\\u0009two\\u0001\"}", 2},
		{`{"a":"\"\ud83d"}`, `{"a":"\"` + r + `"}`, 1},
		{`{"a":"\`, `{"a":"\`, 0},
		{"{\"a\":\"\\\x8cd", "{\"a\":\"\\" + r + "d", 1},
		{`"\u12`, `"\u12`, 0},
		{`"\ud83d`, `"` + r, 1},
		{"", "", 0},
	} {
		got, n := ingest.Mend([]byte(tt.in))
		if string(got) != tt.want || n != tt.n {
			t.Errorf("Mend(%q) = %q, %d, want %q, %d", tt.in, got, n, tt.want, tt.n)
		}
	}
}

// FuzzMend mends whatever is JSON but for its strings, and changes nothing else.
func FuzzMend(f *testing.F) {
	f.Add([]byte(`{"a":"\ud83d","b":["caf` + "\xe9" + `"]}`))
	f.Add([]byte("\"\x01\\\\\\ude00\""))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, n := ingest.Mend(in)
		if n == 0 && string(got) != string(in) {
			t.Fatalf("Mend(%q) = %q, and says that it replaced nothing", in, got)
		}
		if !utf8.Valid(got) {
			t.Fatalf("Mend(%q) = %q, which is not UTF-8", in, got)
		}
		if again, n := ingest.Mend(got); n != 0 {
			t.Fatalf("Mend(Mend(%q)) replaces in %d places: %q", in, n, again)
		}
		// encoding/json takes bad bytes and escapes as they are.
		if json.Valid(in) {
			if !json.Valid(got) {
				t.Fatalf("Mend(%q) = %q, which is not JSON", in, got)
			}
		}
	})
}
