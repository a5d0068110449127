package drawing_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"audittrail/internal/cjson"
	"audittrail/lineage"
	"audittrail/lineage/drawing"
)

var update = flag.Bool("update", false, "write what is drawn to testdata")

func draw(t testing.TB, g *lineage.Graph, o drawing.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := drawing.Draw(&b, g, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// golden compares a drawing with the one that was looked at.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if filepath.Ext(name) == ".json" {
		name = filepath.Join("..", "..", "testdata", "vectors", "lineage-graph", name)
	} else {
		name = filepath.Join("testdata", name)
	}
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// TestGolden holds all forms of three graphs.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		g    *lineage.Graph
	}{
		{"empty", graphOf(t, nil)},
		{"bot", graphOf(t, bot(), "bot@3/production")},
		{"hostile", graphOf(t, hostile())},
	} {
		for _, f := range drawing.Forms() {
			golden(t, c.name+"."+string(f), draw(t, c.g, drawing.Options{Form: f, Title: c.name}))
		}
	}
	golden(t, "organisation.text", draw(t, graphOf(t, organisation(200)), drawing.Options{}))
}

// TestPage holds the picture and the drawing of docs/lineage-drawings.md.
func TestPage(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	g := graphOf(t, bot(), "bot@3/production")
	golden(t, filepath.Join("..", docs, "img", "lineage.svg"), draw(t, g, drawing.Options{Form: drawing.SVG, Title: "Lineage of example.com/assistant"}))
	page, err := os.ReadFile(filepath.Join(docs, "lineage-drawings.md"))
	if err != nil {
		t.Fatal(err)
	}
	if text := draw(t, g, drawing.Options{}); !bytes.Contains(page, append([]byte("```\n"), text...)) {
		t.Errorf("docs/lineage-drawings.md does not have this:\n%s", text)
	}
}

// TestJSON holds a graph in JSON against the graph.
func TestJSON(t *testing.T) {
	g := graphOf(t, hostile())
	var got struct {
		Format  string
		Version int
		Nodes   []struct {
			ID, Kind, Label string
			Seq             uint64
			Thing           json.RawMessage
		}
		Edges  []struct{ From, To, Role string }
		Faults []lineage.InvalidRecord
	}
	if err := json.Unmarshal(draw(t, g, drawing.Options{Form: drawing.JSON}), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || len(got.Nodes) != g.Len() || len(got.Edges) != g.EdgeCount() || got.Faults == nil {
		t.Fatalf("version %d, %d nodes, %d edges, faults %v", got.Version, len(got.Nodes), len(got.Edges), got.Faults)
	}
	for _, n := range got.Nodes {
		want, ok := g.Node(n.ID)
		if !ok || n.Label != want.Label() || n.Seq != want.Seq {
			t.Errorf("%+v is not in the graph", n)
			continue
		}
		canonical, err := cjson.AppendCanonical(nil, n.Thing) // nothing unseen is escaped in it
		if err != nil {
			t.Fatal(err)
		}
		thing, err := lineage.Decode(lineage.Kind(n.Kind), canonical)
		if err != nil || thing.Identity() != n.ID {
			t.Errorf("%s: the thing is not in the form that the log has: %v", n.ID, err)
		}
	}
}

// TestText holds that no line is longer than asked for, whatever is in it, and
// that nothing in it acts on a terminal.
func TestText(t *testing.T) {
	wheel := []lineage.Entity{} // more rails than there is room for
	for i := range 60 {
		wheel = append(wheel, &lineage.Dataset{Name: fmt.Sprintf("part %d", i)})
	}
	for i := range 3 {
		r := &lineage.TrainingRun{Name: fmt.Sprintf("run %d", i)}
		for k := range 60 {
			r.Datasets = append(r.Datasets, fmt.Sprintf("dataset:part %d", k))
		}
		wheel = append(wheel, r)
	}
	graphs := []*lineage.Graph{graphOf(t, wheel), graphOf(t, hostile()), graphOf(t, organisation(300))}
	golden(t, "wheel.text", draw(t, graphs[0], drawing.Options{}))
	for _, width := range []int{1, drawing.MinWidth, 80, 81, 132, 300} {
		for i, g := range graphs {
			out := string(draw(t, g, drawing.Options{Width: width}))
			for line := range strings.Lines(out) {
				line = strings.TrimSuffix(line, "\n")
				if w := uniseg.StringWidth(line); w > max(width, drawing.MinWidth) {
					t.Fatalf("graph %d: %d columns, want %d at most: %s", i, w, width, line)
				}
				if strings.ContainsFunc(line, unicode.IsControl) || strings.ContainsRune(line, '\u202e') {
					t.Fatalf("graph %d: %q acts on a terminal", i, line)
				}
			}
		}
	}
}

// TestSame holds that a graph read back from elsewhere is drawn the same.
func TestSame(t *testing.T) {
	for _, f := range drawing.Forms() {
		a := draw(t, graphOf(t, organisation(150)), drawing.Options{Form: f})
		b := draw(t, graphOf(t, organisation(150)), drawing.Options{Form: f})
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two drawings of one graph differ", f)
		}
	}
}

func TestRefused(t *testing.T) {
	g := graphOf(t, bot())
	err := drawing.Draw(io.Discard, g, drawing.Options{Form: "png"})
	if err == nil || !strings.Contains(err.Error(), `unknown form "png"`) {
		t.Errorf("png: %v", err)
	}
	full := errors.New("no space left")
	for _, f := range drawing.Forms() {
		if err := drawing.Draw(broken{full}, g, drawing.Options{Form: f}); !errors.Is(err, full) {
			t.Errorf("%s: what fails in writing is %v", f, err)
		}
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func BenchmarkDraw(b *testing.B) {
	g := graphOf(b, organisation(drawing.MaxNodes))
	for _, f := range drawing.Forms() {
		b.Run(string(f), func(b *testing.B) {
			for b.Loop() {
				if err := drawing.Draw(io.Discard, g, drawing.Options{Form: f}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
