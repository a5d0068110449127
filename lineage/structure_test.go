package lineage_test

import (
	"encoding/json"
	"strings"
	"testing"

	"audittrail/internal/logtest"
	"audittrail/lineage"
)

// TestStructure leaves out whatever somebody wrote, in every kind of thing and
// in a retirement, and keeps names and links.
func TestStructure(t *testing.T) {
	log := logtest.New(t)
	tr := openTracker(t, log)
	secret := map[string]json.RawMessage{"k": json.RawMessage(`"SECRET"`)}
	register(
		t, tr,
		&lineage.Dataset{Name: "d", Version: "1", Description: "SECRET", Location: "SECRET", Owner: "SECRET", Attributes: secret, Licence: "MIT"},
		&lineage.TrainingRun{Name: "r", Description: "SECRET", Datasets: []string{"dataset:d@1"}, Code: "SECRET", Owner: "SECRET", Parameters: secret, Metrics: secret, Environment: secret, Attributes: secret},
		&lineage.ModelVersion{Name: "m", Version: "1", Description: "SECRET", Run: "run:r", Location: "SECRET", Owner: "SECRET", IntendedUse: "SECRET", RiskTier: "high", Attributes: secret},
		&lineage.PromptTemplate{Name: "p", Version: "1", Description: "SECRET", Text: "SECRET", Owner: "SECRET", Attributes: secret},
		&lineage.Deployment{ID: "prod", Model: "model:m@1", Environment: "live", Endpoint: "SECRET", Owner: "SECRET", Attributes: secret},
		&lineage.Evaluation{ID: "e", Description: "SECRET", Model: "model:m@1", Metrics: secret, Result: "SECRET", Evaluator: "SECRET", Report: "SECRET", Attributes: secret},
	)
	if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: "prod", At: day(2), Reason: "SECRET", Attributes: secret}); err != nil {
		t.Fatal(err)
	}
	whole := graphOf(t, tr)
	g := whole.Structure()
	if g.Len() != 6 || g.EdgeCount() != whole.EdgeCount() {
		t.Errorf("%d things and %d links, want 6 and %d", g.Len(), g.EdgeCount(), whole.EdgeCount())
	}
	var all strings.Builder
	for n := range g.Nodes() {
		all.Write(lineage.Encode(n.Entity))
		if n.Retired != nil && (n.Retired.Reason != "" || n.Retired.Attributes != nil || n.Retired.At.IsZero()) {
			t.Errorf("the retirement is %+v", n.Retired)
		}
	}
	if strings.Contains(all.String(), "SECRET") {
		t.Errorf("Structure leaves %s", all.String())
	}
	for _, want := range []string{`"licence":"MIT"`, `"risk_tier":"high"`, `"environment":"live"`, `"run":"run:r"`, `"datasets":["dataset:d@1"]`} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("Structure leaves %s, without %s", all.String(), want)
		}
	}
	n, _ := whole.Node("dataset:d@1")
	if n.Entity.(*lineage.Dataset).Owner != "SECRET" {
		t.Error("Structure changed the graph that it was called on")
	}
}
