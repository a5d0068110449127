package drawing

import (
	"encoding/json"

	"audittrail/internal/shown"
	"audittrail/lineage"
)

// graphFormat and graphVersion are members of every graph in JSON. They are part
// of the format.
const (
	graphFormat  = "audittrail lineage graph"
	graphVersion = 1
)

// A nodeJSON is a node of a graph in JSON.
type nodeJSON struct {
	ID         string          `json:"id"`
	Kind       lineage.Kind    `json:"kind"`
	Label      string          `json:"label"`
	Seq        uint64          `json:"seq"`
	Hash       string          `json:"hash"`
	Registered string          `json:"registered"`
	Retired    *retiredJSON    `json:"retired,omitempty"`
	Thing      json.RawMessage `json:"thing"`
}

type retiredJSON struct {
	At         string                     `json:"at"`
	Reason     string                     `json:"reason,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
}

type edgeJSON struct {
	From string `json:"from"`
	To   string `json:"to"`
	Role string `json:"role"`
}

func drawJSON(p *pen, s *scene, _ Options) error {
	enc := json.NewEncoder(shown.Writer(p.w))
	enc.SetEscapeHTML(false)
	first := true
	// Nothing of what these are made of can fail to be JSON; and what fails in
	// writing, Flush returns.
	item := func(v any) {
		if !first {
			p.put(",")
		}
		first = false
		_ = enc.Encode(v)
	}
	p.putf("{\"format\":%q,\"version\":%d,\"nodes\":[\n", graphFormat, graphVersion)
	for _, n := range s.nodes {
		item(nodeOf(n))
	}
	p.put("],\"edges\":[\n")
	first = true
	for e := range s.graph.Edges() {
		item(edgeJSON{e.From.ID, e.To.ID, e.Role})
	}
	p.put("],\"faults\":[\n")
	first = true
	for _, f := range s.graph.InvalidRecords() {
		item(f)
	}
	p.put("]}\n")
	return nil
}

func nodeOf(n *lineage.Node) nodeJSON {
	out := nodeJSON{
		ID: n.ID, Kind: n.Kind, Label: n.Label(), Seq: n.Seq, Hash: n.Hash.String(),
		Registered: instant(n.Registered), Thing: lineage.Encode(n.Entity),
	}
	if r := n.Retired; r != nil {
		out.Retired = &retiredJSON{At: instant(r.At), Reason: r.Reason, Attributes: r.Attributes}
	}
	return out
}
