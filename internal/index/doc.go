// Package index follows a log and keeps what finds its records: blocks in files
// for good, tables in memory for what is newest.
//
//	index/manifest            which blocks there are
//	index/<32 hex>.block      a block, named by the id of its key in the keyring
//
// All of it is derived: what is missing, damaged, of another log or of another
// version is made anew from the log, and until that is done an index says so of
// the records concerned (Chunk.Indexed), which are then to be read from the log.
// So it is never the index that says that a record is not there.
//
// The process that writes the log builds the index beside its appends, which
// never wait for it. Others read what is there, without a lock and without
// writing anything, and index the rest for themselves in memory.
package index
