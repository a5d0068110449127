package audittrail

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"audittrail/internal/vfs"
	"audittrail/tlog"
)

// A Stat describes a log.
type Stat struct {
	Origin   string // empty if the log is open without its keyring and has no checkpoint
	Records  uint64
	First    uint64 // sequence number of the oldest record that has not left the log
	Bytes    int64  // of all lines
	Segments int
	Oldest   time.Time // when the first record was logged
	Newest   time.Time // when the last record was logged

	Checkpoint []byte // the newest published checkpoint, if any
	Signed     tlog.Checkpoint
	// Damage describes the damage of the published checkpoint, if there is any:
	// then Checkpoint is nil.
	Damage   string
	Subjects int // data subjects with a living key; -1 without the keyring
	Writer   bool
	// Empty are the files that have the name of a segment, are empty, and do
	// not belong to the log. The next writer puts them aside.
	Empty []string

	Beyond Beyond // the lines that these figures do not count
}

// Stat describes the log as it is now. If the line after the last record is not
// the next record, the error is a *record.CorruptError, and the Stat
// describes the records before it.
func (l *Log) Stat(ctx context.Context) (Stat, error) { return l.stat(ctx, false) }

func (l *Log) stat(ctx context.Context, again bool) (Stat, error) {
	if err := l.refresh(ctx); err != nil {
		return Stat{}, err
	}
	segments, err := l.store.Segments()
	if err != nil {
		return Stat{}, err
	}
	s := Stat{
		Origin: l.origin, Records: l.store.Size(), First: l.store.First(),
		Segments: len(segments), Subjects: -1, Writer: l.lock != nil || l.hasWriter(),
		Empty: l.store.Empty(),
	}
	if s.Writer {
		s.Empty = nil // the writer begins segments itself, and has put aside other empty files
	}
	for _, g := range segments {
		if g.Gone == nil {
			s.Bytes += g.Size
		}
	}
	if l.lock == nil {
		s.Beyond = beyondOf(l.admit.Beyond())
		if s.Beyond.Missing, err = l.missing(ctx); err != nil {
			return Stat{}, err
		}
	}
	if s.Records > s.First {
		first, err := l.Get(ctx, s.First)
		if err != nil {
			return Stat{}, err
		}
		last, err := l.Get(ctx, s.Records-1)
		if err != nil {
			return Stat{}, err
		}
		s.Oldest, s.Newest = first.Logged, last.Logged
	}
	if l.ring != nil {
		s.Subjects, _ = l.ring.Count()
	}
	s.Checkpoint, err = l.tree.Checkpoint()
	if err == nil {
		s.Signed, err = tlog.ReadCheckpoint(s.Checkpoint)
	}
	if err == nil && s.Signed.Size > s.Records && s.Beyond.Behind == 0 && s.Writer && !again {
		return l.stat(ctx, true) // the writer has continued since the log was read
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, l.store.Broken()
	case errors.Is(err, tlog.ErrMalformed), errors.Is(err, vfs.ErrTooLarge):
		s.Checkpoint, s.Signed, s.Damage = nil, tlog.Checkpoint{}, err.Error()
		return s, l.store.Broken()
	case err != nil:
		return Stat{}, err
	case l.lock == nil && l.admit.Beyond().Damage != "":
		s.Checkpoint, s.Signed, s.Damage = nil, tlog.Checkpoint{}, l.admit.Beyond().Damage
		return s, l.store.Broken()
	}
	if s.Origin == "" {
		s.Origin = s.Signed.Origin
	}
	return s, l.store.Broken()
}
