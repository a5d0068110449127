package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/lineage"
	"audittrail/service"
)

func (e *env) lineageCmd() *cobra.Command {
	var draw lineageDrawing
	cmd := &cobra.Command{
		Use:   "lineage",
		Short: "Summarise or draw the lineage of models",
		Long: `Lineage summarises the registered entities: datasets, training runs, model
versions, deployments, prompt templates and evaluations, and the links between
them. Each is an event in the log, and proven by it. docs/lineage.md is an
introduction.

With --show-dag it draws the graph in the terminal: one line for each entity,
below the entities upstream of it. With --format it writes the graph as dot for
Graphviz, as mermaid, as a picture in svg, as html with the picture and all
details in one file, or as json. The same graph gives the same bytes. An svg or
html picture has at most 5,000 entities; the other formats have no limit.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail lineage
  audittrail lineage --show-dag
  audittrail lineage --format html --out lineage.html
  audittrail lineage -o json`,
		Args:    subcommands,
		GroupID: groupRead,
		RunE: func(*cobra.Command, []string) error {
			if err := draw.check(); err != nil {
				return err
			}
			return e.readLineage(service.LineageRequest{}, func(l *service.Lineage) error {
				if draw.asked() {
					return e.drawLineage(l.Origin, l.Graph, draw, "")
				}
				return e.lineageSummary(l.Graph)
			})
		},
	}
	draw.flags(cmd)
	cmd.AddCommand(e.lineageAddCmd(), e.lineageRetireCmd(), e.lineageShowCmd(), e.lineagePathCmd(), e.lineageArtifactCmd(),
		e.lineageImpactCmd(), e.lineageExplainCmd(), e.lineageCallsCmd(),
		e.lineageImportCmd(), e.lineageExportCmd())
	return cmd
}

// readLineage reads the lineage of the log, concurrently with its writer.
func (e *env) readLineage(q service.LineageRequest, use func(*service.Lineage) error) error {
	return e.reading(func(s *service.Session) error {
		l, err := s.Lineage(e.ctx, q)
		if err != nil {
			return err
		}
		e.noteFaults(l.Graph)
		return use(l)
	})
}

// noteFaults prints how many records of lineage are invalid, and so are not in
// the graph.
func (e *env) noteFaults(g *lineage.Graph) {
	if faults := g.InvalidRecords(); len(faults) > 0 {
		e.note("%s of lineage left out as invalid; the first is %d: %s",
			display.Count(len(faults), "record", "records"), faults[0].Seq, faults[0].Problem)
	}
}

// A lineageSummary is what lineage prints in JSON.
type lineageSummary struct {
	Things int                     `json:"things"`
	Links  int                     `json:"links"`
	Kinds  map[lineage.Kind]int    `json:"kinds"`
	Models []modelSummary          `json:"models"`
	Faults []lineage.InvalidRecord `json:"faults"`
}

type modelSummary struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Version  string     `json:"version,omitempty"`
	RiskTier string     `json:"risk_tier,omitempty"`
	Live     []string   `json:"live"` // the ids of its deployments
	Retired  *time.Time `json:"retired"`
}

// mostModels is how many model versions a summary lists on a terminal.
const mostModels = 20

func (e *env) lineageSummary(g *lineage.Graph) error {
	s := lineageSummary{Things: g.Len(), Links: g.EdgeCount(), Kinds: map[lineage.Kind]int{}, Models: []modelSummary{}, Faults: g.InvalidRecords()}
	if s.Faults == nil {
		s.Faults = []lineage.InvalidRecord{}
	}
	var models []*lineage.Node
	personal := 0
	for n := range g.Nodes() {
		s.Kinds[n.Kind]++
		switch thing := n.Entity.(type) {
		case *lineage.ModelVersion:
			models = append(models, n)
			s.Models = append(s.Models, e.summarize(g, n))
		case *lineage.Dataset:
			if thing.PersonalData != nil && *thing.PersonalData {
				personal++
			}
		}
	}
	var fields []field
	for _, k := range lineage.Kinds() {
		text := display.Number(s.Kinds[k])
		if k == lineage.KindDataset && personal > 0 {
			text += fmt.Sprintf(" (%s with personal data)", display.Number(personal))
		}
		fields = append(fields, field{kindNames[k].many, text})
	}
	fields = append(fields, field{"links", display.Number(s.Links)})
	shown := models[max(0, len(models)-mostModels):]
	for i, n := range shown {
		m := s.Models[len(models)-len(shown)+i]
		fields = append(fields, field{"model " + n.Label(), strings.Join(modelText(g, n, m), ", ")})
	}
	if more := len(models) - len(shown); more > 0 && e.output == asTable {
		fields = append(fields, field{"…", "and " + display.Count(more, "older model version", "older model versions")})
	}
	return e.sheet(s, fields)
}

// summarize returns the summary of one model version.
func (e *env) summarize(g *lineage.Graph, n *lineage.Node) modelSummary {
	m := n.Entity.(*lineage.ModelVersion)
	s := modelSummary{ID: n.ID, Name: m.Name, Version: m.Version, RiskTier: m.RiskTier, Live: []string{}}
	if n.Retired != nil {
		s.Retired = &n.Retired.At
	}
	now := e.now()
	for edge := range g.Downstream(n) {
		if edge.To.Kind != lineage.KindDeployment {
			continue
		}
		from, to, _ := g.ActivePeriod(edge.To)
		if !now.Before(from) && (to.IsZero() || now.Before(to)) {
			s.Live = append(s.Live, edge.To.ID)
		}
	}
	return s
}

// modelText describes a model version in a few words.
func modelText(g *lineage.Graph, n *lineage.Node, s modelSummary) []string {
	behind := map[lineage.Kind]int{}
	for _, r := range g.Walk([]*lineage.Node{n}, lineage.Upstream, 0) {
		behind[r.Kind]++
	}
	var text []string
	if s.RiskTier != "" {
		text = append(text, "risk "+s.RiskTier)
	}
	for _, k := range []lineage.Kind{lineage.KindDataset, lineage.KindRun} {
		if behind[k] > 0 {
			text = append(text, kindNames[k].count(behind[k]))
		}
	}
	if len(text) == 0 || behind[lineage.KindDataset]+behind[lineage.KindRun] == 0 {
		text = append(text, "no data registered")
	}
	switch {
	case s.Retired != nil:
		text = append(text, "retired "+s.Retired.UTC().Format(time.DateOnly))
	case len(s.Live) > 0:
		text = append(text, display.Count(len(s.Live), "live deployment", "live deployments"))
	default:
		text = append(text, "not deployed")
	}
	return text
}

// kindNames are the names of the kinds of entities in messages.
var kindNames = map[lineage.Kind]kindName{
	lineage.KindDataset:    {"dataset", "datasets"},
	lineage.KindPrompt:     {"prompt template", "prompt templates"},
	lineage.KindRun:        {"training run", "training runs"},
	lineage.KindModel:      {"model version", "model versions"},
	lineage.KindEvaluation: {"evaluation", "evaluations"},
	lineage.KindDeployment: {"deployment", "deployments"},
}

type kindName struct{ one, many string }

func (k kindName) count(n int) string { return display.Count(n, k.one, k.many) }
