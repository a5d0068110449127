package usage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/lineage"
	"audittrail/lineage/usage"
	"audittrail/query"
)

// Which calls, and whose, descend from a dataset?
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "usage")
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
	_, err = t.RegisterAll(ctx, []lineage.Entity{
		&lineage.Dataset{Name: "tickets", Version: "2026-10"},
		&lineage.ModelVersion{Name: "bot", Version: "3", Datasets: []string{"dataset:tickets@2026-10"}},
	})
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	answer, err := log.Append(ctx, event.Event{Type: event.Response, ModelID: "bot", ModelVersion: "3", UserID: "ann", Time: at})
	if err != nil {
		panic(err)
	}

	g, err := t.Graph(ctx)
	if err != nil {
		panic(err)
	}
	u, err := usage.Compute(ctx, g, query.New(log), query.Query{})
	if err != nil {
		panic(err)
	}
	tickets, err := g.Find("tickets")
	if err != nil {
		panic(err)
	}
	impact, err := u.Impact(ctx, tickets)
	if err != nil {
		panic(err)
	}
	fmt.Println(impact.Calls, impact.Users, impact.Days)

	r, err := log.Get(ctx, answer.Seq)
	if err != nil {
		panic(err)
	}
	x := usage.Explain(g, r)
	fmt.Println(x.Match.Model.ID, x.Match.Reason)
	// Output:
	// 1 [{ann 1}] [{2026-11-03 1}]
	// model:bot@3 the call names model and version
}
