package main

import (
	"errors"
	"fmt"
	"slices"

	"audittrail"
	"audittrail/access"
	"audittrail/internal/config"
	"audittrail/privacy"
	"audittrail/query"
)

// A showing is what a command shows of a log: it hides what whoever runs the
// command may not see, and accounts for the content that they did.
//
// Commands that show records pass each of them through see. One that exports
// sets export before.
type showing struct {
	e          *env
	desk       *privacy.Desk
	controller *access.Controller // nil without a token
	token      string
	governed   bool // the log has grants
	export     bool // what is shown is an export, for which there is a permission of its own
	seen       access.Reading
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
		err := show(log, s)
		if s.controller != nil {
			err = errors.Join(err, s.controller.Close())
		}
		return err
	})
	e.recordDenial(err)
	err = e.skip.end(err)
	if s.seen.Records > 0 && (c.RecordReads == config.ReadsAlways || c.RecordReads == config.ReadsGoverned && s.governed) {
		e.recordBeside("that content was shown", s.record)
	}
	return err
}

func (s *showing) open(log *audittrail.Log) error {
	var err error
	if s.desk, err = privacy.Open(s.e.ctx, log, nil); err != nil {
		return err
	}
	if s.governed, err = access.Governed(s.e.ctx, log); err != nil || s.token == "" {
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
func (s *showing) known(r *audittrail.Record) error {
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
func (s *showing) see(r *audittrail.Record) (*audittrail.Record, error) {
	if err := s.known(r); err != nil {
		return nil, err
	}
	restricted := s.desk.Restricted(r.Subject)
	if s.controller != nil {
		d := s.controller.Check(s.token, access.ReadContent, &r.Event)
		restricted = !d.Allowed || restricted && !d.SeesRestricted()
	}
	if r.State != audittrail.Readable {
		return r, nil
	}
	if restricted {
		return privacy.Hide(r), nil
	}
	r = s.desk.HideActor(r)
	if s.seen.Records == 0 || r.Seq < s.seen.First {
		s.seen.First = r.Seq
	}
	s.seen.Last = max(s.seen.Last, r.Seq)
	s.seen.Records++
	return r, nil
}

func (s *showing) record(log *audittrail.Log) error {
	if s.export {
		return access.RecordExport(s.e.ctx, log, s.seen)
	}
	return access.RecordRead(s.e.ctx, log, s.seen)
}
