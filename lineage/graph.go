package lineage

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"audittrail/record"
)

// A Node is an entity in the graph.
type Node struct {
	ID     string
	Kind   Kind
	Entity Entity // must not be modified

	Seq        uint64 // of the record that registered it
	Hash       record.Hash
	Registered time.Time   // when the record was logged
	Retired    *Retirement // the retirement of the entity, if any

	at       int
	up, down []edge
}

// Label names the node for people.
func (n *Node) Label() string { return n.Entity.Label() }

// An edge is a reference, seen from one of its ends.
type edge struct {
	to   int
	role string
}

// An Edge leads from an entity to one that was made from it.
type Edge struct {
	From, To *Node
	Role     string // the role of From for To: "input", "base", "model", …
}

// A Graph contains the entities that were registered at one moment. It does not
// change, and may be used by many goroutines.
type Graph struct {
	nodes  []*Node
	index  map[string]int
	models map[string][]int // the versions of a name
	edges  int
	faults []InvalidRecord
}

// An InvalidRecord is a record of lineage that could not be added to the graph:
// it cannot be read, or it contradicts an earlier record.
type InvalidRecord struct {
	Seq     uint64 `json:"seq"`
	Problem string `json:"problem"`
}

func newGraph() *Graph {
	return &Graph{index: make(map[string]int), models: make(map[string][]int)}
}

// clone copies the graph, except for the entities themselves.
func (g *Graph) clone() *Graph {
	c := &Graph{
		nodes: make([]*Node, len(g.nodes)), index: maps.Clone(g.index), models: make(map[string][]int, len(g.models)),
		edges: g.edges, faults: slices.Clone(g.faults),
	}
	all := make([]Node, len(g.nodes))
	for i, n := range g.nodes {
		all[i] = *n
		all[i].up, all[i].down = slices.Clip(n.up), slices.Clip(n.down)
		c.nodes[i] = &all[i]
	}
	for name, at := range g.models {
		c.models[name] = slices.Clip(at)
	}
	return c
}

// Len returns the number of nodes.
func (g *Graph) Len() int { return len(g.nodes) }

// InvalidRecords returns the records that could not be added.
func (g *Graph) InvalidRecords() []InvalidRecord { return g.faults }

// Nodes yields all nodes, in the order in which they were registered: upstream
// entities come first.
func (g *Graph) Nodes() iter.Seq[*Node] { return slices.Values(g.nodes) }

// Node returns the node with an id.
func (g *Graph) Node(id string) (*Node, bool) {
	at, ok := g.index[id]
	if !ok {
		return nil, false
	}
	return g.nodes[at], true
}

// Edges yields all edges, grouped by their downstream end.
func (g *Graph) Edges() iter.Seq[Edge] {
	return func(yield func(Edge) bool) {
		for _, n := range g.nodes {
			for _, e := range n.up {
				if !yield(Edge{g.nodes[e.to], n, e.role}) {
					return
				}
			}
		}
	}
}

// EdgeCount returns the number of edges.
func (g *Graph) EdgeCount() int { return g.edges }

// Upstream yields the edges that lead to a node of this graph.
func (g *Graph) Upstream(n *Node) iter.Seq[Edge] {
	return func(yield func(Edge) bool) {
		for _, e := range n.up {
			if !yield(Edge{g.nodes[e.to], n, e.role}) {
				return
			}
		}
	}
}

// Downstream yields the edges that lead away from a node of this graph.
func (g *Graph) Downstream(n *Node) iter.Seq[Edge] {
	return func(yield func(Edge) bool) {
		for _, e := range n.down {
			if !yield(Edge{n, g.nodes[e.to], e.role}) {
				return
			}
		}
	}
}

// Versions returns the model versions of a name, in the order in which they were
// registered.
func (g *Graph) Versions(model string) []*Node {
	var out []*Node
	for _, at := range g.models[model] {
		out = append(out, g.nodes[at])
	}
	return out
}

// ActivePeriod returns when a deployment of this graph is active: from
// (inclusive) to (exclusive), which is zero if the deployment is still active.
// If no beginning was given, from is the time of the registration, and the
// deployment may have begun earlier.
func (g *Graph) ActivePeriod(deployment *Node) (from, to time.Time, given bool) {
	d := deployment.Entity.(*Deployment)
	from, to, given = d.From, d.To, true
	if from.IsZero() {
		from, given = deployment.Registered, false
	}
	end := func(r *Retirement) {
		if r != nil && (to.IsZero() || r.At.Before(to)) {
			to = r.At
		}
	}
	end(deployment.Retired)
	if model, ok := g.Node(d.Model); ok { // a Subgraph may lack the model
		end(model.Retired)
	}
	return from, to, given
}

// add adds a complete entity whose references are all in the graph.
func (g *Graph) add(n *Node) {
	n.at = len(g.nodes)
	for _, f := range n.Entity.fields() {
		f.references(func(id string) {
			up := g.nodes[g.index[id]]
			n.up = append(n.up, edge{up.at, f.edge.role})
			up.down = append(up.down, edge{n.at, f.edge.role})
			g.edges++
		})
	}
	g.nodes = append(g.nodes, n)
	g.index[n.ID] = n.at
	if m, ok := n.Entity.(*ModelVersion); ok {
		g.models[m.Name] = append(g.models[m.Name], n.at)
	}
}

// A NodeDepth is a node that a walk reached, with its distance in edges.
type NodeDepth struct {
	*Node
	Depth int
}

// A Direction is the direction of a walk.
type Direction int

// The directions of walks.
const (
	Upstream   Direction = 1 << iota // to inputs
	Downstream                       // to outputs
)

// Walk returns the nodes that can be reached from others in a direction, the
// nearest first, the starting nodes included. A depth of 0 sets no limit. With
// both directions, it returns everything upstream and everything downstream,
// but not the other connections of these nodes.
func (g *Graph) Walk(from []*Node, dir Direction, depth int) []NodeDepth {
	var out []NodeDepth
	seen := make([]bool, len(g.nodes))
	for _, n := range from {
		if !seen[n.at] {
			seen[n.at] = true
			out = append(out, NodeDepth{g.nodes[n.at], 0})
		}
	}
	begin := len(out)
	walk := func(links func(*Node) []edge) {
		queue := out[:begin:begin]
		for len(queue) > 0 {
			var next []NodeDepth
			for _, r := range queue {
				if depth > 0 && r.Depth == depth {
					continue
				}
				for _, e := range links(r.Node) {
					if !seen[e.to] {
						seen[e.to] = true
						next = append(next, NodeDepth{g.nodes[e.to], r.Depth + 1})
					}
				}
			}
			out = append(out, next...)
			queue = next
		}
	}
	if dir&Upstream != 0 {
		walk(func(n *Node) []edge { return n.up })
	}
	if dir&Downstream != 0 {
		walk(func(n *Node) []edge { return n.down })
	}
	return out
}

// Path returns a shortest path downstream from one node to another, both
// included, or nil if there is none.
func (g *Graph) Path(from, to *Node) []Edge {
	before := make([]int, len(g.nodes)) // where the walk came from, plus one
	roles := make([]string, len(g.nodes))
	queue := []int{from.at}
	before[from.at] = -1
	for len(queue) > 0 && before[to.at] == 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range g.nodes[at].down {
			if before[e.to] == 0 {
				before[e.to], roles[e.to] = at+1, e.role
				queue = append(queue, e.to)
			}
		}
	}
	if before[to.at] == 0 || from.at == to.at {
		return nil
	}
	var path []Edge
	for at := to.at; at != from.at; at = before[at] - 1 {
		path = append(path, Edge{g.nodes[before[at]-1], g.nodes[at], roles[at]})
	}
	slices.Reverse(path)
	return path
}

// Subgraph returns the graph of some nodes and of the edges between them.
func (g *Graph) Subgraph(some []NodeDepth) *Graph {
	keep := make([]bool, len(g.nodes))
	for _, r := range some {
		keep[r.at] = true
	}
	sub := newGraph()
	for _, n := range g.nodes {
		if !keep[n.at] {
			continue
		}
		c := *n
		c.at, c.up, c.down = len(sub.nodes), nil, nil
		sub.nodes = append(sub.nodes, &c)
		sub.index[n.ID] = c.at
		if m, ok := n.Entity.(*ModelVersion); ok {
			sub.models[m.Name] = append(sub.models[m.Name], c.at)
		}
		for _, e := range n.up {
			if !keep[e.to] {
				continue
			}
			up := sub.nodes[sub.index[g.nodes[e.to].ID]]
			up.down = append(up.down, edge{c.at, e.role})
			c.up = append(c.up, edge{up.at, e.role})
			sub.edges++
		}
		sub.nodes[c.at] = &c
	}
	return sub
}

// A NameError reports that a name matches no entity, or several where one is
// needed.
type NameError struct {
	Name  string
	Kinds []Kind   // the kinds that were searched; none means all
	Ids   []string // the entities that match, or else some with similar names
	Many  bool
}

func (e *NameError) Error() string {
	what := "thing"
	if len(e.Kinds) > 0 {
		names := make([]string, len(e.Kinds))
		for i, k := range e.Kinds {
			names[i] = string(k)
		}
		what = strings.Join(names, " or ")
	}
	if e.Many {
		return fmt.Sprintf("%s is ambiguous: %s; name one of them", quoted(e.Name), strings.Join(e.Ids, ", "))
	}
	text := fmt.Sprintf("no %s %s is registered", what, quoted(e.Name))
	if len(e.Ids) > 0 {
		text += "; did you mean " + strings.Join(e.Ids, " or ") + "?"
	}
	return text
}

// Find returns the entities that match a name: an id, with or without its kind
// as a prefix, NAME@VERSION, or NAME, which matches all of its versions. If
// none matches, the error is a *[NameError].
func (g *Graph) Find(name string, kinds ...Kind) ([]*Node, error) {
	wanted := func(n *Node) bool { return len(kinds) == 0 || slices.Contains(kinds, n.Kind) }
	if n, ok := g.Node(name); ok && wanted(n) {
		return []*Node{n}, nil
	}
	var exact, versions []*Node
	var near []string
	for _, n := range g.nodes {
		if !wanted(n) {
			continue
		}
		base, _, _ := strings.Cut(n.Label(), "@")
		switch {
		case n.ID == string(n.Kind)+":"+name, n.Label() == name:
			exact = append(exact, n)
		case base == name, n.ID[:max(0, strings.LastIndexByte(n.ID, '@'))] == name:
			versions = append(versions, n)
		case len(near) < 3 && name != "" && strings.Contains(strings.ToLower(n.ID), strings.ToLower(name)):
			near = append(near, n.ID)
		}
	}
	if len(exact) > 0 {
		return exact, nil
	}
	if len(versions) > 0 {
		return versions, nil
	}
	return nil, &NameError{Name: name, Kinds: kinds, Ids: near}
}

// FindOne returns the one entity that matches a name, as Find does.
func (g *Graph) FindOne(name string, kinds ...Kind) (*Node, error) {
	found, err := g.Find(name, kinds...)
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		ids := make([]string, 0, 5)
		for _, n := range found[:min(len(found), 5)] {
			ids = append(ids, n.ID)
		}
		return nil, &NameError{Name: name, Kinds: kinds, Ids: ids, Many: true}
	}
	return found[0], nil
}
