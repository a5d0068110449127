package report_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/lineage"
	"audittrail/report"
	"audittrail/report/document"
)

func register(t *testing.T, log *audittrail.Log, things ...lineage.Entity) *lineage.Tracker {
	t.Helper()
	tracker, err := lineage.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tracker.RegisterAll(t.Context(), things); err != nil {
		t.Fatal(err)
	}
	return tracker
}

// calls are answers of a model, a minute apart.
func calls(n int, model, version, deployment string) []event.Event {
	var all []event.Event
	for i := range n {
		all = append(all, event.Event{Type: event.Response, Time: day.Add(time.Duration(i) * time.Minute), ModelID: model, ModelVersion: version, DeploymentID: deployment})
	}
	return all
}

// table returns the rows of a table of a report's only section, as text.
func table(t *testing.T, r *document.Report, id string) [][]string {
	t.Helper()
	for _, tab := range r.Sections[0].Tables {
		if tab.ID != id {
			continue
		}
		var rows [][]string
		for _, row := range tab.Rows {
			var cells []string
			for _, v := range row {
				cells = append(cells, v.String())
			}
			rows = append(rows, cells)
		}
		return rows
	}
	t.Fatalf("there is no table %s", id)
	return nil
}

// What was registered is counted and drawn, and every call is held against it.
func TestLineage(t *testing.T) {
	log, _ := newLog(t)
	register(t, log,
		&lineage.Dataset{ID: "letters", Name: "letters", Version: "1"},
		&lineage.Dataset{ID: "spare", Name: "spare", Version: "1"},
		&lineage.TrainingRun{ID: "run", Name: "run", Datasets: []string{"letters"}},
		&lineage.TrainingRun{ID: "bare-run", Name: "bare-run"},
		&lineage.ModelVersion{ID: "bot-1", Name: "bot", Version: "1", Run: "run"},
		&lineage.ModelVersion{ID: "bot-2", Name: "bot", Version: "2", Parent: "bot-1"},
		&lineage.ModelVersion{ID: "toy-1", Name: "toy", Version: "1", Run: "bare-run"},
		&lineage.Deployment{ID: "prod", Model: "bot-1", Environment: "production", From: day.AddDate(0, 0, -1), To: day.Add(10 * time.Minute)},
		&lineage.Deployment{ID: "prod-2", Model: "bot-2", Environment: "production", From: day.Add(10 * time.Minute)},
	)
	for _, some := range [][]event.Event{calls(3, "bot", "2", ""), calls(20, "bot", "", ""), calls(5, "other", "7", ""), calls(2, "bot", "9", "")} {
		logtest.AppendBatch(t, log, some...)
	}
	r := made(t, log, report.Options{Type: "lineage"})
	wants(t, r, map[string]string{
		"lineage.datasets": "2", "lineage.runs": "2", "lineage.versions": "3", "lineage.deployments": "2",
		"lineage.versions_without_data": "1", "lineage.datasets_unused": "1", "lineage.faults": "0",
		"lineage.calls_exact": "3", "lineage.calls_inferred": "20", "lineage.calls_unregistered": "7", "lineage.calls_ambiguous": "0",
	})
	var origins []string
	for _, row := range table(t, r, "lineage.versions_table") {
		origins = append(origins, fmt.Sprintf("%s: %s datasets, %s, %s calls", row[0], row[1], row[6], row[7]))
	}
	want := []string{"bot@2: 1 datasets, deployed, 13 calls", "bot@1: 1 datasets, ended, 10 calls", "toy@1: 0 datasets, not deployed, 0 calls"}
	if fmt.Sprint(origins) != fmt.Sprint(want) {
		t.Errorf("versions are %q, want %q", origins, want)
	}
	unknown := table(t, r, "lineage.unknown")
	if len(unknown) != 2 || unknown[0][0] != "other" || unknown[0][3] != "5" || unknown[1][1] != "9" || unknown[1][6] != "unregistered" {
		t.Errorf("calls without a known version are %v", unknown)
	}
	g := r.Sections[0].Graphs[0]
	if len(g.Nodes) != 9 || len(g.Edges) != 6 {
		t.Errorf("the graph is %v", g)
	}
	for _, n := range g.Nodes {
		if marked := n.Label == "toy@1"; marked != (n.Tone == document.Warning) {
			t.Errorf("%s is marked %q", n.Label, n.Tone)
		}
	}
	for range 5 { // the calls are counted in any order
		if again := made(t, log, report.Options{Type: "lineage"}); !bytes.Equal(encoded(t, r), encoded(t, again)) {
			t.Fatalf("made again, it differs: %v", document.Compare(r, again))
		}
	}
}

// A version that is used after it was retired, and a record that contradicts
// another, are told.
func TestLineageFaults(t *testing.T) {
	log, _ := newLog(t)
	tracker := register(t, log, &lineage.ModelVersion{ID: "bot-1", Name: "bot", Version: "1"})
	if _, err := tracker.RetireModel(t.Context(), lineage.Retirement{Entity: "bot-1", At: day.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if _, err := log.AppendGovernance(t.Context(), event.Event{Type: event.DatasetRegistered}); err != nil {
		t.Fatal(err)
	}
	logtest.AppendBatch(t, log, calls(3, "bot", "1", "")...)
	r := made(t, log, report.Options{})
	wants(t, r, map[string]string{"lineage.faults": "1", "lineage.datasets": "0", "inventory.after_retirement": "1", "inventory.unregistered": "0"})
}

// Of more than can be drawn, what belongs to the versions in use is.
func TestLineageLarge(t *testing.T) {
	log, _ := newLog(t)
	var things []lineage.Entity
	for i := range 300 {
		data, bot := fmt.Sprintf("data-%d", i), fmt.Sprintf("bot-%d", i)
		things = append(things,
			&lineage.Dataset{ID: data, Name: data, Version: "1"},
			&lineage.ModelVersion{ID: bot, Name: bot, Version: "1", Datasets: []string{data}})
	}
	register(t, log, things...)
	logtest.AppendBatch(t, log, calls(3, "bot-299", "1", "")...)
	s := made(t, log, report.Options{Type: "lineage"}).Sections[0]
	g := s.Graphs[0]
	if len(g.Nodes) != 48 || len(g.Edges) != 24 || g.Note != "48 of 600 things: what belongs to the versions with the most calls." {
		t.Errorf("%d things and %d edges are drawn: %s", len(g.Nodes), len(g.Edges), g.Note)
	}
	drawn := false
	for _, n := range g.Nodes {
		drawn = drawn || n.Label == "bot-299@1"
	}
	if !drawn {
		t.Error("the version that answered is not drawn")
	}
}

// Calls that name two deployments and no model are counted by two queries, which
// are not one because they are of the same stretch of time.
func TestLineageOfDeployments(t *testing.T) {
	log, _ := newLog(t)
	register(t, log,
		&lineage.ModelVersion{ID: "bot-1", Name: "bot", Version: "1"},
		&lineage.Deployment{ID: "east", Model: "bot-1", From: day.AddDate(0, 0, -1), To: day.Add(10 * time.Minute)},
		&lineage.Deployment{ID: "west", Model: "bot-1", From: day.AddDate(0, 0, -1), To: day.Add(10 * time.Minute)},
	)
	for _, some := range [][]event.Event{calls(20, "", "", "east"), calls(12, "", "", "west")} {
		logtest.AppendBatch(t, log, some...)
	}
	r := made(t, log, report.Options{Type: "lineage"})
	wants(t, r, map[string]string{"lineage.calls_exact": "20", "lineage.calls_unregistered": "12"})
}
