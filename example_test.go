package audittrail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"audittrail"
	"audittrail/event"
	"audittrail/keyring"
	"audittrail/record"
	"audittrail/tlog"
)

// temporary creates a log in a temporary folder, and returns a function that
// closes and removes it.
func temporary() (l *audittrail.Log, dir string, end func()) {
	dir, err := os.MkdirTemp("", "audittrail-example-")
	if err != nil {
		log.Fatal(err)
	}
	l, err = audittrail.Open(dir, audittrail.Options{Create: true, Origin: "example.org/audit"})
	if err != nil {
		log.Fatal(err)
	}
	return l, dir, func() {
		if err := errors.Join(l.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

func record3(l *audittrail.Log) []audittrail.Receipt {
	receipts, err := l.AppendBatch(context.Background(), []event.Event{
		{Type: event.Prompt, ModelID: "gpt-4", UserID: "user-001", Prompt: "What is a Merkle tree?"},
		{Type: event.Response, ModelID: "gpt-4", UserID: "user-001", Response: "A tree of hashes."},
		{Type: event.Feedback, UserID: "user-001", Category: "helpful"},
	})
	if err != nil {
		log.Fatal(err)
	}
	return receipts
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "audittrail-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	l, err := audittrail.Open(filepath.Join(dir, "audit"), audittrail.Options{Create: true})
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := l.Append(ctx, event.Event{
		Type: event.Prompt, ModelID: "gpt-4", ModelVersion: "4.0", UserID: "user-001",
		Prompt: "What is a Merkle tree?", InputTokens: new(int64(7)), Latency: new(150500 * time.Microsecond),
	})
	if err != nil {
		log.Fatal(err) // not recorded
	}
	v, err := l.Verify(ctx, audittrail.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("record", receipt.Seq, "is durable; the log is intact:", v.Valid())
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: record 0 is durable; the log is intact: true
}

func ExampleOpen() {
	l, dir, end := temporary()
	defer end()
	record3(l)

	// Any number of processes may read while one writes.
	reader, err := audittrail.Open(dir, audittrail.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	n, err := reader.Size()
	fmt.Println(n, err, reader.Close())

	// The error of a second writer names the process that has the log open.
	_, err = audittrail.Open(dir, audittrail.Options{LockWait: -1})
	fmt.Println(errors.Is(err, audittrail.ErrLocked))

	_, err = audittrail.Open(filepath.Join(dir, "elsewhere"), audittrail.Options{})
	fmt.Println(errors.Is(err, audittrail.ErrNoLog))
	// Output:
	// 3 <nil> <nil>
	// true
	// true
}

func ExampleLog_Append() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()

	// An id makes appending idempotent: after a time-out, append again.
	e := event.Event{ID: "order 17, attempt", Type: event.ToolCall, Tool: &event.Tool{Name: "refund", Arguments: json.RawMessage(`{"order":17}`)}}
	first, err := l.Append(ctx, e)
	fmt.Println(first.Seq, first.Duplicate, err)
	again, err := l.Append(ctx, e)
	fmt.Println(again.Seq, again.Duplicate, err)

	e.Tool = &event.Tool{Name: "refund", Arguments: json.RawMessage(`{"order":18}`)}
	_, err = l.Append(ctx, e)
	fmt.Println(err)

	_, err = l.Append(ctx, event.Event{Type: "promt"})
	var field *event.FieldError
	fmt.Println(errors.As(err, &field) && field.Field == "type")
	// Output:
	// 0 false <nil>
	// 0 true <nil>
	// append: the event's id belongs to record 0, which is of another event; give this event another id
	// true
}

func ExampleLog_RecordCall() {
	l, _, end := temporary()
	defer end()
	ctx := context.Background()
	question := event.Event{ModelID: "gpt-4", UserID: "user-001", Prompt: "What is a bond?"}
	receipt, err := l.RecordCall(ctx, question, func(_ context.Context, e *event.Event) error {
		e.Response, e.OutputTokens = "A loan.", new(int64(3)) // of the model
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	r, err := l.Get(ctx, receipt.Seq)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Event.Type, r.Event.Outcome, r.Parts)
	// Output: prompt success prompt,response
}

func ExampleLog_AppendBatch() {
	l, _, end := temporary()
	defer end()
	receipts, err := l.AppendBatch(context.Background(), []event.Event{
		{Type: event.Prompt, Prompt: "fine"},
		{Type: event.Prompt, Severity: "terrible"},
	})
	var refused *audittrail.BatchError
	if errors.As(err, &refused) {
		fmt.Println("event", refused.Index, "is refused, and nothing is recorded:", receipts == nil)
	}
	n, err := l.Size()
	fmt.Println(n, err)
	// Output:
	// event 1 is refused, and nothing is recorded: true
	// 0 <nil>
}

func ExampleLog_Get() {
	l, _, end := temporary()
	defer end()
	record3(l)
	r, err := l.Get(context.Background(), 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Seq, r.Event.Type, r.Event.UserID, r.Event.Response, r.State)
	_, err = l.Get(context.Background(), 17)
	fmt.Println(errors.Is(err, audittrail.ErrNoRecord))
	// Output:
	// 1 response user-001 A tree of hashes. readable
	// true
}

func ExampleLog_Find() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	if _, err := l.Append(ctx, event.Event{ID: "ticket 4711", Type: event.Decision, Outcome: "success"}); err != nil {
		log.Fatal(err)
	}
	r, err := l.Find(ctx, "ticket 4711")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Seq, r.Event.ID, r.Event.Outcome)
	// Output: 0 ticket 4711 success
}

func ExampleLog_Records() {
	l, _, end := temporary()
	defer end()
	record3(l)
	n, err := l.Size()
	if err != nil {
		log.Fatal(err)
	}
	for r, err := range l.Records(context.Background(), 1, n) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Seq, r.Event.Type)
	}
	// Output:
	// 1 response
	// 2 feedback
}

func ExampleLog_Follow() {
	l, _, end := temporary()
	defer end()
	record3(l)
	for r, err := range l.Follow(context.Background(), 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Seq, r.Event.Type)
		if r.Seq == 2 {
			break // it would wait for the next one
		}
	}
	// Output:
	// 0 prompt
	// 1 response
	// 2 feedback
}

func ExampleLog_Size() {
	l, _, end := temporary()
	defer end()
	record3(l)
	fmt.Println(l.Size())
	// Output: 3 <nil>
}

func ExampleLog_Stat() {
	l, _, end := temporary()
	defer end()
	record3(l)
	s, err := l.Stat(context.Background())
	fmt.Println(s.Origin, s.Records, s.Segments, s.Subjects, err)
	// Output: example.org/audit 3 1 1 <nil>
}

func ExampleLog_Verify() {
	ctx := context.Background()
	l, dir, end := temporary()
	defer end()
	record3(l)
	if _, err := l.Checkpoint(ctx); err != nil {
		log.Fatal(err)
	}

	// Somebody changes one letter on the disk.
	file := filepath.Join(dir, "log", "00000000000000000000.jsonl")
	b, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(b, []byte("gpt-4"), []byte("gpt-3"), 1), 0o644); err != nil {
		log.Fatal(err)
	}
	v, err := l.Verify(ctx, audittrail.VerifyOptions{})
	if err != nil {
		log.Fatal(err) // it could not be checked, which is another thing
	}
	fmt.Println(v.Valid(), v.Findings[0].Seq, v.Findings[0].Kind)
	// Output: false 0 modified
}

func ExampleLog_Prove() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	receipt := record3(l)[1]
	proof, err := l.Prove(ctx, receipt.Seq)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := l.Keys()
	if err != nil {
		log.Fatal(err)
	}

	// A stranger has the record's hash, the proof, and the log's verifier key.
	p, err := tlog.CheckProof([]string{keys[0].VKey}, receipt.Hash, proof)
	fmt.Println(p.Index, p.Checkpoint.Origin, err)
	// Output: 1 example.org/audit <nil>
}

func ExampleLog_ProveConsistency() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	record3(l)
	old, err := l.Checkpoint(ctx) // kept by an auditor
	if err != nil {
		log.Fatal(err)
	}
	record3(l)
	proof, err := l.ProveConsistency(ctx, old)
	if err != nil {
		log.Fatal(err) // a *RollbackError if something is gone
	}
	keys, err := l.Keys()
	if err != nil {
		log.Fatal(err)
	}
	kept, err := tlog.ReadCheckpoint(old)
	if err != nil {
		log.Fatal(err)
	}
	now, err := tlog.CheckConsistencyProof([]string{keys[0].VKey}, kept, proof)
	fmt.Println(kept.Size, now.Size, err)
	// Output: 3 6 <nil>
}

func ExampleLog_Checkpoint() {
	l, _, end := temporary()
	defer end()
	record3(l)
	signed, err := l.Checkpoint(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	c, err := tlog.ReadCheckpoint(signed)
	fmt.Println(c.Origin, c.Size, err)
	// Output: example.org/audit 3 <nil>
}

func ExampleLog_ExportTree() {
	l, dir, end := temporary()
	defer end()
	record3(l)
	public := filepath.Join(dir, "public")
	if err := l.ExportTree(context.Background(), public, nil); err != nil {
		log.Fatal(err)
	}
	_, err := os.Stat(filepath.Join(public, "tile", "0", "000.p", "3"))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleLog_Disclose() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	record3(l)
	d, err := l.Disclose(ctx, 0)
	if err != nil {
		log.Fatal(err)
	}
	file, err := json.Marshal(d)
	if err != nil {
		log.Fatal(err)
	}

	// The receiver of a disclosure needs neither the log nor its keyring.
	r, err := record.CheckDisclosure(file)
	fmt.Println(r.Seq, r.Event.Prompt, err)
	// Output: 0 What is a Merkle tree? <nil>
}

func ExampleLog_RotateSigner() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	record3(l)
	if err := l.RotateSigner(ctx); err != nil {
		log.Fatal(err)
	}
	keys, err := l.Keys()
	if err != nil {
		log.Fatal(err)
	}
	// A verifier that trusts the first key follows the rotations to the present
	// one.
	rotations, err := l.Rotations()
	if err != nil {
		log.Fatal(err)
	}
	eras, err := tlog.ResolveSigner(keys[0].VKey, rotations)
	fmt.Println(len(keys), eras[1].VKey == keys[1].VKey, eras[0].Until, err)
	// Output: 2 true 3 <nil>
}

func ExampleLog_RotateMaster() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	record3(l)
	const text = "audittrail-master/v1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 630dcd29\n" // from a secret manager
	if err := l.RotateMaster(ctx, keyring.MasterText(text)); err != nil {
		log.Fatal(err)
	}
	r, err := l.Get(ctx, 3)
	fmt.Println(r.Event.Type, err)
	// Output: master_rotated <nil>
}

func ExampleLog_BackupKeys() {
	ctx := context.Background()
	l, _, end := temporary()
	defer end()
	record3(l)
	identity, err := age.GenerateX25519Identity() // kept elsewhere
	if err != nil {
		log.Fatal(err)
	}
	var backup bytes.Buffer
	_, err = l.BackupKeys(ctx, &backup, identity.Recipient(), time.Now().AddDate(0, 1, 0))
	fmt.Println(backup.Len() > 0, err)
	// Output: true <nil>
}
