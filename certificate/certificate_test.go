package certificate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"audittrail/certificate"
	"audittrail/internal/cjson"
)

var vectors = filepath.Join("..", "testdata", "vectors", "certificate")

// vector is a certificate of the first or the second form.
func vector(t testing.TB, form int) (text []byte, vkey string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectors, fmt.Sprintf("v%d.json", form)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(vectors, []string{"vkey", "v2.vkey"}[form-1]))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(text, []byte("\n")), strings.TrimSpace(string(key))
}

func TestVector(t *testing.T) {
	for form, want := range map[int]certificate.Facts{
		1: {Origin: "example.com/a", Records: 2},
		2: {Origin: "example.com/b", Records: 3, Acted: 2, HasActorCounts: true},
	} {
		text, vkey := vector(t, form)
		c, err := certificate.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Encode()
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("form %d: Encode gives %s, %v", form, again, err)
		}
		f, err := c.Check([]string{vkey})
		if err != nil {
			t.Fatal(err)
		}
		if f.Origin != want.Origin || len(f.Subjects) != 1 || f.Reason != "asked by letter" || f.Basis != "GDPR 17(1)(b)" ||
			f.Records != want.Records || f.Acted != want.Acted || f.HasActorCounts != want.HasActorCounts || len(f.Backups) != 1 || f.Before.Size > f.Seq || f.After.Size <= f.Seq {
			t.Errorf("form %d: Check = %+v", form, f)
		}
		if _, err := c.Check([]string{"other+4ab8bb9b+AR3AeTVhnhqMVrTS1TS5cfBFW6+Dtv2PHkVyP5Q6i/Wk"}); err == nil {
			t.Errorf("form %d: it holds under a key of another log", form)
		}
		if _, err := c.Check(nil); err == nil {
			t.Errorf("form %d: it holds without a key", form)
		}
	}
}

// TestEveryField changes each member in turn. No changed certificate verifies.
func TestEveryField(t *testing.T) {
	for form, members := range map[int]int{1: 14, 2: 15} {
		everyField(t, form, members)
	}
}

func everyField(t *testing.T, form, count int) {
	t.Helper()
	text, vkey := vector(t, form)
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	if len(members) != count {
		t.Fatalf("the vector has %d members, want %d", len(members), count)
	}
	changed := map[string][]string{
		"acted": {`0`, `1`, `null`}, "backups": {`[]`}, "records": {`0`, `4`}, "seq": {`1`}, "v": {`0`, `1`, `2`, `3`}, "subjects": {`[]`, `["00000000000000000000000000000000"]`},
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
			if value == string(members[name]) {
				continue
			}
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
		if _, err := certificate.Decode(raw); !errors.Is(err, certificate.ErrFormat) {
			t.Errorf("without %s: %v, want ErrForm", name, err)
		}
	}
}

// TestOtherSpellings refuses the same certificate in other than canonical form.
func TestOtherSpellings(t *testing.T) {
	text, _ := vector(t, 2)
	for what, b := range map[string][]byte{
		"a space":        bytes.Replace(text, []byte(`,"v":2`), []byte(`, "v":2`), 1),
		"more behind":    append(slices.Clone(text), ' '),
		"two":            append(slices.Clone(text), text...),
		"acts not known": bytes.Replace(text, []byte(`"acted":2,`), []byte(`"acted":2,"acted_unknown":0,`), 1),
		"a member":       bytes.Replace(text, []byte(`,"v":2`), []byte(`,"u":1,"v":2`), 1),
		"an escape":      bytes.Replace(text, []byte(`asked`), []byte(`\u0061sked`), 1),
		"nothing":        nil,
	} {
		if _, err := certificate.Decode(b); !errors.Is(err, certificate.ErrFormat) {
			t.Errorf("%s: %v, want ErrForm", what, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	older, _ := vector(f, 1)
	text, vkey := vector(f, 2)
	f.Add(older)
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
