package railgraph

import (
	"cmp"
	"slices"
)

// An order puts nodes in rows: what leads to a node stands above it, and rails
// are short.
type order struct {
	up, down [][]int
	depth    []int // how long the longest way to a node is
	bundle   []int
	placed   []bool
	rows     []int
	open     []visit // nodes whose rails may lead on, the last one first
}

// A visit is how far what a node leads to has been placed.
type visit struct{ node, ends, next int }

func newOrder(up, down [][]int) *order {
	o := &order{
		up: up, down: down,
		depth: make([]int, len(up)), bundle: make([]int, len(up)), placed: make([]bool, len(up)),
	}
	sharing := make([]int, len(up))
	for v, parents := range up {
		for _, p := range parents {
			o.depth[v] = max(o.depth[v], o.depth[p]+1)
			if len(up[p]) == 0 && len(down[p]) == 1 {
				sharing[v]++
			}
		}
	}
	for v := range up {
		o.bundle[v] = -1
		if len(up[v]) == 0 && len(down[v]) == 1 && sharing[down[v][0]] >= bundled {
			o.bundle[v] = down[v][0]
		}
	}
	return o
}

// all returns the nodes from top to bottom. After a node comes what it leads
// to, with all else that that is made of, before anything else does; and what
// ends here before what leads on.
func (o *order) all() []int {
	for v := range o.up {
		if o.placed[v] {
			continue
		}
		if o.bundle[v] >= 0 {
			v = o.bundle[v]
		}
		o.above(v)
		for len(o.open) > 0 {
			if next, ok := o.onward(&o.open[len(o.open)-1]); ok {
				o.above(next)
			} else {
				o.open = o.open[:len(o.open)-1]
			}
		}
	}
	return o.rows
}

// onward returns the next node to place of those that one leads to.
func (o *order) onward(at *visit) (int, bool) {
	children := o.down[at.node]
	for ; at.ends < len(children); at.ends++ {
		c := children[at.ends]
		waits := func(p int) bool { return !o.placed[p] }
		if !o.placed[c] && len(o.down[c]) == 0 && !slices.ContainsFunc(o.up[c], waits) {
			return c, true
		}
	}
	for ; at.next < len(children); at.next++ {
		if c := children[at.next]; !o.placed[c] {
			return c, true
		}
	}
	return 0, false
}

// above places a node below all that leads to it: first what has the most
// above itself, last what shares a rail.
func (o *order) above(v int) {
	type frame struct {
		node    int
		parents []int
	}
	parents := func(v int) []int {
		var wait []int
		for _, p := range o.up[v] {
			if !o.placed[p] {
				wait = append(wait, p)
			}
		}
		slices.SortFunc(wait, func(a, b int) int {
			return cmp.Or(cmp.Compare(o.depth[b], o.depth[a]), cmp.Compare(o.bundle[a], o.bundle[b]), cmp.Compare(a, b))
		})
		return wait
	}
	stack := []frame{{v, parents(v)}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		if len(f.parents) > 0 {
			p := f.parents[0]
			f.parents = f.parents[1:]
			if !o.placed[p] {
				stack = append(stack, frame{p, parents(p)})
			}
			continue
		}
		o.placed[f.node] = true
		o.rows = append(o.rows, f.node)
		o.open = append(o.open, visit{node: f.node})
		stack = stack[:len(stack)-1]
	}
}
