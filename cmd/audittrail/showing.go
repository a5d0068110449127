package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"audittrail"
	"audittrail/access"
	"audittrail/internal/config"
	"audittrail/privacy"
	"audittrail/query"
	"audittrail/record"
)

// A showing is what a command shows of a log: it hides what whoever runs the
// command may not see, and accounts for the content that they did.
//
// Commands that show records pass each of them through see, which records before
// the first of them that content is shown. One that exports sets export before;
// one that has all of it in memory before it shows any sets all, and calls leave.
type showing struct {
	e          *env
	desk       *privacy.Manager
	controller *access.Controller // nil without a token
	token      string
	governed   bool // the log has grants
	export     bool // what is shown is an export, for which there is a permission of its own
	// all says that everything is in memory before any of it is shown: leave is
	// called then, and one record tells of it.
	all      bool
	accounts bool // what is shown is recorded
	seen     access.Reading
	begun    *access.PendingRead // recorded before the first of it was shown
	left     bool                // recorded, or could not be
}

// showing opens the log to read for a command that shows contents, and records
// afterwards that it did: see docs/access.md.
func (e *env) showing(command string, show func(*audittrail.Log, *showing) error) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	s := &showing{e: e, token: e.getenv(tokenVar), seen: access.Reading{Command: command}}
	err = e.with(e.openToRead, func(log *audittrail.Log) error {
		if err := s.open(log); err != nil {
			return err
		}
		s.accounts = c.RecordReads == config.ReadsAlways || c.RecordReads == config.ReadsGoverned && s.governed
		err := show(log, s)
		if s.controller != nil {
			err = errors.Join(err, s.controller.Close())
		}
		return err
	})
	e.recordDenial(err)
	s.end()
	if err == nil {
		err = e.endLeft(e.skip.end(nil))
	}
	return err
}

// recording is the context in which it is recorded what was shown: an interrupt
// does not keep it from that.
func (s *showing) recording() context.Context { return context.WithoutCancel(s.e.ctx) }

// begin records that content is about to be shown.
func (s *showing) begin() {
	if !s.accounts || s.left {
		return
	}
	s.left = true
	record := access.BeginRead
	if s.export {
		record = access.BeginExport
	}
	s.e.recordBeside("that content is shown", func(log *audittrail.Log) (err error) {
		s.begun, err = record(s.recording(), log, s.seen)
		return err
	})
}

// leave records what is about to be shown, all of it.
func (s *showing) leave() {
	if !s.accounts || s.left || s.seen.Records == 0 {
		return
	}
	s.left = true
	record := access.RecordRead
	if s.export {
		record = access.RecordExport
	}
	s.e.recordBeside("that content is shown", func(log *audittrail.Log) error { return record(s.recording(), log, s.seen) })
}

// mostPage is how many records are held in memory until all of them are shown.
const mostPage = 1000

// isPage tells whether a list of so many records, 0 for any number, is a page.
func isPage(limit uint64) bool { return limit > 0 && limit <= mostPage }

// page returns where a command writes what it shows, and what to call when that
// is all: where it is in memory as a whole before any of it is shown, it is
// recorded then, and written to w.
func (s *showing) page(w io.Writer) (out io.Writer, leave func() error) {
	if !s.all {
		return w, func() error { return nil }
	}
	var text bytes.Buffer
	return &text, func() error {
		s.leave()
		_, err := text.WriteTo(w)
		return err
	}
}

// end records how much was shown.
func (s *showing) end() {
	if s.begun != nil {
		s.e.recordBeside("how much content was shown", func(log *audittrail.Log) error {
			return s.begun.End(s.recording(), log, s.seen)
		})
	}
}

func (s *showing) open(log *audittrail.Log) error {
	var err error
	if s.desk, err = privacy.Open(s.e.ctx, log, nil); err != nil {
		return err
	}
	if s.governed, err = access.HasGrants(s.e.ctx, log); err != nil || s.token == "" {
		return err
	}
	if s.controller, err = s.e.openAccess(log); err != nil {
		return err
	}
	d := s.controller.Check(s.token, access.ReadEvents, nil)
	if !d.Allowed {
		s.e.denied = &denial{s.token, access.ReadEvents, nil}
		return errors.Join(fmt.Errorf("$%s: %w", tokenVar, d.Err()), s.controller.Close())
	}
	s.seen.Grant = d.Grant
	return nil
}

// known returns access.ErrDenied if whoever runs the command may not know of a
// record.
func (s *showing) known(r *record.Record) error {
	if s.controller == nil {
		return nil
	}
	needs := []access.Permission{access.ReadEvents}
	if s.export {
		needs = append(needs, access.ExportData)
	}
	for _, p := range needs {
		if d := s.controller.Check(s.token, p, &r.Event); !d.Allowed {
			s.e.denied = &denial{s.token, p, &r.Event}
			return d.Err()
		}
	}
	return nil
}

// readsContent returns access.ErrDenied if whoever runs the command may not read
// contents: which records have a word in them says what they say.
func (s *showing) readsContent() error {
	if s.controller == nil {
		return nil
	}
	d := s.controller.Check(s.token, access.ReadContent, nil)
	if !d.Allowed {
		s.e.denied = &denial{s.token, access.ReadContent, nil}
	}
	return d.Err()
}

// asks returns access.ErrDenied if a query is about what is sealed: words, or
// who somebody is; and whoever runs the command may not read that.
func (s *showing) asks(q *query.Query, by ...string) error {
	for _, part := range []struct {
		flag   string
		sealed bool
	}{
		{"--text", q.Text != ""},
		{"--user", len(q.Users) > 0},
		{"--actor", len(q.Actors) > 0},
		{"--session", len(q.Sessions) > 0},
		{"--group-by user", slices.Contains(by, "user") || slices.Contains(by, "user_id")},
	} {
		if !part.sealed {
			continue
		}
		if err := s.readsContent(); err != nil {
			return fmt.Errorf("%s: %w", part.flag, err)
		}
	}
	return nil
}

// see returns a record as whoever runs the command may see it. The error is
// access.ErrDenied if they may not know of it.
func (s *showing) see(r *record.Record) (*record.Record, error) {
	if err := s.known(r); err != nil {
		return nil, err
	}
	restricted := s.desk.Restricted(r.Subject)
	if s.controller != nil {
		d := s.controller.Check(s.token, access.ReadContent, &r.Event)
		restricted = !d.Allowed || restricted && !d.SeesRestricted()
	}
	if r.State != record.Readable {
		return r, nil
	}
	if restricted {
		return privacy.Redact(r), nil
	}
	r = s.desk.RedactActor(r)
	if s.seen.Records == 0 && !s.all {
		s.begin()
	}
	if s.seen.Records == 0 || r.Seq < s.seen.First {
		s.seen.First = r.Seq
	}
	s.seen.Last = max(s.seen.Last, r.Seq)
	s.seen.Records++
	return r, nil
}
