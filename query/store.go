package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"audittrail"
	"audittrail/internal/index"
)

// A Store is an open log with the index that answers queries about it.
type Store struct {
	Log    *audittrail.Log
	Engine *Engine

	x *index.Index
}

// Open opens a log as audittrail.Open does, with its index in the folder index
// of it. Opened for writing, the index is kept beside the appends, which do not
// wait for it; read-only, what another process keeps is read. Close it.
//
// The index has no say in what is recorded: if it cannot be kept, o.Logger is
// told, and queries read the log. What it holds of contents is sealed, and goes
// with the people and months that are erased or expire.
func Open(dir string, o audittrail.Options) (*Store, error) {
	logger := o.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	x := index.New(filepath.Join(dir, "index"), index.Options{Write: !o.ReadOnly, Logger: logger})
	log, err := audittrail.Open(dir, x.Options(o))
	if err != nil {
		return nil, err
	}
	if err := x.Attach(log); err != nil {
		logger.Warn("keep index: queries read the log until it is opened again", slog.Any("error", err))
		return &Store{Log: log, Engine: New(log)}, nil
	}
	return &Store{Log: log, Engine: Over(log, x), x: x}, nil
}

// Finish indexes what was recorded so far, however long that takes, and ends
// keeping the index: for whoever recorded much at once and closes the log then.
// Close alone leaves what takes over five seconds to whoever opens it next.
func (s *Store) Finish(ctx context.Context, progress func(done, total uint64)) error {
	if s.x == nil {
		return nil
	}
	if err := s.x.Finish(ctx, progress); err != nil {
		return fmt.Errorf("finish index: %w", err)
	}
	return nil
}

// Close closes the log, and its index before it.
func (s *Store) Close() error {
	var err error
	if s.x != nil {
		if err = s.x.Close(); err != nil {
			err = fmt.Errorf("close index: %w", err)
		}
	}
	return errors.Join(err, s.Log.Close())
}
