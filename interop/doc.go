// Package interop checks AuditTrail's files with verifiers of other projects:
// Tessera's fsck reads the exported tree, Torchwood the tree and the proofs,
// CycloneDX's schema and its JavaScript library bills of materials. The tests
// run the command and read its files as a third party would, and import nothing
// of AuditTrail.
//
// It is a module of its own, so that none of these enters the project's own
// requirements.
package interop
