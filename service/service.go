package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"audittrail"
	"audittrail/access"
	"audittrail/privacy"
	"audittrail/query"
)

// Options say how a Service decides and records. The zero value has the built-in
// roles, records reads once anybody was granted access to the log, and shows no
// content whose reading it could not record.
type Options struct {
	// Access says how grants are read, with the roles of the organisation's own
	// and whether duties are separate.
	Access access.Options
	// Reads says when reads of content are recorded.
	Reads Reads
	// Writer says how to open the log a second time, for writing, for the records of
	// reads, denials and reports. It is for a log that is open read-only; if nil, the
	// log itself is open for writing, and gets these records.
	Writer *Writer
	// ShowUnrecorded lets content be shown although its reading could not be
	// recorded. Session.RecordErrors tells of it then.
	ShowUnrecorded bool
	// Purposes say, for each retention class, what its records are for: for the
	// people who ask what is stored about them.
	Purposes map[string]string
	// Now is the clock; if nil, time.Now.
	Now func() time.Time

	testOnlyEraseBatch int
}

// Reads says when reads of content are recorded.
type Reads string

// The values of Reads.
const (
	ReadsGoverned Reads = ""       // once anybody was granted access to the log
	ReadsAlways   Reads = "always" // from the first record on
	ReadsNever    Reads = "never"
)

// Writer says how to open for writing a log that is open read-only.
type Writer struct {
	Dir     string
	Options audittrail.Options
}

// A Service is an open log as its users see it. Its methods may be called from
// many goroutines.
type Service struct {
	log    *audittrail.Log
	engine *query.Engine
	o      Options

	governed atomic.Bool // the log has grants: it never loses them again

	mu           sync.Mutex         // guards the three below
	access       *access.Controller // nil: nobody has needed it
	restrictions *privacy.Manager   // likewise
	closed       bool
}

// New returns a service for an open log. Close it before the log.
func New(log *audittrail.Log, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{log: log, engine: query.New(log), o: o}
}

// Close records the denials that wait for it. Sessions can do nothing from then
// on that needs a token.
func (s *Service) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.access == nil {
		return nil
	}
	c := s.access
	s.access = nil
	if err := c.Close(); err != nil {
		return fmt.Errorf("close service: %w", err)
	}
	return nil
}

// As returns the session of the holder of a token. Each method of the session
// decides what the token permits: with a text that is not a token, such as an empty
// one, all of them are refused.
func (s *Service) As(ctx context.Context, token string) (*Session, error) {
	if _, err := s.controller(ctx); err != nil {
		return nil, err
	}
	return &Session{v: &view{svc: s, token: token}}, nil
}

// Local returns the session of the operator of the log. The operator has the files
// and the keys, and so all permissions. Restricted content is not shown to the operator
// either; records name the operator access.Local.
func (s *Service) Local() *Session {
	return &Session{v: &view{svc: s, operator: true}}
}

// controller returns what knows the grants.
func (s *Service) controller(ctx context.Context) (*access.Controller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.access == nil {
		c, err := access.Open(ctx, s.log, s.o.Access)
		if err != nil {
			return nil, err
		}
		s.access = c
	}
	return s.access, nil
}

// privacy returns what knows the restrictions and approvals, as they are now.
func (s *Service) privacy(ctx context.Context) (*privacy.Manager, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.restrictions == nil {
		d, err := privacy.Open(ctx, s.log, s.engine)
		if err != nil {
			return nil, err
		}
		s.restrictions = d
		return d, nil
	}
	return s.restrictions, s.restrictions.Refresh(ctx)
}

// accounts tells whether reads of content are recorded.
func (s *Service) accounts(ctx context.Context) (bool, error) {
	switch {
	case s.o.Reads == ReadsNever:
		return false, nil
	case s.o.Reads == ReadsAlways || s.governed.Load():
		return true, nil
	}
	governed, err := access.HasGrants(ctx, s.log)
	if governed {
		s.governed.Store(true)
	}
	return governed, err
}

// record makes a record of what was done, in the log itself, or in the one that is
// opened for that. The error is a *RecordError.
func (s *Service) record(what string, write func(*audittrail.Log) error) error {
	err, cerr := s.recordIn(write)
	switch {
	case err != nil:
		return &RecordError{What: what, Err: errors.Join(err, cerr)}
	case cerr != nil:
		return &RecordError{What: what, Recorded: true, Err: cerr}
	}
	return nil
}

func (s *Service) recordIn(write func(*audittrail.Log) error) (err, closing error) {
	if s.o.Writer == nil {
		return write(s.log), nil
	}
	o := s.o.Writer.Options
	o.ReadOnly, o.LockWait, o.ShortLived = false, -1, true
	o.NoIndex = true // for the sake of one record, none is kept
	log, err := audittrail.Open(s.o.Writer.Dir, o)
	if err != nil {
		return err, nil
	}
	return write(log), log.Close()
}

// A Session is what one caller may do with a log: the holder of a token, or its
// operator. Its methods are the only way to the log's content: each of them
// checks permissions and the token's scope, leaves out restricted content, and
// records that content is read before it returns the first record that has
// content. They may be called from many goroutines.
//
// An error that matches ErrDenied says that the caller may not do it.
type Session struct{ v *view }

// RecordErrors returns the failures to record something of this session since the
// last call. It is for a service that shows content all the same: see
// Options.ShowUnrecorded.
func (s *Session) RecordErrors() []*RecordError {
	s.v.mu.Lock()
	defer s.v.mu.Unlock()
	all := s.v.failed
	s.v.failed = nil
	return all
}
