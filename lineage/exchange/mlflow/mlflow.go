// Package mlflow reads and writes runs and registered models of MLflow, in the
// JSON of its REST API and of its Python client. See
// docs/format/lineage-exchange.md.
package mlflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

const (
	format    = "mlflow"           // under which things keep what there is no field for
	extension = "audittrail.thing" // the tag that has a thing whole
	runPrefix = string(lineage.KindRun) + ":"
)

// Tags of runs that are fields.
const (
	tagNote   = "mlflow.note.content"
	tagUser   = "mlflow.user"
	tagCommit = "mlflow.source.git.commit"
	tagSource = "mlflow.source.name"
)

func text(o document.Object, name string) string {
	s, _ := o[name].(string)
	return s
}

func inner(o document.Object, name string) document.Object {
	in, _ := o[name].(document.Object)
	return in
}

// put adds a member that says something.
func put(o document.Object, name, s string) {
	if s != "" {
		o[name] = s
	}
}

// millis is a time as MLflow has it.
func millis(at any) (json.Number, bool) {
	s, _ := at.(string)
	t, err := lineage.ParseTime(s)
	return document.Number(strconv.FormatInt(t.UnixMilli(), 10)), err == nil
}

// timeOf reads a time: milliseconds since 1970, as a number or a string.
func timeOf(r *document.Reader, name string) time.Time {
	if !r.Has(name) {
		return time.Time{}
	}
	n, err := strconv.ParseInt(fmt.Sprint(r.Object[name]), 10, 64)
	if err != nil || n < 0 || n > 253402300799999 {
		r.Fail(name, "not a number of milliseconds since 1970, before the year 10000")
		return time.Time{}
	}
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// keyOf reads the key of a member of a list, which may be empty.
func keyOf(r *document.Reader) string {
	if !r.Has("key") {
		r.Fail("key", "missing")
	}
	return r.String("key")
}

// pairs are params or tags: a list of keys and values, or an object of them.
func pairs(r *document.Reader, name string) document.Object {
	out := document.Object{}
	switch v := r.Object[name].(type) {
	case document.Object:
		maps.Copy(out, v)
	case []any:
		for _, p := range r.Each(name) {
			key := keyOf(p)
			if _, twice := out[key]; twice {
				p.Fail("key", "%.64q is given twice", key)
			}
			out[key] = p.String("value")
		}
	}
	return out
}

// metrics are those of a run, by their names: each has a value, and maybe more.
func metrics(r *document.Reader) document.Object {
	out := document.Object{}
	switch v := r.Object["metrics"].(type) {
	case document.Object:
		for key, value := range v {
			out[key] = document.Object{"value": value}
		}
	case []any:
		for _, m := range r.Each("metrics") {
			out[keyOf(m)] = document.Without(m.Object, "key")
		}
	}
	return out
}

// normal is a run whose lists are objects, and without inputs.
func normal(r *document.Reader) document.Object {
	o := document.Without(r.Object, "inputs")
	if in := inner(r.Object, "inputs"); in != nil {
		if rest := document.Without(in, "dataset_inputs"); len(rest) > 0 {
			o["inputs"] = rest
		}
	}
	d := r.Inner("data")
	data := document.Without(d.Object, "params", "tags", "metrics")
	for name, values := range map[string]document.Object{"params": pairs(d, "params"), "tags": pairs(d, "tags"), "metrics": metrics(d)} {
		if len(values) > 0 {
			data[name] = values
		}
	}
	delete(o, "data")
	if len(data) > 0 {
		o["data"] = data
	}
	return o
}

// runOf is a run in its normal form, but for the extension.
func runOf(t lineage.Entity) document.Object {
	fields := document.Details(t)
	info := document.Object{
		"run_id": strings.TrimPrefix(t.Identity(), runPrefix), "run_name": t.Label(), "status": "FINISHED", "lifecycle_stage": "active",
	}
	for member, field := range map[string]string{"start_time": "start", "end_time": "end"} {
		if n, ok := millis(fields[field]); ok {
			info[member] = n
		}
	}
	tags, params, values := document.Object{}, document.Object{}, document.Object{}
	put(tags, tagNote, text(fields, "description"))
	put(tags, tagUser, text(fields, "owner"))
	put(tags, tagCommit, text(fields, "code"))
	for key, v := range inner(fields, "parameters") {
		params[key] = plain(v)
	}
	for key, v := range inner(fields, "metrics") {
		if n, ok := v.(json.Number); ok {
			values[key] = document.Object{"value": n}
		}
	}
	o := document.Object{"info": info}
	data := document.Object{}
	for name, of := range map[string]document.Object{"tags": tags, "params": params, "metrics": values} {
		if len(of) > 0 {
			data[name] = of
		}
	}
	if len(data) > 0 {
		o["data"] = data
	}
	with := document.Overlay(o, document.Without(document.Kept(t, format), "dataset_inputs"))
	if !soundRun(with, text(info, "run_id")) {
		return o
	}
	delete(inner(inner(with, "data"), "tags"), extension)
	return with
}

// soundRun tells whether a normal form is still that of a run, with what is
// kept of it.
func soundRun(o document.Object, id string) bool {
	if text(inner(o, "info"), "run_id") != id || o["inputs"] != nil && inner(o, "inputs") == nil {
		return false
	}
	in, has := o["inputs"].(document.Object)
	if has && in["dataset_inputs"] != nil {
		return false
	}
	data, ok := o["data"].(document.Object)
	if !ok {
		return o["data"] == nil
	}
	for name, values := range data {
		of, isObject := values.(document.Object)
		switch name {
		case "tags", "params":
			if !isObject || !allOf(of, isString) {
				return false
			}
		case "metrics":
			if !isObject || !allOf(of, isMetric) {
				return false
			}
		}
	}
	return true
}

func allOf(o document.Object, is func(any) bool) bool {
	for _, v := range o {
		if !is(v) {
			return false
		}
	}
	return len(o) > 0
}

func isString(v any) bool { _, ok := v.(string); return ok }

func isMetric(v any) bool {
	o, ok := v.(document.Object)
	return ok && o["key"] == nil
}

// plain is a text as it is, and any other value as JSON.
func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	raw, err := document.Encode(v)
	if err != nil {
		return "" // it was read from JSON
	}
	return string(raw)
}

// listed makes lists of the objects of a normal form.
func listed(values document.Object, member func(key string, v any) document.Object) []any {
	all := []any{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		all = append(all, member(key, values[key]))
	}
	return all
}

func pair(key string, v any) document.Object { return document.Object{"key": key, "value": v} }

// datasetOf is a dataset as the input of a run, but for the extension.
func datasetOf(t lineage.Entity) document.Object {
	fields := document.Details(t)
	o := document.Object{"name": text(fields, "name"), "source_type": "audittrail", "source": t.Identity()}
	put(o, "source", text(fields, "location"))
	_, hex, _ := strings.Cut(text(fields, "digest"), ":")
	put(o, "digest", hex[:min(len(hex), 36)]) // as much as MLflow takes
	put(o, "digest", text(fields, "version"))
	with := document.Overlay(o, document.Kept(t, format))
	if text(with, "name") == "" {
		return o
	}
	return with
}

// versionOf is a version of a registered model in its normal form, but for the
// extension.
func versionOf(t lineage.Entity) document.Object {
	fields := document.Details(t)
	o := document.Object{"name": text(fields, "name"), "status": "READY"}
	put(o, "version", text(fields, "version"))
	put(o, "description", text(fields, "description"))
	put(o, "source", text(fields, "location"))
	put(o, "user_id", text(fields, "owner"))
	put(o, "run_id", strings.TrimPrefix(text(fields, "run"), runPrefix))
	if n, ok := millis(fields["created"]); ok {
		o["creation_timestamp"] = n
	}
	with := document.Overlay(o, document.Without(document.Kept(t, format), "registered_model"))
	if text(with, "name") != o["name"] || with["tags"] != nil && !allOf(inner(with, "tags"), isString) {
		return o
	}
	if tags := inner(with, "tags"); tags[extension] != nil {
		return o
	}
	return with
}
