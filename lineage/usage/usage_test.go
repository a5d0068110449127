package usage_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
)

func openTracker(t testing.TB, log *audittrail.Log) *lineage.Tracker {
	t.Helper()
	tr, err := lineage.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func graphOf(t testing.TB, tr *lineage.Tracker) *lineage.Graph {
	t.Helper()
	g, err := tr.Graph(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func register(t testing.TB, tr *lineage.Tracker, things ...lineage.Entity) {
	t.Helper()
	for _, thing := range things {
		if _, err := tr.Register(t.Context(), thing); err != nil {
			t.Fatal(err)
		}
	}
}

func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

// bot is a model with all that it is made of.
func bot() []lineage.Entity {
	return []lineage.Entity{
		&lineage.Dataset{Name: "crawl", Version: "1"},
		&lineage.Dataset{Name: "tickets", Version: "2", Sources: []string{"dataset:crawl@1"}},
		&lineage.PromptTemplate{Name: "polite", Version: "1", Text: "Be polite."},
		&lineage.TrainingRun{Name: "bot-3", Model: "bot", Datasets: []string{"dataset:tickets@2"}},
		&lineage.ModelVersion{Name: "bot", Version: "3", Run: "run:bot-3", RiskTier: "limited"},
		&lineage.Evaluation{ID: "evaluation:red team", Model: "model:bot@3", Result: "passed"},
		&lineage.Deployment{Model: "model:bot@3", Environment: "production", From: day(2), To: day(10), Prompts: []string{"prompt:polite@1"}},
	}
}

func find(t testing.TB, g *lineage.Graph, name string) *lineage.Node {
	t.Helper()
	n, err := g.FindOne(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMatch(t *testing.T) {
	tr := openTracker(t, logtest.New(t))
	register(t, tr, bot()...)
	register(
		t, tr,
		&lineage.ModelVersion{Name: "bot", Version: "4", Parent: "model:bot@3"},
		&lineage.Deployment{ID: "prod-4", Model: "model:bot@4", Environment: "production", From: day(8)},
		&lineage.ModelVersion{Name: "solo", Version: "1"},
		&lineage.ModelVersion{Name: "twin", Version: "1"},
		&lineage.ModelVersion{Name: "twin", Version: "2"},
		&lineage.Deployment{ID: "twin-2", Model: "model:twin@2"},
	)
	if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: "prod-4", At: day(20)}); err != nil {
		t.Fatal(err)
	}
	g := graphOf(t, tr)
	const prod3 = "deployment:bot@3/production/2026-11-02T00:00:00Z"
	for _, c := range []struct {
		name              string
		call              usage.Call
		certainty         usage.Certainty
		model, deployment string
	}{
		{"a deployment", usage.Call{DeploymentID: "prod-4", Time: day(9)}, usage.Exact, "model:bot@4", "prod-4"},
		{"a deployment with its model", usage.Call{ModelID: "bot", DeploymentID: "prod-4", Time: day(9)}, usage.Exact, "model:bot@4", "prod-4"},
		{"its first moment", usage.Call{DeploymentID: "prod-4", Time: day(8)}, usage.Exact, "model:bot@4", "prod-4"},
		{"before it began", usage.Call{DeploymentID: "prod-4", Time: day(7)}, usage.Unregistered, "", ""},
		{"when it has ended", usage.Call{DeploymentID: "prod-4", Time: day(20)}, usage.Unregistered, "", ""},
		{"ended, but the version is named", usage.Call{ModelID: "bot", ModelVersion: "4", DeploymentID: "prod-4", Time: day(21)}, usage.Exact, "model:bot@4", ""},
		{"another version than the deployment's", usage.Call{ModelID: "bot", ModelVersion: "3", DeploymentID: "prod-4", Time: day(9)}, usage.Exact, "model:bot@3", ""},
		{"an unknown deployment", usage.Call{DeploymentID: "x", Time: day(9)}, usage.Unregistered, "", ""},
		{"an environment", usage.Call{ModelID: "bot", ModelVersion: "3", DeploymentID: "production", Time: day(9)}, usage.Exact, "model:bot@3", prod3},
		{"a version", usage.Call{ModelID: "bot", ModelVersion: "3", Time: day(9)}, usage.Exact, "model:bot@3", prod3},
		{"a version that was not deployed then", usage.Call{ModelID: "bot", ModelVersion: "3", Time: day(1)}, usage.Exact, "model:bot@3", ""},
		{"an unknown version", usage.Call{ModelID: "bot", ModelVersion: "9", Time: day(9)}, usage.Unregistered, "", ""},
		{"a version's label", usage.Call{ModelID: "bot@4", Time: day(9)}, usage.Exact, "model:bot@4", "prod-4"},
		{"a version's id", usage.Call{ModelID: "model:bot@4", Time: day(1)}, usage.Exact, "model:bot@4", ""},
		{"a model, when one was live", usage.Call{ModelID: "bot", Time: day(3)}, usage.Inferred, "model:bot@3", prod3},
		{"a model, when the other was", usage.Call{ModelID: "bot", Time: day(12)}, usage.Inferred, "model:bot@4", "prod-4"},
		{"a model, when both were", usage.Call{ModelID: "bot", Time: day(9)}, usage.Ambiguous, "", ""},
		{"a model, when none was", usage.Call{ModelID: "bot", Time: day(1)}, usage.Ambiguous, "", ""},
		{"a model of one version", usage.Call{ModelID: "solo", Time: day(1)}, usage.Inferred, "model:solo@1", ""},
		{"a deployment without a beginning", usage.Call{ModelID: "twin", Time: day(1)}, usage.Inferred, "model:twin@2", "twin-2"},
		{"an unknown model", usage.Call{ModelID: "gpt-4", Time: day(9)}, usage.Unregistered, "", ""},
		{"nothing", usage.Call{Time: day(9)}, usage.Unnamed, "", ""},
	} {
		m := usage.MatchCall(g, c.call)
		model, deployment := "", ""
		if m.Model != nil {
			model = m.Model.ID
		}
		if m.Deployment != nil {
			deployment = m.Deployment.ID
		}
		if m.Certainty != c.certainty || model != c.model || deployment != c.deployment || m.Reason == "" {
			t.Errorf("%s: %s %q %q (%s); want %s %q %q", c.name, m.Certainty, model, deployment, m.Reason, c.certainty, c.model, c.deployment)
		}
	}
}

func TestImpactAndExplain(t *testing.T) {
	log := logtest.New(t)
	tr := openTracker(t, log)
	register(t, tr, bot()...)
	register(
		t, tr,
		&lineage.ModelVersion{Name: "bot", Version: "4"}, // made of nothing that is known
		&lineage.Deployment{ID: "prod-4", Model: "model:bot@4", From: day(8)},
	)
	for _, e := range []event.Event{
		{Type: event.Response, ModelID: "bot", ModelVersion: "3", UserID: "ann", Time: day(3)},
		{Type: event.Response, ModelID: "bot", ModelVersion: "3", UserID: "ann", Time: day(3)},
		{Type: event.Response, ModelID: "bot", UserID: "bob", Time: day(4)},  // 3, since only that was live
		{Type: event.Response, ModelID: "bot", UserID: "cy", Time: day(9)},   // 3 or 4
		{Type: event.Response, ModelID: "bot", UserID: "dee", Time: day(12)}, // 4
		{Type: event.Response, DeploymentID: "prod-4", UserID: "eve", Time: day(12)},
		{Type: event.Response, ModelID: "gpt-4", UserID: "ann", Time: day(12)},
		{Type: event.Embedding, UserID: "ann", Time: day(12)},
		// Events that are not calls, also if they name a model.
		{Type: event.ToolCall, ModelID: "bot", ModelVersion: "3", UserID: "ann", Time: day(3)},
		{Type: event.Prompt, Prompt: "begun", ModelID: "bot", ModelVersion: "3", UserID: "ann", Time: day(3)},
		{Type: event.Feedback, UserID: "ann", Time: day(12)},
		{Type: event.Response, ModelID: "bot", ModelVersion: "3", Time: day(5)}, // about nobody
	} {
		logtest.Append(t, log, e)
	}
	g := graphOf(t, tr)
	u, err := usage.Compute(t.Context(), g, query.New(log), query.Query{})
	if err != nil {
		t.Fatal(err)
	}
	im, err := u.Impact(t.Context(), []*lineage.Node{find(t, g, "crawl")})
	if err != nil {
		t.Fatal(err)
	}
	if im.Calls != 4 || im.Possible != 1 || u.Unnamed != 1 {
		t.Errorf("%d calls, %d possible, %d without a name; want 4, 1, 1", im.Calls, im.Possible, u.Unnamed)
	}
	if diff := cmp.Diff([]usage.UserCalls{{User: "ann", Calls: 2}, {User: "bob", Calls: 1}}, im.Users); diff != "" {
		t.Errorf("users: %s", diff)
	}
	if diff := cmp.Diff([]usage.DayCalls{{Day: "2026-11-03", Calls: 2}, {Day: "2026-11-04", Calls: 1}, {Day: "2026-11-05", Calls: 1}}, im.Days); diff != "" {
		t.Errorf("days: %s", diff)
	}
	var lost []string
	for _, s := range im.Unregistered {
		lost = append(lost, s.ModelID+" "+string(s.Match.Certainty))
	}
	if diff := cmp.Diff([]string{"bot ambiguous", "gpt-4 unregistered"}, lost); diff != "" {
		t.Errorf("unregistered: %s", diff)
	}
	every, err := u.Impact(t.Context(), []*lineage.Node{find(t, g, "bot@3"), find(t, g, "bot@4")})
	if err != nil || every.Calls != 7 || len(every.Users) != 5 {
		t.Errorf("of both versions: %d calls of %d users, %v; want 7 of 5", every.Calls, len(every.Users), err)
	}
	r, err := log.Get(t.Context(), 9)
	if err != nil {
		t.Fatal(err)
	}
	x := usage.Explain(g, r)
	var up []string
	for _, n := range x.Upstream {
		up = append(up, n.ID)
	}
	want := []string{"deployment:bot@3/production/2026-11-02T00:00:00Z", "model:bot@3", "prompt:polite@1", "run:bot-3", "dataset:tickets@2", "dataset:crawl@1"}
	if diff := cmp.Diff(want, up); diff != "" {
		t.Errorf("behind record 9: %s", diff)
	}
}
