package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"audittrail"
	"audittrail/event"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
)

// counted is the log as package lineage sees it: as far as its records count.
type counted []*record.Record

// AppendGovernance refuses.
func (counted) AppendGovernance(context.Context, event.Event) (audittrail.Receipt, error) {
	return audittrail.Receipt{}, errRegister
}

// AppendGovernanceBatch refuses.
func (counted) AppendGovernanceBatch(context.Context, []event.Event) ([]audittrail.Receipt, error) {
	return nil, errRegister
}

var errRegister = errors.New("a report registers nothing")

// GovernanceRecords yields records that govern the log.
func (c counted) GovernanceRecords(_ context.Context, from uint64, types ...event.Type) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		for _, r := range c {
			if r.Seq >= from && slices.Contains(types, r.Event.Type) && !yield(r, nil) {
				return
			}
		}
	}
}

// provenance reads what was registered.
func (m *maker) provenance() {
	t, err := lineage.Open(m.ctx, counted(m.own))
	if err == nil {
		m.graph, err = t.Graph(m.ctx)
		if err == nil && m.o.Redacted {
			m.graph = m.graph.Structure()
		}
	}
	m.graphErr = err
}

// callers counts calls for package usage, and notes what was asked.
type callers struct {
	m     *maker
	asked []askedGroup
}

type askedGroup struct {
	q       query.Query
	g       query.Grouping
	records uint64
}

// Group adds up records.
func (c *callers) Group(_ context.Context, q query.Query, g query.Grouping) (*query.Table, error) {
	t, err := c.m.ask(q, g)
	if err != nil {
		return nil, err
	}
	n := uint64(0)
	for _, r := range t.Rows {
		n += uint64(r[len(g.By)].Int())
	}
	c.asked = append(c.asked, askedGroup{q, g, n})
	return t, nil
}

// sources lists what was asked, in an order that does not depend on in which it
// was.
func (c *callers) sources() []string {
	slices.SortFunc(c.asked, func(a, b askedGroup) int {
		return cmp.Or(slices.Compare(a.q.Models, b.q.Models), slices.Compare(a.q.Deployments, b.q.Deployments), a.q.Start.Compare(b.q.Start), a.q.End.Compare(b.q.End))
	})
	var ids []string
	for _, a := range c.asked {
		ids = append(ids, c.m.source("group", "calls by the names that they carry", &a.q, a.g, a.records))
	}
	return ids
}

// An origin is what a version of a model was made of, and what came of it.
type origin struct {
	*lineage.Node
	data  bool // whether a dataset is upstream of it
	calls uint64
}

func (m *maker) lineage(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	if m.graphErr != nil {
		return fmt.Errorf("read what was registered: %w", m.graphErr)
	}
	q := m.administrative(lineageTypes...)
	counts := make(map[lineage.Kind]int)
	data := make(map[string]bool) // the entities downstream of a dataset
	var versions []*origin
	unused := 0
	for n := range m.graph.Nodes() { // what something was made of comes before it
		counts[n.Kind]++
		data[n.ID] = n.Kind == lineage.KindDataset
		for e := range m.graph.Upstream(n) {
			data[n.ID] = data[n.ID] || data[e.From.ID]
		}
		switch n.Kind {
		case lineage.KindModel:
			versions = append(versions, &origin{Node: n, data: data[n.ID]})
		case lineage.KindDataset:
			unused++
			for range m.graph.Downstream(n) {
				unused--
				break
			}
		}
	}
	for _, f := range []struct {
		id, label string
		kind      lineage.Kind
	}{
		{"datasets", "Datasets", lineage.KindDataset},
		{"runs", "Training runs", lineage.KindRun},
		{"versions", "Model versions", lineage.KindModel},
		{"evaluations", "Evaluations", lineage.KindEvaluation},
		{"prompts", "Prompt templates", lineage.KindPrompt},
		{"deployments", "Deployments", lineage.KindDeployment},
	} {
		figure(s, f.id, f.label, document.CountOf(counts[f.kind]), "", q)
	}
	orphans := 0
	for _, v := range versions {
		if !v.data {
			orphans++
		}
	}
	figure(s, "versions_without_data", "Versions without a dataset upstream", document.CountOf(orphans), "Neither they name one, nor their run, nor what they were made from.", q)
	figure(s, "datasets_unused", "Datasets that nothing names", document.CountOf(unused), "", q)
	if err := m.answered(s, versions); err != nil {
		return err
	}
	m.origins(s, versions, q)
	m.graphOf(s, versions, orphans, q)
	m.registrations(s, q)
	return m.governed(s, "retirements", "Retirements", event.ModelRetired)
}

// lineageTypes are the events that make the graph.
var lineageTypes = []event.Type{
	event.DatasetRegistered, event.TrainingRunRegistered, event.ModelVersionRegistered, event.ModelDeployed,
	event.ModelRetired, event.PromptRegistered, event.EvaluationRegistered,
}

// answered tells which calls found the version that answered them.
func (m *maker) answered(s *document.Section, versions []*origin) error {
	c := &callers{m: m}
	u := new(usage.Usage)
	if m.o.Size > 0 {
		var err error
		if u, err = usage.Compute(m.ctx, m.graph, c, m.calls()); err != nil {
			return err
		}
	}
	sources := c.sources()
	if sources == nil {
		sources = []string{m.source("group", "calls by the names that they carry", new(m.calls()), query.Grouping{}, 0)}
	}
	by := make(map[usage.Certainty]uint64)
	calls := make(map[string]uint64)
	var rows [][]document.Value
	for _, t := range u.Groups {
		by[t.Match.Certainty] += t.Calls
		if t.Match.Model != nil {
			calls[t.Match.Model.ID] += t.Calls
			continue
		}
		rows = append(rows, []document.Value{
			document.TextOf(t.ModelID), document.TextOf(t.ModelVersion), document.TextOf(t.DeploymentID), document.CountOf(t.Calls), document.TimeOf(t.First), document.TimeOf(t.Last),
			document.StateOf(document.Warning, string(t.Match.Certainty)), document.TextOf(t.Match.Reason),
		})
	}
	by[usage.Unnamed] = u.Unnamed
	for _, v := range versions {
		v.calls = calls[v.ID]
	}
	chart := document.Chart{ID: s.ID + ".calls", Title: "Calls by how well the version that answered is known", Kind: document.Bars, Sources: sources, Series: []document.Series{{Name: "calls"}}}
	all := uint64(0)
	for _, f := range []struct {
		of          usage.Certainty
		label, note string
	}{
		{usage.Exact, "Calls of registered versions", "The call names the version, or a deployment of it."},
		{usage.Inferred, "Calls whose version is inferred", "They name a model without a version, of which one was deployed then."},
		{usage.Ambiguous, "Calls of one of several versions", "Nothing says which."},
		{usage.Unregistered, "Calls of models that nobody registered", ""},
		{usage.Unnamed, "Calls that name no model", ""},
	} {
		all += by[f.of]
		figure(s, "calls_"+string(f.of), f.label, document.CountOf(by[f.of]), f.note, sources...)
		chart.Labels = append(chart.Labels, string(f.of))
		chart.Series[0].Values = append(chart.Series[0].Values, document.CountOf(by[f.of]))
	}
	if all > 0 {
		s.Charts = append(s.Charts, chart)
	}
	mostFirst(rows, 3)
	add(s, "unknown", "Calls without a known version", columns("model", "version", "deployment", "calls+", "first", "last", "version is", "why"), rows, "", sources...)
	return nil
}

// origins lists what each version was made of and what came of it, those with
// the most calls first.
func (m *maker) origins(s *document.Section, versions []*origin, source string) {
	slices.SortStableFunc(versions, func(a, b *origin) int { return cmp.Compare(b.calls, a.calls) })
	var rows [][]document.Value
	for _, v := range versions[:min(len(versions), maxRows)] {
		n := make(map[lineage.Kind]int)
		for _, r := range m.graph.Walk([]*lineage.Node{v.Node}, lineage.Upstream, 0)[1:] {
			n[r.Kind]++
		}
		deployed, ended := 0, 0
		for e := range m.graph.Downstream(v.Node) {
			if e.To.Kind == lineage.KindEvaluation {
				n[e.To.Kind]++
			}
			if e.To.Kind == lineage.KindDeployment {
				deployed++
				if _, to, _ := m.graph.ActivePeriod(e.To); !to.IsZero() && !to.After(m.doc.AsOf.Time) {
					ended++
				}
			}
		}
		state := document.StateOf(document.Plain, "not deployed")
		switch {
		case v.Retired != nil && !v.Retired.At.After(m.doc.AsOf.Time):
			state = document.StateOf(document.Plain, "retired")
		case deployed > ended:
			state = document.StateOf(document.Good, "deployed")
		case deployed > 0:
			state = document.StateOf(document.Plain, "ended")
		}
		behind := document.CountOf(n[lineage.KindDataset])
		rows = append(rows, []document.Value{
			document.TextOf(v.Label()), behind, document.CountOf(n[lineage.KindRun]), document.CountOf(n[lineage.KindModel]), document.CountOf(n[lineage.KindEvaluation]),
			document.CountOf(deployed), state, m.callCount(int64(v.calls)),
		})
	}
	add(s, "versions_table", "From data to answers", columns("version", "datasets+", "runs+", "made from+", "evaluations+", "deployments+", "state", "calls+"), rows, "Datasets, runs and versions: all upstream of the version.", source)
	if len(versions) > maxRows {
		s.Tables[len(s.Tables)-1].Total = uint64(len(versions))
	}
}

// layers are the kinds of things in words, and the column in which each is drawn.
var layers = map[lineage.Kind]struct {
	name  string
	layer int
}{
	lineage.KindDataset:    {"dataset", 0},
	lineage.KindRun:        {"training run", 1},
	lineage.KindModel:      {"model version", 2},
	lineage.KindPrompt:     {"prompt template", 2}, // they lead to deployments, too
	lineage.KindEvaluation: {"evaluation", 3},
	lineage.KindDeployment: {"deployment", 3},
}

// maxDrawn is how many things are drawn in a column: more have no room on a page.
const maxDrawn = 24

// graphOf draws what was registered. If that is too much, it is what belongs to
// the versions with the most calls.
func (m *maker) graphOf(s *document.Section, versions []*origin, orphans int, source string) {
	g := document.Graph{ID: s.ID + ".graph", Title: "From datasets to deployments", Sources: []string{source}}
	if orphans > 0 {
		g.Note = "Marked: versions without a dataset upstream."
	}
	of := m.graph
	if !fits(columnsOf(of.Nodes())) {
		of = m.drawn(versions)
		g.Note = strings.TrimSpace(g.Note + " " + fmt.Sprintf("%s of %s things: what belongs to the versions with the most calls.", document.Thousands(int64(of.Len())), document.Thousands(int64(m.graph.Len()))))
	}
	bare := make(map[string]bool)
	for _, v := range versions {
		bare[v.ID] = !v.data
	}
	at := make(map[string]int)
	for n := range of.Nodes() {
		at[n.ID] = len(g.Nodes)
		node := document.Node{Label: n.Label(), Kind: layers[n.Kind].name, Layer: layers[n.Kind].layer}
		if bare[n.ID] {
			node.Tone = document.Warning
		}
		g.Nodes = append(g.Nodes, node)
	}
	for e := range of.Edges() {
		if edge := [2]int{at[e.From.ID], at[e.To.ID]}; !slices.Contains(g.Edges, edge) {
			g.Edges = append(g.Edges, edge)
		}
	}
	if len(g.Nodes) > 0 {
		s.Graphs = append(s.Graphs, g)
	}
}

// columnsOf returns the number of entities in each column.
func columnsOf(things iter.Seq[*lineage.Node]) (n [4]int) {
	for t := range things {
		n[layers[t.Kind].layer]++
	}
	return n
}

func fits(columns [4]int) bool { return slices.Max(columns[:]) <= maxDrawn }

// drawn are the things around as many versions as can be drawn.
func (m *maker) drawn(versions []*origin) *lineage.Graph {
	seen := make(map[string]bool)
	var some []lineage.NodeDepth
	var drawn [4]int
	for _, v := range versions[:min(len(versions), maxRows)] {
		var more []lineage.NodeDepth
		with := drawn
		for _, r := range m.graph.Walk([]*lineage.Node{v.Node}, lineage.Upstream|lineage.Downstream, 0) {
			if !seen[r.ID] {
				more = append(more, r)
				with[layers[r.Kind].layer]++
			}
		}
		if !fits(with) {
			continue
		}
		some, drawn = append(some, more...), with
		for _, r := range more {
			seen[r.ID] = true
		}
	}
	return m.graph.Subgraph(some)
}

// registrations lists what was registered, and which records could not be taken
// for that.
func (m *maker) registrations(s *document.Section, source string) {
	var rows [][]document.Value
	for n := range m.graph.Nodes() {
		digest, owner := "", ""
		switch t := n.Entity.(type) {
		case *lineage.Dataset:
			digest, owner = t.Digest, t.Owner
		case *lineage.TrainingRun:
			owner = t.Owner
		case *lineage.ModelVersion:
			digest, owner = t.Digest, t.Owner
		case *lineage.Deployment:
			owner = t.Owner
		case *lineage.PromptTemplate:
			digest, owner = t.Digest, t.Owner
		case *lineage.Evaluation:
			digest, owner = t.Digest, t.Evaluator
		}
		rows = append(rows, []document.Value{document.TextOf(layers[n.Kind].name), document.TextOf(n.Label()), document.CodeOf(digest), document.TextOf(owner), document.TimeOf(n.Registered), document.CountOf(n.Seq)})
	}
	add(s, "things", "What was registered", columns("kind", "name", "digest", "owner", "registered", "record+"), rows, "", source)
	rows = nil
	for _, f := range m.graph.InvalidRecords() {
		rows = append(rows, []document.Value{document.CountOf(f.Seq), document.TextOf(f.Problem)})
	}
	figure(s, "faults", "Records that could not be used", document.CountOf(len(rows)), "They cannot be read, or contradict records before them.", source)
	if len(rows) > 0 {
		add(s, "unusable", "Records that could not be used", columns("record+", "why"), rows, "", source)
	}
}
