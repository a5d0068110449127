package lineage_test

import (
	"slices"
	"testing"

	"audittrail/internal/logtest"
	"audittrail/lineage"
)

// TestCalls registers one thing of each kind by its own call, and goes over the
// graph that comes of it.
func TestCalls(t *testing.T) {
	tr := openTracker(t, logtest.New(t))
	ctx := t.Context()
	must := func(r lineage.Registered, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	data := must(tr.RegisterDataset(ctx, lineage.Dataset{Name: "mails", Version: "1"}))
	run := must(tr.RegisterTrainingRun(ctx, lineage.TrainingRun{Name: "bot-3", Datasets: []string{data}}))
	model := must(tr.RegisterModelVersion(ctx, lineage.ModelVersion{Name: "bot", Version: "3", Run: run}))
	prompt := must(tr.RegisterPrompt(ctx, lineage.PromptTemplate{Name: "greet", Version: "1", Text: "Hello"}))
	live := must(tr.DeployModel(ctx, lineage.Deployment{Model: model, Environment: "production", Prompts: []string{prompt}}))
	eval := must(tr.RegisterEvaluation(ctx, lineage.Evaluation{Name: "manners", Model: model, Result: "passed"}))

	g := graphOf(t, tr)
	got := ids(slices.Collect(g.Nodes()))
	if want := []string{data, run, model, prompt, live, eval}; !slices.Equal(got, want) {
		t.Errorf("nodes %q, want %q", got, want)
	}
	edges := slices.Collect(g.Edges())
	if len(edges) != g.EdgeCount() || len(edges) != 5 {
		t.Errorf("%d edges, EdgeCount says %d, want 5", len(edges), g.EdgeCount())
	}
	n, _ := g.Node(live)
	var from []string
	for e := range g.Upstream(n) {
		from = append(from, e.From.ID)
	}
	slices.Sort(from)
	if want := []string{model, prompt}; !slices.Equal(from, want) {
		t.Errorf("%s comes from %q, want %q", live, from, want)
	}
}
