// Package record is the format of one line of the log: its canonical bytes, its
// hash, and its encrypted body.
//
//	{"v":1,"id":…,"time":…,"type":…, clear fields, "session":…,"size":…,
//	 "class":…,"subject":…,"key":…,"body":…,"seq":…,"logged":…,"prev":…,"hash":…}
//
// The hash covers the line's bytes up to `,"hash":`. The members that the
// sequencer adds are at the end, so that everything before is encrypted,
// encoded and hashed in parallel beforehand. docs/format/record.md draws every
// byte.
//
// The package promises that a record has one encoding: Decode accepts that and
// refuses all others. It does not tell whether a record belongs to a log; the
// chain and the tree do.
package record
