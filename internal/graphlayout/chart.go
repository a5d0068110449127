package graphlayout

// A spot is a place in a layer: that of a node, or one where edges run through.
type spot struct {
	node        int // in the piece, or -1
	source      int // the node whose edges these are
	rank        int
	at          int // in its layer
	y, h        float64
	left, right []int // spots in the layers before and after, that edges lead to
}

// A chart is a piece while it is laid out.
type chart struct {
	g     Graph         // with ranks
	nodes []int         // of the graph, by number in the piece
	local map[int]int   // and the other way around
	trunk map[int][]int // the spots through which the edges of a node run, layer by layer
	spots []spot        // those of nodes first
	ranks [][]int       // spots of each layer, from top to bottom
	x, w  []float64     // of layers
}

// lay lays out one part of a graph that has ranks.
func (g Graph) lay(part []int, down [][]int) *piece {
	c := newChart(g, part, down)
	c.untangle()
	c.settle()
	c.spread()
	p := &piece{nodes: part, boxes: make([]Box, len(part)), paths: make([][][]Point, len(part))}
	for i := range part {
		s := &c.spots[i]
		p.boxes[i] = Box{c.x[s.rank], s.y - s.h/2, c.w[s.rank], s.h}
		p.width = max(p.width, c.x[s.rank]+c.w[s.rank])
	}
	top, foot := c.extent()
	for i := range p.boxes {
		p.boxes[i].Y -= top
	}
	p.height = foot - top
	c.route(p, top)
	return p
}

// extent is how far a chart reaches up and down.
func (c *chart) extent() (top, foot float64) {
	top, foot = c.spots[0].y, c.spots[0].y
	for i := range c.spots {
		s := &c.spots[i]
		top, foot = min(top, s.y-s.h/2), max(foot, s.y+s.h/2)
	}
	return top, foot
}

func newChart(g Graph, part []int, down [][]int) *chart {
	c := &chart{g: g, nodes: part, local: make(map[int]int, len(part)), trunk: make(map[int][]int)}
	for i, v := range part {
		c.local[v] = i
	}
	on, rank := make([][]int, len(part)), make([]int, len(part))
	first := g.Ranks[part[0]]
	for i, v := range part {
		first = min(first, g.Ranks[v])
		for _, d := range down[v] {
			on[i] = append(on[i], c.local[d])
		}
	}
	for i, v := range part {
		rank[i] = g.Ranks[v] - first
		c.spots = append(c.spots, spot{node: i, source: i, rank: rank[i], h: g.Boxes[v].H})
	}
	for i := range part {
		c.connect(i, on[i], rank)
	}
	for i := range c.spots {
		r := c.spots[i].rank
		for len(c.ranks) <= r {
			c.ranks = append(c.ranks, nil)
			c.w = append(c.w, 0)
		}
		if i < len(part) {
			c.w[r] = max(c.w[r], g.Boxes[part[i]].W)
		}
	}
	c.begin()
	return c
}

// connect makes the spots through which the edges of a node run.
func (c *chart) connect(i int, on, rank []int) {
	before := []int{i} // the spot of the edges in each layer from the node's on
	if far := furthest(rank, i, on); far > 0 {
		for r := rank[i] + 1; r < far; r++ {
			c.spots = append(c.spots, spot{node: -1, source: i, rank: r})
			c.link(before[len(before)-1], len(c.spots)-1)
			before = append(before, len(c.spots)-1)
		}
		c.trunk[i] = before[1:]
	}
	for _, d := range on {
		c.link(before[rank[d]-rank[i]-1], d)
	}
}

func (c *chart) link(a, b int) {
	c.spots[a].right = append(c.spots[a].right, b)
	c.spots[b].left = append(c.spots[b].left, a)
}
