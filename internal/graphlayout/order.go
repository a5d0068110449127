package graphlayout

import (
	"cmp"
	"slices"
)

// sweeps is how often layers are put in order, and patience how many of these
// may pass without fewer crossings.
const (
	sweeps   = 40
	patience = 8
)

// begin fills the layers in the order in which a walk to the right comes by.
func (c *chart) begin() {
	seen := make([]bool, len(c.spots))
	var stack []int
	for i := range c.nodes {
		if len(c.spots[i].left) > 0 {
			continue
		}
		stack = append(stack, i)
		for len(stack) > 0 {
			s := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if seen[s] {
				continue
			}
			seen[s] = true
			r := c.spots[s].rank
			c.ranks[r] = append(c.ranks[r], s)
			for _, next := range slices.Backward(c.spots[s].right) {
				if !seen[next] {
					stack = append(stack, next)
				}
			}
		}
	}
	for r := range c.ranks {
		c.number(r)
	}
}

func (c *chart) number(r int) {
	for at, s := range c.ranks[r] {
		c.spots[s].at = at
	}
}

// untangle seeks the order with the fewest crossings: each layer by the
// medians of its neighbours, from left to right and back again, and then by
// exchanging neighbours.
func (c *chart) untangle() {
	best, kept, idle := c.crossings(), c.order(), 0
	for i := range sweeps {
		if best == 0 || idle == patience {
			break
		}
		if i%2 == 0 {
			for r := 1; r < len(c.ranks); r++ {
				c.sort(r, func(s *spot) []int { return s.left }, i%4 < 2)
			}
		} else {
			for r := len(c.ranks) - 2; r >= 0; r-- {
				c.sort(r, func(s *spot) []int { return s.right }, i%4 < 2)
			}
		}
		c.exchange()
		if n := c.crossings(); n < best {
			best, kept, idle = n, c.order(), 0
		} else {
			idle++
		}
	}
	c.ranks = kept
	for r := range c.ranks {
		c.number(r)
	}
}

func (c *chart) order() [][]int {
	kept := make([][]int, len(c.ranks))
	for r := range c.ranks {
		kept[r] = slices.Clone(c.ranks[r])
	}
	return kept
}

// sort puts a layer in the order of the medians of neighbours. Nodes without
// neighbours keep their places. Of equal ones the first stays first, or else the last.
func (c *chart) sort(r int, side func(*spot) []int, stable bool) {
	type item struct {
		spot   int
		median float64
	}
	var moving []item
	for _, s := range c.ranks[r] {
		if next := side(&c.spots[s]); len(next) > 0 {
			moving = append(moving, item{s, c.median(next)})
		}
	}
	if !stable {
		slices.Reverse(moving)
	}
	slices.SortStableFunc(moving, func(a, b item) int { return cmp.Compare(a.median, b.median) })
	at := 0
	for i, s := range c.ranks[r] {
		if len(side(&c.spots[s])) > 0 {
			c.ranks[r][i] = moving[at].spot
			at++
		}
	}
	c.number(r)
}

// median is the weighted one of Gansner, Koutsofios, North and Vo (IEEE
// Transactions on Software Engineering 19(3), 1993).
func (c *chart) median(next []int) float64 {
	at := make([]int, len(next))
	for i, s := range next {
		at[i] = c.spots[s].at
	}
	slices.Sort(at)
	m := len(at) / 2
	switch {
	case len(at)%2 == 1:
		return float64(at[m])
	case len(at) == 2:
		return float64(at[0]+at[1]) / 2
	}
	left, right := float64(at[m-1]-at[0]), float64(at[len(at)-1]-at[m])
	if left+right == 0 {
		return float64(at[m-1]+at[m]) / 2
	}
	return (float64(float64(at[m-1])*right) + float64(float64(at[m])*left)) / (left + right)
}

// exchange swaps neighbours in a layer as long as that saves crossings.
func (c *chart) exchange() {
	for range 4 {
		saved := 0
		for r := range c.ranks {
			l := c.ranks[r]
			for i := 1; i < len(l); i++ {
				a, b := &c.spots[l[i-1]], &c.spots[l[i]]
				now := c.crossed(a.left, b.left) + c.crossed(a.right, b.right)
				if now == 0 {
					continue
				}
				if then := c.crossed(b.left, a.left) + c.crossed(b.right, a.right); then < now {
					l[i-1], l[i] = l[i], l[i-1]
					a.at, b.at = i, i-1
					saved += now - then
				}
			}
		}
		if saved == 0 {
			return
		}
	}
}

// few is for how many pairs of edges the crossings of two neighbours are
// counted one by one; those of more are left to the medians.
const few = 4096

// crossed counts the crossings of the edges of two neighbours in a layer, the
// upper one first.
func (c *chart) crossed(upper, lower []int) int {
	if len(upper)*len(lower) > few {
		return 0
	}
	n := 0
	for _, a := range upper {
		for _, b := range lower {
			if c.spots[a].at > c.spots[b].at {
				n++
			}
		}
	}
	return n
}

// crossings counts all crossings, as Barth, Mutzel and Jünger do (Journal of
// Graph Algorithms and Applications 8(2), 2004).
func (c *chart) crossings() int {
	total := 0
	for r := 0; r+1 < len(c.ranks); r++ {
		sums := make([]int, len(c.ranks[r+1])+1) // a binary indexed tree of edges by where they end
		edges := 0
		var ends []int
		for _, s := range c.ranks[r] {
			ends = ends[:0]
			for _, next := range c.spots[s].right {
				ends = append(ends, c.spots[next].at)
			}
			for _, at := range ends {
				below := 0 // edges so far that end here or above
				for i := at + 1; i > 0; i -= i & -i {
					below += sums[i]
				}
				total += edges - below
			}
			for _, at := range ends {
				for i := at + 1; i < len(sums); i += i & -i {
					sums[i]++
				}
			}
			edges += len(ends)
		}
	}
	return total
}
