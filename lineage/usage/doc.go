// Package usage says which recorded calls the things of a lineage answered.
//
// Calls find their model version by the names that they carry, at the time when
// they happened: see [MatchCall]. [Compute] does so for all that a log holds, and what it
// returns tells by [Usage.Impact] what came of a dataset, and which calls nobody
// knows a model of. [Explain] tells what stands behind one answer.
//
// It counts calls by grouping them, so that it costs as much as there are names,
// and not as there are calls.
package usage
