package drawing_test

import (
	"context"
	"fmt"
	"os"

	"audittrail"
	"audittrail/lineage"
	"audittrail/lineage/drawing"
)

func ExampleDraw() {
	dir, err := os.MkdirTemp("", "lineage")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := audittrail.Open(dir, audittrail.Options{Create: true, Origin: "example.com/assistant"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = log.Close() }()

	ctx := context.Background()
	tracker, err := lineage.Open(ctx, log)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, thing := range []lineage.Entity{
		&lineage.Dataset{Name: "tickets", Version: "1"},
		&lineage.Dataset{Name: "manuals"},
		&lineage.TrainingRun{Name: "bot-1", Datasets: []string{"dataset:tickets@1", "dataset:manuals"}},
		&lineage.ModelVersion{Name: "bot", Version: "1", Run: "run:bot-1", RiskTier: "limited"},
		&lineage.Deployment{Model: "model:bot@1", Environment: "production"},
	} {
		if _, err := tracker.Register(ctx, thing); err != nil {
			fmt.Println(err)
			return
		}
	}
	graph, err := tracker.Graph(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := drawing.Draw(os.Stdout, graph, drawing.Options{}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ○    dataset     tickets@1
	// │ ○  dataset     manuals
	// ●─╯  run         bot-1
	// │
	// ●    model       bot@1  (risk: limited)
	// ╰─●  deployment  bot@1/production
	//
	// ○ made of nothing drawn here   ● made of what its lines come from
}
