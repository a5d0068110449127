package lineage

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A ConflictError reports that an id belongs to another entity.
type ConflictError struct {
	ID     string
	Seq    uint64   // of the record that registered it
	Kind   Kind     // the kind of that entity
	Fields []string // the fields in which the two differ; none if their kinds differ
}

func (e *ConflictError) Error() string {
	if len(e.Fields) == 0 {
		return fmt.Sprintf("the id %s belongs to a %s, registered by record %d; choose another id", e.ID, e.Kind, e.Seq)
	}
	return fmt.Sprintf("%s is already registered by record %d, with another %s; a registered entity cannot change: choose another version or id",
		e.ID, e.Seq, strings.Join(e.Fields, ", "))
}

// A ReferenceError reports that an entity refers to another that is not
// registered, or has the wrong kind.
type ReferenceError struct {
	Field, ID string
	Want      []Kind
	Got       Kind // empty if no such entity is registered
}

func (e *ReferenceError) Error() string {
	names := make([]string, len(e.Want))
	for i, k := range e.Want {
		names[i] = string(k)
	}
	want := strings.Join(names, " or ")
	if e.Got == "" {
		return fmt.Sprintf("%s: no %s %s is registered: register it first", e.Field, want, quoted(e.ID))
	}
	return fmt.Sprintf("%s: %s is a %s; use a %s", e.Field, e.ID, e.Got, want)
}

// A CycleError reports that entities would be made of themselves.
type CycleError struct {
	Path []string // ids, from an entity back to itself
}

func (e *CycleError) Error() string {
	path := e.Path
	if len(path) > 10 {
		path = slices.Concat(path[:5], []string{"…"}, path[len(path)-4:])
	}
	return "a cycle: " + strings.Join(path, " -> ")
}

// A RetiredError reports a use of a model version or a deployment at a time
// when it has ended.
type RetiredError struct {
	ID      string
	At      time.Time
	Problem string
}

func (e *RetiredError) Error() string {
	return fmt.Sprintf("%s was retired %s: %s", e.ID, e.At.UTC().Format(time.RFC3339), e.Problem)
}

// admit decides whether a complete entity may join the graph at the time of its
// registration. If it is already registered, admit returns its node.
func (g *Graph) admit(t Entity, now time.Time) (*Node, error) {
	id := t.Identity()
	if n, ok := g.Node(id); ok {
		return n, g.compare(n, t)
	}
	for _, f := range t.fields() {
		var err error
		f.references(func(ref string) {
			if err == nil {
				err = g.refer(id, f, ref)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if d, ok := t.(*Deployment); ok {
		return nil, g.deployable(d, now)
	}
	return nil, nil
}

// refer decides whether the entity with an id may refer to another.
func (g *Graph) refer(id string, f field, ref string) error {
	if ref == id {
		return &CycleError{[]string{id, id}}
	}
	n, ok := g.Node(ref)
	switch {
	case !ok:
		return &ReferenceError{Field: f.name, ID: ref, Want: f.edge.kinds}
	case !slices.Contains(f.edge.kinds, n.Kind):
		return &ReferenceError{Field: f.name, ID: ref, Want: f.edge.kinds, Got: n.Kind}
	}
	return nil
}

// compare checks that an entity is the same as the one of a node.
func (g *Graph) compare(n *Node, t Entity) error {
	if n.Kind != t.Kind() {
		return &ConflictError{ID: n.ID, Seq: n.Seq, Kind: n.Kind}
	}
	if bytes.Equal(Encode(n.Entity), Encode(t)) {
		return nil
	}
	conflict := &ConflictError{ID: n.ID, Seq: n.Seq, Kind: n.Kind}
	other := t.fields()
	for i, f := range n.Entity.fields() {
		if !bytes.Equal(encode([]field{f}), encode([]field{other[i]})) {
			conflict.Fields = append(conflict.Fields, f.name)
		}
	}
	return conflict
}

// deployable refuses a deployment that would be active after its model was
// retired.
func (g *Graph) deployable(d *Deployment, now time.Time) error {
	model, _ := g.Node(d.Model)
	if model.Retired == nil {
		return nil
	}
	at := model.Retired.At
	from := d.From
	if from.IsZero() {
		from = now
	}
	if !from.Before(at) {
		return &RetiredError{ID: model.ID, At: at, Problem: "it cannot be deployed any more; register a new version"}
	}
	if d.To.After(at) {
		return &RetiredError{ID: model.ID, At: at, Problem: "a deployment of it cannot last until " + d.To.Format(time.RFC3339)}
	}
	return nil
}

// retirable decides whether an entity may be retired, at a time that is now if
// none is given. It returns the entity's node and whether the same retirement
// is already registered.
func (g *Graph) retirable(r *Retirement, now time.Time) (n *Node, same bool, err error) {
	n, ok := g.Node(r.Entity)
	switch {
	case !ok:
		return nil, false, &ReferenceError{Field: "thing", ID: r.Entity, Want: isRetired.kinds}
	case !slices.Contains(isRetired.kinds, n.Kind):
		return nil, false, &ReferenceError{Field: "thing", ID: r.Entity, Want: isRetired.kinds, Got: n.Kind}
	case n.Retired != nil:
		known := *r
		if r.At.IsZero() {
			known.At = n.Retired.At
		}
		if bytes.Equal(encode(n.Retired.fields()), encode(known.fields())) {
			return n, true, nil
		}
		return nil, false, &RetiredError{ID: n.ID, At: n.Retired.At, Problem: "it cannot be retired twice"}
	}
	at := r.At
	if at.IsZero() {
		at = now
	}
	deployments := []*Node{n}
	if n.Kind == KindModel {
		deployments = deployments[:0]
		for e := range g.Downstream(n) {
			deployments = append(deployments, e.To)
		}
	}
	for _, d := range deployments {
		if dep, ok := d.Entity.(*Deployment); ok && dep.From.After(at) {
			return nil, false, problem("at", "%s is before %s begins, %s", at.Format(time.RFC3339), d.ID, dep.From.Format(time.RFC3339))
		}
	}
	return n, false, nil
}
