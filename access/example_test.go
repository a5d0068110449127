package access_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"audittrail"
	"audittrail/access"
)

func ExampleController() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	trail, err := audittrail.Open(dir, audittrail.Options{Create: true})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = trail.Close() }()
	c, err := access.Open(context.Background(), trail, access.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()

	token, _, err := c.Grant(context.Background(), access.GrantRequest{
		User: "alice", Role: access.Viewer, For: 90 * 24 * time.Hour,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token) // hides itself; Reveal shows it

	for _, p := range []access.Permission{access.ReadEvents, access.ReadContent} {
		d := c.Check(token.Reveal(), p, nil)
		fmt.Printf("%s: %t %s.\n", p, d.Allowed, d.Reason)
	}
	// Output:
	// [redacted]
	// read_events: true .
	// read_content: false not permitted.
}
