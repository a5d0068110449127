package chart

import (
	"math"
	"slices"

	"audittrail/internal/graphlayout"
	"audittrail/report/document"
)

// The layout of graphs.
const (
	boxWidth  = 188
	boxHeight = 34
	headRoom  = 8
	sideRoom  = 56 // next to the first and last layer, for edges that leave them on that side
)

// MaxNodes is how many things are drawn: more of them can be counted, not read.
const MaxNodes = 200

// OfGraph draws a graph in layers from left to right. It returns nil if the
// graph is empty or larger than anybody could read.
func OfGraph(g *document.Graph) *Drawing {
	if len(g.Nodes) == 0 || len(g.Nodes) > MaxNodes {
		return nil
	}
	of := graphlayout.Graph{Boxes: make([]graphlayout.Box, len(g.Nodes)), Up: make([][]int, len(g.Nodes)), Ranks: ranksOf(g.Nodes)}
	for n := range of.Boxes {
		of.Boxes[n] = graphlayout.Box{W: boxWidth, H: boxHeight}
	}
	last := slices.Max(of.Ranks)
	var beside [][2]int // edges within a layer, or back
	left, right := float64(headRoom), float64(headRoom)
	for _, e := range g.Edges {
		from, to := of.Ranks[e[0]], of.Ranks[e[1]]
		if from < to {
			if !slices.Contains(of.Up[e[1]], e[0]) {
				of.Up[e[1]] = append(of.Up[e[1]], e[0])
			}
			continue
		}
		beside = append(beside, e)
		if to == 0 {
			left = sideRoom
		}
		if from == last {
			right = sideRoom
		}
	}
	l := graphlayout.Of(of)
	d := &Drawing{Width: left + l.Width + right, Height: l.Height + 2*headRoom}
	place := func(p graphlayout.Point) Point { return Point{p.X + left, p.Y + headRoom} }
	corner := func(n int) Point { return place(graphlayout.Point{X: l.Boxes[n].X, Y: l.Boxes[n].Y}) }
	for _, e := range beside {
		d.back(corner(e[0]), corner(e[1]))
	}
	for _, paths := range l.Paths {
		for _, path := range paths {
			d.path(path, place)
		}
	}
	for n := range g.Nodes {
		d.node(&g.Nodes[n], corner(n))
	}
	return d
}

// ranksOf returns the layers of nodes, numbered from 0 without gaps.
func ranksOf(nodes []document.Node) []int {
	var numbers []int
	for _, n := range nodes {
		numbers = append(numbers, n.Layer)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	ranks := make([]int, len(nodes))
	for i, n := range nodes {
		ranks[i], _ = slices.BinarySearch(numbers, n.Layer)
	}
	return ranks
}

// path draws an edge that was laid out: a point, and three for each curve.
func (d *Drawing) path(path []graphlayout.Point, place func(graphlayout.Point) Point) {
	points := make([]Point, len(path))
	for i, p := range path {
		points[i] = place(p)
	}
	for i := 0; i+3 < len(points); i += 3 {
		d.add(Shape{Kind: Curve, Ink: Axis, Points: points[i : i+4 : i+4]})
	}
	d.add(Shape{Kind: Dot, Ink: Axis, At: points[len(points)-1], Width: 2.5})
}

// back draws an edge that leads to a node of the same layer, along its left
// side, or of a layer further left.
func (d *Drawing) back(from, to Point) {
	a := Point{from.X + boxWidth, from.Y + boxHeight/2}
	b := Point{to.X, to.Y + boxHeight/2}
	bend := float64(sideRoom / 2)
	if from.X == to.X {
		a.X = from.X
		bend = -min(16+(max(a.Y, b.Y)-min(a.Y, b.Y))/12, sideRoom-8)
	}
	d.add(Shape{Kind: Curve, Ink: Axis, Points: []Point{a, {a.X + bend, a.Y}, {b.X - math.Abs(bend), b.Y}, b}})
	d.add(Shape{Kind: Dot, Ink: Axis, At: b, Width: 2.5})
}

func (d *Drawing) node(n *document.Node, at Point) {
	ink := Paper
	switch n.Tone {
	case document.Good, document.Warning, document.Bad:
		ink = Ink(n.Tone)
	}
	d.add(Shape{Kind: Box, Ink: Paper, At: at, Width: boxWidth, Height: boxHeight, Tip: n.Kind + " " + n.Label})
	if ink != Paper {
		d.add(Shape{Kind: Box, Ink: ink, At: at, Width: 4, Height: boxHeight})
	}
	d.word(Name, at.X+10, at.Y+15, Start, fit(n.Label, 24))
	d.word(Note, at.X+10, at.Y+28, Start, fit(n.Kind, 26))
}
