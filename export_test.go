package audittrail

import (
	"io"
	"time"

	"audittrail/event"
	"audittrail/internal/vfs"
	"audittrail/keyring"
)

// Seams let tests replace a log's dependencies on the world.
type Seams struct {
	FS   vfs.FS
	Now  func() time.Time
	Rand io.Reader
	Roll int64

	Index bool // keep the index on FS, too
}

// With returns the options with other seams. On a file system of the test,
// whose operations the test counts, the log has an index only if the seams ask
// for one.
func (o Options) With(s Seams) Options {
	o.NoIndex = o.NoIndex || s.FS != nil && !s.Index
	o.seams = seams{fs: s.FS, now: s.Now, rand: s.Rand, roll: s.Roll}
	return o
}

// Exports for the tests of parts.
type Gate = gate

var CheckTree = checkTree

// CommitOwn records an event as one of the log's own, without checking it.
func CommitOwn(l *Log, e event.Event) error {
	_, err := l.sequence.commitOwn(e)
	return err
}

// Ring returns a log's keyring.
func Ring(l *Log) *keyring.Ring { return l.ring }

// Gone returns the ranges of records that have left a log.
func Gone(l *Log) [][2]uint64 { return l.store.Gone() }
