package certificate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail/evidence/certificate"
	"audittrail/internal/cjson"
)

var vectors = filepath.Join("..", "..", "testdata", "vectors", "certificate")

func vector(t testing.TB) (text []byte, vkey string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectors, "v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(vectors, "vkey"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(text, []byte("\n")), strings.TrimSpace(string(key))
}

func TestVector(t *testing.T) {
	text, vkey := vector(t)
	c, err := certificate.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Encode()
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("Encode gives %s, %v", again, err)
	}
	f, err := c.Check([]string{vkey})
	if err != nil {
		t.Fatal(err)
	}
	if f.Origin != "example.com/a" || len(f.Subjects) != 1 || f.Reason != "asked by letter" || f.Basis != "GDPR 17(1)(b)" ||
		f.Records != 2 || len(f.Backups) != 1 || f.Before.Size > f.Seq || f.After.Size <= f.Seq {
		t.Errorf("Check = %+v", f)
	}
	if _, err := c.Check([]string{"other+4ab8bb9b+AR3AeTVhnhqMVrTS1TS5cfBFW6+Dtv2PHkVyP5Q6i/Wk"}); err == nil {
		t.Error("it holds under a key of another log")
	}
	if _, err := c.Check(nil); err == nil {
		t.Error("it holds without a key")
	}
}

// TestEveryField changes each member in turn. Nothing that was changed holds.
func TestEveryField(t *testing.T) {
	text, vkey := vector(t)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	if len(members) != 14 {
		t.Fatalf("the vector has %d members, want 14", len(members))
	}
	changed := map[string][]string{
		"backups": {`[]`}, "records": {`0`, `3`}, "seq": {`1`}, "v": {`2`, `0`}, "subjects": {`[]`, `["00000000000000000000000000000000"]`},
		"issued": {`"2026-01-01T00:00:00.000000000Z"`, `"2026-01-01T00:00:00Z"`},
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		values := changed[name]
		if values == nil {
			values = []string{`""`}
			var s string
			if err := json.Unmarshal(members[name], &s); err != nil {
				t.Fatal(err)
			}
			for _, at := range []int{0, len(s) / 3, len(s) / 2, len(s) - 1} {
				b := []byte(s)
				b[at] ^= 1
				q, err := json.Marshal(string(b))
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, string(q))
			}
		}
		for _, value := range values {
			m := maps.Clone(members)
			m[name] = json.RawMessage(value)
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			canonical, err := cjson.AppendCanonical(nil, raw)
			if err != nil {
				continue // not even JSON that we write
			}
			c, err := certificate.Decode(canonical)
			if err != nil {
				continue
			}
			if f, err := c.Check([]string{vkey}); err == nil {
				t.Errorf("%s as %s: it holds: %+v", name, value, f)
			}
		}
		m := maps.Clone(members)
		delete(m, name)
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := certificate.Decode(raw); !errors.Is(err, certificate.ErrForm) {
			t.Errorf("without %s: %v, want ErrForm", name, err)
		}
	}
}

// TestOtherSpellings refuses what is the same certificate in other bytes.
func TestOtherSpellings(t *testing.T) {
	text, _ := vector(t)
	for what, b := range map[string][]byte{
		"a space":     bytes.Replace(text, []byte(`,"v":1`), []byte(`, "v":1`), 1),
		"more behind": append(slices.Clone(text), ' '),
		"two":         append(slices.Clone(text), text...),
		"a member":    bytes.Replace(text, []byte(`,"v":1`), []byte(`,"u":1,"v":1`), 1),
		"an escape":   bytes.Replace(text, []byte(`asked`), []byte(`\u0061sked`), 1),
		"nothing":     nil,
	} {
		if _, err := certificate.Decode(b); !errors.Is(err, certificate.ErrForm) {
			t.Errorf("%s: %v, want ErrForm", what, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	text, vkey := vector(f)
	f.Add(text)
	f.Add([]byte(`{"backups":[],"v":1}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := certificate.Decode(in)
		if err != nil {
			return
		}
		if again, err := c.Encode(); err != nil || !bytes.Equal(again, in) {
			t.Errorf("Decode accepted %q, Encode gives %q, %v", in, again, err)
		}
		if _, err := c.Check([]string{vkey}); err == nil && !bytes.Equal(in, text) {
			t.Errorf("a certificate holds that the log did not make: %q", in)
		}
	})
}
