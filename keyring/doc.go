// Package keyring keeps the keys to a log's contents: the only part of a log
// that can be destroyed, which is how the log erases.
//
// A ring holds a key for every data subject and for every retention class and
// month, the Ed25519 key that signs checkpoints, and the secret under which
// user and session ids are hashed. It returns only keys that are derived from a
// subject key and a class key together, and never these two themselves.
//
//	keys/master.key             wraps the ring; should be kept elsewhere
//	keys/ring-<16 hex digits>   the ring, named by its generation
//	keys/signed                 the last signed size and root
//	keys/torn-…                 the torn end that a crash left, cut from the ring
//
// A ring is a file of encrypted frames. Its base consists of sorted pages that
// are read on demand, so that opening costs the same for ten subjects and for a
// million; after the base follows a journal of later changes. A destruction
// writes the next generation under a new wrapping key without the keys
// concerned, and overwrites the previous file. docs/format/keyring.md draws
// every byte.
//
// The package promises that a key is durable after the first Flush that follows
// its creation; that a destroyed key is in no byte of the ring's files once
// Destroy has returned; and that a damaged ring is refused rather than read
// wrongly. It cannot reach copies of the folder, nor blocks that a disk keeps
// after they were overwritten: these can be read only under a wrapping key that
// was destroyed with the old generation.
package keyring
