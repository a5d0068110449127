// Package croissant reads Croissant descriptions of datasets (MLCommons,
// versions 1.0 and 1.1), in JSON-LD. See docs/format/lineage-exchange.md.
package croissant

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

const format = "croissant" // under which things keep what there is no field for

// versions are what descriptions that are read conform to.
var versions = []string{"http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/1.1"}

// Read reads descriptions of datasets: one, or several in an array or one after
// the other.
func Read(data []byte, _ *lineage.Graph) ([]document.Item, []string, error) {
	values, err := document.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	if list, ok := values[0].([]any); ok && len(values) == 1 {
		values = list
	}
	var items []document.Item
	var notes []string
	for i, v := range values {
		place := ""
		if len(values) > 1 {
			place = fmt.Sprint("dataset ", i+1)
		}
		t, some, err := read(document.NewReader(place, v))
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, some...)
		items = append(items, document.Item{Entity: t, Place: place, Kept: document.Names(document.Kept(t, format))})
	}
	return items, notes, nil
}

func read(r *document.Reader) (lineage.Entity, []string, error) {
	if of := texts(r.Object["@type"]); r.Err() == nil && !slices.ContainsFunc(of, func(s string) bool { return last(s) == "Dataset" }) {
		r.Fail("@type", "not a Dataset")
	}
	conforms := append(texts(r.Object["conformsTo"]), texts(r.Object["dct:conformsTo"])...)
	switch {
	case r.Err() != nil:
	case len(conforms) == 0:
		r.Fail("conformsTo", "missing; the versions that can be read are %s", document.List(versions))
	case !slices.ContainsFunc(conforms, isVersion):
		r.Fail("conformsTo", "unknown version %.64q; the versions that can be read are %s", conforms[0], document.List(versions))
	}
	if len(texts(r.Object["name"])) == 0 {
		r.Fail("name", "missing")
	}
	checkRefs(r)
	if err := r.Err(); err != nil {
		return nil, nil, err
	}
	d := document.NewDraft(lineage.KindDataset, r.Place)
	name, version := first(r.Object["name"]), first(r.Object["version"])
	d.Set("id", document.ID(lineage.KindDataset, name, version))
	d.Set("name", document.Name(name))
	d.Set("version", document.Name(version))
	d.Set("description", first(r.Object["description"]))
	d.SetLine("licence", strings.Join(texts(r.Object["license"]), ", "))
	d.SetLine("location", first(r.Object["url"]))
	d.SetLine("owner", strings.Join(texts(r.Object["creator"]), ", "))
	var notes []string
	if at := first(r.Object["datePublished"]); at != "" {
		if when, zoneless, err := document.ParseTime(at); err == nil {
			d.Set("created", when)
			if zoneless {
				notes = document.ZoneNote(document.Join(r.Place, "datePublished"), 1)
			}
		}
	}
	notes = append(notes, files(d, r)...)
	if err := r.Err(); err != nil {
		return nil, nil, err
	}
	t, err := d.Entity()
	if err != nil {
		return nil, nil, err
	}
	// Members whose fields have the same value are not kept twice.
	said := document.Object{}
	for member, field := range map[string]string{"name": "name", "version": "version", "description": "description", "license": "licence", "url": "location"} {
		said[member] = document.Details(t)[field]
	}
	t, err = document.Keep(t, r.Place, format, document.Minus(r.Object, said))
	return t, notes, err
}

var sha256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// isVersion reports whether a description that conforms to s is read.
func isVersion(s string) bool {
	rest, _ := strings.CutPrefix(strings.TrimSuffix(s, "/"), "https://")
	return slices.Contains(versions, strings.TrimSuffix(s, "/")) || slices.Contains(versions, "http://"+rest)
}

// files reads what the files of a dataset have in common. It returns notes on
// members sha256 that are none, such as the address that Hugging Face writes
// there: they are kept as they stand.
func files(d *document.Draft, r *document.Reader) (notes []string) {
	var formats, digests []string
	alone := 0
	for _, f := range r.EachOrOne("distribution") {
		if s := first(f.Object["encodingFormat"]); s != "" && !slices.Contains(formats, s) {
			formats = append(formats, s)
		}
		if slices.ContainsFunc(texts(f.Object["@type"]), func(s string) bool { return last(s) == "FileObject" }) && f.Object["containedIn"] == nil {
			alone++
			digest := strings.ToLower(first(f.Object["sha256"]))
			if digest != "" && !sha256.MatchString(digest) {
				notes = append(notes, fmt.Sprintf("%s: %.64q is not a digest, and is kept unchanged", document.Join(f.Place, "sha256"), digest))
				digest = ""
			}
			digests = append(digests, digest)
		}
	}
	if len(formats) == 1 {
		d.SetLine("format", formats[0])
	}
	if alone == 1 && digests[0] != "" {
		d.Set("digest", "sha256:"+digests[0])
	}
	return notes
}

// checkRefs refuses references to files and records that are not there.
func checkRefs(r *document.Reader) {
	ids := make(map[string]bool)
	for _, list := range []string{"distribution", "recordSet"} {
		for _, o := range r.EachOrOne(list) {
			id := o.String("@id")
			if id != "" && ids[id] {
				o.Fail("@id", "%.64q is also used elsewhere", id)
			}
			ids[id] = true
		}
	}
	check := func(in *document.Reader, member string) {
		for _, id := range refs(in.Object[member]) {
			if !ids[id] {
				in.Fail(member, "nothing in the description has the @id %.64q", id)
			}
		}
	}
	for _, f := range r.EachOrOne("distribution") {
		check(f, "containedIn")
	}
	for _, s := range r.EachOrOne("recordSet") {
		for _, f := range s.EachOrOne("field") {
			if _, ok := f.Object["source"].(document.Object); !ok {
				continue
			}
			for _, member := range []string{"fileObject", "fileSet", "recordSet"} {
				check(f.Inner("source"), member)
			}
		}
	}
}

// refs are the ids that a value refers to.
func refs(v any) []string {
	switch v := v.(type) {
	case document.Object:
		if id, ok := v["@id"].(string); ok {
			return []string{id}
		}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, refs(one)...)
		}
		return all
	}
	return nil
}

// language is a tag of a language, such as en or pt-BR.
var language = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$`)

// inLanguages are the texts of a map by languages, those in English first and
// then in the order of the tags; none if it is another map.
func inLanguages(v document.Object) []string {
	var english, others []string
	for _, tag := range slices.Sorted(maps.Keys(v)) {
		if !language.MatchString(tag) && tag != "@none" {
			return nil
		}
		all := texts(v[tag])
		if strings.HasPrefix(strings.ToLower(tag)+"-", "en-") {
			english = append(english, all...)
		} else {
			others = append(others, all...)
		}
	}
	return append(english, others...)
}

// last returns a name without its prefix or path.
func last(s string) string { return s[strings.LastIndexAny(s, ":/#")+1:] }

func first(v any) string {
	if all := texts(v); len(all) > 0 {
		return all[0]
	}
	return ""
}

// texts are the texts that a value of JSON-LD says: itself, its name, its
// address, or those of each of several.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, texts(one)...)
		}
		return all
	case document.Object:
		for _, name := range []string{"@value", "name", "url", "@id"} {
			if s, ok := v[name].(string); ok && s != "" {
				return []string{s}
			}
		}
		return inLanguages(v)
	case interface{ String() string }: // a number
		return []string{v.String()}
	}
	return nil
}
