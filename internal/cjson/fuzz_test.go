package cjson_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"audittrail/internal/cjson"
)

func FuzzCanonical(f *testing.F) {
	for _, tt := range refused {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in))
		}
	}
	f.Add([]byte(`{"b":[1,2.50e-7,"x\u00e9\ud83c\udf0d"],"a":{"\n":null,"":true}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := cjson.AppendCanonical(nil, in)
		d := cjson.NewDecoder(in)
		raw, rawErr := d.Raw()
		if rawErr == nil {
			rawErr = d.End()
		}
		if (err == nil) != (rawErr == nil) {
			t.Fatalf("AppendCanonical(%q): %v, but Raw: %v", in, err, rawErr)
		}
		if err != nil {
			return
		}
		if !utf8.Valid(out) {
			t.Fatalf("AppendCanonical(%q) = %q, no UTF-8", in, out)
		}
		again, err := cjson.AppendCanonical(nil, out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("AppendCanonical(%q) = %q, and of that %q, %v", in, out, again, err)
		}
		if want := decode(t, in); !reflect.DeepEqual(decode(t, out), want) {
			t.Fatalf("AppendCanonical(%q) = %q, another value", in, out)
		}
		if !reflect.DeepEqual(decode(t, raw), decode(t, out)) {
			t.Fatalf("Raw(%q) = %q, another value", in, raw)
		}
	})
}

// decode reads b with another implementation.
func decode(t *testing.T, b []byte) (v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", b, err)
	}
	return v
}

func FuzzString(f *testing.F) {
	f.Add("")
	f.Add("a\"b\\c\x00\x1f\x7f\u2028é🌍")
	f.Add("12345678\n12345678\t")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		enc := cjson.AppendString(nil, s)
		d := cjson.NewDecoder(enc)
		back, err := d.String()
		if err != nil || back != s || d.End() != nil {
			t.Fatalf("String(%s) = %q, %v, want %q", enc, back, err, s)
		}
		var other string
		if err := json.Unmarshal(enc, &other); err != nil || other != s {
			t.Fatalf("encoding/json reads %s as %q, %v, want %q", enc, other, err, s)
		}
		if can, err := cjson.AppendCanonical(nil, enc); err != nil || !bytes.Equal(can, enc) {
			t.Fatalf("AppendCanonical(%s) = %s, %v", enc, can, err)
		}
	})
}

func FuzzInt(f *testing.F) {
	for _, s := range []string{"0", "-1", "9007199254740991", "-9007199254740992", "1e1", "-0", "007"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d := cjson.NewDecoder(in)
		n, err := d.Int()
		if err != nil || d.End() != nil {
			return
		}
		out, err := json.Marshal(n)
		if err != nil || !bytes.Equal(bytes.Trim(in, " \t\r\n"), out) {
			t.Fatalf("Int accepted %q as %d", in, n)
		}
	})
}
