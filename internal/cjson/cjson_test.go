package cjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/internal/cjson"
)

func nested(open, inner, end string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

func TestAppendString(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", `""`},
		{"a", `"a"`},
		{"longer than a machine word", `"longer than a machine word"`},
		{`a"b\c/d`, `"a\"b\\c/d"`},
		{"\b\t\n\f\r", `"\b\t\n\f\r"`},
		{"\x00\x01\x0b\x1f", `"\u0000\u0001\u000b\u001f"`},
		{"\x7f\u2028\u2029<>&'", "\"\x7f\u2028\u2029<>&'\""},
		{"Grüße, 世界 🌍\n", `"Grüße, 世界 🌍\n"`},
		{"1234567\"", `"1234567\""`},
		{"12345678\"", `"12345678\""`},
	} {
		if got := string(cjson.AppendString(nil, tt.in)); got != tt.want {
			t.Errorf("AppendString(%q) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

// Every byte at every place in and around a machine word, against a loop that
// looks at one byte at a time.
func TestAppendStringPlaces(t *testing.T) {
	for c := range 0x80 {
		for at := range 20 {
			for _, fill := range []byte{'x', ' ', '!', '#', '[', ']', 0x7f} {
				b := bytes.Repeat([]byte{fill}, 20)
				b[at] = byte(c)
				var want []byte
				for _, c := range b {
					one := cjson.AppendString(nil, string(rune(c)))
					want = append(want, one[1:len(one)-1]...)
				}
				got := cjson.AppendString(nil, string(b))
				if !bytes.Equal(got[1:len(got)-1], want) {
					t.Fatalf("AppendString(%q) = %s, want %s", b, got, want)
				}
				var back string
				if err := json.Unmarshal(got, &back); err != nil || back != string(b) {
					t.Fatalf("encoding/json reads %s as %q, %v, want %q", got, back, err, b)
				}
			}
		}
	}
}

func TestAppendCanonical(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{" null ", "null"},
		{"\t\r\ntrue", "true"},
		{"false", "false"},
		{"0", "0"},
		{"-0", "-0"},
		{"1e999999", "1e999999"},
		{"1.50E+7", "1.50E+7"},
		{strings.Repeat("9", 5000), strings.Repeat("9", 5000)},
		{`"a\/b\u0041\u00e9\ud83c\udf0d\u001F"`, `"a/bAé🌍\u001f"`},
		{`"\u0000\u2028"`, "\"\\u0000\u2028\""},
		{"[ ]", "[]"},
		{"{ }", "{}"},
		{"[ 1 , [ 2 ] , {} ]", "[1,[2],{}]"},
		{`{"b":1,"a":{"z":[],"y":{"x":2,"w":3}},"":0}`, `{"":0,"a":{"y":{"w":3,"x":2},"z":[]},"b":1}`},
		{`{"é":1,"z":2,"\ud83c\udf0d":3,"ﬀ":4}`, `{"z":2,"é":1,"ﬀ":4,"🌍":3}`},
		{`{"\\":1,"[":2,"a\"":3,"a#":4,"\n":5}`, `{"\n":5,"[":2,"\\":1,"a\"":3,"a#":4}`},
		{nested("[", "", "]", 64), nested("[", "", "]", 64)},
		{nested(`{"a":`, "1", "}", 64), nested(`{"a":`, "1", "}", 64)},
	} {
		got, err := cjson.AppendCanonical([]byte("x"), []byte(tt.in))
		if err != nil {
			t.Errorf("AppendCanonical(%.40s): %v", tt.in, err)
			continue
		}
		if string(got) != "x"+tt.want {
			t.Errorf("AppendCanonical(%.40s) = %s, want x%s", tt.in, got, tt.want)
		}
		again, err := cjson.AppendCanonical(nil, got[1:])
		if err != nil || !bytes.Equal(again, got[1:]) {
			t.Errorf("AppendCanonical of its own output %.40s = %.40s, %v", got[1:], again, err)
		}
	}
}

var refused = []struct {
	in     string
	offset int
	msg    string
}{
	{"", 0, "expected a value, found the end"},
	{"  ", 2, "expected a value, found the end"},
	{"nul", 0, "invalid literal"},
	{"True", 0, "True, which JSON writes as true: this is Python's form of a value; write it with json.dumps"},
	{"[NaN]", 1, "NaN, which JSON does not have: write null, or leave the member out"},
	{"[1,Infinity]", 3, "Infinity, which JSON does not have: write null, or leave the member out"},
	{`{"a": -Infinity}`, 6, "-Infinity, which JSON does not have: write null, or leave the member out"},
	{"nan", 0, "nan, which JSON does not have: write null, or leave the member out"},
	{"[Nope]", 1, "expected a value, found no value"},
	{"[-I]", 1, "invalid number"},
	{"{'a':1}", 1, "single quotes, where JSON has double ones"},
	{"nullx", 4, "more input after the value"},
	{"1 2", 2, "more input after the value"},
	{"\xef\xbb\xbf1", 0, "expected a value, found no value"},
	{"\x00", 0, "expected a value, found no value"},
	{"1\x00", 1, "more input after the value"},
	{"-", 0, "invalid number"},
	{"01", 0, "invalid number"},
	{"-01", 0, "invalid number"},
	{"+1", 0, "expected a value, found no value"},
	{".5", 0, "expected a value, found no value"},
	{"1.", 0, "invalid number"},
	{"1.e5", 0, "invalid number"},
	{"1e", 0, "invalid number"},
	{"1e+", 0, "invalid number"},
	{"0x1", 1, "more input after the value"},
	{"[1,]", 3, "expected a value, found no value"},
	{"[1", 2, "expected comma or ]"},
	{"[1}", 2, "expected comma or ]"},
	{"[", 1, "expected a value, found the end"},
	{"{", 1, "expected a key"},
	{"{1:2}", 1, "expected a key"},
	{`{"a"}`, 4, "expected a colon"},
	{`{"a":1,}`, 7, "expected a key"},
	{`{"a":1]`, 6, "expected comma or }"},
	{`{"a" 1}`, 5, "expected a colon"},
	{`{"a":}`, 5, "expected a value, found no value"},
	{`"`, 1, "string without an end"},
	{`"abc`, 4, "string without an end"},
	{`"abc\`, 5, "string without an end"},
	{`"abc\"`, 6, "string without an end"},
	{"\"a\nb\"", 2, "control character in a string"},
	{"\"12345678\x00\"", 9, "control character in a string"},
	{"\"a\xffb\"", 2, "invalid UTF-8"},
	{"\"\xed\xa0\x80\"", 1, "invalid UTF-8"},     // an encoded surrogate
	{"\"ok\xc0\xaf\"", 3, "invalid UTF-8"},       // overlong
	{"\"\xf4\x90\x80\x80\"", 1, "invalid UTF-8"}, // beyond U+10FFFF
	{"{\"\xff\":1}", 2, "invalid UTF-8"},         // in a key
	{`"ab\x41"`, 3, "unknown escape"},            //
	{`"\'"`, 1, "unknown escape"},                //
	{"\"\\\x01\"", 1, "unknown escape"},          //
	{`"\u12"`, 1, `expected four hexadecimal digits after \u`},
	{`"\u12g4"`, 1, `expected four hexadecimal digits after \u`},
	{`"\ud800"`, 1, "lone surrogate"},
	{`"x\udc00"`, 2, "lone surrogate"},
	{`"\ud800\u0041"`, 1, "lone surrogate"},
	{`"\ud800\ud800"`, 1, "lone surrogate"},
	{`"\udc00\ud800"`, 1, "lone surrogate"},
	{`"\ud800\n"`, 1, "lone surrogate"},
	{`{"\ud800":1}`, 2, "lone surrogate"},
	{`{"a":1,"a":2}`, 7, "duplicate key"},
	{`{"b":1,"a":1,"b":2}`, 13, "duplicate key"},
	{`{"a":1,"\u0061":2}`, 7, "duplicate key"},
	{`{"\"":1,"\u0022":2}`, 8, "duplicate key"},
	{`{"":1,"":2}`, 6, "duplicate key"},
	{`[{"x":{"a":1,"a":2}}]`, 13, "duplicate key"},
	{nested("[", "", "]", 65), 64, "nested more than 64 deep"},
	{nested("[", "", "", 1<<20), 64, "nested more than 64 deep"},
	{nested(`{"a":`, "1", "}", 65), 320, "nested more than 64 deep"},
}

func TestRefused(t *testing.T) {
	skip := func(in []byte) error {
		d := cjson.NewDecoder(in)
		if err := d.Skip(); err != nil {
			return err
		}
		return d.End()
	}
	for _, tt := range refused {
		want := &cjson.Error{Offset: tt.offset, Msg: tt.msg}
		dst := []byte("kept")
		got, err := cjson.AppendCanonical(dst, []byte(tt.in))
		if diff := cmp.Diff(error(want), err); diff != "" {
			t.Errorf("AppendCanonical(%.40q) (-want +got):\n%s", tt.in, diff)
		}
		if string(got) != "kept" {
			t.Errorf("AppendCanonical(%.40q) = %q on an error, want dst as it was", tt.in, got)
		}
		if diff := cmp.Diff(error(want), skip([]byte(tt.in))); diff != "" {
			t.Errorf("Skip(%.40q) (-want +got):\n%s", tt.in, diff)
		}
		dup := tt.msg == "duplicate key"
		if errors.Is(err, cjson.ErrDuplicate) != dup {
			t.Errorf("errors.Is(%v, ErrDuplicate) = %v, want %v", err, !dup, dup)
		}
	}
}

func TestManyKeys(t *testing.T) {
	object := func(n int, last string) []byte {
		b := []byte("{")
		for i := range n {
			b = append(b, `"k`+strconv.Itoa(i)+`":1,`...)
		}
		return append(b, `"`+last+`":1}`...)
	}
	for _, n := range []int{1, 31, 32, 33, 34, 1000, 20_000} {
		for _, dup := range []int{0, n / 2, n - 1} {
			in := object(n, "k"+strconv.Itoa(dup))
			if _, err := cjson.AppendCanonical(nil, in); !errors.Is(err, cjson.ErrDuplicate) {
				t.Errorf("AppendCanonical of %d keys and key %d again = %v, want ErrDuplicate", n, dup, err)
			}
			if err := cjson.NewDecoder(in).Skip(); !errors.Is(err, cjson.ErrDuplicate) {
				t.Errorf("Skip of %d keys and key %d again = %v, want ErrDuplicate", n, dup, err)
			}
		}
		in := object(n, "last")
		if err := cjson.NewDecoder(in).Skip(); err != nil {
			t.Errorf("Skip of %d different keys: %v", n, err)
		}
		if _, err := cjson.AppendCanonical(nil, in); err != nil {
			t.Errorf("AppendCanonical of %d different keys: %v", n, err)
		}
	}
}

func TestInt(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"0", 0, true},
		{"-1", -1, true},
		{"9007199254740991", 1<<53 - 1, true},
		{"-9007199254740991", -(1<<53 - 1), true},
		{"9007199254740992", 0, false},
		{"-9007199254740992", 0, false},
		{"18446744073709551617", 0, false},
		{strings.Repeat("9", 1<<20), 0, false},
		{"-0", 0, false},
		{"1.0", 0, false},
		{"1e3", 0, false},
		{"01", 0, false},
		{`"1"`, 0, false},
		{"null", 0, false},
	} {
		got, err := cjson.NewDecoder([]byte(tt.in)).Int()
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("Int(%.20s) = %d, %v, want %d, ok %v", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func TestString(t *testing.T) {
	for _, s := range []string{
		"", "short", strings.Repeat("long ", 20), "\b\t\n\f\r\"\\/ é🌍\x00\x1f",
		strings.Repeat("line\n", 200),
	} {
		in := cjson.AppendString(nil, s)
		if got, err := cjson.NewDecoder(in).String(); err != nil || got != s {
			t.Errorf("String(%s) = %q, %v, want %q", in, got, err, s)
		}
	}
	if got, err := cjson.NewDecoder([]byte(`"\/\u0041\ud83c\udf0d\u00E9"`)).String(); err != nil || got != "/A🌍é" {
		t.Errorf("String = %q, %v", got, err)
	}
	for _, tt := range refused {
		if !strings.HasPrefix(tt.in, `"`) {
			continue
		}
		_, err := cjson.NewDecoder([]byte(tt.in)).String()
		if diff := cmp.Diff(error(&cjson.Error{Offset: tt.offset, Msg: tt.msg}), err); diff != "" {
			t.Errorf("String(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestDecoder(t *testing.T) {
	in := []byte(` {"s":"a\nb","i":-7,"n":1e400,"b":true,"f":false,"z":null,"r":[1, {"a" : 2}],"l":["x","y"],"e":{},"c":{"b":1,"a":2} } `)
	d := cjson.NewDecoder(in)
	got := map[string]any{}
	var order, kinds strings.Builder
	err := d.Object(func(key string) (err error) {
		order.WriteString(key)
		kinds.WriteByte(d.Kind())
		switch key {
		case "s":
			got[key], err = d.String()
		case "i":
			got[key], err = d.Int()
		case "n":
			got[key], err = d.Number()
		case "b", "f":
			got[key], err = d.Bool()
		case "z":
			err = d.Null()
		case "r":
			var raw []byte
			raw, err = d.Raw()
			got[key] = string(raw)
		case "c":
			var raw []byte
			raw, err = d.AppendCanonical(nil)
			got[key] = string(raw)
		case "l":
			var list []string
			err = d.Array(func() error {
				s, err := d.String()
				list = append(list, s)
				return err
			})
			got[key] = list
		default:
			err = d.Skip()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if k := d.Kind(); k != 0 {
		t.Errorf("Kind at the end = %q, want 0", k)
	}
	if err := d.End(); err != nil {
		t.Error(err)
	}
	if d.Offset() != len(in) {
		t.Errorf("Offset = %d, want %d", d.Offset(), len(in))
	}
	want := map[string]any{
		"s": "a\nb", "i": int64(-7), "n": "1e400", "b": true, "f": false,
		"r": `[1, {"a" : 2}]`, "l": []string{"x", "y"}, "c": `{"a":2,"b":1}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	if o, k := order.String(), kinds.String(); o != "sinbfzrlec" || k != `"00tfn[[{{` {
		t.Errorf("keys and kinds = %s %s", o, k)
	}
}

func TestKindMismatch(t *testing.T) {
	read := map[string]func(*cjson.Decoder) error{
		"an object": func(d *cjson.Decoder) error { return d.Object(func(string) error { return d.Skip() }) },
		"an array":  func(d *cjson.Decoder) error { return d.Array(d.Skip) },
		"a string":  func(d *cjson.Decoder) error { _, err := d.String(); return err },
		"a number":  func(d *cjson.Decoder) error { _, err := d.Number(); return err },
		"a boolean": func(d *cjson.Decoder) error { _, err := d.Bool(); return err },
		"null":      func(d *cjson.Decoder) error { return d.Null() },
	}
	values := map[string]string{
		"an object": "{}", "an array": "[]", "a string": `""`, "a number": "-1",
		"a boolean": "false", "null": "null", "the end": "", "no value": "}",
	}
	for want, f := range read {
		for found, in := range values {
			err := f(cjson.NewDecoder([]byte(" " + in)))
			if want == found {
				if err != nil {
					t.Errorf("read %s: %v", want, err)
				}
				continue
			}
			msg := "byte 1: expected " + want + ", found " + found
			if err == nil || err.Error() != msg {
				t.Errorf("read %s, found %s: error %v, want %s", want, found, err, msg)
			}
		}
	}
}

// A value may have the same depth everywhere as it may have alone.
func TestDepthOfRaw(t *testing.T) {
	in := []byte(`{"a":{"b":` + nested("[", "", "]", 64) + `}}`)
	d := cjson.NewDecoder(in)
	err := d.Object(func(string) error {
		return d.Object(func(string) error {
			_, err := d.Raw()
			return err
		})
	})
	if err != nil {
		t.Errorf("Raw of 64 levels inside two: %v", err)
	}
	if err := cjson.NewDecoder(in).Skip(); err == nil {
		t.Error("Skip of 66 levels succeeded")
	}
}

// A callback that reads nothing is a mistake that must not go unnoticed.
func TestCallbackReadsNothing(t *testing.T) {
	if err := cjson.NewDecoder([]byte(`{"a":1}`)).Object(func(string) error { return nil }); err == nil {
		t.Error("Object with an unread value succeeded")
	}
	if err := cjson.NewDecoder([]byte(`[1]`)).Array(func() error { return nil }); err == nil {
		t.Error("Array with an unread value succeeded")
	}
}

// Strings that were returned must not change when the caller changes the input
// afterwards.
func TestStringsAreCopies(t *testing.T) {
	in := []byte(`{"key":"text"}`)
	d := cjson.NewDecoder(in)
	var key, value string
	err := d.Object(func(k string) (err error) {
		key = k
		value, err = d.String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if key != "key" || value != "text" {
		t.Errorf("strings became %q, %q", key, value)
	}
}
