package drawing_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"audittrail/lineage"
	"audittrail/lineage/drawing"
)

// names are the labels that others should read of a graph, as far as nothing
// in them is spelled out.
func names(g *lineage.Graph) map[string]bool {
	all := make(map[string]bool)
	for n := range g.Nodes() {
		hidden := func(r rune) bool { return unicode.In(r, unicode.Cf) }
		if !strings.ContainsFunc(strings.ReplaceAll(n.Label(), "\u200d", ""), hidden) {
			all[n.Label()] = true
		}
	}
	return all
}

// TestGraphviz has Graphviz draw, and reads from it which words it put where.
// To run the tests of this module, Go is enough; where CI is set, all must run.
func TestGraphviz(t *testing.T) {
	dot, err := exec.LookPath("dot")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("this test has Graphviz read what is drawn for it: %v", err)
	}
	if err != nil {
		t.Skipf("this test has Graphviz read what is drawn for it: %v", err)
	}
	for _, g := range []*lineage.Graph{graphOf(t, nil), graphOf(t, bot(), "bot@3/production"), graphOf(t, hostile())} {
		cmd := exec.CommandContext(t.Context(), dot, "-Tjson")
		cmd.Stdin = bytes.NewReader(draw(t, g, drawing.Options{Form: drawing.DOT, Title: `a "title" \`}))
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, &said)
		}
		var got struct {
			Objects []struct {
				Words []struct{ Op, Text string } `json:"_ldraw_"`
			}
			Edges []struct{ Label string }
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Objects) != g.Len() || len(got.Edges) != g.EdgeCount() || strings.Contains(said.String(), "rror") {
			t.Errorf("Graphviz drew %d nodes and %d edges, want %d and %d; it said: %s", len(got.Objects), len(got.Edges), g.Len(), g.EdgeCount(), &said)
		}
		missing := names(g)
		for _, o := range got.Objects {
			for _, w := range o.Words {
				delete(missing, w.Text)
			}
		}
		for name := range missing {
			t.Errorf("Graphviz drew no %q", name)
		}
	}
}

// TestMermaid has Mermaid draw in a browser, and reads the words of its
// picture.
func TestMermaid(t *testing.T) {
	script := os.Getenv("AUDITTRAIL_MERMAID")
	browser, err := exec.LookPath("chromium")
	if script == "" || err != nil {
		t.Skip("this test has Mermaid draw what is made for it: set AUDITTRAIL_MERMAID to the mermaid.min.js of its npm package, and install chromium")
	}
	library, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*lineage.Graph{graphOf(t, bot(), "bot@3/production"), graphOf(t, hostile())} {
		source, err := json.Marshal(string(draw(t, g, drawing.Options{Form: drawing.Mermaid})))
		if err != nil {
			t.Fatal(err)
		}
		page := fmt.Sprintf(`<!DOCTYPE html><meta charset="utf-8"><body><p id="out"></p><script>%s</script><script>
mermaid.initialize({startOnLoad: false, securityLevel: "strict"})
mermaid.render("g", %s).then(r => out.innerHTML = r.svg, e => out.textContent = "refused: " + e)
</script>`, bytes.ReplaceAll(library, []byte("</script"), []byte(`<\/script`)), source)
		name := filepath.Join(t.TempDir(), "page.html")
		if err := os.WriteFile(name, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
		dom, err := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom", "file://"+name).Output()
		if err != nil {
			t.Fatal(err)
		}
		missing := names(g)
		labels := regexp.MustCompile(`class="nodeLabel[^>]*><p>(.*?)</p>`).FindAllSubmatch(dom, -1)
		for _, l := range labels {
			first, _, _ := strings.Cut(string(l[1]), "<br>")
			delete(missing, strings.ReplaceAll(html.UnescapeString(first), "\u200b", ""))
		}
		if len(labels) != g.Len() {
			t.Errorf("Mermaid drew %d nodes, want %d", len(labels), g.Len())
		}
		for name := range missing {
			t.Errorf("Mermaid drew no %q", name)
		}
	}
}
