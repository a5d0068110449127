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
		Short: "Tell what models are made of, and what came of it",
		Long: `Lineage tells what was registered: datasets, training runs, model versions,
deployments, prompt templates and evaluations, and how one leads to another. All
of it are events in the log, with the log's proof. docs/lineage.md begins at the
beginning.

With --show-dag it draws the graph in the terminal, a line for each thing, what
it was made of above it. With --format it draws it for others: dot for Graphviz,
mermaid, a picture in svg, html with the picture and all details in one file, or
json. What is drawn is the same for the same graph, byte for byte. A picture has
at most 5,000 things; the others take all.` + exits(ends0, ends1, ends2, ends4),
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
				if draw.wanted() {
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

// noteFaults tells of the records that are not in a lineage although they should
// be.
func (e *env) noteFaults(g *lineage.Graph) {
	if faults := g.InvalidRecords(); len(faults) > 0 {
		e.note("%s of lineage cannot be taken in; the first is %d: %s",
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

// mostModels is how many model versions a summary tells of on a terminal.
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

// summarize says of a model version what a summary does.
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

// modelText says of a model version what people want to know first.
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
		text = append(text, "nothing known of its data")
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

// kindNames are what people call things of each kind.
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
