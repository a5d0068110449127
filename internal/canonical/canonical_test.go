package canonical_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"audittrail/internal/canonical"
)

// A pair is something to decode; its names sort.
type pair struct {
	A string `json:"a"`
	B hex    `json:"b"`
}

// A hex has an error of its own, which quotes what it was given.
type hex int

func (h *hex) UnmarshalText(b []byte) error {
	if string(b) != "0f" && string(b) != "0F" {
		return errors.New("secret " + string(b))
	}
	*h = 15
	return nil
}

func (h hex) MarshalText() ([]byte, error) { return []byte("0f"), nil }

func encode(p *pair) ([]byte, error) { return json.Marshal(p) }

const whole = `{"a":"secret","b":"0f"}`

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		in     string
		offset int
		want   string
	}{
		{` {"a":"secret","b":"0f"}`, 0, `byte 0 is ' ' and must be '{'`},
		{`{"a": "secret","b":"0f"}`, 5, `byte 5 is ' ' and must be '"'`},
		{`{"b":"0f","a":"secret"}`, 2, "byte 2 differs"},
		{`{"a":"secret","a":"secret","b":"0f"}`, 15, "byte 15 differs"},
		{`{"a":"\u0073ecret","b":"0f"}`, 6, `byte 6 must not be '\\'`},
		{`{"a":"secret","b":"0F"}`, 20, "byte 20 differs"},
		{`{"a":"secret","b":"0f","c":1}`, 22, `byte 22 is ',' and must be '}'`},
		{`{"a":"secret","b":"0f"}` + "\n", 23, `byte 23 is after the end`},
		{`{"A":"secret","b":"0f"}`, 2, "byte 2 differs"},
		{`{"a":null,"b":"0f"}`, 5, `byte 5 must be '"'`},
		{`{"a":"secret","b":"0f"} x`, 24, "byte 24 is not JSON"},
		{`{"a":"secret","b":"0f"`, 21, "byte 21 is not JSON"},
		{``, 0, "byte 0 is not JSON"},
		{`{"a":7,"b":"0f"}`, 6, "byte 6 follows a value of the wrong type"},
		{`{"a":"secret","b":"1e"}`, -1, "a value is invalid"},
	} {
		var p pair
		err := canonical.Decode([]byte(tt.in), &p, encode)
		var form *canonical.Error
		if !errors.As(err, &form) {
			t.Errorf("Decode(%s) = %v, want an Error", tt.in, err)
			continue
		}
		if form.Offset != tt.offset || err.Error() != "not in canonical form: "+tt.want {
			t.Errorf("Decode(%s) = %q at %d, want %q at %d", tt.in, err, form.Offset, tt.want, tt.offset)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("Decode(%s) = %q, which quotes the input", tt.in, err)
		}
	}
}

func TestDecodeReturnsTheValue(t *testing.T) {
	var p pair
	if err := canonical.Decode([]byte(whole), &p, encode); err != nil || p != (pair{"secret", 15}) {
		t.Errorf("Decode(%s) = %v, %v, want secret and 15", whole, p, err)
	}
	bad := errors.New("too long")
	err := canonical.Decode([]byte(whole), &p, func(*pair) ([]byte, error) { return nil, bad })
	if !errors.Is(err, bad) {
		t.Errorf("Decode with an encoder that fails = %v, want %v", err, bad)
	}
}

// TestCheckFindsEveryByte changes, cuts and adds at every offset.
func TestCheckFindsEveryByte(t *testing.T) {
	want := []byte(whole)
	if err := canonical.Check(want, want); err != nil {
		t.Errorf("Check(same) = %v", err)
	}
	for i := range len(want) + 1 {
		inputs := map[string][]byte{"with a byte more": append(append(bytes.Clone(want[:i]), 0), want[i:]...)}
		if i < len(want) {
			changed := bytes.Clone(want)
			changed[i] ^= 0x80
			inputs["with another byte"] = changed
			inputs["cut off"] = want[:i]
		}
		for how, in := range inputs {
			var form *canonical.Error
			if err := canonical.Check(in, want); !errors.As(err, &form) || form.Offset != i {
				t.Errorf("Check(%s at %d) = %v", how, i, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"a":"\u0073","b":"0F"} `))
	f.Fuzz(func(t *testing.T, in []byte) {
		var p pair
		err := canonical.Decode(in, &p, encode)
		if again, _ := encode(&p); err == nil && !bytes.Equal(again, in) {
			t.Errorf("Decode accepts %q, and the encoding is %q", in, again)
		}
	})
}
