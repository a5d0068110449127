package audittrail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"audittrail/internal/index"
	"audittrail/record"
)

// indexHolder holds the log's index, for the packages of this module that query
// it.
type indexHolder = index.Holder

// indexTuning lets tests create an index of other sizes.
type indexTuning = index.Tuning

// indexed is the log as its index reads it.
type indexed struct{ *Log }

// Has reports whether the record seq has a hash. A record that has left or is
// damaged counts as having it: its error is reported when it is read.
func (l indexed) Has(ctx context.Context, seq uint64, hash record.Hash) bool {
	r, err := l.Get(ctx, seq)
	if err != nil {
		return !errors.Is(err, ErrNoRecord)
	}
	return r.Hash == hash
}

// Gone returns the ranges of records that have left the log.
func (l indexed) Gone() [][2]uint64 { return l.store.Gone() }

// Unapplied returns the newest order to destroy keys that was not carried out.
func (l indexed) Unapplied() (uint64, bool, error) { return l.eraser.newestUnapplied() }

// makeIndex creates the index of a log whose files are open; no record is
// indexed yet.
func (l *Log) makeIndex() {
	o := index.TunedOptions(&l.opts.indexTuning)
	o.Write = l.lock != nil
	if o.FS == nil {
		o.FS = l.opts.fs
	}
	if o.Logger == nil {
		o.Logger = l.opts.Logger
	}
	l.indexHolder = index.Hold(index.New(indexed{l}, l.ring, filepath.Join(l.dir, indexDir), o))
}

// attachIndex begins to keep the index. A failing index never keeps a record
// from being appended: if it cannot be kept, queries read the log.
func (l *Log) attachIndex() {
	if l.opts.NoIndex {
		return
	}
	if err := index.Of(l).Attach(); err != nil {
		l.opts.Logger.Warn("keep index: queries read the log until it is opened again", slog.Any("error", err))
	}
}

// FinishIndex indexes all records so far, however long that takes, and then
// stops keeping the index: it is for a program that records much at once and
// then closes the log. Close alone leaves work that takes over five seconds to
// the next writer. Progress is called with the number of indexed records and of
// all records.
func (l *Log) FinishIndex(ctx context.Context, progress func(done, total uint64)) error {
	if err := index.Of(l).Finish(ctx, progress); err != nil {
		return fmt.Errorf("finish index: %w", err)
	}
	return nil
}

// Reindex rebuilds the index from the log, which must be open for writing and
// with [Options].NoIndex. It returns the length of the index in bytes. Progress
// is called with the number of indexed records.
//
// It is never needed: the next writer rebuilds an index that is missing,
// damaged or of another version.
func (l *Log) Reindex(ctx context.Context, progress func(records uint64)) (bytes int64, err error) {
	switch {
	case l.lock == nil:
		return 0, fmt.Errorf("reindex: %w", ErrReadOnly)
	case !l.opts.NoIndex:
		return 0, errors.New("reindex: the index is being kept: open the log with Options.NoIndex")
	}
	x := index.Of(l)
	if err := x.Renew(ctx, progress); err != nil {
		return 0, fmt.Errorf("reindex: %w", err)
	}
	return x.Bytes(), nil
}
