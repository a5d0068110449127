package lineage_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail/lineage"
)

// A vector is the details of an entity as the log has them. Those that are accepted
// have the entity in JSON as a person wrote it, too.
type vector struct {
	Name    string          `json:"name"`
	Kind    lineage.Kind    `json:"kind"`
	Written json.RawMessage `json:"written,omitempty"`
	Details string          `json:"details"`
}

func vectors(t testing.TB, name string) []vector {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "lineage", name))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return all
}

func TestVectors(t *testing.T) {
	seen := map[lineage.Kind]bool{}
	for _, v := range vectors(t, "accepted.json") {
		thing, err := lineage.ParseJSON(v.Kind, v.Written)
		if err == nil {
			err = lineage.Complete(thing)
		}
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if got := string(lineage.Encode(thing)); got != v.Details {
			t.Errorf("%s: Encode gives\n%s, want\n%s", v.Name, got, v.Details)
		}
		if _, err := lineage.Decode(v.Kind, []byte(v.Details)); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		seen[v.Kind] = true
	}
	for _, k := range lineage.Kinds() {
		if !seen[k] {
			t.Errorf("no vector is a %s", k)
		}
	}
	for _, v := range vectors(t, "refused.json") {
		if thing, err := lineage.Decode(v.Kind, []byte(v.Details)); err == nil {
			t.Errorf("%s: Decode accepts it as %s", v.Name, thing.Identity())
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"nmae":"x"}`, `"nmae": unknown field; use attributes`},
		{`{"name":1}`, "name: "},
		{`{"name":"x","created":"yesterday"}`, "created: "},
		{`{"name":"x","sources":"y"}`, "sources: "},
		{`[]`, "object"},
		{`{"name":"x"} {}`, "read a dataset"},
	} {
		if _, err := lineage.ParseJSON(lineage.KindDataset, []byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseJSON(%s): %v, want %q", c.in, err, c.want)
		}
	}
	if _, err := lineage.ParseJSON("house", nil); err == nil || !strings.Contains(err.Error(), `unknown kind "house": use dataset`) {
		t.Errorf("an unknown kind: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"accepted.json", "refused.json"} {
		for _, v := range vectors(f, name) {
			f.Add(string(v.Kind), []byte(v.Details))
		}
	}
	f.Fuzz(func(t *testing.T, kind string, in []byte) {
		thing, err := lineage.Decode(lineage.Kind(kind), in)
		if err == nil && !bytes.Equal(lineage.Encode(thing), in) {
			t.Errorf("Decode accepted %q, Encode gives %q", in, lineage.Encode(thing))
		}
		// JSON that people write is completed to the stored form, or refused.
		written, err := lineage.ParseJSON(lineage.Kind(kind), in)
		if err != nil || lineage.Complete(written) != nil {
			return
		}
		if _, err := lineage.Decode(lineage.Kind(kind), lineage.Encode(written)); err != nil {
			t.Errorf("Decode refuses what Complete made of %q: %v", in, err)
		}
	})
}
