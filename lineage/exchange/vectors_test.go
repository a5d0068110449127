package exchange_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/lineage"
	"audittrail/lineage/exchange"
)

var update = flag.Bool("update", false, "write the vectors that are missing")

// golden compares bytes with a vector, which is kept forever.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "vectors", "lineage-exchange", name)
	want, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(string(want), string(got)))
	}
}

// TestWritten holds what is written of the same things against the vectors.
func TestWritten(t *testing.T) {
	var nodes []*lineage.Node
	for _, thing := range completeThings(t) {
		nodes = append(nodes, &lineage.Node{ID: thing.Identity(), Kind: thing.Kind(), Entity: thing, Registered: day(9)})
	}
	for _, f := range exchange.Writable() {
		golden(t, "written-"+string(f)+".json", write(t, f, nodes))
	}
}

// TestRead holds what becomes of documents against the vectors.
func TestRead(t *testing.T) {
	long := strings.Repeat("a long name ", 30)
	for name, tt := range map[string]struct {
		format exchange.Format
		in     string
	}{
		"openlineage": {exchange.OpenLineage, sparks(4)},
		"openlineage-long": {
			exchange.OpenLineage,
			event(`"inputs":[{"namespace":"` + long + `","name":" ` + long + `"},{"namespace":"n","name":"tab\tbed"}]`),
		},
		"cyclonedx": {exchange.CycloneDX, hub},
		"mlflow":    {exchange.MLflow, tracked},
		"croissant": {exchange.Croissant, titanic("")},
	} {
		d, err := exchange.Read(tt.format, []byte(tt.in), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		type thing struct {
			Kind    lineage.Kind    `json:"kind"`
			Details json.RawMessage `json:"details"`
		}
		v := struct {
			Document string  `json:"document"`
			Things   []thing `json:"things"`
		}{Document: tt.in}
		for _, x := range d.Entities() {
			v.Things = append(v.Things, thing{x.Kind(), lineage.Encode(x)})
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		golden(t, "read-"+name+".json", b.Bytes())
	}
}
