package graphlayout_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"audittrail/internal/graphlayout"
)

// of lays out a graph of boxes of different widths.
func of(up [][]int) *graphlayout.Layout {
	g := graphlayout.Graph{Up: up, Boxes: make([]graphlayout.Box, len(up))}
	for i := range g.Boxes {
		g.Boxes[i] = graphlayout.Box{W: 100 + float64(i*37%130), H: 40}
	}
	return graphlayout.Of(g)
}

// random makes a graph of some nodes, whose edges reach back so far at most.
func random(rng *rand.Rand, n, reach, most int) [][]int {
	up := make([][]int, n)
	for v := range up {
		for range rng.IntN(most) {
			if p := v - 1 - rng.IntN(reach); p >= 0 && !slices.Contains(up[v], p) {
				up[v] = append(up[v], p)
			}
		}
		slices.Sort(up[v])
	}
	return up
}

// check holds that nodes stand apart, and that edges lead from node to node and
// around all others.
func check(t *testing.T, up [][]int, l *graphlayout.Layout) {
	t.Helper()
	for v, b := range l.Boxes {
		if b.X < 0 || b.Y < -0.01 || b.X+b.W > l.Width+0.01 || b.Y+b.H > l.Height+0.01 {
			t.Fatalf("node %d at %v leaves a layout of %v by %v", v, b, l.Width, l.Height)
		}
		for w, o := range l.Boxes[:v] {
			if b.X < o.X+o.W && o.X < b.X+b.W && b.Y < o.Y+o.H+5 && o.Y < b.Y+b.H+5 {
				t.Fatalf("nodes %d at %v and %d at %v touch", v, b, w, o)
			}
		}
	}
	for v, parents := range up {
		if len(l.Paths[v]) != len(parents) {
			t.Fatalf("%d edges lead to node %d, want %d", len(l.Paths[v]), v, len(parents))
		}
		for i, p := range parents {
			path := l.Paths[v][i]
			first, last := path[0], path[len(path)-1]
			from, to := l.Boxes[p], l.Boxes[v]
			begins := math.Abs(first.X-from.X-from.W) < 0.01 && first.Y > from.Y && first.Y < from.Y+from.H
			if !begins && !slices.Contains(others(up, l, p), first) {
				t.Fatalf("the edge from %d at %v to %d begins at %v", p, from, v, first)
			}
			if math.Abs(last.X-to.X) > 0.01 || last.Y <= to.Y || last.Y >= to.Y+to.H {
				t.Fatalf("the edge from %d to %d at %v ends at %v", p, v, to, last)
			}
			for _, at := range points(path) {
				for w, b := range l.Boxes {
					if at.X > b.X+0.01 && at.X < b.X+b.W-0.01 && at.Y > b.Y && at.Y < b.Y+b.H {
						t.Fatalf("the edge from %d to %d runs through node %d", p, v, w)
					}
				}
			}
		}
	}
}

// others are all points of the edges of a node.
func others(up [][]int, l *graphlayout.Layout, p int) []graphlayout.Point {
	var all []graphlayout.Point
	for v, parents := range up {
		if i := slices.Index(parents, p); i >= 0 {
			all = append(all, l.Paths[v][i][1:]...)
		}
	}
	return all
}

// points are some points of a path, so many of each curve.
func points(path []graphlayout.Point) []graphlayout.Point {
	const steps = 8
	out := []graphlayout.Point{path[0]}
	for i := 0; i+3 < len(path); i += 3 {
		a, b, c, d := path[i], path[i+1], path[i+2], path[i+3]
		for k := 1; k <= steps; k++ {
			t := float64(k) / steps
			mix := func(a, b, c, d float64) float64 {
				u := 1 - t
				return u*u*u*a + 3*u*u*t*b + 3*u*t*t*c + t*t*t*d
			}
			out = append(out, graphlayout.Point{X: mix(a.X, b.X, c.X, d.X), Y: mix(a.Y, b.Y, c.Y, d.Y)})
		}
	}
	return out
}

// crossings counts the pairs of edges without a common end that meet.
func crossings(up [][]int, l *graphlayout.Layout) int {
	type edge struct {
		from, to int
		points   []graphlayout.Point
	}
	var all []edge
	for v, parents := range up {
		for i, p := range parents {
			all = append(all, edge{p, v, points(l.Paths[v][i])})
		}
	}
	side := func(a, b, c graphlayout.Point) bool { return (b.X-a.X)*(c.Y-a.Y) > (b.Y-a.Y)*(c.X-a.X) }
	meet := func(e, f edge) bool {
		for i := 1; i < len(e.points); i++ {
			for k := 1; k < len(f.points); k++ {
				a, b, c, d := e.points[i-1], e.points[i], f.points[k-1], f.points[k]
				if side(a, b, c) != side(a, b, d) && side(c, d, a) != side(c, d, b) {
					return true
				}
			}
		}
		return false
	}
	n := 0
	for i, e := range all {
		for _, f := range all[:i] {
			if e.from != f.from && e.from != f.to && e.to != f.from && e.to != f.to && meet(e, f) {
				n++
			}
		}
	}
	return n
}

func TestRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		up := random(rng, rng.IntN(70), 1+rng.IntN(40), 1+rng.IntN(4))
		check(t, up, of(up))
	}
}

// TestPlain has graphs that can be drawn without a crossing, and are.
func TestPlain(t *testing.T) {
	tree := make([][]int, 80)
	for v := 1; v < len(tree); v++ {
		tree[v] = []int{(v - 1) / 3}
	}
	turned := make([][]int, 40) // a tree that grows together
	for v := 1; v < len(turned); v++ {
		leaf := len(turned) - 1 - v
		root := len(turned) - 1 - (v-1)/2
		turned[root] = append(turned[root], leaf)
	}
	for _, parents := range turned {
		slices.Sort(parents)
	}
	for name, up := range map[string][][]int{
		"nothing": nil,
		"one":     {{}},
		"apart":   {{}, {}, {}},
		"a chain": {{}, {0}, {1}, {2}},
		"diamond": {{}, {0}, {0}, {1, 2}},
		"beside":  {{}, {0}, {1}, {0, 2}}, // an edge that runs by
		"a tree":  tree,
		"a root":  turned,
	} {
		l := of(up)
		check(t, up, l)
		if n := crossings(up, l); n != 0 {
			t.Errorf("%s: %d crossings, want none", name, n)
		}
	}
}

func TestStraight(t *testing.T) {
	l := of([][]int{{}, {0}, {1}, {2}, {0, 3}})
	for v := 1; v < 4; v++ {
		if y := l.Boxes[v].Y; math.Abs(y-l.Boxes[1].Y) > 0.5 {
			t.Errorf("node %d of a chain stands at %v, and the first at %v", v, y, l.Boxes[1].Y)
		}
	}
}

// TestShort holds that a node that is used once is next to the node that uses it.
func TestShort(t *testing.T) {
	up := [][]int{{}, {0}, {1}, {2}, {}, {3, 4}}
	if l := of(up); l.Boxes[4].X != l.Boxes[3].X {
		t.Errorf("node 4 stands at %v, want it beside 3 at %v", l.Boxes[4], l.Boxes[3])
	}
	if got := (graphlayout.Graph{Up: up}).Places(); got != 0 {
		t.Errorf("%d places of edges, want none", got)
	}
	if got := (graphlayout.Graph{Up: [][]int{{}, {0}, {1}, {0, 2}, {0, 3}}}).Places(); got != 3 {
		t.Errorf("%d places of edges, want the 3 of the longer one, which the other shares", got)
	}
}

func TestSame(t *testing.T) {
	up := random(rand.New(rand.NewPCG(5, 6)), 400, 60, 4)
	if a, b := of(up), of(up); !reflect.DeepEqual(a, b) {
		t.Error("a graph was laid out in two ways")
	}
}

// TestRanks lays out graphs whose layers the caller chose: all nodes of a rank
// share a column, and edges run around the nodes between.
func TestRanks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		n, columns := 1+rng.IntN(60), 1+rng.IntN(6)
		g := graphlayout.Graph{Boxes: make([]graphlayout.Box, n), Up: make([][]int, n), Ranks: make([]int, n)}
		for v := range g.Ranks {
			g.Boxes[v] = graphlayout.Box{W: 100, H: 40}
			g.Ranks[v] = 3 + rng.IntN(columns)
		}
		for v := range g.Up {
			for range rng.IntN(4) {
				if p := rng.IntN(n); g.Ranks[p] < g.Ranks[v] && !slices.Contains(g.Up[v], p) {
					g.Up[v] = append(g.Up[v], p)
				}
			}
		}
		l := graphlayout.Of(g)
		check(t, g.Up, l)
		for v, b := range l.Boxes {
			for w, o := range l.Boxes[:v] {
				if (g.Ranks[v] == g.Ranks[w]) != (b.X == o.X) || (g.Ranks[v] < g.Ranks[w]) != (b.X < o.X) {
					t.Fatalf("node %d of rank %d is at %v, and node %d of rank %d at %v", v, g.Ranks[v], b.X, w, g.Ranks[w], o.X)
				}
			}
		}
	}
	if l := graphlayout.Of(graphlayout.Graph{Ranks: []int{}}); l.Width != 0 || l.Height != 0 {
		t.Errorf("a graph without nodes has a layout of %v by %v", l.Width, l.Height)
	}
	far := graphlayout.Graph{Up: [][]int{{}, {0}}, Ranks: []int{0, 5}}
	if got := far.Places(); got != 4 {
		t.Errorf("an edge from rank 0 to 5 has %d places, want 4", got)
	}
}
