// Package query finds, counts and aggregates the records of a log.
//
//	log, err := audittrail.Open("audit", audittrail.Options{Create: true})
//	receipt, err := log.Append(ctx, event)
//	for hit, err := range query.New(log).Find(ctx, query.Query{Users: []string{"ada"}, Text: "refund"}) { … }
//
// An [Engine] answers over an open log, also while this or another process
// writes to it: a query sees every record that was acknowledged before it
// started. It asks the index that the log keeps or reads, and reads from the
// log what the index does not have; the answers are the same with, without and
// with half an index. [Engine.Find] yields records, each read from the log
// again and checked against its hash; [Engine.Count] and [Engine.Group] open a
// record only if a condition cannot be decided without it. A record whose
// content was erased or has expired is found by its cleartext fields, and
// returned without content.
//
// Fields have the names and units that the edge form of an event gives them:
// model_id, latency_ms, cost.
package query
