package graphlayout

import (
	"cmp"
	"math"
	"slices"
)

// spread gives layers their places from left to right: the further edges rise
// or fall between two, the wider apart these are.
func (c *chart) spread() {
	c.x = make([]float64, len(c.ranks))
	for r := 1; r < len(c.ranks); r++ {
		rise := 0.0
		for _, s := range c.ranks[r] {
			for _, p := range c.spots[s].left {
				rise = max(rise, math.Abs(c.spots[s].y-c.spots[p].y))
			}
		}
		c.x[r] = c.x[r-1] + c.w[r-1] + min(layerGap+float64(rise*steep), mostGap)
	}
}

// portGap is how far apart edges touch a node.
const portGap = 7

// ports are the heights at which edges touch one side of a node.
func (c *chart) ports(s int, next []int) map[int]float64 {
	me := &c.spots[s]
	out := make(map[int]float64, len(next))
	order := slices.Clone(next)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.spots[a].y, c.spots[b].y) })
	gap := 0.0
	if len(order) > 1 {
		gap = min(portGap, me.h*0.6/float64(len(order)-1))
	}
	for i, n := range order {
		out[n] = me.y
		if me.node >= 0 {
			out[n] += float64(gap * (float64(i) - float64(len(order)-1)/2))
		}
	}
	return out
}

// route finds the ways of edges: level through layers, and as curves between
// them, where no node is. A section that several edges of a node share
// is part of the way of one of those that lead the furthest.
func (c *chart) route(p *piece, top float64) {
	leaving := make([]map[int]float64, len(c.nodes))
	drawn := make([]bool, len(c.nodes)) // where the edges of a node run through layers
	for i := range c.nodes {
		leaving[i] = c.ports(i, c.spots[i].right)
	}
	for i, v := range c.nodes {
		arriving := c.ports(i, c.spots[i].left)
		for _, up := range c.g.Up[v] {
			u := c.local[up]
			way := append([]int{u}, c.trunk[u][:max(0, c.spots[i].rank-c.spots[u].rank-1)]...)
			first, last := i, way[len(way)-1]
			at := Point{c.x[c.spots[u].rank] + c.w[c.spots[u].rank], 0}
			if len(way) > 1 {
				first = way[1]
			}
			at.Y = leaving[u][first] - top
			if len(way) > 1 && (len(way) <= len(c.trunk[u]) || drawn[u]) {
				s := &c.spots[last] // up to here another edge runs the same way
				way, at = way[len(way)-1:], Point{c.x[s.rank] + c.w[s.rank], s.y - top}
			} else if len(way) > 1 {
				drawn[u] = true
			}
			path := []Point{at}
			to := func(x, y float64) {
				half := (x - at.X) / 2
				path = append(path, Point{at.X + half, at.Y}, Point{x - half, y}, Point{x, y})
				at = Point{x, y}
			}
			for _, s := range way[1:] {
				r := c.spots[s].rank
				to(c.x[r], c.spots[s].y-top)
				to(c.x[r]+c.w[r], c.spots[s].y-top)
			}
			to(c.x[c.spots[i].rank], arriving[last]-top)
			p.paths[i] = append(p.paths[i], path)
		}
	}
}
