package mlflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// Is tells whether an object is of MLflow.
func Is(o document.Object) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.is(o) })
}

// A part is one of the ways in which MLflow tells of runs and models.
type part struct {
	is   func(document.Object) bool
	read func(x *reader, r *document.Reader)
}

func member(name string) func(document.Object) bool {
	return func(o document.Object) bool { return o[name] != nil }
}

// inside reads what a member has: one, or several.
func inside(name string, read func(x *reader, r *document.Reader)) part {
	return part{member(name), func(x *reader, r *document.Reader) {
		if _, ok := r.Object[name].([]any); !ok {
			read(x, r.Inner(name))
			return
		}
		for _, in := range r.Each(name) {
			read(x, in)
		}
	}}
}

var parts = []part{
	{member("info"), (*reader).run},
	inside("run", (*reader).run),
	inside("runs", (*reader).run),
	inside("registered_model", (*reader).model),
	inside("registered_models", (*reader).model),
	inside("model_version", (*reader).alone),
	inside("model_versions", (*reader).alone),
	{member("latest_versions"), (*reader).model},
	{func(o document.Object) bool {
		return o["name"] != nil && o["version"] != nil && (o["run_id"] != nil || o["current_stage"] != nil || o["creation_timestamp"] != nil)
	}, (*reader).alone},
}

// Read reads runs and registered models: one, an array, or one after the other.
func Read(data []byte, _ *lineage.Graph) ([]document.Item, []string, error) {
	values, err := document.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	if list, ok := values[0].([]any); ok && len(values) == 1 {
		values = list
	}
	x := &reader{seen: make(map[string][]byte)}
	for i, v := range values {
		place := ""
		if len(values) > 1 {
			place = fmt.Sprint("value ", i+1)
		}
		r := document.NewReader(place, v)
		found := false
		for _, p := range parts {
			if r.Err() == nil && p.is(r.Object) {
				p.read(x, r)
				found = true
			}
		}
		if !found {
			r.FailAt(place, "the object is neither a run nor a registered model nor a model version")
		}
		if r.Has("next_page_token") {
			x.notes = append(x.notes, "the document is not complete: a next page follows")
		}
		if x.err == nil {
			x.err = r.Err()
		}
		if x.err != nil {
			return nil, nil, x.err
		}
	}
	return x.items, x.notes, nil
}

type reader struct {
	items []document.Item
	seen  map[string][]byte // what was told of, by its id
	notes []string
	err   error
}

// add notes a thing, or why there is none.
func (x *reader) add(t lineage.Entity, place string, err error) {
	if err != nil {
		if x.err == nil {
			x.err = err
		}
		return
	}
	whole := lineage.Encode(t)
	if before, ok := x.seen[t.Identity()]; ok && bytes.Equal(before, whole) {
		return
	}
	x.seen[t.Identity()] = whole
	x.items = append(x.items, document.Item{Entity: t, Place: place, Kept: document.Names(document.Kept(t, format))})
}

// own reads a tag that has an entity whole, and compares it with the members of
// the document.
func own(place, tag string, kind lineage.Kind, about document.Object, want func(lineage.Entity) document.Object) (lineage.Entity, error) {
	at := document.Join(place, extension)
	v, err := document.Parse([]byte(tag))
	if err != nil {
		return nil, document.Errorf(at, "%v", err)
	}
	t, err := document.FromExtension(at, v[0])
	if err != nil {
		return nil, err
	}
	if t.Kind() != kind {
		return nil, document.Errorf(at, "the extension has a %s; expected a %s", t.Kind(), kind)
	}
	if err := document.Within(place, want(t), about); err != nil {
		return nil, err
	}
	return document.Keep(t, place, format, document.Minus(about, want(t)))
}

// take takes the extension out of tags.
func take(tags document.Object) (tag string, there bool) {
	v, there := tags[extension]
	delete(tags, extension)
	tag, _ = v.(string)
	return tag, there
}

func (x *reader) run(r *document.Reader) {
	about := normal(r)
	info := r.Inner("info")
	id := info.String("run_id")
	if id == "" {
		id = info.Need("run_uuid")
	}
	for _, name := range []string{"params", "tags"} {
		for key, v := range inner(inner(about, "data"), name) {
			if !isString(v) {
				r.Inner("data").Fail(name, "the value of %.64q is not a string", key)
			}
		}
	}
	if r.Err() != nil || x.err != nil {
		return
	}
	data := inner(about, "data")
	tags := inner(data, "tags")
	tag, mine := take(tags)
	if len(tags) == 0 {
		delete(data, "tags")
	}
	if len(data) == 0 {
		delete(about, "data")
	}
	if status := info.String("status"); !mine && (status == "RUNNING" || status == "SCHEDULED") {
		x.notes = append(x.notes, fmt.Sprintf("%s: the run %s has not ended and was skipped; import it after its end", r.Place, id))
		return
	}
	ids, context := x.inputs(r)
	if x.err != nil || r.Err() != nil {
		return
	}
	if !mine {
		t, err := foreignRun(r, about, id, ids, context)
		x.add(t, r.Place, err)
		return
	}
	t, err := own(r.Place, tag, lineage.KindRun, about, runOf)
	if run, ok := t.(*lineage.TrainingRun); ok && err == nil {
		for _, in := range ids {
			if _, there := slices.BinarySearch(run.Datasets, in); !there { // they are sorted
				err = document.Errorf(document.Join(r.Place, "inputs"), "the extension of the run does not name %s: remove the extension to read the document without it", in)
			}
		}
	}
	x.add(t, r.Place, err)
}

func foreignRun(r *document.Reader, about document.Object, id string, inputs []string, context document.Object) (lineage.Entity, error) {
	info, data := r.Inner("info"), inner(about, "data")
	tags := inner(data, "tags")
	d := document.NewDraft(lineage.KindRun, r.Place)
	d.Set("id", document.ID(lineage.KindRun, id, ""))
	d.Set("name", document.Name(info.String("run_name")))
	if info.String("run_name") == "" {
		d.Set("name", document.Name(id))
	}
	d.Set("description", text(tags, tagNote))
	d.SetLine("owner", info.String("user_id"))
	d.SetLine("owner", text(tags, tagUser))
	d.SetLine("code", text(tags, tagSource))
	d.SetLine("code", text(tags, tagCommit))
	d.Set("parameters", inner(data, "params"))
	values := document.Object{}
	for key, m := range inner(data, "metrics") {
		if of, ok := m.(document.Object); ok && of["value"] != nil {
			values[key] = of["value"]
		}
	}
	d.Set("metrics", values)
	for field, name := range map[string]string{"start": "start_time", "end": "end_time"} {
		if at := timeOf(info, name); !at.IsZero() {
			d.Set(field, at)
		}
	}
	d.Refer("datasets", inputs...)
	if err := r.Err(); err != nil {
		return nil, err
	}
	t, err := d.Entity()
	if err != nil {
		return nil, err
	}
	kept := document.Minus(about, runOf(t))
	if len(context) > 0 {
		kept["dataset_inputs"] = context
	}
	return document.Keep(t, r.Place, format, kept)
}

// inputs reads the datasets of a run, and the tags that they have in it.
func (x *reader) inputs(r *document.Reader) (ids []string, context document.Object) {
	context = document.Object{}
	if _, ok := r.Object["inputs"].(document.Object); !ok {
		return nil, context
	}
	for _, in := range r.Inner("inputs").Each("dataset_inputs") {
		d := in.Inner("dataset")
		d.Need("name")
		tags := pairs(in, "tags")
		tag, mine := take(tags)
		if r.Err() != nil {
			return nil, context
		}
		var t lineage.Entity
		var err error
		if mine {
			t, err = own(d.Place, tag, lineage.KindDataset, d.Object, datasetOf)
		} else {
			t, err = foreignDataset(d)
		}
		x.add(t, d.Place, err)
		if err != nil {
			return nil, context
		}
		ids = append(ids, t.Identity())
		if len(tags) > 0 {
			context[t.Identity()] = tags
		}
	}
	return ids, context
}

func foreignDataset(r *document.Reader) (lineage.Entity, error) {
	d := document.NewDraft(lineage.KindDataset, r.Place)
	name, version := r.String("name"), r.String("digest")
	d.Set("id", document.ID(lineage.KindDataset, name, version))
	d.Set("name", document.Name(name))
	d.Set("version", document.Name(version))
	source := r.String("source")
	d.SetLine("location", source)
	var in struct{ URI, URL, Path string }
	if json.Unmarshal([]byte(source), &in) == nil {
		d.SetLine("location", in.Path)
		d.SetLine("location", in.URL)
		d.SetLine("location", in.URI)
	}
	var profile struct {
		Rows *int64 `json:"num_rows"`
	}
	if json.Unmarshal([]byte(r.String("profile")), &profile) == nil && profile.Rows != nil && *profile.Rows >= 0 {
		d.Set("record_count", *profile.Rows)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	t, err := d.Entity()
	if err != nil {
		return nil, err
	}
	return document.Keep(t, r.Place, format, document.Minus(r.Object, datasetOf(t)))
}

// model reads a registered model with its versions.
func (x *reader) model(r *document.Reader) {
	r.Need("name")
	rest := document.Without(r.Object, "latest_versions", "name")
	versions := r.Each("latest_versions")
	if len(versions) == 0 {
		x.notes = append(x.notes, document.Join(r.Place, "latest_versions")+": the model has no version and was skipped")
	}
	for _, v := range versions {
		x.version(v, rest)
	}
}

func (x *reader) alone(r *document.Reader) { x.version(r, nil) }

func (x *reader) version(r *document.Reader, model document.Object) {
	r.Need("name")
	about := document.Without(r.Object, "tags")
	tags := pairs(r, "tags")
	tag, mine := take(tags)
	if len(tags) > 0 {
		about["tags"] = tags
	}
	if r.Err() != nil || x.err != nil {
		return
	}
	var t lineage.Entity
	var err error
	if mine {
		t, err = own(r.Place, tag, lineage.KindModel, about, versionOf)
	} else {
		t, err = foreignVersion(r, about)
	}
	if err == nil && len(model) > 0 {
		t, err = document.Keep(t, r.Place, format, document.Object{"registered_model": model})
	}
	x.add(t, r.Place, err)
}

func foreignVersion(r *document.Reader, about document.Object) (lineage.Entity, error) {
	d := document.NewDraft(lineage.KindModel, r.Place)
	name, version := r.String("name"), ""
	if r.Has("version") {
		version = strings.TrimSpace(fmt.Sprint(r.Object["version"]))
	}
	d.Set("id", document.ID(lineage.KindModel, name, version))
	d.Set("name", document.Name(name))
	d.Set("version", document.Name(version))
	d.Set("description", r.String("description"))
	d.SetLine("location", r.String("source"))
	d.SetLine("owner", r.String("user_id"))
	if at := timeOf(r, "creation_timestamp"); !at.IsZero() {
		d.Set("created", at)
	}
	if id := r.String("run_id"); id != "" {
		d.Set("run", document.ID(lineage.KindRun, id, ""))
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	t, err := d.Entity()
	if err != nil {
		return nil, err
	}
	return document.Keep(t, r.Place, format, document.Minus(about, versionOf(t)))
}
