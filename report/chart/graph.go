package chart

import (
	"cmp"
	"slices"

	"audittrail/report/document"
)

// The layout of graphs.
const (
	boxWidth  = 188
	boxHeight = 34
	boxGap    = 12 // between boxes of one layer
	layerGap  = 56 // between layers
	headRoom  = 8
)

// MaxNodes is how many things are drawn: more of them can be counted, not read.
const MaxNodes = 200

// OfGraph draws a graph in layers from left to right. It returns nil if the
// graph is empty or larger than anybody could read.
func OfGraph(g *document.Graph) *Drawing {
	if len(g.Nodes) == 0 || len(g.Nodes) > MaxNodes {
		return nil
	}
	layers := layersOf(g)
	tallest := 0
	for _, l := range layers {
		tallest = max(tallest, len(l))
	}
	left, right := float64(headRoom), float64(headRoom)
	for _, e := range g.Edges { // those that go back, or stay, leave their layer
		if slices.Contains(layers[0], e[1]) {
			left = layerGap
		}
		if slices.Contains(layers[len(layers)-1], e[0]) {
			right = layerGap
		}
	}
	d := &Drawing{
		Width:  left + float64(len(layers)*(boxWidth+layerGap)-layerGap) + right,
		Height: float64(tallest*(boxHeight+boxGap) - boxGap + 2*headRoom),
	}
	place := make([]Point, len(g.Nodes))
	for x, l := range layers {
		top := headRoom + float64((tallest-len(l))*(boxHeight+boxGap))/2
		for y, n := range l {
			place[n] = Point{left + float64(x*(boxWidth+layerGap)), top + float64(y*(boxHeight+boxGap))}
		}
	}
	for _, e := range g.Edges {
		d.edge(place[e[0]], place[e[1]])
	}
	for n, at := range place {
		d.node(&g.Nodes[n], at)
	}
	return d
}

func (d *Drawing) edge(from, to Point) {
	a := Point{from.X + boxWidth, from.Y + boxHeight/2}
	b := Point{to.X, to.Y + boxHeight/2}
	bend := max(layerGap/2, (b.X-a.X)/2)
	if from.X == to.X { // within a layer: along its left side
		a.X = from.X
		side := min(16+(max(a.Y, b.Y)-min(a.Y, b.Y))/12, layerGap-8)
		d.add(Shape{Kind: Curve, Ink: Axis, Points: []Point{a, {a.X - side, a.Y}, {b.X - side, b.Y}, b}})
		d.add(Shape{Kind: Dot, Ink: Axis, At: b, Width: 2.5})
		return
	}
	d.add(Shape{Kind: Curve, Ink: Axis, Points: []Point{a, {a.X + bend, a.Y}, {b.X - bend, b.Y}, b}})
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

// layersOf sorts the nodes of each layer so that edges cross less: by the mean
// place of those that lead to a node, and then of those it leads to.
func layersOf(g *document.Graph) [][]int {
	var numbers []int
	for _, n := range g.Nodes {
		if !slices.Contains(numbers, n.Layer) {
			numbers = append(numbers, n.Layer)
		}
	}
	slices.Sort(numbers)
	layers := make([][]int, len(numbers))
	for i, n := range g.Nodes {
		at := slices.Index(numbers, n.Layer)
		layers[at] = append(layers[at], i)
	}
	row := make([]float64, len(g.Nodes))
	settle := func(l []int) {
		for y, n := range l {
			row[n] = float64(y) - float64(len(l)-1)/2
		}
	}
	for _, l := range layers {
		settle(l)
	}
	for range 8 {
		for _, l := range layers {
			sortBy(l, row, g.Edges, 1, 0)
			settle(l)
		}
		for _, l := range slices.Backward(layers) {
			sortBy(l, row, g.Edges, 0, 1)
			settle(l)
		}
	}
	return layers
}

// sortBy sorts nodes by the mean row of what their edges lead to; from and to
// are the ends of the edges.
func sortBy(layer []int, row []float64, edges [][2]int, from, to int) {
	mean := make(map[int]float64)
	count := make(map[int]float64)
	for _, e := range edges {
		mean[e[from]] += row[e[to]]
		count[e[from]]++
	}
	at := func(n int) float64 {
		if count[n] == 0 {
			return row[n]
		}
		return mean[n] / count[n]
	}
	slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(at(a), at(b)) })
}
