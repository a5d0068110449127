// Package block keeps what is known of a range of records so that they can be
// found: a [Table] in memory while it grows, a [Block] in a file for good.
//
// Of every record there are the fields that stand in the clear, in columns, and
// the terms of its text, each with the rows that have it. Row i is record
// First()+i. A block's file is written once:
//
//	magic | columns … | pages of terms … | directory of the pages | footer | tail
//
// Columns are as they are in the log, in the clear, and authenticated under the
// block's own key; pages and their directory are sealed under it. So a file says
// nothing of the words that stand in the log or how often they do, and whoever
// has not the key cannot make it say anything else than what was written.
// docs/format/index.md draws the bytes.
//
// The package promises that a damaged file gives [ErrDamaged], and no answer.
package block
