package query_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/query"
)

// An app can search the log that it has opened, and so can a process that reads
// the log.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := audittrail.Open(dir, audittrail.Options{Create: true})
	if err != nil {
		panic(err)
	}
	defer func() { _ = log.Close() }()
	engine := query.New(log)

	ctx := context.Background()
	for _, question := range []string{"What is a bond?", "What is a bank?"} {
		e := event.Event{Type: event.Prompt, Time: time.Now(), ModelID: "gpt-4", UserID: "user-001", Prompt: question}
		if _, err := log.Append(ctx, e); err != nil {
			panic(err)
		}
	}
	for hit, err := range engine.Find(ctx, query.Query{Users: []string{"user-001"}, Text: "bond"}) {
		if err != nil {
			panic(err)
		}
		fmt.Println(hit.Seq, hit.Event.Prompt)
	}
	table, err := engine.Group(ctx, query.Query{}, query.Grouping{By: []string{"model_id"}, Aggregates: []string{"count", "distinct(user)"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(table.Rows[0])
	// Output:
	// 0 What is a bond?
	// [gpt-4 2 1]
}
