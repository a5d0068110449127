// Package exchange brings lineage in from documents of other programs, and out
// into them. See docs/format/lineage-exchange.md.
//
// An entity that is written and read again is the same: values for which a format
// has no member are in an extension of ours. PROV-JSON and in-toto
// statements are written only, Croissant is read only.
package exchange

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"audittrail/lineage"
	"audittrail/lineage/exchange/croissant"
	"audittrail/lineage/exchange/cyclonedx"
	"audittrail/lineage/exchange/document"
	"audittrail/lineage/exchange/intoto"
	"audittrail/lineage/exchange/mlflow"
	"audittrail/lineage/exchange/openlineage"
	"audittrail/lineage/exchange/prov"
)

// A Format is one of other people's.
type Format string

// The formats.
const (
	OpenLineage Format = "openlineage"
	CycloneDX   Format = "cyclonedx"
	MLflow      Format = "mlflow"
	Croissant   Format = "croissant" // read only
	PROV        Format = "prov"      // written only
	InToto      Format = "in-toto"   // written only
)

// MaxBytes is the size of the largest document that is read.
const MaxBytes = document.MaxBytes

// A form is what can be done with a format.
type form struct {
	name  Format
	is    func(first document.Object) bool
	read  func(data []byte, known *lineage.Graph) ([]document.Item, []string, error)
	write func(w io.Writer, nodes []*lineage.Node) (left []string, err error)
}

var forms = []form{
	{OpenLineage, has("eventTime", "producer"), openlineage.Read, all(openlineage.Write)},
	{CycloneDX, has("bomFormat"), cyclonedx.Read, all(cyclonedx.Write)},
	{MLflow, mlflow.Is, mlflow.Read, mlflow.Write},
	{Croissant, has("@context", "name"), croissant.Read, nil},
	{PROV, nil, nil, all(prov.Write)},
	{InToto, nil, nil, intoto.Write},
}

// all is a way to write that leaves nothing out.
func all(write func(io.Writer, []*lineage.Node) error) func(io.Writer, []*lineage.Node) ([]string, error) {
	return func(w io.Writer, nodes []*lineage.Node) ([]string, error) { return nil, write(w, nodes) }
}

// has recognizes a document by members of its first object.
func has(names ...string) func(document.Object) bool {
	return func(o document.Object) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return o[name] == nil })
	}
}

// Readable returns the formats that can be read.
func Readable() []Format { return those(func(f form) bool { return f.read != nil }) }

// Writable returns the formats that can be written.
func Writable() []Format { return those(func(f form) bool { return f.write != nil }) }

func those(can func(form) bool) []Format {
	var names []Format
	for _, f := range forms {
		if can(f) {
			names = append(names, f.name)
		}
	}
	return names
}

// Detect tells in which format a document is.
func Detect(data []byte) (Format, error) {
	data, _ = document.Finite(data)
	values, err := document.Parse(data)
	if err != nil {
		return "", fmt.Errorf("recognize the document: %w", err)
	}
	first := values[0]
	if list, ok := first.([]any); ok && len(list) > 0 {
		first = list[0]
	}
	o, _ := first.(document.Object)
	for _, f := range forms {
		if f.is != nil && f.is(o) {
			return f.name, nil
		}
	}
	return "", fmt.Errorf("recognize the document: not one of %s; name its format", document.List(Readable()))
}

// A Document is what was read.
type Document struct {
	Format Format
	Items  []document.Item
	Notes  []string // what was passed over, and why
}

// Read reads a document. The registered entities, known, complete
// references that the document leaves open; nil is none.
func Read(name Format, data []byte, known *lineage.Graph) (*Document, error) {
	for _, f := range forms {
		if f.name != name || f.read == nil {
			continue
		}
		data, unknown := document.Finite(data)
		items, notes, err := f.read(data, known)
		if unknown > 0 {
			notes = append(notes, fmt.Sprintf("NaN or Infinity in %d places: these values count as not known", unknown))
		}
		if err == nil && len(items) == 0 {
			err = document.Errorf("", "the document contains no lineage")
			for _, n := range notes {
				err = document.Errorf("", "nothing in the document can be registered; %s", n)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		d := &Document{name, items, notes}
		d.settle(known)
		return d, nil
	}
	return nil, fmt.Errorf("read %q: unknown format; use %s", name, document.List(Readable()))
}

// Write writes things, in the order of the graph, and returns what it left out.
func Write(w io.Writer, name Format, nodes []*lineage.Node) ([]string, error) {
	for _, f := range forms {
		if f.name == name && f.write != nil {
			return f.write(w, nodes)
		}
	}
	return nil, fmt.Errorf("write %q: unknown format; use %s", name, document.List(Writable()))
}

// settle puts what is registered in the place of what says the same or less.
func (d *Document) settle(known *lineage.Graph) {
	if known == nil {
		return
	}
	for i, item := range d.Items {
		n, ok := known.Node(item.Entity.Identity())
		if ok && n.Kind == item.Entity.Kind() && !bytes.Equal(lineage.Encode(n.Entity), lineage.Encode(item.Entity)) {
			if len(document.Minus(document.Details(item.Entity), document.Details(n.Entity))) == 0 {
				d.Items[i].Entity = n.Entity
			}
		}
	}
}

// Entities returns what a document tells of.
func (d *Document) Entities() []lineage.Entity {
	things := make([]lineage.Entity, len(d.Items))
	for i, item := range d.Items {
		things[i] = item.Entity
	}
	return things
}

// Place tells where in the document a thing stands.
func (d *Document) Place(id string) string {
	for _, item := range d.Items {
		if item.Entity.Identity() == id {
			return item.Place
		}
	}
	return ""
}

// Select returns what an export of some things holds: them, what they were made
// of, and the evaluations of the model versions among them; everything if there
// are none. They come in the order of the graph.
func Select(g *lineage.Graph, some []*lineage.Node) []*lineage.Node {
	if len(some) == 0 {
		return slices.Collect(g.Nodes())
	}
	with := slices.Clone(some)
	for _, n := range some {
		for e := range g.Downstream(n) {
			if n.Kind == lineage.KindModel && e.To.Kind == lineage.KindEvaluation {
				with = append(with, e.To)
			}
		}
	}
	wanted := make(map[string]bool)
	for _, r := range g.Walk(with, lineage.Upstream, 0) {
		wanted[r.ID] = true
	}
	var nodes []*lineage.Node
	for n := range g.Nodes() {
		if wanted[n.ID] {
			nodes = append(nodes, n)
		}
	}
	return nodes
}
