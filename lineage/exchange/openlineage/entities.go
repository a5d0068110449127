package openlineage

import (
	"slices"
	"sort"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// isOwn tells whether a key is that of a thing that stands whole in the
// document.
func (x *reader) isOwn(k key) bool {
	s := x.entities[k]
	return s != nil && inner(s.about, "facets")[extension] != nil
}

// isKnown finds out which version of an entity a run has read, if the events do
// not say, and tells whether that one is registered already: a run that is
// keeps to what it has; then counts who wrote it last, in the document or
// before it.
func (x *reader) isKnown(one *run, k *key) bool {
	if k.version != "" || one.extension != nil || x.isOwn(*k) {
		return false
	}
	name := [2]string{k.namespace, k.name}
	versions := x.registered(name)
	if x.known != nil {
		if n, ok := x.known.Node(runPrefix + one.id); ok {
			for e := range x.known.Upstream(n) {
				if slices.Contains(versions, e.From) {
					return x.take(k, e.From)
				}
			}
		}
	}
	begin := one.begin
	if begin.IsZero() {
		begin = one.end
	}
	writers := x.written[name]
	// Their order is that in which they ended.
	for at := sort.Search(len(writers), func(i int) bool { return writers[i].end.After(begin) }) - 1; at >= 0; at-- {
		if writers[at] != one {
			k.version = writers[at].id
			return false
		}
	}
	for _, n := range slices.Backward(versions) {
		if producerOf(n.Entity) != runPrefix+one.id {
			return x.take(k, n)
		}
	}
	return false
}

func (x *reader) take(k *key, n *lineage.Node) bool {
	k.version = text(document.Details(n.Entity), "version")
	if x.entities[*k] != nil {
		return false // the document says more of it
	}
	x.knownAs[*k] = n
	return true
}

// registered are the entities of a namespace and name that are known.
func (x *reader) registered(name [2]string) []*lineage.Node {
	if x.known == nil {
		return nil
	}
	if x.byName == nil {
		x.byName = make(map[[2]string][]*lineage.Node)
		for n := range x.known.Nodes() {
			if kept := document.Kept(n.Entity, format); kept["namespace"] != nil {
				of := [2]string{text(kept, "namespace"), text(kept, "name")}
				x.byName[of] = append(x.byName[of], n)
			}
		}
	}
	return x.byName[name]
}

// idOf is the id of an entity; kind is empty if it is not of the document.
func (x *reader) idOf(k key) (id string, kind lineage.Kind) {
	if s := x.entities[k]; s != nil && s.thing != nil {
		return s.thing.Identity(), s.thing.Kind()
	}
	n := x.knownAs[k]
	if n == nil {
		return "", ""
	}
	return n.ID, n.Kind
}

func (x *reader) add(t lineage.Entity, place string) {
	x.items = append(x.items, document.Item{Entity: t, Place: place, Kept: document.Names(document.Kept(t, format))})
}

// entity makes a thing of what was seen of an entity.
func (x *reader) entity(k key) error {
	s := x.entities[k]
	about := s.about
	r := document.NewReader(s.place, about)
	facets := r.Inner("facets")
	var err error
	if facets.Has(extension) {
		s.thing, err = readOwn(facets.Place, facets.Inner(extension).Object)
		if err != nil {
			return err
		}
		about = withoutExtension(about, "facets")
		want := entity(s.thing)
		if err := document.Within(s.place, want, about); err != nil {
			return err
		}
		s.thing, err = document.Keep(s.thing, s.place, format, document.Minus(about, want))
	} else {
		s.thing, err = x.foreign(r, k, s)
	}
	if err != nil {
		return err
	}
	x.add(s.thing, s.place)
	return r.Err()
}

// readOwn reads the facet that has a thing whole.
func readOwn(place string, own document.Object) (lineage.Entity, error) {
	return document.FromExtension(document.Join(place, extension), document.Without(own, "_producer", "_schemaURL"))
}

// withoutExtension takes the extension out of the facets that lie on a path.
func withoutExtension(o document.Object, path ...string) document.Object {
	if len(path) == 0 {
		return document.Without(o, extension)
	}
	if _, ok := o[path[0]].(document.Object); !ok {
		return o
	}
	in := withoutExtension(inner(o, path[0]), path[1:]...)
	return document.Overlay(document.Without(o, path[0]), document.Object{path[0]: in})
}

// foreign makes a thing of an entity of somebody else.
func (x *reader) foreign(r *document.Reader, k key, s *seen) (lineage.Entity, error) {
	facets := r.Inner("facets")
	kind := lineage.KindDataset
	if facets.Inner("datasetType").String("datasetType") == "MODEL" {
		kind = lineage.KindModel
	}
	d := document.NewDraft(kind, s.place)
	d.Set("id", document.ID(kind, k.namespace+"/"+k.name, k.version))
	d.Set("name", document.Name(k.name))
	d.Set("version", document.Name(k.version))
	d.Set("description", facets.Inner("documentation").String("description"))
	d.SetLine("location", facets.Inner("dataSource").String("uri"))
	d.SetLine("format", facets.Inner("storage").String("fileFormat"))
	if owners := facets.Inner("ownership").Each("owners"); len(owners) == 1 {
		d.SetLine("owner", owners[0].String("name"))
	}
	d.Set("run", s.run)
	if err := r.Err(); err != nil {
		return nil, err
	}
	t, err := d.Entity()
	if err != nil {
		return nil, err
	}
	kept := document.Minus(s.about, entity(t))
	kept["namespace"], kept["name"] = k.namespace, k.name
	return document.Keep(t, s.place, format, kept)
}

// run makes a thing of a run, or of a job that stands whole in the document.
func (x *reader) run(one *run) error {
	var t lineage.Entity
	var err error
	if one.extension != nil {
		t, err = x.ownRun(one)
	} else {
		t, err = x.foreignRun(one)
	}
	if err != nil {
		return err
	}
	x.add(t, one.place)
	return nil
}

func (x *reader) ownRun(one *run) (lineage.Entity, error) {
	in := "run"
	if one.id == "" {
		in = "job"
	}
	t, err := readOwn(document.Join(document.Join(one.place, in), "facets"), one.extension)
	if err != nil {
		return nil, err
	}
	about, want := withoutExtension(one.about, in, "facets"), state(t)
	if err := document.Within(one.place, want, about); err != nil {
		return nil, err
	}
	refs := make(map[string]bool)
	for _, id := range inputsOf(t) {
		refs[id] = true
	}
	for _, u := range one.inputs {
		if id, kind := x.idOf(u.key); kind != "" && !refs[id] {
			return nil, document.Errorf(u.reader.Place, "the extension of the run does not name %s: remove the extension to read the document without it", id)
		}
	}
	return document.Keep(t, one.place, format, document.Minus(about, want))
}

func (x *reader) foreignRun(one *run) (lineage.Entity, error) {
	r := document.NewReader(one.place, one.about)
	j := r.Inner("job")
	facets := j.Inner("facets")
	d := document.NewDraft(lineage.KindRun, one.place)
	d.Set("id", runPrefix+one.id)
	d.Set("name", document.Name(j.String("name")))
	d.Set("description", facets.Inner("documentation").String("description"))
	if owners := facets.Inner("ownership").Each("owners"); len(owners) == 1 {
		d.SetLine("owner", owners[0].String("name"))
	}
	code := facets.Inner("sourceCodeLocation")
	d.SetLine("code", code.String("url"))
	if v := code.String("version"); v != "" {
		d.SetLine("code", code.String("url")+"@"+v)
	}
	values := document.Object{}
	for _, p := range r.Inner("run").Inner("facets").Inner("jobRunParameters").Each("parameters") {
		values[p.Need("key")] = p.Object["value"]
	}
	d.Set("parameters", values)
	if !one.begin.IsZero() && (one.end.IsZero() || !one.begin.After(one.end)) {
		d.Set("start", one.begin)
	}
	if !one.end.IsZero() {
		d.Set("end", one.end)
	}
	perInput, perOutput := document.Object{}, document.Object{}
	for _, u := range one.inputs {
		id, kind := x.idOf(u.key)
		switch {
		case kind == lineage.KindModel && (d.Fields["base_model"] == nil || d.Fields["base_model"] == id):
			d.Set("base_model", id)
		case kind == lineage.KindDataset:
			d.Refer("datasets", id)
		default:
			perInput[id] = document.Object{}
		}
		note(perInput, id, u.reader.Inner("inputFacets").Object)
	}
	for _, u := range one.outputs {
		id, _ := x.idOf(u.key)
		note(perOutput, id, u.reader.Inner("outputFacets").Object)
		if err := u.reader.Err(); err != nil {
			return nil, err
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	about := one.about
	if one.end.IsZero() {
		about = document.Without(about, "eventType") // which is that of its last event so far
	}
	t, err := d.Entity()
	if err != nil {
		return nil, err
	}
	kept := document.Minus(about, state(t))
	for name, facets := range map[string]document.Object{"inputFacets": perInput, "outputFacets": perOutput} {
		if len(facets) > 0 {
			kept[name] = facets
		}
	}
	t, err = document.Keep(t, one.place, format, kept)
	if err != nil || x.known == nil {
		return t, err
	}
	if n, ok := x.known.Node(t.Identity()); ok && n.Kind == lineage.KindRun {
		return joined(one.place, n.Entity, t)
	}
	return t, nil
}

// joined adds the fields of a run in a document to those of the registered run,
// another event of which was in another document. Where the two differ, the value of
// the document counts, and is refused when it is registered.
func joined(place string, registered, more lineage.Entity) (lineage.Entity, error) {
	d := document.NewDraft(lineage.KindRun, place)
	was, is := document.Details(registered), document.Details(more)
	d.Fields = document.Overlay(was, document.Without(is, "attributes"))
	d.Fields["datasets"] = nil
	for _, fields := range []document.Object{was, is} {
		list, _ := fields["datasets"].([]any)
		for _, id := range list {
			if s, ok := id.(string); ok {
				d.Refer("datasets", s)
			}
		}
	}
	if d.Fields["datasets"] == nil {
		delete(d.Fields, "datasets")
	}
	// As long as a run has not ended, the later event counts. Then only what is
	// new is added, so that documents can be imported in any order, and again.
	before, now := was["attributes"], is["attributes"]
	if was["end"] != nil {
		before, now = now, before
	}
	first, _ := before.(document.Object)
	second, _ := now.(document.Object)
	d.Set("attributes", document.Overlay(first, second))
	return d.Entity()
}

// note keeps what a run says of one of its inputs or outputs alone.
func note(all document.Object, id string, facets document.Object) {
	if len(facets) > 0 {
		before, _ := all[id].(document.Object)
		all[id] = document.Overlay(before, facets)
	}
}
