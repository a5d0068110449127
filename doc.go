// Package audittrail is an append-only log for AI systems: it records prompts,
// responses, tool calls and model changes, proves that nothing was altered, and
// erases a person's data on request without breaking the proof.
//
//	log, err := audittrail.Open("audit", audittrail.Options{Create: true})
//	…
//	receipt, err := log.Append(ctx, event.Event{
//		Type: event.Prompt, ModelID: "gpt-4", UserID: "user-001", Prompt: "…",
//	})
//
// Append returns after the record is durable. Every record is one JSON line
// whose last field is the SHA-256 of the line; the lines form a chain, and
// their hashes a Merkle tree whose head is signed (C2SP tlog-checkpoint), so
// that anyone can check the log without this program and without its keys.
// Content and identities are encrypted before they reach the disk, under keys
// that can be destroyed.
//
// One process writes; any number of others read at the same time.
//
// The log does not promise that an event was true, that an application
// submitted every event, or that a log cut off within its last second, before a
// checkpoint of that second left the machine, can be distinguished from a log
// that ended there.
package audittrail
