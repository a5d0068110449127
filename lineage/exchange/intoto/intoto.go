// Package intoto writes lineage as in-toto statements (Statement v1), one a
// line, about the artifacts that have a digest.
//
// The statements are not signed: the log proves them. See
// docs/format/lineage-exchange.md.
package intoto

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

const (
	provenance = "https://slsa.dev/provenance/v1"
	testResult = "https://in-toto.io/attestation/test-result/v0.1"
	thing      = "urn:audittrail:lineage:thing:1"
	training   = "urn:audittrail:lineage:training-run:1"
	builder    = "urn:audittrail:lineage:registered"
)

// results are those of evaluations as test results have them.
var results = map[string]string{"passed": "PASSED", "failed": "FAILED", "warned": "WARNED"}

// Write writes statements about things, and returns what it left out.
func Write(w io.Writer, nodes []*lineage.Node) (left []string, err error) {
	x := writer{there: make(map[string]lineage.Entity, len(nodes))}
	for _, n := range nodes {
		x.there[n.ID] = n.Entity
	}
	for _, n := range nodes {
		o := x.statement(n.Entity)
		if o == nil {
			left = append(left, n.ID+": no digest identifies the artifact")
			continue
		}
		raw, err := document.Encode(o)
		if err != nil {
			return left, err
		}
		if err := check(raw); err != nil {
			left = append(left, fmt.Sprintf("%s: the standard's library refuses the statement: %v", n.ID, err))
			continue
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return left, err
		}
	}
	return left, nil
}

// check checks a statement with the standard's own library.
func check(raw []byte) error {
	var s intoto.Statement
	if err := protojson.Unmarshal(raw, &s); err != nil {
		return err
	}
	return s.Validate()
}

type writer struct {
	there map[string]lineage.Entity
}

// digest is that of a thing, as in-toto has it.
func digest(t lineage.Entity) document.Object {
	s, _ := document.Details(t)["digest"].(string)
	algorithm, hex, ok := strings.Cut(s, ":")
	if !ok {
		return nil
	}
	if algorithm == "dir-sha256" {
		algorithm = "dirHash" // the same bytes are hashed
	}
	return document.Object{strings.ReplaceAll(algorithm, "-", "_"): hex}
}

// statement is what is said of a thing; nil if nothing can be.
func (x *writer) statement(t lineage.Entity) document.Object {
	subject, kind := t, thing
	predicate := document.Extension(t)
	switch v := t.(type) {
	case *lineage.Evaluation:
		// It is about the model; its own digest is that of its report.
		subject = x.there[v.Model]
		if result := results[v.Result]; result != "" {
			kind, predicate = testResult, x.result(v, result)
		}
	case *lineage.ModelVersion:
		if run, ok := x.there[v.Run].(*lineage.TrainingRun); ok {
			kind, predicate = provenance, x.built(run)
		}
	}
	if subject == nil || digest(subject) == nil {
		return nil
	}
	return document.Object{
		"_type":         intoto.StatementTypeUri,
		"subject":       []any{document.Object{"name": subject.Identity(), "digest": digest(subject)}},
		"predicateType": kind,
		"predicate":     predicate,
	}
}

// descriptors describe things that are there.
func (x *writer) descriptors(ids ...string) []any {
	all := []any{}
	for _, id := range ids {
		t := x.there[id]
		if t == nil {
			continue
		}
		o := document.Object{"name": id, "annotations": document.Object{"kind": string(t.Kind())}}
		if d := digest(t); d != nil {
			o["digest"] = d
		}
		location, _ := document.Details(t)["location"].(string)
		if u, err := url.Parse(location); err == nil && u.IsAbs() {
			o["uri"] = location
		}
		all = append(all, o)
	}
	return all
}

// built is the provenance of what a run made.
func (x *writer) built(run *lineage.TrainingRun) document.Object {
	fields := document.Details(run)
	outer := document.Object{"run": run.ID}
	for _, name := range []string{"name", "model", "parameters"} {
		if v, ok := fields[name]; ok {
			outer[name] = v
		}
	}
	on := x.descriptors(append([]string{run.BaseModel}, run.Datasets...)...)
	if run.Code != "" {
		on = append(on, document.Object{"name": "code", "annotations": document.Object{"reference": run.Code}})
	}
	definition := document.Object{"buildType": training, "externalParameters": outer, "resolvedDependencies": on}
	if v, ok := fields["environment"]; ok {
		definition["internalParameters"] = v
	}
	about := document.Object{"invocationId": run.ID}
	for member, field := range map[string]string{"startedOn": "start", "finishedOn": "end"} {
		if at, ok := fields[field]; ok {
			about[member] = at
		}
	}
	return document.Object{
		"buildDefinition": definition,
		"runDetails":      document.Object{"builder": document.Object{"id": builder}, "metadata": about},
	}
}

// result is that of an evaluation.
func (x *writer) result(e *lineage.Evaluation, result string) document.Object {
	o := document.Object{
		"result":        result,
		"configuration": append(x.descriptors(append(append([]string{}, e.Datasets...), e.Prompts...)...), document.Object{"name": e.ID}),
	}
	if u, err := url.Parse(e.Report); err == nil && u.IsAbs() {
		o["url"] = e.Report
	}
	return o
}
