package lineage_test

import (
	"fmt"
	"testing"

	"audittrail"
	"audittrail/internal/logtest"
	"audittrail/lineage"
)

// many is how many things the benchmarks have.
const many = 100_000

// factory is a large organisation's things: chains of datasets, each fed to a
// run, which made a version of one of 500 models, that was measured and deployed.
func factory(n int) []lineage.Entity {
	var things []lineage.Entity
	for i := 0; len(things) < n; i++ {
		data := lineage.Dataset{Name: fmt.Sprintf("data-%d", i%1000), Version: fmt.Sprint(i / 1000), Licence: "CC-BY-4.0"}
		switch {
		case i >= 1000:
			data.Sources = []string{fmt.Sprintf("dataset:data-%d@%d", i%1000, i/1000-1)}
		case i > 0:
			data.Sources = []string{"dataset:data-0@0"} // so that all comes of this one
		}
		name, version := fmt.Sprintf("model-%d", i%500), fmt.Sprint(i/500)
		run := lineage.TrainingRun{
			Name: fmt.Sprintf("run-%d", i), Model: name,
			Datasets: []string{fmt.Sprintf("dataset:data-%d@%d", i%1000, i/1000), fmt.Sprintf("dataset:data-%d@0", i*7%min(i+1, 1000))},
		}
		model := "model:" + name + "@" + version
		things = append(
			things, &data, &run,
			&lineage.ModelVersion{Name: name, Version: version, Run: "run:" + run.Name, RiskTier: "limited"},
			&lineage.Evaluation{Name: "suite", Model: model, Result: "passed"},
			&lineage.Deployment{Model: model, Environment: "production", From: day(1 + i%20)},
		)
	}
	return things[:n]
}

// big makes a log with many things.
func big(b *testing.B) *audittrail.Log {
	b.Helper()
	log := logtest.New(b)
	if _, err := openTracker(b, log).RegisterAll(b.Context(), factory(many)); err != nil {
		b.Fatal(err)
	}
	return log
}

// BenchmarkGraph measures what one does with a graph of 100,000 things.
func BenchmarkGraph(b *testing.B) {
	log := big(b)
	tr := openTracker(b, log)
	g := graphOf(b, tr)
	if g.Len() != many || len(g.InvalidRecords()) > 0 {
		b.Fatalf("the graph has %d things and %d faults", g.Len(), len(g.InvalidRecords()))
	}
	first := []*lineage.Node{find(b, g, "dataset:data-0@0")}
	var last *lineage.Node
	for n := range g.Nodes() {
		last = n
	}
	b.Run("open", func(b *testing.B) { // from the log
		for b.Loop() {
			openTracker(b, log)
		}
	})
	b.Run("graph", func(b *testing.B) { // a copy, after something was registered
		i := 0
		for b.Loop() {
			register(b, tr, &lineage.Dataset{Name: fmt.Sprintf("another-%d", i)})
			graphOf(b, tr)
			i++
		}
	})
	b.Run("walk", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n = len(g.Walk(first, lineage.Downstream, 0))
		}
		b.ReportMetric(float64(n), "things")
	})
	b.Run("path", func(b *testing.B) {
		for b.Loop() {
			g.Path(first[0], last)
		}
	})
	b.Run("subgraph", func(b *testing.B) {
		reached := g.Walk(first, lineage.Downstream, 0)
		for b.Loop() {
			g.Subgraph(reached)
		}
	})
	b.Run("find", func(b *testing.B) {
		for b.Loop() {
			find(b, g, "model-499@7")
		}
	})
}

// BenchmarkRegisterAll measures how fast a log takes 100,000 things.
func BenchmarkRegisterAll(b *testing.B) {
	for b.Loop() {
		big(b)
	}
	b.ReportMetric(many*float64(b.N)/b.Elapsed().Seconds(), "things/s")
}
