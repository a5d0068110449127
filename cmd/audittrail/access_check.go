package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/access"
	"audittrail/event"
	"audittrail/service"
)

type checkAccessOptions struct {
	model, kind, time string
	labels            []string
}

func (e *env) accessCheckCmd() *cobra.Command {
	var o checkAccessOptions
	cmd := &cobra.Command{
		Use:   "check [TOKEN] PERMISSION",
		Short: "Check whether a token has a permission",
		Long: `Check exits with 0 if the token has the permission, and with 4 and a reason if
it does not. Other users of this machine can see arguments of commands: give the
token in $AUDITTRAIL_TOKEN, or on standard input with - for TOKEN.

With --model, --type, --label or --time the check is for a record with these
properties; without, it is for no specific record. A denial is recorded, unless
another process has the log open for writing.

Permissions:` + "\n  " + permissionList() + exits("0  permitted", ends1, ends2, "4  denied"),
		Example: `  audittrail access check read_events
  audittrail access check - read_content --model gpt-4 < token`,
		RunE: func(_ *cobra.Command, args []string) error { return e.checkAccess(o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "check for a record of this `model`")
	f.StringVar(&o.kind, "type", "", "check for a record of this `type`")
	f.StringArrayVar(&o.labels, "label", nil, "check for a record with this label, `KEY=VALUE`")
	f.StringVar(&o.time, "time", "", "check for a record of this `time`, RFC 3339")
	return cmd
}

// permissionList lists the permissions in lines that fit the help.
func permissionList() string {
	var b strings.Builder
	at := 0
	for _, p := range access.Permissions() {
		if at > 60 {
			b.WriteString("\n  ")
			at = 0
		} else if at > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(p))
		at += len(p) + 1
	}
	return b.String()
}

func (e *env) checkAccess(o checkAccessOptions, args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return errors.New("access check takes TOKEN and PERMISSION, or PERMISSION alone; see 'audittrail access check --help'")
	}
	token := e.getenv(tokenVar)
	if len(args) == 2 {
		token = args[0]
	} else if token == "" {
		return fmt.Errorf("access check: no token in $%s; set the variable, or give - and the token on standard input", tokenVar)
	}
	if token == "-" {
		text, err := io.ReadAll(io.LimitReader(e.stdin, 1<<10))
		if err != nil {
			return fmt.Errorf("access check: read standard input: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	p, err := access.ParsePermission(args[len(args)-1])
	if err != nil {
		return fmt.Errorf("access check: %w", err)
	}
	about, err := o.about()
	if err != nil {
		return fmt.Errorf("access check: %w", err)
	}
	var d *access.Decision
	err = e.readingAs(token, func(s *service.Session) error {
		if d, err = s.Check(e.ctx, service.CheckRequest{Permission: p, About: about}); err != nil {
			return fmt.Errorf("access check: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	result := struct {
		Allowed    bool              `json:"allowed"`
		ID         access.ID         `json:"id"`
		Role       string            `json:"role"`
		Permission access.Permission `json:"permission"`
		Scope      []string          `json:"scope,omitempty"`
	}{true, d.Grant.ID, d.Grant.Role, p, d.Grant.Scope.Terms()}
	fields := []field{{"allowed", string(p)}, {"token", result.ID.String()}, {"role", result.Role}}
	if len(result.Scope) > 0 {
		fields = append(fields, field{"scope", strings.Join(result.Scope, " ")})
	}
	return e.sheet(result, fields)
}

// about returns the event for which to check; nil for no specific one.
func (o *checkAccessOptions) about() (*event.Event, error) {
	if o.model == "" && o.kind == "" && o.time == "" && len(o.labels) == 0 {
		return nil, nil
	}
	ev := &event.Event{ModelID: o.model, Type: event.Type(o.kind)}
	if o.kind != "" && !ev.Type.Valid() {
		return nil, fmt.Errorf("read --type: unknown event type %q", o.kind)
	}
	if o.time != "" {
		t, err := time.Parse(time.RFC3339Nano, o.time)
		if err != nil {
			return nil, fmt.Errorf("read --time: invalid time %q: use 2026-01-31T12:00:00Z", o.time)
		}
		ev.Time = t
	}
	for _, l := range o.labels {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return nil, errors.New("read --label: the value is not of the form KEY=VALUE")
		}
		if ev.Labels == nil {
			ev.Labels = map[string]string{}
		}
		ev.Labels[key] = value
	}
	return ev, nil
}
