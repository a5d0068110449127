package chart_test

import (
	"testing"

	"audittrail/report/chart"
	"audittrail/report/document"
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
