package audittrail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"audittrail/tlog"
)

// Checkpoint returns a signed checkpoint (C2SP tlog-checkpoint) that covers
// every record whose Append has returned. On a log that is open for reading it
// is the newest checkpoint that the writer has published; if the log's keys are
// known and did not sign it, Checkpoint returns an error: see Options.VKeys.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	if l.lock == nil {
		return l.admit.Checkpoint()
	}
	var signed []byte
	err := l.signer.run(ctx, func(c *signer) (err error) {
		signed, err = c.sign()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return signed, nil
}

// Head returns the newest size and root of the log that are known to be signed:
// those of Checkpoint, or, if the published checkpoint is missing or damaged,
// those that the keyring remembers.
func (l *Log) Head(ctx context.Context) (tlog.Checkpoint, error) {
	signed, err := l.Checkpoint(ctx)
	if err == nil {
		return tlog.ReadCheckpoint(signed)
	}
	if l.ring != nil && (errors.Is(err, tlog.ErrMalformed) || errors.Is(err, fs.ErrNotExist)) {
		if size, root := l.ring.Signed(); size > 0 {
			return tlog.Checkpoint{Origin: l.origin, Size: size, Root: root}, nil
		}
	}
	return tlog.Checkpoint{}, err
}
