// Package usage finds the calls that the entities of a lineage answered.
//
// A call leads to its model version by the names that it carries, at the time
// when it happened: see [MatchCall]. [Compute] does that for all calls of a
// log. Its result tells what depends on a dataset ([Usage.Impact]), and which
// calls have no registered model ([Usage.Unregistered]). [Explain] returns the
// lineage of one answer.
//
// Calls are counted in groups, so that the cost depends on the number of names,
// not of calls.
package usage
