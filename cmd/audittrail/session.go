package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"audittrail"
	"audittrail/access"
	"audittrail/internal/config"
	"audittrail/service"
)

// serviceOptions are what the configuration says about who may do what, and what
// is recorded of it.
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

// reading opens the log concurrently with its writer, and hands use the session of
// the caller.
func (e *env) reading(use func(*service.Session) error) error {
	o, err := e.serviceOptions()
	if err != nil {
		return err
	}
	beside, err := e.options()
	if err != nil {
		return err
	}
	o.Beside = &service.Beside{Dir: e.logDir(), Options: beside}
	err = e.with(e.openToRead, func(log *audittrail.Log) error { return e.serve(log, o, use) })
	if err == nil {
		err = e.endLeft(e.skip.end(nil))
	}
	return err
}

// serve hands use the session of the caller: of the holder of the token in the
// environment, or of the operator.
func (e *env) serve(log *audittrail.Log, o service.Options, use func(*service.Session) error) error {
	svc := service.New(log, o)
	s := svc.Local()
	if token := e.getenv(tokenVar); token != "" {
		var err error
		if s, err = svc.As(e.ctx, token); err != nil {
			return errors.Join(err, svc.Close())
		}
	}
	err := use(s)
	e.noteUnrecorded(s)
	denied := (*service.DeniedError)(nil)
	if errors.As(err, &denied) && denied.Part == "" && !denied.Record {
		err = fmt.Errorf("$%s: %w", tokenVar, denied)
	}
	return errors.Join(err, svc.Close())
}

// noteUnrecorded tells the user what has no record in the log.
func (e *env) noteUnrecorded(s *service.Session) {
	for _, u := range s.RecordErrors() {
		switch {
		case u.Recorded:
			e.note("warning: it is recorded and durable, but closing the log failed: %s; the next command that writes finishes that", explain(u.Err))
		case errors.Is(u.Err, audittrail.ErrLocked):
			e.note("%s was not recorded: another process has the log open for writing", u.What)
		default:
			e.note("%s was not recorded: %s", u.What, explain(u.Err))
		}
	}
}

// flagDenied names the flag of a command in the error that denies what it asks
// for.
func flagDenied(command string, err error) error {
	denied := (*service.DeniedError)(nil)
	if !errors.As(err, &denied) || denied.Part == "" {
		return err
	}
	return fmt.Errorf("%s: --%s: %w", command, strings.Replace(denied.Part, "group by", "group-by", 1), denied.Unwrap())
}

// noteUnknown tells the user which users of a query the log does not know.
func (e *env) noteUnknown(users []service.Lookup) {
	for _, u := range users {
		e.noteLookup(&lookup{userList: &userList{ids: []string{u.User}}, near: []int{u.Near}, missing: []int{0}})
	}
}

// noteRemainder tells the user what an answer does not say, and keeps it for its
// JSON form and the exit status.
func (e *env) noteRemainder(r *service.Remainder) {
	e.left.LeftOut = r.LeftOut
	e.skip.add(r.Skipped)
	e.noteUnknownCalls(r.UnknownCalls)
	if r.Unsearched > 0 {
		e.note("the content of %s could not be searched for the words: it is erased, expired or restricted", count(r.Unsearched, "record that meets the other conditions", "records that meet the other conditions"))
	}
}

// noteUnknownCalls says of how many records it is not known whether they count
// calls.
func (e *env) noteUnknownCalls(n uint64) {
	if n > 0 {
		e.note("of %s it is not known whether they are calls, and they are left out: format 1 does not say whether a prompt carries its answer, and the content is out of reach", count(n, "prompt", "prompts"))
	}
}
