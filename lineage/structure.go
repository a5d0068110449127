package lineage

import (
	"slices"
	"time"
)

// structural are the fields that tell which entities there are and how they are
// connected. All other fields describe an entity, or its place.
var structural = []string{
	"base_model", "created", "datasets", "digest", "end", "environment", "format", "from", "id", "licence", "model", "name",
	"parent", "personal_data", "prompts", "record_count", "risk_tier", "run", "sources", "start", "to", "version",
}

// Structure returns the graph for a reader who may not read contents: ids,
// names, versions, references, digests, times, formats, licences, risk tiers,
// and whether there are personal data. It leaves out texts, values, owners,
// places and reasons.
func (g *Graph) Structure() *Graph {
	c := g.clone()
	for _, n := range c.nodes {
		n.Entity = bare(n.Entity)
		if r := n.Retired; r != nil {
			n.Retired = &Retirement{Entity: r.Entity, At: r.At}
		}
	}
	return c
}

// bare copies an entity with its structural fields only.
func bare(t Entity) Entity {
	out := New(t.Kind())
	to := out.fields()
	for i, f := range t.fields() {
		if slices.Contains(structural, f.name) {
			to[i].take(f)
		}
	}
	return out
}

// take copies a value whose members are all known.
func (f field) take(from field) {
	switch v := f.value.(type) {
	case *string:
		*v = *from.value.(*string)
	case *[]string:
		*v = slices.Clone(*from.value.(*[]string))
	case **int64:
		*v = *from.value.(**int64)
	case **bool:
		*v = *from.value.(**bool)
	case *time.Time:
		*v = *from.value.(*time.Time)
	}
}
