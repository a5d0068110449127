// Package graphlayout lays out a directed graph without cycles from left to right:
// in layers, as Sugiyama, Tagawa and Toda do (IEEE Transactions on Systems, Man,
// and Cybernetics 11(2), 1981).
//
// Each node gets a layer to the right of all that leads to it. An edge that
// spans several layers has a place of its own in those between, so that it runs
// around the nodes there. The order within layers is sought in which the fewest
// edges cross, and then the heights at which edges are the straightest.
//
// All edges of a node that run on through a layer share one place there: they
// part where they have to.
//
// Parts of the graph that are not connected are laid out one by one, and put next
// to and below each other, unless the caller gives each node its layer. The same
// graph is always laid out in the same way, on every machine: products are converted before they are added to something,
// since a processor may otherwise not round them in between.
package graphlayout

import (
	"cmp"
	"math"
	"slices"
)

// The distances of a layout.
const (
	nodeGap  = 14 // between nodes of a layer
	edgeGap  = 9  // around an edge that runs through a layer
	layerGap = 52 // between layers, at least
	steep    = 0.2
	mostGap  = 170
	partGap  = 34 // between parts of the graph
)

// A Point is a place in a layout, right and down of its corner.
type Point struct{ X, Y float64 }

// A Box is where a node is.
type Box struct{ X, Y, W, H float64 }

// A Graph is what can be laid out.
type Graph struct {
	Boxes []Box // of nodes; their sizes alone count. They may be made wider
	// Up has for each node what leads to it, each once: nodes with lower
	// numbers or, with Ranks, of lower ranks.
	Up [][]int
	// Ranks has the layer of each node, counted from the left. If it is nil,
	// layers are found, and parts that nothing connects are laid out apart.
	Ranks []int
}

// A Layout is where everything is.
type Layout struct {
	Width, Height float64
	Boxes         []Box
	// Paths has for each node the ways of the edges that lead to it, as in Up:
	// a point, and three for each cubic curve from there on. One that leaves
	// another edge of the same node begins where it does.
	Paths [][][]Point
}

// Places returns how many places edges need in layers between those of their
// ends. Time and memory grow with them as they do with nodes.
func (g Graph) Places() int {
	down := turned(g.Up)
	rank := g.ranks(down)
	n := 0
	for v, next := range down {
		if far := furthest(rank, v, next); far > 0 {
			n += far - rank[v] - 1
		}
	}
	return n
}

// Of lays out a graph.
func Of(g Graph) *Layout {
	l := &Layout{Boxes: slices.Clone(g.Boxes), Paths: make([][][]Point, len(g.Up))}
	down := turned(g.Up)
	parts, single := g.parts(down)
	g.Ranks = g.ranks(down)
	pieces := make([]*piece, 0, len(parts)+1)
	area, widest := 0.0, 0.0
	for _, p := range parts {
		pc := g.lay(p, down)
		pieces = append(pieces, pc)
		area += float64((pc.width + partGap) * (pc.height + partGap))
		widest = max(widest, pc.width)
	}
	for _, v := range single {
		b := g.Boxes[v]
		area += float64((b.W + nodeGap) * (b.H + nodeGap))
	}
	room := max(widest, math.Sqrt(area*1.5))
	if len(single) > 0 {
		pieces = append(pieces, g.grid(single, room))
	}
	l.pack(pieces, room)
	return l
}

// turned returns what nodes lead to, from what leads to them.
func turned(up [][]int) [][]int {
	down := make([][]int, len(up))
	for v, parents := range up {
		for _, p := range parents {
			down[p] = append(down[p], v)
		}
	}
	return down
}

// ranks returns the layer of each node.
func (g Graph) ranks(down [][]int) []int {
	if len(g.Ranks) > 0 {
		return g.Ranks
	}
	return ranksOf(g.Up, down)
}

// parts returns the connected parts of a graph, the largest first, and the
// nodes that nothing is connected with. A graph with ranks is one part.
func (g Graph) parts(down [][]int) (parts [][]int, single []int) {
	if len(g.Ranks) > 0 {
		all := make([]int, len(g.Ranks))
		for v := range all {
			all[v] = v
		}
		return [][]int{all}, nil
	}
	seen := make([]bool, len(g.Up))
	for v := range g.Up {
		if seen[v] {
			continue
		}
		seen[v] = true
		part := []int{v}
		for i := 0; i < len(part); i++ {
			for _, links := range [2][]int{g.Up[part[i]], down[part[i]]} {
				for _, w := range links {
					if !seen[w] {
						seen[w] = true
						part = append(part, w)
					}
				}
			}
		}
		if len(part) == 1 {
			single = append(single, v)
			continue
		}
		slices.Sort(part)
		parts = append(parts, part)
	}
	slices.SortStableFunc(parts, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return parts, single
}

// A piece is a part of the graph that is laid out.
type piece struct {
	nodes         []int
	alone         bool // in a row of its own
	boxes         []Box
	paths         [][][]Point
	width, height float64
}

// grid puts nodes without edges into rows of equal columns.
func (g Graph) grid(nodes []int, room float64) *piece {
	p := &piece{nodes: nodes, alone: true, boxes: make([]Box, len(nodes)), paths: make([][][]Point, len(nodes))}
	w, h := 0.0, 0.0
	for _, v := range nodes {
		w, h = max(w, g.Boxes[v].W), max(h, g.Boxes[v].H)
	}
	columns := max(1, int((room+nodeGap)/(w+nodeGap)))
	for i := range nodes {
		b := Box{float64(float64(i%columns) * (w + nodeGap)), float64(float64(i/columns) * (h + nodeGap)), w, h}
		p.boxes[i] = b
		p.width, p.height = max(p.width, b.X+b.W), max(p.height, b.Y+b.H)
	}
	return p
}

// pack puts pieces into rows.
func (l *Layout) pack(pieces []*piece, room float64) {
	x, y, high := 0.0, 0.0, 0.0
	for _, p := range pieces {
		if x > 0 && (p.alone || x+p.width > room+1) {
			x, y, high = 0, y+high+partGap, 0
		}
		for i, v := range p.nodes {
			b := p.boxes[i]
			b.X, b.Y = b.X+x, b.Y+y
			l.Boxes[v] = b
			for _, path := range p.paths[i] {
				for k := range path {
					path[k].X, path[k].Y = path[k].X+x, path[k].Y+y
				}
			}
			l.Paths[v] = p.paths[i]
		}
		l.Width, l.Height = max(l.Width, x+p.width), max(l.Height, y+p.height)
		x += p.width + partGap
		high = max(high, p.height)
	}
}
