package lineage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"audittrail"
	"audittrail/lineage"
)

// A model with what it was made of is registered, and read back from the log.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "lineage")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := audittrail.Open(filepath.Join(dir, "audit"), audittrail.Options{Create: true})
	if err != nil {
		panic(err)
	}
	defer func() { _ = log.Close() }()

	t, err := lineage.Open(ctx, log)
	if err != nil {
		panic(err)
	}
	// Their order does not matter.
	_, err = t.RegisterAll(ctx, []lineage.Entity{
		&lineage.Deployment{ID: "prod-3", Model: "model:bot@3", Environment: "production"},
		&lineage.ModelVersion{Name: "bot", Version: "3", Run: "run:bot-3"},
		&lineage.TrainingRun{Name: "bot-3", Datasets: []string{"dataset:tickets@2026-10"}},
		&lineage.Dataset{Name: "tickets", Version: "2026-10"},
	})
	if err != nil {
		panic(err)
	}
	_, err = t.RegisterModelVersion(ctx, lineage.ModelVersion{Name: "bot", Version: "4", Run: "run:bot-4"})
	fmt.Println(err)

	g, err := t.Graph(ctx)
	if err != nil {
		panic(err)
	}
	data, err := g.FindOne("tickets")
	if err != nil {
		panic(err)
	}
	for _, r := range g.Walk([]*lineage.Node{data}, lineage.Downstream, 0) {
		fmt.Println(r.Depth, r.Kind, r.Label())
	}
	// Output:
	// register model: run: no run "run:bot-4" is registered: register it first
	// 0 dataset tickets@2026-10
	// 1 run bot-3
	// 2 model bot@3
	// 3 deployment prod-3
}
