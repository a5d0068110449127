package verify

import (
	"context"

	"audittrail/finding"
	"audittrail/internal/tree"
	"audittrail/internal/verify/lines"
	"audittrail/tlog"
)

// derived reports the files of the tree that disagree with the first size
// lines. The lines are known to be the signed ones: none was altered.
func (l *Log) derived(files *tree.Comparison, size uint64, found *Findings) {
	if !l.Live {
		files.Longest(size)
	}
	for _, d := range files.Damage() {
		found.Add(finding.Finding{
			Seq: d.First(), Kind: finding.Derived, File: "tree/" + d.File, Offset: d.Offset,
			Detail: d.Detail + "; no record is affected: the file is derived from the log, and the next writer, or doctor --repair, rebuilds it",
		})
	}
}

// compareFiles compares the files of the tree with the leaves that a head
// signs, if there are any.
func (l *Log) compareFiles(ctx context.Context, known *leaves, size uint64, found *Findings) error {
	if known.head.Size == 0 {
		return nil
	}
	files := tree.Compare(l.FS, l.Tree)
	defer files.Close()
	pages := files.Pages()
	var rng tlog.Range
	for i := range known.head.Size {
		if i%lines.ReadBlock == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		leaf, err := known.source.leaf(i)
		if err != nil {
			return nil // the file could be read before: the rest is unknown
		}
		pages.Leaf(i, leaf)
		rng.Append(leaf, func(level int, h tlog.Hash) { pages.Subtree(level, i+1, h) })
	}
	l.derived(files, size, found)
	return nil
}
