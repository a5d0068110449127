package cyclonedx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// Read reads a bill of materials. It returns its entities; all
// other members are kept with the first entity that they concern.
func Read(data []byte, _ *lineage.Graph) ([]document.Item, []string, error) {
	values, err := document.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	if len(values) > 1 {
		return nil, nil, document.Errorf("", "%d JSON values; a bill of materials is one", len(values))
	}
	x := &reader{r: document.NewReader("", values[0]), refs: make(map[string]*part), ids: make(map[string]*part)}
	if err := x.check(); err != nil {
		return nil, nil, err
	}
	if x.r.Has("metadata") && x.r.Inner("metadata").Has("component") {
		x.collect(x.r.Inner("metadata").Inner("component"))
	}
	for _, c := range x.r.Each("components") {
		x.collect(c)
	}
	x.workflows()
	if err := x.r.Err(); err != nil {
		return nil, nil, err
	}
	if err := x.things(); err != nil {
		return nil, nil, err
	}
	return x.items, nil, nil
}

// A part is a component or workflow of the bill.
type part struct {
	r     *document.Reader
	about document.Object // it, without the extension and the components in it
	own   bool
	kind  lineage.Kind // empty if it is not an entity
	thing lineage.Entity
	draft *document.Draft
}

type reader struct {
	r     *document.Reader
	refs  map[string]*part // by bom-ref
	ids   map[string]*part // by the id of its entity
	parts []*part          // that are entities
	rest  []any            // components that are none
	flows []any            // formulas without the workflows that are things
	items []document.Item
	main  int // the item that the bill is about
}

func (x *reader) check() error {
	r := x.r
	if r.Err() == nil && r.String("bomFormat") != cdx.BOMFormat {
		r.Fail("bomFormat", "it is not %s", cdx.BOMFormat)
	}
	if v := r.Need("specVersion"); !slices.Contains(versions, v) {
		r.Fail("specVersion", "unknown version %.16q of CycloneDX; the versions that can be read are %s", v, document.List(versions))
	}
	if err := r.Err(); err != nil {
		return err
	}
	raw, err := document.Encode(checkable(r.Object))
	if err != nil {
		return err
	}
	err = cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(new(cdx.BOM))
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return document.Errorf(wrong.Field, "found a %s, which CycloneDX does not have there", wrong.Value)
	}
	if err != nil {
		return document.Errorf("", "not a bill of materials: %v", err)
	}
	return nil
}

// checkable returns the part of a bill that the standard's library checks: the
// members that are read, without those that the library defines in another way than
// the standard. All others are kept unchanged.
func checkable(bill document.Object) document.Object {
	o := document.Object{}
	for _, name := range []string{"$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "dependencies"} {
		if v, ok := bill[name]; ok {
			o[name] = v
		}
	}
	if list, ok := o["components"].([]any); ok {
		o["components"] = measuredAsText(list)
	}
	if meta := inner(bill, "metadata"); meta != nil {
		about := document.Object{}
		if c := inner(meta, "component"); c != nil {
			about["component"] = measuredAsText([]any{c})[0]
		}
		o["metadata"] = about
	}
	return o
}

// measuredAsText returns components whose measured values are strings, as the
// standard has them: many programs write numbers.
func measuredAsText(components []any) []any {
	out := make([]any, len(components))
	for i, c := range components {
		out[i] = c
		o, ok := c.(document.Object)
		if !ok {
			continue
		}
		if list, ok := o["components"].([]any); ok {
			o = document.Overlay(document.Without(o, "components"), document.Object{"components": measuredAsText(list)})
		}
		analysis := inner(inner(o, "modelCard"), "quantitativeAnalysis")
		if list, ok := analysis["performanceMetrics"].([]any); ok {
			metrics := make([]any, len(list))
			for k, m := range list {
				metrics[k] = numbersAsText(m)
			}
			card := document.Without(inner(o, "modelCard"), "quantitativeAnalysis")
			card["quantitativeAnalysis"] = document.Overlay(document.Without(analysis, "performanceMetrics"), document.Object{"performanceMetrics": metrics})
			o = document.Overlay(document.Without(o, "modelCard"), document.Object{"modelCard": card})
		}
		out[i] = o
	}
	return out
}

func numbersAsText(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case document.Object:
		out := make(document.Object, len(v))
		for k, in := range v {
			out[k] = numbersAsText(in)
		}
		return out
	}
	return v
}

// everyRef adds all bom-refs of a value.
func everyRef(v any, refs map[string]bool) {
	switch v := v.(type) {
	case document.Object:
		if s, ok := v["bom-ref"].(string); ok {
			refs[s] = true
		}
		for _, in := range v {
			everyRef(in, refs)
		}
	case []any:
		for _, in := range v {
			everyRef(in, refs)
		}
	}
}

// collect notes a component and those in it.
func (x *reader) collect(r *document.Reader) {
	p := &part{r: r, kind: types[r.Need("type")]}
	r.Need("name")
	p.about = x.own(p, document.Without(r.Object, "components"))
	x.refer(p)
	if p.kind != "" {
		x.parts = append(x.parts, p)
	} else {
		x.rest = append(x.rest, p.about)
	}
	for _, c := range r.Each("components") {
		x.collect(c)
	}
}

// own reads the extension of a part, if it has one.
func (x *reader) own(p *part, o document.Object) document.Object {
	about, found := takeExtension(o)
	if len(found) == 0 {
		return o
	}
	p.own = true
	place := document.Join(p.r.Place, "properties."+extension)
	if len(found) > 1 {
		p.r.Fail("properties", "%s is given twice", extension)
		return about
	}
	v, err := document.Parse([]byte(found[0]))
	if err == nil {
		p.thing, err = document.FromExtension(place, v[0])
	}
	if err != nil {
		p.r.Fail("properties", "%s: %v", extension, err)
		return about
	}
	p.kind = p.thing.Kind()
	return about
}

func (x *reader) refer(p *part) {
	ref := p.r.String("bom-ref")
	if ref == "" {
		return
	}
	if x.refs[ref] != nil {
		p.r.Fail("bom-ref", "%.64q is also used by another component", ref)
	}
	x.refs[ref] = p
}

// workflows notes the workflows that are things.
func (x *reader) workflows() {
	for _, f := range x.r.Each("formulation") {
		var rest []any
		for _, w := range f.Each("workflows") {
			p := &part{r: w}
			p.about = x.own(p, w.Object)
			x.refer(p)
			if p.kind != "" {
				x.parts = append(x.parts, p)
			} else {
				rest = append(rest, w.Object)
			}
		}
		left := document.Without(f.Object, "workflows")
		put(left, "workflows", rest)
		if len(left) > 0 {
			x.flows = append(x.flows, left)
		}
	}
}

// things makes things of the parts, and keeps what is left.
func (x *reader) things() error {
	var all []lineage.Entity
	for _, p := range slices.Clone(x.parts) {
		if !p.own {
			x.draft(p)
		}
	}
	for _, p := range slices.Clone(x.parts) {
		if !p.own && p.kind == lineage.KindModel {
			x.card(p)
		}
	}
	if err := x.r.Err(); err != nil {
		return err
	}
	x.depend()
	if err := x.r.Err(); err != nil {
		return err
	}
	for _, p := range x.parts {
		if p.draft != nil {
			var err error
			if p.thing, err = p.draft.Entity(); err != nil {
				return err
			}
		}
		all = append(all, p.thing)
	}
	b := newBOM(all)
	for _, p := range x.parts {
		if err := x.finish(b, p); err != nil {
			return err
		}
	}
	return x.keepRest(b)
}

func (x *reader) finish(b *bom, p *part) error {
	var want document.Object
	if tasks[p.kind] != "" {
		want = b.workflow(p.thing)
	} else {
		want = b.component(p.thing)
	}
	kept := document.Minus(p.about, want)
	var err error
	if p.own {
		err = document.Within(p.r.Place, want, p.about)
	}
	if err == nil {
		p.thing, err = document.Keep(p.thing, p.r.Place, format, kept)
	}
	if err != nil {
		return err
	}
	x.items = append(x.items, document.Item{Entity: p.thing, Place: p.r.Place, Kept: document.Names(document.Kept(p.thing, format))})
	return nil
}

// keepRest keeps the members of the bill that are about no entity.
func (x *reader) keepRest(b *bom) error {
	if len(x.items) == 0 {
		return nil
	}
	about := document.Without(x.r.Object, "components", "formulation")
	if meta := inner(about, "metadata"); meta["component"] != nil {
		about["metadata"] = document.Without(meta, "component")
	}
	if x.parts[0].r.Place == "metadata.component" {
		x.main = 0
	} else if i := slices.IndexFunc(x.parts, func(p *part) bool { return p.kind == lineage.KindModel }); i >= 0 {
		x.main = i
	}
	put(about, "components", x.rest)
	put(about, "formulation", x.flows)
	rest := document.Minus(about, b.envelope())
	if len(rest) == 0 {
		return nil
	}
	item := &x.items[x.main]
	t, err := document.Keep(item.Entity, item.Place, format, document.Object{"bom": rest})
	if err != nil {
		return err
	}
	item.Entity, item.Kept = t, document.Names(document.Kept(t, format))
	return nil
}

// draft reads a component of somebody else.
func (x *reader) draft(p *part) {
	r := p.r
	d := document.NewDraft(p.kind, r.Place)
	p.draft = d
	name := r.String("name")
	if group := r.String("group"); group != "" {
		name = group + "/" + name
	}
	d.Set("id", x.id(p, name, r.String("version")))
	d.Set("name", document.Name(name))
	d.Set("version", document.Name(r.String("version")))
	d.Set("description", r.String("description"))
	for _, h := range r.Each("hashes") {
		for algorithm, alg := range hashes {
			if h.String("alg") == alg && d.Fields["digest"] == nil {
				d.Set("digest", algorithm+":"+strings.ToLower(h.Need("content")))
			}
		}
	}
	if l := r.Each("licenses"); len(l) == 1 {
		of := l[0].Inner("license")
		d.SetLine("licence", l[0].String("expression"))
		d.SetLine("licence", of.String("name"))
		d.SetLine("licence", of.String("id"))
	}
	for _, e := range r.Each("externalReferences") {
		if e.String("type") == "distribution" && d.Fields["location"] == nil {
			d.SetLine("location", e.String("url"))
		}
	}
	if data := r.Each("data"); p.kind == lineage.KindDataset && len(data) == 1 {
		readData(d, data[0])
	}
}

// id makes the id of a part. Parts of one name and version that say different
// things are told apart by their numbers.
func (x *reader) id(p *part, name, version string) string {
	for n := 1; ; n++ {
		id := document.ID(p.kind, name, version)
		if n > 1 && version == "" {
			id = document.ID(p.kind, fmt.Sprintf("%s#%d", name, n), "")
		} else if n > 1 {
			id = document.ID(p.kind, name, fmt.Sprintf("%s#%d", version, n))
		}
		other := x.ids[id]
		if other == nil {
			x.ids[id] = p
			return id
		}
		if reflect.DeepEqual(other.about, p.about) {
			return id
		}
	}
}

// readData reads what a component or a model card says of a dataset.
func readData(d *document.Draft, r *document.Reader) {
	d.SetLine("location", r.Inner("contents").String("url"))
	if slices.Contains(r.Array("sensitiveData"), any(personal)) {
		d.Set("personal_data", true)
	}
	if owners := r.Inner("governance").Each("owners"); len(owners) == 1 {
		d.SetLine("owner", owners[0].Inner("organization").String("name"))
	}
}

// card reads the card of a model.
func (x *reader) card(p *part) {
	card := p.r.Inner("modelCard")
	var uses []string
	for _, u := range card.Inner("considerations").Array("useCases") {
		if s, ok := u.(string); ok {
			uses = append(uses, s)
		}
	}
	p.draft.Set("intended_use", strings.Join(uses, "\n"))
	for _, d := range card.Inner("modelParameters").Each("datasets") {
		if d.Has("ref") {
			x.link(p, d.Need("ref"), document.Join(d.Place, "ref"))
		} else if name := d.String("name"); name != "" {
			x.inline(p, d, name)
		}
	}
}

// inline reads a dataset within a model card.
func (x *reader) inline(p *part, r *document.Reader, name string) {
	in := &part{r: r, kind: lineage.KindDataset, draft: document.NewDraft(lineage.KindDataset, r.Place)}
	in.about = document.Object{"data": []any{r.Object}}
	in.draft.Set("id", x.id(in, name, ""))
	in.draft.Set("name", document.Name(name))
	in.draft.Set("description", r.String("description"))
	readData(in.draft, r)
	x.refer(in)
	x.parts = append(x.parts, in)
	p.draft.Refer("datasets", fmt.Sprint(in.draft.Fields["id"]))
}

// link notes that a part was made of what a reference names.
func (x *reader) link(p *part, ref, place string) {
	to := x.refs[ref]
	if to == nil {
		if !strings.HasPrefix(ref, "urn:cdx:") { // in another bill
			p.r.FailAt(place, "nothing in the bill has the bom-ref %.64q", ref)
		}
		return
	}
	id := ""
	switch {
	case to.thing != nil:
		id = to.thing.Identity()
	case to.kind != "":
		id = fmt.Sprint(to.draft.Fields["id"])
	}
	switch {
	case id == "" || to == p:
	case to.kind == lineage.KindDataset && p.kind == lineage.KindModel:
		p.draft.Refer("datasets", id)
	case to.kind == lineage.KindDataset:
		p.draft.Refer("sources", id)
	case to.kind == lineage.KindModel && p.kind == lineage.KindModel && p.draft.Fields["parent"] == nil:
		p.draft.Set("parent", id)
	}
}

// depend reads what parts depend on.
func (x *reader) depend() {
	some := make(map[string]bool)
	everyRef(x.r.Object, some)
	known := func(ref, place string) {
		if !some[ref] && !strings.HasPrefix(ref, "urn:cdx:") { // in another bill
			x.r.FailAt(place, "nothing in the bill has the bom-ref %.64q", ref)
		}
	}
	for _, d := range x.r.Each("dependencies") {
		ref := d.Need("ref")
		known(ref, document.Join(d.Place, "ref"))
		p := x.refs[ref]
		for i, on := range d.Array("dependsOn") {
			s, ok := on.(string)
			place := fmt.Sprintf("%s[%d]", document.Join(d.Place, "dependsOn"), i)
			if !ok {
				x.r.FailAt(place, "expected a bom-ref")
				continue
			}
			known(s, place)
			if p != nil && p.draft != nil && x.refs[s] != nil {
				x.link(p, s, place)
			}
		}
	}
}
