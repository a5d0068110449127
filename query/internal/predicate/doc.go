// Package predicate finds the records that satisfy conditions: one by one, or by
// rows of an index, of which it opens nothing.
//
// Conditions are made of what is looked for. A [View] is a chunk of an index
// under some of them. It leaves out what the index can tell, and yields the rest
// in [Window]s of rows, from which columns are read in one go.
package predicate
