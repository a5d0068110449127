package graphlayout

import "slices"

// rounds is how often heights are settled from each side.
const rounds = 16

// settle finds heights at which edges are straight: each layer's in turn, so
// that the squares of what edges rise or fall are the least that its order and
// its distances allow.
func (c *chart) settle() {
	for r := range c.ranks {
		y := 0.0
		for i, s := range c.ranks[r] {
			if i > 0 {
				y += c.apart(c.ranks[r][i-1], s)
			}
			c.spots[s].y = y
		}
		for _, s := range c.ranks[r] {
			c.spots[s].y -= y / 2
		}
	}
	for i := range rounds {
		both := i >= rounds/2
		for r := range c.ranks {
			c.align(r, true, both)
		}
		for r := len(c.ranks) - 1; r >= 0; r-- {
			c.align(r, both, true)
		}
	}
	c.straighten()
}

// apart is how far two neighbours in a layer are at least, from middle to
// middle.
func (c *chart) apart(above, below int) float64 {
	a, b := &c.spots[above], &c.spots[below]
	gap := float64(nodeGap)
	if a.node < 0 || b.node < 0 {
		gap = edgeGap
	}
	return a.h/2 + gap + b.h/2
}

// align moves the spots of a layer to the mean height of their neighbours, on
// one side or both, as near as they can be without coming too close: by
// pooling those that would.
func (c *chart) align(r int, left, right bool) {
	type pool struct {
		sum, weight float64
		size        int
	}
	l := c.ranks[r]
	shift := make([]float64, len(l)) // where a spot is, seen from the first, if all are as close as may be
	pools := make([]pool, 0, len(l))
	for i, s := range l {
		if i > 0 {
			shift[i] = shift[i-1] + c.apart(l[i-1], s)
		}
		want, weight := c.wish(s, left, right)
		p := pool{float64((want - shift[i]) * weight), weight, 1}
		for len(pools) > 0 {
			q := pools[len(pools)-1]
			if q.sum*p.weight < p.sum*q.weight {
				break
			}
			p = pool{q.sum + p.sum, q.weight + p.weight, q.size + p.size}
			pools = pools[:len(pools)-1]
		}
		pools = append(pools, p)
	}
	i := 0
	for _, p := range pools {
		for range p.size {
			c.spots[l[i]].y = shift[i] + p.sum/p.weight
			i++
		}
	}
}

// The weights of edges: those through layers want to be straight most.
const (
	nodeWeight  = 1.0
	mixedWeight = 2.0
	edgeWeight  = 8.0
	stayWeight  = 0.01 // of what has no neighbours there
)

// wish is where a spot would be best, and how much that counts.
func (c *chart) wish(s int, left, right bool) (want, weight float64) {
	me := &c.spots[s]
	sum := 0.0
	look := func(next []int) {
		for _, n := range next {
			other := &c.spots[n]
			w := nodeWeight
			switch {
			case me.node < 0 && other.node < 0:
				w = edgeWeight
			case me.node < 0 || other.node < 0:
				w = mixedWeight
			}
			sum += float64(other.y * w)
			weight += w
		}
	}
	if left {
		look(me.left)
	}
	if right {
		look(me.right)
	}
	if weight == 0 {
		return me.y, stayWeight
	}
	return sum / weight, weight
}

// near is how far from straight an edge may be to be made so at the expense of
// others.
const near = 10

// straighten levels what runs through several layers, and what leads from one
// node to the next almost straight, where there is room.
func (c *chart) straighten() {
	for i := range c.nodes {
		if t := c.trunk[i]; len(t) > 0 {
			c.level(t)
			c.level(append([]int{i}, t...))
		}
	}
	for i := range c.nodes {
		for _, s := range c.spots[i].right {
			if d := c.spots[s].y - c.spots[i].y; d != 0 && d < near && d > -near {
				c.level([]int{i, s})
			}
		}
	}
}

// level brings spots of different layers to one height, near their middle one,
// if the neighbours in their layers leave one.
func (c *chart) level(some []int) {
	low, high := 0.0, 0.0
	heights := make([]float64, len(some))
	for i, s := range some {
		lo, hi := c.between(s)
		if i == 0 {
			low, high = lo, hi
		}
		low, high = max(low, lo), min(high, hi)
		heights[i] = c.spots[s].y
	}
	if low > high {
		return
	}
	slices.Sort(heights)
	y := min(max(heights[len(heights)/2], low), high)
	for _, s := range some {
		c.spots[s].y = y
	}
}

// between is where a spot may be as its neighbours in the layer are.
func (c *chart) between(s int) (low, high float64) {
	const far = 1e12
	me := &c.spots[s]
	l := c.ranks[me.rank]
	low, high = -far, far
	if me.at > 0 {
		low = c.spots[l[me.at-1]].y + c.apart(l[me.at-1], s)
	}
	if me.at+1 < len(l) {
		high = c.spots[l[me.at+1]].y - c.apart(s, l[me.at+1])
	}
	return low, high
}
