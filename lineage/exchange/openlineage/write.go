package openlineage

import (
	"io"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// Write writes things, in an order in which what something was made of comes
// first, as events: one a line.
func Write(w io.Writer, nodes []*lineage.Node) error {
	x := writer{w: w, things: make(map[string]lineage.Entity, len(nodes)), made: make(map[string][]string)}
	for _, n := range nodes {
		x.things[n.ID] = n.Entity
		if run := producerOf(n.Entity); run != "" {
			x.made[run] = append(x.made[run], n.ID)
		}
	}
	for _, n := range nodes {
		if err := x.write(n); err != nil {
			return err
		}
	}
	return nil
}

type writer struct {
	w      io.Writer
	things map[string]lineage.Entity
	made   map[string][]string // by a run
}

// producerOf is the run that made a thing.
func producerOf(t lineage.Entity) string {
	switch t := t.(type) {
	case *lineage.Dataset:
		return t.Run
	case *lineage.ModelVersion:
		return t.Run
	}
	return ""
}

// inputsOf returns the ids of the inputs of an entity.
func inputsOf(t lineage.Entity) []string {
	switch t := t.(type) {
	case *lineage.TrainingRun:
		return append([]string{t.BaseModel}, t.Datasets...)
	case *lineage.Evaluation:
		return append(append([]string{t.Model}, t.Datasets...), t.Prompts...)
	case *lineage.Deployment:
		return append([]string{t.Model}, t.Prompts...)
	}
	return nil
}

// when is a time that says when something was so: its end, its begin, or when
// it was registered.
func when(n *lineage.Node) any {
	fields := document.Details(n.Entity)
	for _, name := range []string{"end", "start", "created", "from"} {
		if at, ok := fields[name]; ok {
			return at
		}
	}
	return n.Registered.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}

func (x *writer) occurrences(ids []string) []any {
	all := []any{}
	for _, id := range ids {
		if t, ok := x.things[id]; ok {
			all = append(all, occurrence(t))
		}
	}
	return all
}

func (x *writer) write(n *lineage.Node) error {
	switch n.Kind {
	case lineage.KindRun, lineage.KindEvaluation, lineage.KindDeployment:
		return x.writeState(n)
	}
	o := entity(n.Entity)
	o["facets"] = document.Overlay(inner(o, "facets"), document.Object{extension: own(n.Entity)})
	return x.put(document.Object{
		"eventTime": when(n), "producer": producer, "schemaURL": spec + "DatasetEvent", "dataset": o,
	})
}

// own is the facet that has a thing whole.
func own(t lineage.Entity) document.Object {
	return document.Overlay(document.Object{"_producer": producer, "_schemaURL": producer + ":thing:1"}, document.Extension(t))
}

func (x *writer) writeState(n *lineage.Node) error {
	o := state(n.Entity)
	o["eventTime"] = when(n)
	o["inputs"], o["outputs"] = x.occurrences(inputsOf(n.Entity)), x.occurrences(x.made[n.ID])
	in := "run"
	if n.Kind == lineage.KindDeployment {
		in = "job"
	} else if at, ok := document.Details(n.Entity)["start"]; ok {
		// A run is told of from its begin on.
		begin := document.Overlay(document.Without(o, "outputs"), document.Object{"eventType": "START", "eventTime": at})
		begin["run"] = document.Object{"runId": runID(n.Entity)}
		if err := x.put(begin); err != nil {
			return err
		}
	}
	thing := document.Object{"facets": document.Object{extension: own(n.Entity)}}
	return x.put(document.Overlay(o, document.Object{in: thing}))
}

func (x *writer) put(event document.Object) error {
	line, err := document.Encode(event)
	if err != nil {
		return err
	}
	_, err = x.w.Write(append(line, '\n'))
	return err
}
