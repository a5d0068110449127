// Package keyring keeps the log's keys: the only truth of a log that can be
// forgotten.
//
// A ring holds a key for every data subject and for every retention class and
// month, the Ed25519 key that signs checkpoints, and the secret under which
// user and session ids are hashed. It hands out what is derived from a subject
// key and a class key together, and never the two themselves.
//
//	keys/master.key             wraps the ring; belongs elsewhere
//	keys/ring-<16 hex digits>   the ring, named by its generation
//	keys/signed                 the last signed size and root
//	keys/torn-…                 what a crash left half written, cut from the ring
//
// A ring is a file of sealed frames. Its base is sorted pages that are read on
// demand, so that opening costs the same for ten subjects and for a million;
// behind it stands a journal of what came later. A destruction writes the next
// generation under a new wrapping key without the keys concerned, and
// overwrites the file before it. docs/format/keyring.md draws every byte.
//
// The package promises that a key is on the disk after the Flush that followed
// its making, whatever happens then; that a destroyed key is on no byte of the
// ring's files once Destroy has returned; and that a ring that was damaged is
// refused rather than read wrongly. It cannot reach copies that others made of
// the folder, nor what a disk keeps of overwritten blocks: these can be read
// only under a wrapping key that went with the old generation.
package keyring
