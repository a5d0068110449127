// Package block indexes a range of records: in memory as a [Table], which
// grows, and in a file as a [Block], which does not change.
//
// It has the cleartext fields of every record, in columns, and the terms of the
// records' text, each with the rows that have it. Row i is record First()+i. A
// block's file is written once:
//
//	magic | columns … | pages of terms … | directory of the pages | footer | tail
//
// Columns are in cleartext, as in the log, and authenticated under the block's
// own key; pages and their directory are encrypted under it. So a file does not
// reveal which words the log contains or how often, and cannot be altered
// unnoticed without the key. docs/format/index.md draws the bytes.
//
// The package promises that a damaged file gives [ErrDamaged], and never a
// wrong result.
package block
