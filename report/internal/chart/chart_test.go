package chart_test

import (
	"testing"

	"audittrail/report/document"
	"audittrail/report/internal/chart"
)

// within fails where a shape leaves the drawing.
func within(t *testing.T, d *chart.Drawing) {
	t.Helper()
	for _, s := range d.Shapes {
		for _, p := range append(s.Points, s.At, chart.Point{X: s.At.X + s.Width, Y: s.At.Y}) {
			if p.X < 0 || p.X > d.Width+1 || p.Y < 0 || p.Y > d.Height+1 {
				t.Errorf("%v of %v leaves a drawing of %v by %v", p, s, d.Width, d.Height)
			}
		}
	}
}

func TestChart(t *testing.T) {
	for _, kind := range []string{document.Bars, document.Stack, document.Lines} {
		for n := range 400 {
			c := document.Chart{Kind: kind, Series: []document.Series{{Name: "a"}, {Name: "b", Tone: document.Bad}}}
			for i := range n {
				c.Labels = append(c.Labels, "2026-11-02")
				c.Series[0].Values = append(c.Series[0].Values, document.CountOf(i*i))
				c.Series[1].Values = append(c.Series[1].Values, document.Value{})
			}
			within(t, chart.Of(&c))
		}
	}
}

func TestGraph(t *testing.T) {
	if chart.OfGraph(&document.Graph{}) != nil {
		t.Error("a graph without nodes was drawn")
	}
	g := document.Graph{Nodes: make([]document.Node, chart.MaxNodes)}
	for i := range g.Nodes {
		g.Nodes[i].Layer = i % 4
		if i > 0 {
			g.Edges = append(g.Edges, [2]int{i - 1, i})
		}
	}
	g.Edges = append(g.Edges, [2]int{0, 4}, [2]int{0, chart.MaxNodes - 4}) // within a layer
	d := chart.OfGraph(&g)
	within(t, d)
	boxes := make(map[chart.Point]bool)
	for _, s := range d.Shapes {
		if s.Kind == chart.Box && s.Ink == chart.Paper {
			if boxes[s.At] {
				t.Errorf("two boxes at %v", s.At)
			}
			boxes[s.At] = true
		}
	}
	if len(boxes) != chart.MaxNodes {
		t.Errorf("%d boxes, want %d", len(boxes), chart.MaxNodes)
	}
	g.Nodes = append(g.Nodes, document.Node{})
	if chart.OfGraph(&g) != nil {
		t.Error("more nodes than anybody could read were drawn")
	}
}

// A report from outside may have edges that lead back, to their own node, or
// twice to another. All are drawn, the last once.
func TestGraphOfAnyEdges(t *testing.T) {
	g := document.Graph{Nodes: []document.Node{{Layer: 7}, {Layer: -2}, {Layer: 7}, {Layer: 900}}}
	for _, tt := range []struct {
		edges [][2]int
		want  int
	}{
		{nil, 0},
		{[][2]int{{1, 0}}, 1},
		{[][2]int{{1, 0}, {1, 0}}, 1},
		{[][2]int{{0, 0}, {0, 2}, {2, 0}}, 3},
		{[][2]int{{1, 3}, {3, 1}, {0, 1}, {3, 0}}, 4},
	} {
		g.Edges = tt.edges
		d := chart.OfGraph(&g)
		within(t, d)
		ends := 0
		for _, s := range d.Shapes {
			if s.Kind == chart.Dot {
				ends++
			}
		}
		if ends != tt.want {
			t.Errorf("%v is drawn with %d edges, want %d", tt.edges, ends, tt.want)
		}
	}
}

// TestGraphAroundNodes holds that an edge past a layer does not run through a
// node of it.
func TestGraphAroundNodes(t *testing.T) {
	d := chart.OfGraph(&document.Graph{
		Nodes: []document.Node{{Layer: 0}, {Layer: 1}, {Layer: 2}},
		Edges: [][2]int{{0, 1}, {1, 2}, {0, 2}},
	})
	for _, b := range d.Shapes {
		if b.Kind != chart.Box {
			continue
		}
		for _, e := range d.Shapes {
			for _, p := range e.Points {
				if p.X > b.At.X && p.X < b.At.X+b.Width && p.Y > b.At.Y && p.Y < b.At.Y+b.Height {
					t.Errorf("an edge has the point %v in the box at %v", p, b.At)
				}
			}
		}
	}
}
