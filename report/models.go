package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"audittrail"
	"audittrail/event"
	"audittrail/query"
	"audittrail/report/document"
)

// A thing is what was registered of a dataset, a run, a version or a deployment,
// as far as a report shows it.
type thing struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Digest      string   `json:"digest"`
	Owner       string   `json:"owner"`
	RiskTier    string   `json:"risk_tier"`
	Run         string   `json:"run"`
	Parent      string   `json:"parent"`
	BaseModel   string   `json:"base_model"`
	Model       string   `json:"model"`
	Environment string   `json:"environment"`
	Datasets    []string `json:"datasets"`
	Sources     []string `json:"sources"`

	layer  int
	kind   string
	record *audittrail.Record
}

// lineageTypes are the types of registrations, the columns in which they are
// drawn, and the keys of their details.
var lineageTypes = []struct {
	of    event.Type
	kind  string
	layer int
}{
	{event.DatasetRegistered, "dataset", 0},
	{event.TrainingRunRegistered, "training run", 1},
	{event.ModelVersionRegistered, "model version", 2},
	{event.ModelDeployed, "deployment", 3},
}

// things reads what was registered, in order. Details stand under one key,
// named after the kind.
func (m *maker) things() []*thing {
	var all []*thing
	for _, r := range m.own {
		for _, k := range lineageTypes {
			if k.of != r.Event.Type {
				continue
			}
			t := &thing{layer: k.layer, kind: k.kind, record: r}
			for _, raw := range r.Event.Metadata {
				// What cannot be read leaves the clear fields.
				_ = json.Unmarshal(raw, t)
			}
			t.ID = cmp.Or(t.ID, r.ID.String())
			all = append(all, t)
		}
	}
	return all
}

func (t *thing) label() string {
	switch {
	case t.Name != "" && t.Version != "":
		return t.Name + "@" + t.Version
	case t.layer == 3:
		return t.ID
	}
	return cmp.Or(t.Name, t.ID)
}

// modelUse are the types of events that show that a model was used.
var modelUse = []event.Type{
	event.Prompt, event.Response, event.Failure, event.Embedding, event.ToolCall, event.Guardrail, event.Evaluation, event.Decision,
}

func (m *maker) inventory(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	t, err := m.group("models by version", m.base(modelUse...), []string{"model_id", "model_version", "provider"}, "min(time)", "max(time)", "distinct(deployment_id)")
	if err != nil {
		return err
	}
	registered := make(map[[2]string]*thing)
	count := 0
	for _, v := range m.things() {
		if v.layer == 2 {
			count++
			registered[[2]string{v.record.Event.ModelID, v.record.Event.ModelVersion}] = v
		}
	}
	q := m.administrative(event.ModelVersionRegistered)
	used := make(map[[2]string]bool)
	unregistered := 0
	var rows [][]document.Value
	for i, r := range t.rows {
		if r[0].Kind() == query.Absent {
			continue
		}
		key := [2]string{r[0].String(), r[1].String()}
		owner, tier, state := document.Value{}, document.Value{}, document.StateOf(document.Wary, "not registered")
		if v := registered[key]; v != nil {
			owner, tier, state = document.TextOf(v.Owner), document.TextOf(v.RiskTier), document.StateOf(document.Good, "registered")
		} else if !used[key] {
			unregistered++
		}
		used[key] = true
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), textValue(r[2]), document.CountOf(t.n(i, 0)), timeValue(r[4]), timeValue(r[5]), countValue(r[6]), owner, tier, state})
	}
	unused := 0
	for _, v := range m.things() {
		if key := [2]string{v.record.Event.ModelID, v.record.Event.ModelVersion}; v.layer == 2 && !used[key] {
			unused++
			rows = append(rows, []document.Value{document.TextOf(key[0]), document.TextOf(key[1]), {}, document.CountOf(0), {}, {}, {}, document.TextOf(v.Owner), document.TextOf(v.RiskTier), document.StateOf(document.Plain, "never used")})
		}
	}
	figure(s, "models", "Versions of models used", document.CountOf(len(used)), "", t.source)
	figure(s, "registered", "Versions registered", document.CountOf(count), "Over the log's whole life.", q)
	figure(s, "unregistered", "Used and never registered", document.CountOf(unregistered), "", t.source, q)
	figure(s, "unused", "Registered and not used in the period", document.CountOf(unused), "", t.source, q)
	add(s, "models_table", "Models", columns("model", "version", "provider", "events+", "first", "last", "deployments+", "owner", "risk tier", "state"), rows, "", t.source, q)
	return m.governed(s, "changes", "Registrations, deployments and retirements", event.ModelVersionRegistered, event.ModelDeployed, event.ModelRetired)
}

func (m *maker) lineage(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	all := m.things()
	at := make(map[string]int)
	g := document.Graph{ID: s.ID + ".graph", Title: "From datasets to deployments"}
	counts := [4]int{}
	for i, t := range all {
		at[t.ID] = i
		counts[t.layer]++
	}
	fed := make(map[int]bool) // what data, a run or another version leads to
	lead := func(from string, to int) {
		if i, ok := at[from]; ok && from != "" && i != to {
			g.Edges = append(g.Edges, [2]int{i, to})
		}
		fed[to] = fed[to] || from != ""
	}
	var rows [][]document.Value
	for i, t := range all {
		for _, from := range slices.Concat(t.Sources, t.Datasets, []string{t.BaseModel, t.Run, t.Parent}) {
			lead(from, i)
		}
		if t.layer == 3 {
			lead(t.Model, i)
		}
		rows = append(rows, []document.Value{document.TextOf(t.kind), document.TextOf(t.label()), document.CodeOf(t.Digest), document.TextOf(t.Owner), document.TimeOf(t.record.Event.Time), document.CountOf(t.record.Seq)})
	}
	orphans := 0
	for i, t := range all {
		n := document.Node{Label: t.label(), Kind: t.kind, Layer: t.layer}
		if t.layer == 2 && !fed[i] {
			orphans++
			n.Tone = document.Wary
		}
		g.Nodes = append(g.Nodes, n)
	}
	q := m.administrative(event.DatasetRegistered, event.TrainingRunRegistered, event.ModelVersionRegistered, event.ModelDeployed)
	g.Sources = []string{q}
	for i, f := range []struct{ id, label string }{{"datasets", "Datasets"}, {"runs", "Training runs"}, {"versions", "Model versions"}, {"deployments", "Deployments"}} {
		figure(s, f.id, f.label, document.CountOf(counts[i]), "", q)
	}
	figure(s, "versions_without_data", "Versions that name neither data, run nor parent", document.CountOf(orphans), "", q)
	if orphans > 0 {
		g.Note = fmt.Sprintf("Marked: %s that name neither data, run nor parent.", plural(orphans, "version", "versions"))
	}
	if len(g.Nodes) > 0 {
		s.Graphs = append(s.Graphs, g)
	}
	add(s, "things", "What was registered", columns("kind", "name", "digest", "owner", "registered", "record+"), rows, "", q)
	return nil
}
