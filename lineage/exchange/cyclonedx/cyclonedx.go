// Package cyclonedx reads and writes CycloneDX bills of materials of models
// (ML-BOM), in JSON.
//
// Model versions and datasets are components; training runs, evaluations and
// deployments are workflows of the formulation. See
// docs/format/lineage-exchange.md.
package cyclonedx

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

const (
	format    = "cyclonedx"        // under which things keep what there is no field for
	extension = "audittrail:thing" // the property that has a thing whole
	version   = "1.6"              // of what is written
	personal  = "personal data"    // among the sensitive data
)

// versions are those that are read: older ones have no models.
var versions = []string{"1.5", "1.6", "1.7"}

// hashes are the algorithms of digests.
var hashes = map[string]string{"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}

// types are the components that are things.
var types = map[string]lineage.Kind{"machine-learning-model": lineage.KindModel, "data": lineage.KindDataset}

// tasks are what the workflows of things do.
var tasks = map[lineage.Kind]string{lineage.KindRun: "build", lineage.KindEvaluation: "test", lineage.KindDeployment: "deploy"}

// A bom is the things of a bill of materials.
type bom struct {
	things   map[string]lineage.Entity
	order    []lineage.Entity
	measured map[string][]*lineage.Evaluation // of a model
	made     map[string][]any                 // by a run: references
}

func newBOM(things []lineage.Entity) *bom {
	b := &bom{
		make(map[string]lineage.Entity, len(things)), things,
		make(map[string][]*lineage.Evaluation), make(map[string][]any),
	}
	for _, t := range things {
		b.things[t.Identity()] = t
		run := ""
		switch t := t.(type) {
		case *lineage.Evaluation:
			b.measured[t.Model] = append(b.measured[t.Model], t)
		case *lineage.Dataset:
			run = t.Run
		case *lineage.ModelVersion:
			run = t.Run
		}
		if run != "" {
			b.made[run] = append(b.made[run], document.Object{"resource": document.Object{"ref": t.Identity()}})
		}
	}
	return b
}

func text(o document.Object, name string) string {
	s, _ := o[name].(string)
	return s
}

func inner(o document.Object, name string) document.Object {
	in, _ := o[name].(document.Object)
	return in
}

// put adds a member that says something.
func put(o document.Object, name string, v any) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return
		}
	case []any:
		if len(v) == 0 {
			return
		}
	case document.Object:
		if len(v) == 0 {
			return
		}
	}
	o[name] = v
}

// refs are the references to those of some things that the bill has.
func (b *bom) refs(ids any) []any {
	var all []any
	list, _ := ids.([]any)
	for _, id := range list {
		if s, ok := id.(string); ok && b.things[s] != nil {
			all = append(all, document.Object{"ref": s})
		}
	}
	return all
}

// component is a dataset, a model version or a prompt template, but for the
// extension.
func (b *bom) component(t lineage.Entity) document.Object {
	fields := document.Details(t)
	o := document.Object{"type": "data", "name": text(fields, "name")}
	put(o, "version", text(fields, "version"))
	put(o, "description", text(fields, "description"))
	algorithm, hex, _ := strings.Cut(text(fields, "digest"), ":")
	if name := hashes[algorithm]; name != "" {
		o["hashes"] = []any{document.Object{"alg": name, "content": hex}}
	}
	if s := text(fields, "licence"); s != "" {
		o["licenses"] = []any{document.Object{"license": document.Object{"name": s}}}
	}
	location := text(fields, "location")
	if u, err := url.Parse(location); err != nil || u.String() != location {
		location = "" // it is not a URL
	}
	switch t.Kind() {
	case lineage.KindModel:
		o["type"] = "machine-learning-model"
		if location != "" {
			o["externalReferences"] = []any{document.Object{"type": "distribution", "url": location}}
		}
		put(o, "modelCard", b.card(t, fields))
	case lineage.KindDataset:
		o["data"] = []any{dataOf(fields, location)}
	default:
		o["data"] = []any{document.Object{"type": "configuration"}}
	}
	return b.withKept(t, o)
}

// withKept adds to a component what its thing keeps, unless it would be no such
// component then.
func (b *bom) withKept(t lineage.Entity, o document.Object) document.Object {
	ref := document.Object{"bom-ref": t.Identity()}
	kept := document.Without(document.Kept(t, format), "bom-ref", "bom", "components", "type")
	if list, ok := kept["properties"].([]any); ok && len(list) == 0 {
		delete(kept, "properties") // the extension is among them
	}
	if card := inner(kept, "modelCard"); card != nil {
		parameters := document.Without(inner(card, "modelParameters"), "datasets")
		kept["modelCard"] = document.Overlay(document.Without(card, "modelParameters"), document.Object{"modelParameters": parameters})
		if len(parameters) == 0 {
			kept["modelCard"] = document.Without(card, "modelParameters")
		}
	}
	with := document.Overlay(o, kept)
	with, _ = takeExtension(with)
	if !sound(with, new(cdx.Component)) || text(with, "name") == "" {
		with = o
	}
	return document.Overlay(with, ref)
}

// sound tells whether the standard's own library takes all of an object.
func sound(o document.Object, as any) bool {
	raw, err := document.Encode(o)
	if err != nil {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(as) == nil
}

// dataOf is the data of a dataset's component.
func dataOf(fields document.Object, location string) document.Object {
	data := document.Object{"type": "dataset"}
	if location != "" {
		data["contents"] = document.Object{"url": location}
	}
	if fields["personal_data"] == true {
		data["sensitiveData"] = []any{personal}
	}
	if s := text(fields, "owner"); s != "" {
		data["governance"] = document.Object{"owners": []any{document.Object{"organization": document.Object{"name": s}}}}
	}
	return data
}

// card is the card of a model version, with what its evaluations measured.
func (b *bom) card(t lineage.Entity, fields document.Object) document.Object {
	card, parameters := document.Object{}, document.Object{}
	put(parameters, "datasets", b.refs(fields["datasets"]))
	put(card, "modelParameters", parameters)
	if s := text(fields, "intended_use"); s != "" {
		card["considerations"] = document.Object{"useCases": []any{s}}
	}
	var metrics []any
	for _, e := range b.measured[t.Identity()] {
		for _, name := range sortedKeys(e.Metrics) {
			metrics = append(metrics, document.Object{"type": name, "value": plain(e.Metrics[name]), "slice": e.Label()})
		}
	}
	if len(metrics) > 0 {
		card["quantitativeAnalysis"] = document.Object{"performanceMetrics": metrics}
	}
	return card
}

// plain is a JSON string as its text, and any other value as it stands.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// workflow is a run, an evaluation or a deployment, but for the extension.
func (b *bom) workflow(t lineage.Entity) document.Object {
	fields := document.Details(t)
	o := document.Object{"bom-ref": t.Identity(), "uid": t.Identity(), "name": t.Label(), "taskTypes": []any{tasks[t.Kind()]}}
	put(o, "description", text(fields, "description"))
	put(o, "timeStart", text(fields, "start")+text(fields, "from"))
	put(o, "timeEnd", text(fields, "end")+text(fields, "to"))
	var inputs []any
	for _, name := range []string{"datasets", "base_model", "model", "prompts"} {
		ids := fields[name]
		if id, ok := ids.(string); ok {
			ids = []any{id}
		}
		if name == "model" && t.Kind() == lineage.KindRun {
			continue // a name
		}
		for _, ref := range b.refs(ids) {
			inputs = append(inputs, document.Object{"resource": ref})
		}
	}
	put(o, "inputs", inputs)
	put(o, "outputs", b.made[t.Identity()])
	return o
}

// dependencies are what components were made of.
func (b *bom) dependencies() []any {
	var all []any
	for _, t := range b.order {
		if tasks[t.Kind()] != "" {
			continue
		}
		fields := document.Details(t)
		var on []any
		for _, name := range []string{"sources", "datasets", "parent"} {
			ids := fields[name]
			if id, ok := ids.(string); ok {
				ids = []any{id}
			}
			for _, ref := range b.refs(ids) {
				if o, ok := ref.(document.Object); ok {
					on = append(on, o["ref"])
				}
			}
		}
		if len(on) > 0 {
			all = append(all, document.Object{"ref": t.Identity(), "dependsOn": on})
		}
	}
	return all
}
