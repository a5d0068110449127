package lineage_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/lineage"
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

func ids[N interface {
	*lineage.Node | lineage.NodeDepth
}](nodes []N) []string {
	var out []string
	for _, n := range nodes {
		switch n := any(n).(type) {
		case *lineage.Node:
			out = append(out, n.ID)
		case lineage.NodeDepth:
			out = append(out, n.ID)
		}
	}
	return out
}

func find(t testing.TB, g *lineage.Graph, name string) *lineage.Node {
	t.Helper()
	n, err := g.FindOne(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGraphComesBackFromTheLog(t *testing.T) {
	log := logtest.New(t)
	tr := openTracker(t, log)
	register(t, tr, bot()...)
	if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: "model:bot@3", At: day(9), Reason: "unkind"}); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*lineage.Graph{graphOf(t, tr), graphOf(t, openTracker(t, log))} {
		if g.Len() != 7 || g.EdgeCount() != 6 || len(g.InvalidRecords()) != 0 {
			t.Fatalf("%d nodes, %d edges, faults %v; want 7, 6 and none", g.Len(), g.EdgeCount(), g.InvalidRecords())
		}
		deployment := "deployment:bot@3/production/2026-11-02T00:00:00Z"
		down := ids(g.Walk([]*lineage.Node{find(t, g, "crawl")}, lineage.Downstream, 0))
		want := []string{"dataset:crawl@1", "dataset:tickets@2", "run:bot-3", "model:bot@3", "evaluation:red team", deployment}
		if diff := cmp.Diff(want, down); diff != "" {
			t.Errorf("downstream of crawl: %s", diff)
		}
		up := ids(g.Walk([]*lineage.Node{find(t, g, deployment)}, lineage.Upstream, 1))
		if diff := cmp.Diff([]string{deployment, "model:bot@3", "prompt:polite@1"}, up); diff != "" {
			t.Errorf("one step upstream: %s", diff)
		}
		var roles []string
		for _, e := range g.Path(find(t, g, "crawl"), find(t, g, deployment)) {
			roles = append(roles, e.Role)
		}
		if diff := cmp.Diff([]string{"source", "input", "run", "model"}, roles); diff != "" {
			t.Errorf("path: %s", diff)
		}
		if g.Path(find(t, g, deployment), find(t, g, "crawl")) != nil {
			t.Error("there is a path upstream")
		}
		if m := find(t, g, "model:bot@3"); m.Retired == nil || m.Retired.Reason != "unkind" {
			t.Errorf("retirement is %v", m.Retired)
		}
		sub := g.Subgraph(g.Walk([]*lineage.Node{find(t, g, "run:bot-3")}, lineage.Upstream|lineage.Downstream, 1))
		if sub.Len() != 3 || sub.EdgeCount() != 2 {
			t.Errorf("subgraph has %d nodes and %d edges, want 3 and 2", sub.Len(), sub.EdgeCount())
		}
	}
}

func TestSameThingAgain(t *testing.T) {
	log := logtest.New(t)
	tr := openTracker(t, log)
	count := int64(7)
	first, err := tr.RegisterDataset(t.Context(), lineage.Dataset{
		Name: "a", RecordCount: &count, Digest: strings.Repeat("AB", 32),
		Attributes: map[string]json.RawMessage{"k": json.RawMessage(`{ "b":1, "a":2 }`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := openTracker(t, log).RegisterDataset(t.Context(), lineage.Dataset{
		ID: "dataset:a", Name: "a", RecordCount: &count, Digest: "sha256:" + strings.Repeat("ab", 32),
		Attributes: map[string]json.RawMessage{"k": json.RawMessage(`{"a":2,"b":1}`)},
	})
	if err != nil || !again.Duplicate || again.Seq != first.Seq || again.ID != "dataset:a" {
		t.Errorf("again: %+v, %v; want the receipt %+v", again, err, first)
	}
	if size, err := log.Size(); err != nil || size != 1 {
		t.Errorf("the log has %d records, %v; want 1", size, err)
	}
}

func TestRefusals(t *testing.T) {
	log := logtest.New(t)
	tr := openTracker(t, log)
	register(t, tr, bot()...)
	register(t, tr, &lineage.ModelVersion{ID: "old", Name: "bot", Version: "1"})
	if _, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: "old", At: day(5)}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", event.MaxClear+1)
	for _, c := range []struct {
		name  string
		thing lineage.Entity
		want  string
	}{
		{"no name", &lineage.Dataset{}, "name: missing"},
		{"no model", &lineage.Deployment{}, "model: missing"},
		{"nothing at all", &lineage.TrainingRun{}, "name: missing"},
		{"long name", &lineage.ModelVersion{Name: long}, "name: 129 bytes"},
		{"control character", &lineage.Dataset{Name: "a\nb"}, "a control character at byte 1"},
		{"blanks", &lineage.Dataset{Name: " a"}, "leading or trailing blanks"},
		{"bad digest", &lineage.Dataset{Name: "a", Digest: "sha256:zz"}, "not ALGORITHM:HEX"},
		{"bad attribute", &lineage.Dataset{Name: "a", Attributes: map[string]json.RawMessage{"k": json.RawMessage("{")}}, `"k"`},
		{"ends before it starts", &lineage.TrainingRun{Name: "r", Start: day(2), End: day(1)}, "is before start"},
		{"another thing", &lineage.Dataset{Name: "tickets", Version: "2", Licence: "MIT"}, "with another licence, sources"},
		{"another kind", &lineage.ModelVersion{ID: "dataset:crawl@1", Name: "m"}, "belongs to a dataset"},
		{"a reference to nothing", &lineage.TrainingRun{Name: "r", Datasets: []string{"dataset:nope"}}, `no dataset "dataset:nope" is registered`},
		{"a reference to another kind", &lineage.TrainingRun{Name: "r", Datasets: []string{"model:bot@3"}}, "is a model; use a dataset"},
		{"its own source", &lineage.Dataset{ID: "d", Name: "d", Sources: []string{"d"}}, "a cycle: d -> d"},
		{"deployed after it was retired", &lineage.Deployment{Model: "old"}, "cannot be deployed any more"},
		{"deployed beyond its retirement", &lineage.Deployment{Model: "old", From: day(1), To: day(6)}, "cannot last"},
	} {
		_, err := tr.Register(t.Context(), c.thing)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name string
		r    lineage.Retirement
		want string
	}{
		{"nothing", lineage.Retirement{}, "thing: missing"},
		{"what is not there", lineage.Retirement{Entity: "x"}, "is registered"},
		{"a dataset", lineage.Retirement{Entity: "dataset:crawl@1"}, "use a model or deployment"},
		{"twice", lineage.Retirement{Entity: "old", At: day(6)}, "cannot be retired twice"},
		{"before it begins", lineage.Retirement{Entity: "model:bot@3", At: day(1)}, "is before"},
	} {
		_, err := tr.RetireModel(t.Context(), c.r)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("retire %s: %v, want %q", c.name, err, c.want)
		}
	}
	if again, err := tr.RetireModel(t.Context(), lineage.Retirement{Entity: "old", At: day(5)}); err != nil || !again.Duplicate {
		t.Errorf("the same retirement again: %+v, %v", again, err)
	}
	register(t, tr, &lineage.Deployment{Model: "old", From: day(1)}) // while it was in use
	if size, err := log.Size(); err != nil || size != 10 {
		t.Errorf("the log has %d records, %v; want 10: what is refused leaves none", size, err)
	}
}

func TestRegisterAll(t *testing.T) {
	log := logtest.New(t)
	tr := openTracker(t, log)
	things := bot()
	for i, j := 0, len(things)-1; i < j; i, j = i+1, j-1 {
		things[i], things[j] = things[j], things[i]
	}
	done, err := tr.RegisterAll(t.Context(), things)
	if err != nil || len(done) != 7 {
		t.Fatalf("%v, %v", done, err)
	}
	// After the entities that they refer to, and else in their order.
	order := make([]string, len(done))
	for _, at := range done {
		order[at.Seq] = at.ID
	}
	if want := []string{
		"dataset:crawl@1", "dataset:tickets@2", "run:bot-3", "model:bot@3", "prompt:polite@1",
		done[0].ID, "evaluation:red team",
	}; !slices.Equal(order, want) {
		t.Errorf("they are recorded as %v, want %v", order, want)
	}
	if g := graphOf(t, openTracker(t, log)); g.Len() != 7 || len(g.InvalidRecords()) != 0 {
		t.Errorf("%d nodes, faults %v", g.Len(), g.InvalidRecords())
	}
	done, err = tr.RegisterAll(t.Context(), append(bot(), bot()...))
	if err != nil || len(done) != 14 || !done[13].Duplicate {
		t.Errorf("again: %v, %v", done, err)
	}
	a := &lineage.Dataset{ID: "a", Name: "a", Sources: []string{"b"}}
	b := &lineage.Dataset{ID: "b", Name: "b", Sources: []string{"c"}}
	c := &lineage.Dataset{ID: "c", Name: "c", Sources: []string{"a"}}
	_, err = tr.RegisterAll(t.Context(), []lineage.Entity{a, b, c})
	var cycle *lineage.CycleError
	if !errors.As(err, &cycle) || len(cycle.Path) != 4 {
		t.Errorf("a cycle: %v", err)
	}
	_, err = tr.RegisterAll(t.Context(), []lineage.Entity{&lineage.Dataset{Name: "n"}, &lineage.Dataset{Name: "n", Licence: "MIT"}})
	if err == nil || !strings.Contains(err.Error(), "with different fields") {
		t.Errorf("two entities under one id: %v", err)
	}
	if size, err := log.Size(); err != nil || size != 7 {
		t.Errorf("the log has %d records, %v; want 7", size, err)
	}
}

func TestRacingRegistrations(t *testing.T) {
	tr := openTracker(t, logtest.New(t))
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, licence := range []string{"MIT", "BSD", "GPL", "CC0", "EPL", "MPL"} {
		wg.Go(func() {
			_, err := tr.RegisterDataset(t.Context(), lineage.Dataset{Name: "d", Licence: licence})
			var conflict *lineage.ConflictError
			if err != nil && !errors.As(err, &conflict) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	wg.Wait()
	if g := graphOf(t, tr); won != 1 || g.Len() != 1 || len(g.InvalidRecords()) != 0 {
		t.Errorf("%d of six succeeded, %d nodes, faults %v; want one of each and none", won, g.Len(), g.InvalidRecords())
	}
}

// TestForeignRecords has records of lineage that this program would not have
// written: they are told, and the rest is read.
func TestForeignRecords(t *testing.T) {
	log := logtest.New(t)
	register(t, openTracker(t, log), bot()...)
	for _, e := range []event.Event{
		{Type: event.DatasetRegistered},
		{Type: event.DatasetRegistered, Metadata: map[string]json.RawMessage{"dataset": json.RawMessage(`{"id":"x","name":"x","new":1}`)}},
		{Type: event.DatasetRegistered, Metadata: map[string]json.RawMessage{"dataset": json.RawMessage(`{"id":"x","name":"x","sources":["y"]}`)}},
		{Type: event.ModelRetired, Metadata: map[string]json.RawMessage{"retirement": json.RawMessage(`{"thing":"x"}`)}},
	} {
		if _, err := log.AppendGovernance(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	g := graphOf(t, openTracker(t, log))
	if g.Len() != 7 || len(g.InvalidRecords()) != 4 {
		t.Errorf("%d nodes, faults %v; want 7 and 4", g.Len(), g.InvalidRecords())
	}
}

func TestWithoutKeys(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	register(t, openTracker(t, log), bot()...)
	logtest.Close(t, log)
	sealed := logtest.Open(t, dir, audittrail.Options{ReadOnly: true, KeysDir: t.TempDir()})
	if _, err := lineage.Open(t.Context(), sealed); !errors.Is(err, audittrail.ErrNoKeys) {
		t.Errorf("without the keyring: %v, want ErrNoKeys", err)
	}
}

// TestCheckAll checks entities without registering them, with the same results.
func TestCheckAll(t *testing.T) {
	tr := openTracker(t, logtest.New(t))
	known := &lineage.Dataset{Name: "known"}
	register(t, tr, known)
	fresh := &lineage.Dataset{Name: "fresh", Sources: []string{"dataset:known"}}
	done, err := tr.CheckAll(t.Context(), []lineage.Entity{fresh, known})
	if err != nil {
		t.Fatal(err)
	}
	if done[0].ID != "dataset:fresh" || done[0].Duplicate || !done[1].Duplicate || graphOf(t, tr).Len() != 1 {
		t.Errorf("CheckAll = %+v, and there are %d things", done, graphOf(t, tr).Len())
	}
	if _, err := tr.CheckAll(t.Context(), []lineage.Entity{&lineage.Dataset{Name: "d", Run: "run:none"}}); err == nil {
		t.Error("CheckAll takes a reference to nothing")
	}
}
