package audittrail

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"audittrail/finding"
)

// keepTree rebuilds the files of the tree whenever one is found damaged, until
// ctx ends. It begins by checking the files of a large tree in full, which was
// not done when the log was opened.
func (l *Log) keepTree(ctx context.Context, opened bool) {
	if !opened {
		head := l.signed.Head()
		good, err := checkTree(ctx, l.tree, head.Size, head.Root, true)
		if err == nil && !good {
			l.mendTree(ctx)
		}
	}
	for {
		select {
		case <-l.signed.Damaged:
			l.mendTree(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// mendTree rebuilds the files of the tree from the log's lines. Signing waits
// meanwhile; appends do not.
func (l *Log) mendTree(ctx context.Context) {
	err := l.signer.run(ctx, func(*signer) error {
		size := l.tree.Size()
		root, err := l.tree.Root(size) // of the whole tree, from memory
		if err != nil {
			return err
		}
		return mendTree(ctx, l.tree, l.store.Hashes(ctx, 0, size), size, root, l.opts.Logger)
	})
	switch {
	case err == nil:
		l.signed.Mended()
	case ctx.Err() != nil:
		l.signed.Notice() // for Close
	default:
		l.opts.Logger.Error("rebuild damaged files of the tree; run verify", slog.Any("error", err))
	}
}

// mendSides rebuilds the side files and id tables that disagree with the log's
// lines.
func (l *Log) mendSides(ctx context.Context) error {
	mended, err := l.store.Mend(ctx)
	for _, d := range mended {
		l.opts.Logger.Warn("rebuilt a damaged file from the log; nothing was altered", slog.String("file", logDir+"/"+d.File))
	}
	return err
}

// stopKeepingTree ends keepTree. Files that are known to be damaged are rebuilt
// first.
func (l *Log) stopKeepingTree() {
	if l.stopKeeping == nil {
		return
	}
	l.stopKeeping()
	l.keeping.Wait()
	select {
	case <-l.signed.Damaged:
		l.mendTree(context.Background())
	default:
	}
}

// CheckTree compares the files of the tree with those that the signed records
// give, and returns the first place in each file that differs
// (finding.Derived). Such damage affects no record. CheckTree reads the log's
// lines only if a file differs.
func (l *Log) CheckTree(ctx context.Context) ([]finding.Finding, error) {
	if err := l.refresh(ctx); err != nil {
		return nil, fmt.Errorf("check tree: %w", err)
	}
	live := l.lock != nil || l.hasWriter()
	damage, err := l.signed.Damage(ctx, l.opts.fs, filepath.Join(l.dir, treeDir), live)
	if err != nil {
		err = fmt.Errorf("check tree: %w", err)
	}
	var problems []finding.Finding
	for _, d := range damage {
		problems = append(problems, finding.Finding{Seq: d.First(), Kind: finding.Derived, File: treeDir + "/" + d.File, Offset: d.Offset, Detail: d.Detail})
	}
	return problems, err
}
