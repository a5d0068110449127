// Package index follows a log and indexes its records: in blocks, which are
// files that do not change, and for the newest records in tables in memory.
//
//	index/manifest            the list of blocks
//	index/<32 hex>.block      a block, named by the id of its key in the keyring
//
// The index is derived: parts that are missing, damaged, of another log or of
// another version are built again from the log. Until that is done,
// Chunk.Indexed is false for the records concerned, and callers read these from
// the log. So a damaged index never hides a record.
//
// The process that writes the log builds the index concurrently with its
// appends, which never wait for it. Other processes read the existing blocks,
// without a lock and without writing anything, and index the rest in their own
// memory.
package index
