package audittrail

import (
	"io"
	"time"

	"audittrail/event"
	"audittrail/internal/vfs"
)

// Seams let tests stand between a log and the world.
type Seams struct {
	FS   vfs.FS
	Now  func() time.Time
	Rand io.Reader
	Roll int64
}

// With returns the options with other seams.
func (o Options) With(s Seams) Options {
	o.seams = seams{fs: s.FS, now: s.Now, rand: s.Rand, roll: s.Roll}
	return o
}

// What tests of parts use.
type Gate = gate

var CheckTree = checkTree

// CommitOwn records an event of the log's own, whatever it says.
func CommitOwn(l *Log, e event.Event) error {
	_, err := l.sequence.commitOwn(e)
	return err
}
