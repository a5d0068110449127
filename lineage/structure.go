package lineage

import (
	"slices"
	"time"
)

// structural are the fields of things that say what is there and how one leads
// to another. All others are what somebody wrote about it, or where it is.
var structural = []string{
	"base_model", "created", "datasets", "digest", "end", "environment", "format", "from", "id", "licence", "model", "name",
	"parent", "personal_data", "prompts", "record_count", "risk_tier", "run", "sources", "start", "to", "version",
}

// Structure returns the graph for a reader who may not read contents: ids,
// names, versions, references, digests, times, formats, licences, risk tiers,
// and whether there are personal data. Texts, values, owners, places and reasons
// are left out.
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

// bare copies a thing with its structural fields alone.
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

// take copies a value that is no object of anybody's own making.
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
