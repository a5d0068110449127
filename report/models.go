package report

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"audittrail/event"
	"audittrail/lineage"
	"audittrail/query"
	"audittrail/report/document"
)

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
	calls, err := m.group("calls by version", m.calls(), []string{"model_id", "model_version", "provider"})
	if err != nil {
		return err
	}
	called := make(map[[3]string]int64)
	for i, r := range calls.rows {
		called[[3]string{r[0].String(), r[1].String(), r[2].String()}] = calls.n(i, 0)
	}
	registered, count := m.registered()
	q := m.administrative(event.ModelVersionRegistered, event.ModelRetired)
	used := make(map[[2]string]bool)
	unregistered, late := 0, 0
	var strangers []string
	var rows [][]document.Value
	for i, r := range t.rows {
		if r[0].Kind() == query.Absent {
			continue
		}
		key := [2]string{r[0].String(), r[1].String()}
		v, ok := registered[key]
		state := v.state(r[5].Time())
		switch {
		case !ok && !used[key]:
			unregistered++
			if key[1] == "" {
				strangers = append(strangers, fmt.Sprintf("The model %s was used without a version, and never registered without one.", key[0]))
			} else {
				strangers = append(strangers, fmt.Sprintf("The model %s, version %s, was used and never registered.", key[0], key[1]))
			}
		case state.Tone == document.Bad && !used[key]:
			late++
		}
		used[key] = true
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), textValue(r[2]), document.CountOf(t.n(i, 0)), m.callCount(called[[3]string{r[0].String(), r[1].String(), r[2].String()}]), timeValue(r[4]), timeValue(r[5]), countValue(r[6]), document.TextOf(v.owner), document.TextOf(v.riskTier), state})
	}
	unused := 0
	for _, key := range slices.SortedFunc(maps.Keys(registered), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if v := registered[key]; !used[key] {
			unused++
			rows = append(rows, []document.Value{document.TextOf(key[0]), document.TextOf(key[1]), {}, document.CountOf(0), document.CountOf(0), {}, {}, {}, document.TextOf(v.owner), document.TextOf(v.riskTier), document.StateOf(document.Plain, "never used")})
		}
	}
	m.attendEach(document.Unregistered, document.Warning, s.ID, strangers, "versions of models were used and never registered")
	figure(s, "models", "Versions of models used", document.CountOf(len(used)), "", t.source)
	figure(s, "registered", "Versions registered", document.CountOf(count), "Over the log's whole life.", q)
	figure(s, "unregistered", "Used and never registered", document.CountOf(unregistered), "", t.source, q)
	afterwards, note := document.CountOf(late), ""
	if m.graphErr != nil && len(m.of(event.ModelRetired)) > 0 {
		afterwards, note = document.Value{}, "Not known: the records of retirements cannot be read: "+m.graphErr.Error()+"."
	}
	figure(s, "after_retirement", "Used after they were retired", afterwards, note, t.source, q)
	figure(s, "unused", "Registered and not used in the period", document.CountOf(unused), "", t.source, q)
	add(s, "models_table", "Models", columns("model", "version", "provider", "events+", "calls+", "first", "last", "deployments+", "owner", "risk tier", "state"), rows, "", t.source, calls.source, q)
	return m.governed(s, "changes", "Registrations, deployments and retirements", event.ModelVersionRegistered, event.ModelDeployed, event.ModelRetired)
}

// A version is what an inventory says of a registered version of a model.
type version struct {
	owner, riskTier string
	known           bool
	retired         time.Time
}

// state is how a version that was used last at some time stands.
func (v version) state(last time.Time) document.Value {
	switch {
	case !v.known:
		return document.StateOf(document.Warning, "not registered")
	case !v.retired.IsZero() && last.After(v.retired):
		return document.StateOf(document.Bad, "used when retired")
	case !v.retired.IsZero():
		return document.StateOf(document.Plain, "retired")
	}
	return document.StateOf(document.Good, "registered")
}

// registered are the versions of models by name and version, and how many were
// registered. Without the keyring, only cleartext fields are known.
func (m *maker) registered() (map[[2]string]version, int) {
	all, count := make(map[[2]string]version), 0
	if m.graphErr != nil {
		for _, r := range m.of(event.ModelVersionRegistered) {
			key := [2]string{r.Event.ModelID, r.Event.ModelVersion}
			if !all[key].known {
				count++
			}
			all[key] = version{known: true}
		}
		return all, count
	}
	for n := range m.graph.Nodes() {
		if v, ok := n.Entity.(*lineage.ModelVersion); ok {
			count++
			is := version{owner: v.Owner, riskTier: v.RiskTier, known: true}
			if n.Retired != nil {
				is.retired = n.Retired.At
			}
			all[[2]string{v.Name, v.Version}] = is
		}
	}
	return all, count
}
