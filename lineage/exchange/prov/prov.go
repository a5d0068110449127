// Package prov writes lineage as PROV-JSON, the JSON form of the W3C's
// provenance model (PROV-DM, 2013).
//
// Datasets, model versions and prompt templates are entities; training runs,
// evaluations and deployments activities; owners and evaluators agents. See
// docs/format/lineage-exchange.md.
package prov

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

const (
	prefix    = "audittrail"
	namespace = "urn:audittrail:lineage:"
)

// Write writes things as one document, in the order in which they come.
func Write(w io.Writer, nodes []*lineage.Node) error {
	x := &writer{there: make(map[string]bool, len(nodes)), out: document.Object{
		"prefix": document.Object{prefix: namespace},
	}}
	for _, n := range nodes {
		x.there[n.ID] = true
	}
	for _, n := range nodes {
		x.node(n)
	}
	raw, err := document.Encode(x.out)
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

type writer struct {
	there     map[string]bool
	out       document.Object
	relations int
}

// name makes a qualified name: what its local part cannot have is a percent
// sign and hexadecimal digits.
func name(local string) string {
	var b strings.Builder
	b.WriteString(prefix + ":")
	for i := range len(local) {
		c := local[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '/', c == '@':
			b.WriteByte(c)
		case c == '-' && i > 0:
			b.WriteByte(c)
		case c == '.' && i > 0 && i < len(local)-1:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (x *writer) section(name string) document.Object {
	o, ok := x.out[name].(document.Object)
	if !ok {
		o = document.Object{}
		x.out[name] = o
	}
	return o
}

// relate adds a relation between two things that are there.
func (x *writer) relate(relation string, members document.Object) {
	x.relations++
	x.section(relation)["_:r"+strconv.Itoa(x.relations)] = members
}

// activities are the kinds that happen, and the others are entities.
var activities = []lineage.Kind{lineage.KindRun, lineage.KindEvaluation, lineage.KindDeployment}

// shown are the fields that are times of activities, or relations.
var shown = []string{
	"id", "start", "end", "from", "to", "run", "sources", "datasets", "base_model", "parent", "prompts", "owner", "evaluator",
}

func (x *writer) node(n *lineage.Node) {
	fields := document.Details(n.Entity)
	o := document.Object{
		"prov:label": n.Label(),
		"prov:type":  document.Object{"$": prefix + ":" + string(n.Kind), "type": "prov:QUALIFIED_NAME"},
	}
	for field, v := range fields {
		switch {
		case slices.Contains(shown, field), field == "model" && n.Kind != lineage.KindRun:
			continue
		}
		if in, ok := v.(document.Object); ok {
			raw, err := document.Encode(in)
			if err != nil {
				continue // it was read from JSON
			}
			v = string(raw)
		}
		o[prefix+":"+field] = v
	}
	if slices.Contains(activities, n.Kind) {
		x.activity(n, o, fields)
	} else {
		x.entity(n, o, fields)
	}
}

func (x *writer) activity(n *lineage.Node, o, fields document.Object) {
	for member, names := range map[string][]string{"prov:startTime": {"start", "from"}, "prov:endTime": {"end", "to"}} {
		for _, field := range names {
			if at, ok := fields[field]; ok {
				o[member] = at
			}
		}
	}
	if n.Retired != nil && o["prov:endTime"] == nil {
		o["prov:endTime"] = n.Retired.At.UTC().Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	x.section("activity")[name(n.ID)] = o
	for _, field := range []string{"datasets", "base_model", "model", "prompts"} {
		if field == "model" && n.Kind == lineage.KindRun {
			continue // a name
		}
		for _, id := range x.ids(fields[field]) {
			x.relate("used", document.Object{"prov:activity": name(n.ID), "prov:entity": name(id), "prov:role": field})
		}
	}
	for _, role := range []string{"owner", "evaluator"} {
		if who, ok := fields[role].(string); ok {
			x.relate("wasAssociatedWith", document.Object{"prov:activity": name(n.ID), "prov:agent": x.agent(who), "prov:role": role})
		}
	}
}

func (x *writer) entity(n *lineage.Node, o, fields document.Object) {
	x.section("entity")[name(n.ID)] = o
	for _, id := range x.ids(fields["run"]) {
		made := document.Object{"prov:entity": name(n.ID), "prov:activity": name(id)}
		if at, ok := fields["created"]; ok {
			made["prov:time"] = at
		}
		x.relate("wasGeneratedBy", made)
	}
	for _, field := range []string{"sources", "datasets", "parent"} {
		for _, id := range x.ids(fields[field]) {
			x.relate("wasDerivedFrom", document.Object{"prov:generatedEntity": name(n.ID), "prov:usedEntity": name(id)})
		}
	}
	if who, ok := fields["owner"].(string); ok {
		x.relate("wasAttributedTo", document.Object{"prov:entity": name(n.ID), "prov:agent": x.agent(who)})
	}
	if n.Retired != nil {
		x.relate("wasInvalidatedBy", document.Object{
			"prov:entity": name(n.ID), "prov:time": n.Retired.At.UTC().Format("2006-01-02T15:04:05.999999999Z07:00"),
		})
	}
}

// ids are those of a field that are there.
func (x *writer) ids(v any) []string {
	var all []string
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		if id, ok := v.(string); ok && x.there[id] {
			all = append(all, id)
		}
	}
	return all
}

func (x *writer) agent(who string) string {
	id := name("agent/" + who)
	x.section("agent")[id] = document.Object{"prov:label": who}
	return id
}
