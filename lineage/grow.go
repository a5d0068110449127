package lineage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"audittrail/event"
)

// continuesKey is the member of the metadata of an event that adds to a run:
// the sequence number of the record that it replaces. It is stored on disk.
const continuesKey = "continues"

// grows reports whether a run contains everything that another contains, and
// more. Attributes are not compared: other programs write them, and they may
// change.
func grows(old, more *TrainingRun) bool {
	was, is := *old, *more
	was.Attributes, is.Attributes = nil, nil
	other := is.fields()
	for i, f := range was.fields() {
		before, after := encode([]field{f}), encode([]field{other[i]})
		if len(before) > len("{}") && !bytes.Equal(before, after) && !within(f.name, &was, &is) {
			return false
		}
	}
	return true
}

// within reports whether a field of several values still has all earlier
// values.
func within(name string, was, is *TrainingRun) bool {
	switch name {
	case "datasets":
		return !slices.ContainsFunc(was.Datasets, func(id string) bool { return !slices.Contains(is.Datasets, id) })
	case "parameters":
		return hasAll(was.Parameters, is.Parameters)
	case "metrics":
		return hasAll(was.Metrics, is.Metrics)
	case "environment":
		return hasAll(was.Environment, is.Environment)
	}
	return false
}

func hasAll(was, is map[string]json.RawMessage) bool {
	for k, v := range was {
		if !bytes.Equal(v, is[k]) {
			return false
		}
	}
	return true
}

// extend decides whether a complete entity may replace the one of its node, as
// a run of which more became known, and returns that node. It returns nil for
// any other entity.
func (g *Graph) extend(t Entity) (*Node, error) {
	n, ok := g.Node(t.Identity())
	if !ok || g.compare(n, t) == nil {
		return nil, nil
	}
	old, isRun := n.Entity.(*TrainingRun)
	more, is := t.(*TrainingRun)
	if !isRun || !is || !grows(old, more) {
		return nil, nil
	}
	had := make(map[string]bool)
	for e := range g.Upstream(n) {
		had[e.From.ID] = true
	}
	var below map[string]bool
	for _, f := range t.fields() {
		var err error
		f.references(func(ref string) {
			if err != nil || had[ref] {
				return
			}
			if err = g.refer(n.ID, f, ref); err != nil {
				return
			}
			if below == nil {
				below = make(map[string]bool)
				for _, r := range g.Walk([]*Node{n}, Downstream, 0) {
					below[r.ID] = true
				}
			}
			if below[ref] {
				err = &CycleError{[]string{n.ID, ref, n.ID}}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// put replaces the entity of a node that extend returned. Upstream entities
// still come first.
func (g *Graph) put(n *Node, t Entity) {
	n.Entity = t
	nodes := g.nodes
	at := make(map[string]*Node, len(nodes))
	for _, n := range nodes {
		at[n.ID] = n
	}
	g.nodes, g.index, g.models, g.edges = make([]*Node, 0, len(nodes)), make(map[string]int, len(nodes)), make(map[string][]int), 0
	type open struct {
		node *Node
		refs []string
	}
	met := make(map[string]bool, len(nodes))
	enter := func(n *Node) open {
		met[n.ID] = true
		o := open{node: n}
		for _, f := range n.Entity.fields() {
			f.references(func(id string) { o.refs = append(o.refs, id) })
		}
		return o
	}
	for _, begin := range nodes {
		if met[begin.ID] {
			continue
		}
		// It keeps its own stack, since references may be nested as deeply as
		// there are entities.
		for stack := []open{enter(begin)}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if len(top.refs) == 0 {
				top.node.up, top.node.down = nil, nil
				done := top.node
				stack = stack[:len(stack)-1]
				g.add(done)
				continue
			}
			ref := at[top.refs[0]]
			top.refs = top.refs[1:]
			if !met[ref.ID] {
				stack = append(stack, enter(ref))
			}
		}
	}
}

// extensionOf returns the event that adds to the entity of a node.
func extensionOf(n *Node, thing Entity, g *Graph, now time.Time) event.Event {
	e := eventOf(thing, g, now)
	seq := strconv.FormatUint(n.Seq, 10)
	e.ID = fmt.Sprintf("lineage %s +%s", thing.Identity(), seq)
	e.Metadata[continuesKey] = json.RawMessage(seq)
	return e
}
