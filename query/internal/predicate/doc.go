// Package predicate finds the records that satisfy conditions: one by one, or
// as rows of an index, without opening any record.
//
// Conditions are made from the values of a query. A [View] is a chunk of an
// index under some of them. It drops the rows that the index can rule out, and
// yields the others in [Window]s, from which columns are read in one pass.
package predicate
