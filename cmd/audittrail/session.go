package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"audittrail"
	"audittrail/access"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/config"
	"audittrail/service"
)

// serviceOptions returns the roles and recording rules of the configuration file.
func (e *env) serviceOptions() (service.Options, error) {
	c, err := e.config()
	if err != nil {
		return service.Options{}, err
	}
	o := service.Options{
		Access: access.Options{
			UsesFile: filepath.Join(e.logDir(), "uses.json"),
			Rules:    access.Rules{SeparateDuties: c.SeparateDuties, Custom: map[string]access.CustomRole{}},
		},
		Reads: map[config.Reads]service.Reads{
			config.ReadsGoverned: service.ReadsGoverned, config.ReadsAlways: service.ReadsAlways, config.ReadsNever: service.ReadsNever,
		}[c.RecordReads],
		ShowUnrecorded: true,
		Purposes:       c.Purposes,
		Now:            e.now,
	}
	for name, r := range c.Roles {
		custom := access.CustomRole{Description: r.Description}
		for _, p := range r.Permissions {
			custom.Permissions = append(custom.Permissions, access.Permission(p))
		}
		o.Access.Custom[name] = custom
	}
	return o, nil
}

// reading opens the log concurrently with its writer, and calls use with the
// session of the caller: of the holder of the token in the environment, or else
// of the operator.
func (e *env) reading(use func(*service.Session) error) error {
	return namesToken(e.serveReading(use, e.caller))
}

// readingAs is reading as the holder of a token.
func (e *env) readingAs(token string, use func(*service.Session) error) error {
	return e.serveReading(use, func(svc *service.Service) (*service.Session, error) { return svc.As(e.ctx, token) })
}

// caller returns the session of the caller.
func (e *env) caller(svc *service.Service) (*service.Session, error) {
	if token := e.getenv(tokenVar); token != "" {
		return svc.As(e.ctx, token)
	}
	return svc.Local(), nil
}

func (e *env) serveReading(use func(*service.Session) error, who func(*service.Service) (*service.Session, error)) error {
	o, err := e.serviceOptions()
	if err != nil {
		return err
	}
	writer, err := e.options()
	if err != nil {
		return err
	}
	o.Writer = &service.Writer{Dir: e.logDir(), Options: writer}
	err = e.with(e.openToRead, func(log *audittrail.Log) error { return e.serve(service.New(log, o), who, use) })
	if err == nil {
		err = e.endLeft(e.skip.end(nil))
	}
	return err
}

// roles calls use with all roles.
func (e *env) roles(use func([]access.Role) error) error {
	o, err := e.serviceOptions()
	if err != nil {
		return err
	}
	return e.with(e.openToRead, func(log *audittrail.Log) error {
		svc := service.New(log, o)
		roles, err := svc.Roles(e.ctx)
		if err == nil {
			err = use(roles)
		}
		return errors.Join(err, svc.Close())
	})
}

// writing opens the log for writing, and calls use with the session of the caller.
func (e *env) writing(use func(*service.Session) error) error {
	o, err := e.serviceOptions()
	if err != nil {
		return err
	}
	return namesToken(e.with(e.openToWrite, func(log *audittrail.Log) error {
		return e.serve(service.New(log, o), e.caller, use)
	}))
}

// namesToken adds to a denial that it concerns the token in the environment.
func namesToken(err error) error {
	denied := (*service.DeniedError)(nil)
	if errors.As(err, &denied) && denied.Part == "" && !denied.Record {
		return fmt.Errorf("$%s: %w", tokenVar, denied)
	}
	return err
}

// serve calls use with a session, and closes the service.
func (e *env) serve(svc *service.Service, who func(*service.Service) (*service.Session, error), use func(*service.Session) error) error {
	s, err := who(svc)
	if err != nil {
		return errors.Join(err, svc.Close())
	}
	err = use(s)
	e.noteUnrecorded(s)
	return errors.Join(err, svc.Close())
}

// noteUnrecorded prints which actions were not recorded in the log.
func (e *env) noteUnrecorded(s *service.Session) {
	for _, u := range s.RecordErrors() {
		switch {
		case u.Recorded:
			e.note("warning: the change is recorded and durable, but closing the log failed: %s; the next command that writes finishes the work", explain(u.Err))
		case errors.Is(u.Err, audittrail.ErrLocked):
			e.note("%s was not recorded: another process has the log open for writing", u.What)
		default:
			e.note("%s was not recorded: %s", u.What, explain(u.Err))
		}
	}
}

// flagDenied names the flag in the error that denies the use of a field.
func flagDenied(err error) error {
	denied := (*service.DeniedError)(nil)
	if !errors.As(err, &denied) || denied.Part == "" {
		return err
	}
	return fmt.Errorf("--%s: %w", strings.Replace(denied.Part, "group by", "group-by", 1), denied.Unwrap())
}

// noteUnknown prints which users of a query the log does not know.
func (e *env) noteUnknown(users []service.Lookup) {
	for _, u := range users {
		e.noteNear(u)
	}
}

// noteRemainder prints what a result lacks, and keeps it for the JSON form and
// the exit status.
func (e *env) noteRemainder(r *service.Remainder) {
	e.left.LeftOut = r.LeftOut
	e.skip.add(r.Skipped)
	e.noteUnknownCalls(r.UnknownCalls)
	if r.Unsearched > 0 {
		e.note("the content of %s could not be searched for the words: it is erased, expired or restricted", display.Count(r.Unsearched, "record that meets the other conditions", "records that meet the other conditions"))
	}
}

// noteUnknownCalls prints for how many records it is unknown whether they count
// as calls.
func (e *env) noteUnknownCalls(n uint64) {
	if n > 0 {
		e.note("%s left out, since it is unknown whether they are calls: in format 1 only the content says whether a prompt includes its answer, and the content cannot be read", display.Count(n, "prompt", "prompts"))
	}
}
