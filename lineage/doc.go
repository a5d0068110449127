// Package lineage says what a model was made of, where it ran, and which
// answers came out of it.
//
// Six kinds of things make a graph: datasets, training runs, model versions,
// deployments, prompt templates and evaluations. Each names its inputs,
// and so is downstream of them. A [Tracker] registers entities as
// events in an audit log, so that provenance has the log's proof, and reads
// the graph back from there; there is no other store.
//
//	t, err := lineage.Open(ctx, log)
//	data, err := t.RegisterDataset(ctx, lineage.Dataset{Name: "tickets", Version: "2026-10"})
//	run, err := t.RegisterTrainingRun(ctx, lineage.TrainingRun{Name: "bot-3", Datasets: []string{data.ID}})
//	model, err := t.RegisterModelVersion(ctx, lineage.ModelVersion{Name: "bot", Version: "3", Run: run.ID})
//	live, err := t.DeployModel(ctx, lineage.Deployment{Model: model.ID, Environment: "production"})
//
// What is registered stays as it is: the same thing again is the same thing,
// and another thing under a used id is refused, as is a reference to nothing,
// a cycle, and a model deployed after it was retired.
//
// Recorded calls find their model version by the names that they carry: that is
// package usage.
//
// The log proves that something was registered, when, and that it was not
// altered since, and not that it is true.
package lineage
