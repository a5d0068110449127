package index

import (
	"context"

	"audittrail/internal/index/block"
	"audittrail/keyring"
)

// Begin indexes records as mend and cover do, and returns the functions that
// put the table in its place: on disk, or in memory.
func (x *Index) Begin(ctx context.Context, from, to uint64) (publish func() error, insert func(), err error) {
	var t *block.Table
	if t, err = x.tableOf(ctx, from, to); err != nil {
		return nil, nil, err
	}
	return func() error { return x.publish(t) }, func() { x.insert(t) }, nil
}

// FileKey returns the key of a block.
func (x *Index) FileKey(id keyring.FileID) (keyring.FileKey, error) { return x.fileKey(id) }

// NewFileKey makes the key of a block.
func (x *Index) NewFileKey() (keyring.FileID, keyring.FileKey, error) { return x.ring.NewFileKey() }

// FileKeys returns the ids of the blocks that have a key.
func (x *Index) FileKeys() ([]keyring.FileID, error) { return x.ring.FileKeys() }

// Idle tells whether all records that were added are in a table.
func (x *Index) Idle() bool { return x.queue.idle() }
