package audittrail

import (
	"context"
	"fmt"

	"audittrail/internal/checkpoint"
)

// Checkpoint returns a signed checkpoint (C2SP tlog-checkpoint) that covers
// every record whose Append has returned. On a log that is open for reading it
// is the newest that its writer has published. One that the log's keys did not
// sign is an error, where these are known: see Options.VKeys.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	if l.lock == nil {
		return l.admit.Checkpoint()
	}
	var signed []byte
	err := l.signer.Run(ctx, func(c *checkpoint.Signer) (err error) {
		signed, err = c.Sign()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return signed, nil
}
