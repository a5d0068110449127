package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/access"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/config"
	"audittrail/internal/vfs"
	"audittrail/service"
)

// tokenVar names the variable with the token of the caller of a command.
const tokenVar = "AUDITTRAIL_TOKEN"

func (e *env) accessCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Grant, revoke and check access",
		Long: `Access has the commands for the permissions of users, which the service and
programs that use the log enforce. They do not restrict a person who has the
log's files and its master key. A command with a token in $AUDITTRAIL_TOKEN does
only what the token permits.` + exits(ends0, ends1, ends4),
		GroupID: groupPeople,
	}
	cmd.AddCommand(e.grantCmd(), e.revokeCmd(), e.accessListCmd(), e.accessCheckCmd(), e.accessHistoryCmd(), e.rolesCmd())
	return cmd
}

// config reads the configuration file in the folder of the log.
func (e *env) config() (*config.Config, error) {
	return config.Read(vfs.OS, filepath.Join(e.logDir(), config.Name))
}

type grantOptions struct {
	ttl   string
	scope []string
	users userArgs
}

func (e *env) grantCmd() *cobra.Command {
	var o grantOptions
	cmd := &cobra.Command{
		Use:   "grant USER ROLE",
		Short: "Give a user a role, and a token for it",
		Long: `Grant gives a user a role: admin, auditor, viewer, writer, privacy, or a role of
the configuration file. 'audittrail access roles' lists the permissions of each.
The token is printed only once; the log stores only its hash.

A scope limits the grant to some records: model=NAME, type=TYPE,
label:KEY=VALUE, from=TIME, until=TIME. A record must match one value of every
kind that is given. A grant with a scope does not permit commands that concern
the whole log.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail access grant alice auditor --ttl 90d
  audittrail access grant chat-app writer --scope model=gpt-4
  audittrail access grant --user-file - viewer < name`,
		RunE: func(cmd *cobra.Command, args []string) error { return e.grant(cmd, o, args) },
	}
	cmd.Flags().StringVar(&o.ttl, "ttl", "", "`duration` of the grant: 12h, 90d (default until it is revoked)")
	cmd.Flags().StringArrayVar(&o.scope, "scope", nil, "limit the grant to these records, `KIND=VALUE`; may be repeated")
	o.users.flags(cmd)
	e.writerFlags(cmd)
	return cmd
}

// userArgs has the flag for the user whom a command concerns.
type userArgs struct{ file string }

func (u *userArgs) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&u.file, "user-file", "", "read the user from the first line of this `file`, which hides the name from other users of this machine; - is standard input")
}

// take returns the user and the remaining arguments.
func (u *userArgs) take(e *env, args []string) (string, []string, error) {
	if u.file == "" {
		if len(args) == 0 || args[0] == "" {
			return "", nil, errors.New("no user given; name the user, or a file with the name in --user-file")
		}
		return args[0], args[1:], nil
	}
	users, err := e.readUsers(u.file, 1)
	if err != nil {
		return "", nil, err
	}
	return users.ids[0], args, nil
}

// A grantResult is the result of grant in JSON.
type grantResult struct {
	ID      access.ID  `json:"id"`
	Token   string     `json:"token"`
	Role    string     `json:"role"`
	Expires *time.Time `json:"expires"`
	Scope   []string   `json:"scope,omitempty"`
}

func (e *env) grant(cmd *cobra.Command, o grantOptions, args []string) error {
	user, rest, err := o.users.take(e, args)
	if err != nil {
		return fmt.Errorf("access grant: %w", err)
	}
	if len(rest) != 1 {
		return errors.New("access grant takes USER and ROLE; see 'audittrail access grant --help'")
	}
	r := access.GrantRequest{User: user, Role: rest[0]}
	if cmd.Flags().Changed("ttl") {
		if r.For, err = durationOf("--ttl", o.ttl); err != nil {
			return err
		}
	}
	if r.Scope, err = access.ParseScope(o.scope); err != nil {
		return fmt.Errorf("access grant: %w", err)
	}
	return e.writing(func(s *service.Session) error {
		g, err := s.Grant(e.ctx, service.GrantRequest{Grant: r})
		if err != nil {
			return err
		}
		made := grantResult{g.ID, g.Token.Reveal(), g.Role, optional(g.Expires), g.Scope.Terms()}
		e.note("this token is printed only once: transmit it securely, and store no other copy")
		if g.Expires.IsZero() {
			e.note("the grant is active until it is revoked; use --ttl to make a grant expire")
		}
		err = e.sheet(made, []field{
			{"id", g.ID.String()},
			{"token", made.Token},
			{"role", g.Role},
			{"expires", cmp.Or(display.Time(g.Expires), "never")},
			{"scope", cmp.Or(strings.Join(made.Scope, " "), "all records")},
		})
		if err != nil {
			// Nobody received the token, so the grant is revoked.
			return fmt.Errorf("access grant: the grant %s is recorded, but its token could not be printed, and cannot be printed again: revoke the grant, and make a new one: %w", g.ID, err)
		}
		return nil
	})
}

// optional returns a time for JSON: null if there is none.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// durationOf parses the duration in a flag, which may be in days.
func durationOf(flag, text string) (time.Duration, error) {
	d, err := lifeOf(text)
	if err != nil {
		return 0, fmt.Errorf("read %s: invalid duration %q: use 12h or 30d", flag, text)
	}
	return d, nil
}

func (e *env) revokeCmd() *cobra.Command {
	var user, reason string
	cmd := &cobra.Command{
		Use:   "revoke TOKEN-ID | --user USER",
		Short: "Revoke a grant, or all grants of a user",
		Long: `Revoke ends a grant, by the id of its token, or all grants of a user, with
immediate effect. Revoking a grant again has no effect.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail access revoke t-0123456789abcdef
  audittrail access revoke --user alice --reason "left the company"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == cmd.Flags().Changed("user") || len(args) > 1 {
				return errors.New("access revoke: give the id of a token, or else --user")
			}
			return e.revoke(args, user, reason)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "end all grants of this `user`")
	cmd.Flags().StringVar(&reason, "reason", "", "`reason`, which the log records")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) revoke(args []string, user, reason string) error {
	var id access.ID
	if len(args) == 1 {
		var err error
		if id, err = access.ParseID(args[0]); err != nil {
			return fmt.Errorf("access revoke: %w; 'audittrail access list' lists the ids", err) // the argument is not printed: it may be the token itself
		}
	}
	return e.writing(func(s *service.Session) error {
		gone, err := s.Revoke(e.ctx, service.RevokeRequest{ID: id, User: user, Reason: reason})
		if err != nil {
			return err
		}
		return e.receipt("as the end of "+display.Count(len(gone), "grant", "grants"), e.list([]column{{name: "id", width: 18}, {name: "role", width: 12}, {name: "revoked", width: 24}}, func(yield func(row, error) bool) {
			for _, g := range gone {
				value := struct {
					ID      access.ID `json:"id"`
					Role    string    `json:"role"`
					Revoked time.Time `json:"revoked"`
				}{g.ID, g.Role, g.Revoked}
				if !yield(row{[]string{g.ID.String(), g.Role, display.Time(g.Revoked)}, value}, nil) {
					return
				}
			}
		}))
	})
}

// A grantItem is a grant in the JSON of access list.
type grantItem struct {
	ID          access.ID           `json:"id"`
	User        string              `json:"user"`
	Role        string              `json:"role"`
	State       access.State        `json:"state"`
	Scope       []string            `json:"scope,omitempty"`
	Permissions []access.Permission `json:"permissions"`
	Granted     time.Time           `json:"granted"`
	GrantedBy   string              `json:"granted_by"`
	Expires     *time.Time          `json:"expires"`
	LastUsed    *time.Time          `json:"last_used"`
	Revoked     *time.Time          `json:"revoked,omitempty"`
	RevokedBy   string              `json:"revoked_by,omitempty"`
	Reason      string              `json:"reason,omitempty"`
}

func (e *env) accessListCmd() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the grants",
		Long: `List shows the grants with their users, roles and ends: the active ones, or with
--all also the expired and revoked ones.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail access list
  audittrail access list --all -o json`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.reading(func(s *service.Session) error {
				grants, err := s.Grants(e.ctx, service.GrantsRequest{})
				if err != nil {
					return err
				}
				return e.listGrants(grants, all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list expired and revoked grants, too")
	return cmd
}

func (e *env) listGrants(grants []access.GrantStatus, all bool) error {
	end := column{name: "expires", width: 10}
	if all {
		end = column{name: "state", width: 10}
	}
	columns := []column{
		{name: "id", width: 18},
		{name: "user", width: 14},
		{name: "role", width: 8},
		end,
		{name: "last used", width: 10},
		{name: "scope", width: 10},
	}
	return e.list(columns, func(yield func(row, error) bool) {
		for _, u := range grants {
			if u.State != access.Active && !all {
				continue
			}
			day := func(t time.Time) string {
				if t.IsZero() {
					return "never"
				}
				return t.UTC().Format(time.DateOnly)
			}
			terms := u.Scope.Terms()
			value := grantItem{
				u.ID, u.User, u.Role, u.State, terms, u.Permissions, u.Granted, u.GrantedBy,
				optional(u.Expires), optional(u.LastUsed), optional(u.Revoked), u.RevokedBy, u.Reason,
			}
			end := day(u.Expires)
			if all {
				end = string(u.State)
			}
			if !yield(row{[]string{u.ID.String(), u.User, u.Role, end, day(u.LastUsed), strings.Join(terms, " ")}, value}, nil) {
				return
			}
		}
	})
}
