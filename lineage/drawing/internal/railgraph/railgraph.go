// Package railgraph draws a directed graph without cycles in the manner of a
// history: one line for each node, what leads to it above it, and to the left
// the edges, as rails that run down.
//
//	○      a
//	├─●    c, made of a
//	╰─┼─●  e, made of a and c
//	○ │    b
//	├─┴─●  f, made of b and c
//	╰─●    d, made of b
//
// A rail belongs to the node that it comes from, and ends at the last node that
// it leads to. A rail that a line crosses without touching it is drawn over the
// line: "─│─". A node right below another is not connected with it; where
// it is, a line with the rail is between them.
//
// Where many nodes that nothing leads to lead to one node alone, they share a
// rail:
//
//	○─╮  a
//	○─┤  b
//	○─┤  c
//	  ●  d, made of a, b and c
//
// There are as many rails as there is room for. A node without one is named by
// its number instead.
package railgraph

import (
	"slices"
	"strings"
)

// bundled is how many nodes share a rail, at least.
const bundled = 3

// A Row is one line of a drawing.
type Row struct {
	Node   int    // which stands here, or -1
	Rails  string // to its left
	Below  string // the rails that continue below it
	Hidden []int  // nodes that lead to it and have no rail
}

// Draw returns the rows of a graph, in which up says what leads to a node. What
// leads to a node has a lower number, and stands once in its list. There are at
// most so many rails, each two columns wide.
func Draw(up [][]int, limit int) []Row {
	d := &drawing{up: up, limit: limit, rail: make([]int, len(up)), left: make([]int, len(up))}
	down := turned(up)
	o := newOrder(up, down)
	d.bundle = o.bundle
	rows := make([]Row, 0, len(up))
	for _, v := range o.all() {
		d.left[v] = len(down[v])
		rows = append(rows, d.place(v)...)
	}
	return rows
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

// drawing is the state between two rows.
type drawing struct {
	up     [][]int
	bundle []int // the node whose rail a node shares, or -1
	limit  int

	taken []bool // which rails are
	rail  []int  // of a node that is placed, or of the bundle of one that is not, plus one
	left  []int  // how many nodes a rail still leads to
	last  int    // the rail on which the node of the row above stands, plus one
}

// place draws the row of a node, and one above it where that is needed.
func (d *drawing) place(v int) []Row {
	if into := d.bundle[v]; into >= 0 {
		if row, ok := d.share(v, into); ok {
			return []Row{row}
		}
	}
	var touched, ending, hidden []int
	for _, p := range d.up[v] {
		d.left[p]--
		shared := d.bundle[p] == v && d.rail[v] > 0
		switch {
		case shared:
		case d.rail[p] == 0:
			hidden = append(hidden, p)
		default:
			touched = append(touched, d.rail[p]-1)
			if d.left[p] == 0 {
				ending = append(ending, d.rail[p]-1)
			}
		}
	}
	if d.rail[v] > 0 {
		touched, ending = append(touched, d.rail[v]-1), append(ending, d.rail[v]-1)
	}
	slices.Sort(touched)
	slices.Sort(ending)
	at := d.choose(v, touched, ending)
	var rows []Row
	if d.last == at+1 && slices.Contains(ending, at) {
		rails := d.through()
		rows = append(rows, Row{Node: -1, Rails: rails, Below: rails})
	}
	row := Row{Node: v, Rails: d.line(at, len(d.up[v]) > 0, touched, ending), Hidden: hidden}
	for _, r := range ending {
		d.taken[r] = false
	}
	d.rail[v] = 0
	if d.left[v] > 0 && at < d.limit {
		d.take(at)
		d.rail[v] = at + 1
	}
	row.Below = d.through()
	d.last = at + 1
	return append(rows, row)
}

// share draws the row of a node that shares a rail, unless there is no room
// for it.
func (d *drawing) share(v, into int) (Row, bool) {
	corner := '┤'
	if d.rail[into] == 0 {
		at := 0
		for d.isTaken(at) || d.isTaken(at+1) {
			at++
		}
		if at+1 >= d.limit {
			return Row{}, false
		}
		d.rail[into] = at + 2
		corner = '╮'
	}
	to := d.rail[into] - 1
	cells := []rune(strings.Repeat(" ", 2*(len(d.taken)+2)))
	for r, taken := range d.taken {
		if taken {
			cells[2*r] = '│'
		}
	}
	copy(cells[2*(to-1):], []rune{'○', '─', corner})
	d.take(to)
	d.last = to
	return Row{Node: v, Rails: strings.TrimRight(string(cells), " "), Below: d.through()}, true
}

// choose finds the rail on which a node stands: that of something that leads to
// it alone, from there on, or else the first that is free. A node that leads
// to no other follows all nodes that lead to it.
func (d *drawing) choose(v int, touched, ending []int) int {
	at := 0
	switch {
	case len(touched) == 0:
	case d.left[v] == 0:
		at = touched[len(touched)-1] + 1
	case len(ending) > 0:
		return ending[0]
	default:
		at = touched[0] + 1
	}
	for d.isTaken(at) {
		at++
	}
	return min(at, max(d.limit, 1))
}

func (d *drawing) isTaken(rail int) bool { return rail < len(d.taken) && d.taken[rail] }

func (d *drawing) take(rail int) {
	for len(d.taken) <= rail {
		d.taken = append(d.taken, false)
	}
	d.taken[rail] = true
}

// through draws the rails that there are.
func (d *drawing) through() string {
	var b strings.Builder
	blanks := 0
	for _, taken := range d.taken {
		if !taken {
			blanks += 2
			continue
		}
		b.WriteString(strings.Repeat(" ", blanks))
		b.WriteString("│")
		blanks = 1
	}
	return b.String()
}

// line draws the rails of a node's row.
func (d *drawing) line(at int, made bool, touched, ending []int) string {
	from, to := at, at
	if len(touched) > 0 {
		from, to = min(at, touched[0]), max(at, touched[len(touched)-1])
	}
	var b strings.Builder
	for r := range max(len(d.taken), to+1) {
		within := r >= from && r < to
		switch {
		case r == at && made:
			b.WriteRune('●')
		case r == at:
			b.WriteRune('○')
		case slices.Contains(touched, r):
			b.WriteRune(joint(r > from, within, !slices.Contains(ending, r)))
		case d.isTaken(r):
			b.WriteRune('│')
		case within:
			b.WriteRune('─')
		default:
			b.WriteRune(' ')
		}
		if within {
			b.WriteRune('─')
		} else {
			b.WriteRune(' ')
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// joint is where a rail, which comes from above, meets the line to a node.
func joint(left, right, down bool) rune {
	switch {
	case left && right && down:
		return '┼'
	case left && right:
		return '┴'
	case left && down:
		return '┤'
	case left:
		return '╯'
	case down:
		return '├'
	}
	return '╰'
}
