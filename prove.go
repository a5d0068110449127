package audittrail

import (
	"context"
	"fmt"

	"audittrail/record"
	"audittrail/tlog"
)

// proofHead returns a checkpoint and what it says, to prove against.
func (l *Log) proofHead(ctx context.Context) ([]byte, tlog.Checkpoint, error) {
	signed, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, tlog.Checkpoint{}, err
	}
	c, err := tlog.ReadCheckpoint(signed)
	if err != nil {
		return nil, c, err
	}
	if l.tree.Size() < c.Size {
		err = l.tree.Refresh()
	}
	return signed, c, err
}

// Prove returns a proof that a record is in the log (C2SP tlog-proof), which
// anybody can check with the record's line and the log's verifier key, and
// without the log.
func (l *Log) Prove(ctx context.Context, seq uint64) ([]byte, error) {
	signed, c, err := l.proofHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	if seq >= c.Size {
		return nil, fmt.Errorf("prove record %d: %w: the checkpoint covers %d records", seq, ErrNoRecord, c.Size)
	}
	hashes, err := tlog.ProveInclusion(c.Size, seq, l.tree.HashReader())
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	return tlog.FormatProof(seq, hashes, signed), nil
}

// ProveConsistency returns a proof that the log still holds everything that an
// older checkpoint of it covered. The error is a *BehindError if it does not.
func (l *Log) ProveConsistency(ctx context.Context, oldCheckpoint []byte) ([]byte, error) {
	old, err := tlog.ReadCheckpoint(oldCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	signed, c, err := l.proofHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	if old.Origin != c.Origin {
		return nil, fmt.Errorf("prove consistency: the checkpoint is of the log %q, this one is %q", old.Origin, c.Origin)
	}
	if old.Size > c.Size {
		return nil, &BehindError{Have: c.Size, Signed: old.Size, Detail: fmt.Sprintf("the log has %d", c.Size)}
	}
	root, err := l.tree.Root(old.Size)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	if root != old.Root {
		return nil, &BehindError{Have: c.Size, Signed: old.Size, Detail: "they are not the ones that the log has now"}
	}
	hashes, err := tlog.ProveConsistency(c.Size, old.Size, l.tree.HashReader())
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	return tlog.FormatConsistency(old, hashes, signed), nil
}

// ExportTree writes the tree as the files of a C2SP tlog-tiles log, for a
// static file server, into a folder, which may hold an older export.
func (l *Log) ExportTree(ctx context.Context, dir string, progress func(done, total uint64)) error {
	signed, _, err := l.proofHead(ctx)
	if err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	return l.tree.Export(ctx, dir, signed, progress)
}

// Disclose takes the key of one record out of the log.
func (l *Log) Disclose(ctx context.Context, seq uint64) (record.Disclosure, error) {
	r, err := l.Get(ctx, seq)
	if err != nil {
		return record.Disclosure{}, err
	}
	key, state, err := l.custody.KeyOf(&r.Record)
	if err != nil {
		return record.Disclosure{}, fmt.Errorf("disclose record %d: %w", seq, err)
	}
	if state != Readable {
		return record.Disclosure{}, fmt.Errorf("disclose record %d: its content is %s", seq, state)
	}
	return record.Disclosure{Line: r.Line(), Key: key}, nil
}

// CheckDisclosure reads a disclosure, and returns the record if its line is
// whole and its key opens it. It needs no log: see record.CheckDisclosure.
func CheckDisclosure(b []byte) (*Record, error) {
	r, err := record.CheckDisclosure(b)
	if err != nil {
		return nil, fmt.Errorf("check disclosure: %w", err)
	}
	return &Record{Record: *r, State: Readable}, nil
}
