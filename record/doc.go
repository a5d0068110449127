// Package record is one line of the log: its canonical bytes, its hash, and
// its body, sealed and opened.
//
//	{"v":1,"id":…,"time":…,"type":…, clear fields, "session":…,"size":…,
//	 "class":…,"subject":…,"key":…,"body":…,"seq":…,"logged":…,"prev":…,"hash":…}
//
// The line's bytes up to `,"hash":` are what the hash covers; what the
// sequencer adds stands at the end, so that all else is sealed, encoded and
// hashed in parallel beforehand. docs/format/record.md draws every byte.
//
// The package promises that a line has one encoding: Decode accepts what
// Encode gives and refuses everything else. It does not say whether a record
// belongs to a log; the chain and the tree do.
package record
