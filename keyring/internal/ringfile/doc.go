// Package ringfile is the file that holds one generation of a keyring.
//
//	audittrail-keyring/v1
//	{"generation":7,"origin":"…","directory":"…","journal":"…",…}
//	base      pages of subjects, pages of users, then the directory of both,
//	          the classes, and the ring's own state
//	journal   frames that were appended since
//
// The base is written once and whole; its pages are read on demand, and all
// that stands behind them when the file is loaded. docs/format/keyring.md draws
// every byte.
//
// The package promises that it takes a file for what was written, or says that
// it is damaged and where. It decides nothing: when to write, and what is then
// durable, is for package keyring.
package ringfile
