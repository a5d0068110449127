package audittrail_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"audittrail"
)

// An auditor has a copy of a log without its keys, the log's verifier key, and
// a checkpoint from earlier.
func ExampleVerifyDir() {
	ctx := context.Background()
	l, dir, end := temporary()
	defer end()
	record3(l)
	checkpoint, err := l.Checkpoint(ctx)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := l.Keys()
	if err != nil {
		log.Fatal(err)
	}
	auditor := audittrail.VerifyOptions{
		VKeys:       []string{keys[0].VKey},
		Checkpoints: [][]byte{checkpoint},
	}
	options := audittrail.Options{KeysDir: filepath.Join(dir, "no", "keys", "here")}
	v, err := audittrail.VerifyDir(ctx, dir, options, auditor)
	if err != nil {
		log.Fatal(err) // it could not be checked, which is another thing
	}
	fmt.Println(v.Valid(), v.Records, "records")

	// The end of the log gets lost.
	file := filepath.Join(dir, "log", "00000000000000000000.jsonl")
	if err := os.Truncate(file, 1000); err != nil {
		log.Fatal(err)
	}
	if v, err = audittrail.VerifyDir(ctx, dir, options, auditor); err != nil {
		log.Fatal(err)
	}
	p := v.Findings[0]
	fmt.Println(v.Valid(), v.Altered(), "record", p.Seq, p.Kind)
	// Output:
	// true 3 records
	// false true record 1 truncated
}
