package audittrail

import (
	"context"
	"errors"
	"fmt"

	"audittrail/internal/signed"
	"audittrail/internal/tree"
	"audittrail/record"
	"audittrail/tlog"
)

// proofHead returns the checkpoint for a proof, and its size and root.
func (l *Log) proofHead(ctx context.Context) ([]byte, signed.Head, error) {
	text, err := l.Checkpoint(ctx)
	if err != nil {
		return nil, signed.Head{}, err
	}
	c, err := l.signed.Open(text)
	if errors.Is(err, tlog.ErrUnknownKey) { // the keyring is older than the signer, and cannot check the signature
		c, err = tlog.ReadCheckpoint(text)
	}
	return text, signed.Head{Size: c.Size, Root: c.Root}, err
}

// Prove returns a proof that a record is in the log (C2SP tlog-proof), which
// anybody can check with the record's line and the log's verifier key, and
// without the log. Prove checks the proof before it returns it; if the record
// is not the one that was signed, the error is a *record.TamperError.
func (l *Log) Prove(ctx context.Context, seq uint64) ([]byte, error) {
	text, head, err := l.proofHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	if seq >= head.Size {
		return nil, fmt.Errorf("prove record %d: %w: the checkpoint covers %d records", seq, ErrNoRecord, head.Size)
	}
	hash, err := l.hashOf(ctx, seq)
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	var hashes []tlog.Hash
	err = l.signed.Prove(ctx, head, func(r tlog.HashReader) (err error) {
		if hashes, err = tlog.ProveInclusion(head.Size, seq, r); err == nil {
			err = tlog.CheckInclusion(hashes, head.Size, head.Root, seq, tlog.LeafHash(hash))
		}
		return err
	})
	if errors.Is(err, tlog.ErrProof) || errors.Is(err, signed.ErrRoot) {
		err = &record.TamperError{Seq: seq, Got: hash}
	}
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	return tlog.FormatProof(seq, hashes, text), nil
}

// hashOf returns the hash of a record, which may have left the log.
func (l *Log) hashOf(ctx context.Context, seq uint64) (record.Hash, error) {
	if seq >= l.store.Size() {
		if err := l.refresh(ctx); err != nil {
			return record.Hash{}, err
		}
	}
	for h, err := range l.store.Hashes(ctx, seq, seq+1) {
		return h, err
	}
	return record.Hash{}, ErrNoRecord
}

// ProveConsistency returns a proof that the log still contains everything that
// an older checkpoint of it covers (RFC 6962). If it does not, the error is a
// *RollbackError.
func (l *Log) ProveConsistency(ctx context.Context, oldCheckpoint []byte) ([]byte, error) {
	old, err := tlog.ReadCheckpoint(oldCheckpoint)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	text, head, err := l.proofHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	c, err := tlog.ReadCheckpoint(text)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	if old.Origin != c.Origin {
		return nil, fmt.Errorf("prove consistency: the checkpoint is of the log %q, but this log is %q", old.Origin, c.Origin)
	}
	if old.Size > c.Size {
		return nil, &RollbackError{Have: c.Size, Signed: old.Size, Detail: fmt.Sprintf("the log has %d", c.Size)}
	}
	var hashes []tlog.Hash
	err = l.signed.Prove(ctx, head, func(r tlog.HashReader) (err error) {
		if hashes, err = tlog.ProveConsistency(head.Size, old.Size, r); err == nil {
			err = tlog.CheckConsistency(hashes, head.Size, head.Root, old.Size, old.Root)
		}
		return err
	})
	switch {
	case errors.Is(err, tlog.ErrProof):
		err = &RollbackError{Have: c.Size, Signed: old.Size, Detail: "they are not the records that the log has now"}
	case errors.Is(err, signed.ErrRoot):
		err = &RollbackError{Have: c.Size, Signed: c.Size, Detail: "neither its lines nor its tree give the root that was signed"}
	}
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	return tlog.FormatConsistency(old, hashes, text), nil
}

// ExportTree writes the tree as the files of a C2SP tlog-tiles log, for a
// static file server, into a folder, which may contain an older export.
func (l *Log) ExportTree(ctx context.Context, dir string, progress func(done, total uint64)) error {
	text, head, err := l.proofHead(ctx)
	if err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	entries, err := l.signed.AllEntries(ctx, head)
	if err == nil {
		err = tree.Export(ctx, l.opts.fs, dir, text, entries, progress)
	}
	if errors.Is(err, signed.ErrRoot) {
		err = &RollbackError{Have: head.Size, Signed: head.Size, Detail: "neither its lines nor its tree give the root that was signed"}
	}
	if err != nil {
		return fmt.Errorf("export tree: %w", err)
	}
	return nil
}

// Disclose returns the key of one record, with which its content can be read
// without the log.
func (l *Log) Disclose(ctx context.Context, seq uint64) (record.Disclosure, error) {
	r, err := l.Get(ctx, seq)
	if err != nil {
		return record.Disclosure{}, err
	}
	if r.State == record.Unauthenticated {
		return record.Disclosure{}, fmt.Errorf("disclose record %d: %w", seq, ErrUnauthenticated)
	}
	key, state, err := l.eraser.keyOf(r)
	if err != nil {
		return record.Disclosure{}, fmt.Errorf("disclose record %d: %w", seq, err)
	}
	if state != record.Readable {
		return record.Disclosure{}, fmt.Errorf("disclose record %d: its content is %s", seq, state)
	}
	return record.Disclosure{Line: r.Line(), Key: key}, nil
}
