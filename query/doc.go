// Package query finds, counts and adds up what a log holds.
//
//	log, err := audittrail.Open("audit", audittrail.Options{Create: true})
//	receipt, err := log.Append(ctx, event)
//	for hit, err := range query.New(log).Find(ctx, query.Query{Users: []string{"ada"}, Text: "refund"}) { … }
//
// An [Engine] answers over an open log, also one that is being written, or that
// another process writes: it sees every record that was acknowledged before it
// was asked. It asks the index that the log keeps or reads, and the log for what
// the index does not have; the answers are the same with, without and with half
// an index. [Engine.Find] yields records, each read from the log again and
// checked against its hash; [Engine.Count] and [Engine.Group] open none, unless
// a condition cannot be decided without. A record whose content was erased or
// has expired is found by what stands in the clear, and shown without content.
//
// Fields have the names, and numbers the units, that the edge form of an event
// gives them: model_id, latency_ms, cost.
package query
