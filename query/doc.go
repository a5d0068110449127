// Package query finds, counts and adds up what a log holds.
//
// An [Engine] answers over an open log, also one that is being written, or that
// another process writes: it sees every record that was acknowledged before it
// was asked. [Engine.Find] yields records, each read from the log again and
// checked against its hash; so are those that [Engine.Count] and [Engine.Group]
// go over, since every query reads the log. A record whose content was erased or
// has expired is found by what stands in the clear, and shown without content.
//
// Fields have the names, and numbers the units, that the edge form of an event
// gives them: model_id, latency_ms, cost.
package query
