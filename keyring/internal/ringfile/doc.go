// Package ringfile reads and writes the file of one generation of a keyring.
//
//	audittrail-keyring/v1
//	{"generation":7,"origin":"…","directory":"…","journal":"…",…}
//	base      pages of subjects, pages of users, then the directory of both,
//	          the classes, and the ring's own state
//	journal   frames that were appended since
//
// The base is written once; its pages are read on demand, and everything after
// them when the file is loaded. docs/format/keyring.md draws every byte.
//
// The package promises that it reads a file exactly as it was written, or
// reports where it is damaged. Package keyring decides when to write, and what
// is durable then.
package ringfile
