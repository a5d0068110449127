package service_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/query"
	"audittrail/service"
)

// A viewer sees records without their content, and may not search the content.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "service")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := audittrail.Open(dir, audittrail.Options{Create: true})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if _, err := l.Append(ctx, event.Event{Type: event.Prompt, ModelID: "gpt-4", UserID: "ann", Prompt: "secret"}); err != nil {
		log.Fatal(err)
	}
	controller, err := access.Open(ctx, l, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = controller.Close() }()
	token, _, err := controller.Grant(ctx, access.GrantRequest{User: "vera", Role: "viewer"})
	if err != nil {
		log.Fatal(err)
	}

	svc := service.New(l, service.Options{})
	defer func() { _ = svc.Close() }()
	vera, err := svc.As(ctx, token.Reveal())
	if err != nil {
		log.Fatal(err)
	}
	found, err := vera.Find(ctx, service.FindRequest{Query: query.Query{Models: []string{"gpt-4"}}})
	if err != nil {
		log.Fatal(err)
	}
	for hit, err := range found.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("record %d: %s, content %v: %q\n", hit.Seq, hit.Event.Type, hit.State, hit.Event.Prompt)
	}
	_, err = vera.Count(ctx, service.CountRequest{Query: query.Query{Text: "secret"}})
	fmt.Println("may search:", !errors.Is(err, service.ErrDenied))

	operator := svc.Local()
	r, err := operator.Get(ctx, service.GetRequest{Record: service.Ref{Seq: 0}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the operator reads %q\n", r.Event.Prompt)
	// Output:
	// record 0: prompt, content restricted: ""
	// may search: false
	// the operator reads "secret"
}
