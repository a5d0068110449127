package index

import (
	"context"

	"audittrail/internal/index/block"
)

// Begin indexes records as what makes the index anew does, and returns what
// puts them in their place: on the disk, or in memory.
func (x *Index) Begin(ctx context.Context, from, to uint64) (publish func() error, insert func(), err error) {
	var t *block.Table
	if t, err = x.tableOf(ctx, from, to); err != nil {
		return nil, nil, err
	}
	return func() error { return x.publish(t) }, func() { x.insert(t) }, nil
}
