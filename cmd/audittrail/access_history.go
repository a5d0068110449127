package main

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/access"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/record"
	"audittrail/service"
)

func (e *env) accessHistoryCmd() *cobra.Command {
	var reads bool
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List grants and revocations, or who read which records",
		Long: `History lists the grants and revocations in the log, the oldest first, with
their sequence numbers for show and prove. With --reads it lists who read or
exported contents, one line for each time. List denials with 'audittrail query
-t access_denied'.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail access history -o jsonl
  audittrail access history --reads`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.reading(func(s *service.Session) error {
				if reads {
					return e.readHistory(s)
				}
				return e.accessHistory(s)
			})
		},
	}
	cmd.Flags().BoolVar(&reads, "reads", false, "list who read and exported contents")
	return cmd
}

// A readItem is one read in the JSON of access history.
type readItem struct {
	Seq     uint64     `json:"seq"`
	Time    time.Time  `json:"time"`
	Type    event.Type `json:"type"`
	User    string     `json:"user"`
	State   string     `json:"state"`
	By      string     `json:"by,omitempty"`
	Command string     `json:"command,omitempty"`
	Records *uint64    `json:"records"` // null: the read ended early, and the number is unknown
	First   *uint64    `json:"first"`
	Last    *uint64    `json:"last"`
}

func (e *env) readHistory(s *service.Session) error {
	all, err := s.Reads(e.ctx, service.ReadsRequest{})
	if errors.Is(err, service.ErrDenied) {
		return err
	}
	if err != nil {
		return fmt.Errorf("access history: %w", err)
	}
	columns := []column{
		{name: "seq", width: 8, right: true},
		{name: "time", width: 24},
		{name: "what", width: 13},
		{name: "user", width: 14},
		{name: "token", width: 18},
		{name: "with", width: 10},
		{name: "records", width: 29},
	}
	return e.list(columns, func(yield func(row, error) bool) {
		for i := range all {
			a := &all[i]
			item := readItem{Seq: a.Seq, Time: a.Time, Type: a.Type, User: a.Event.UserID, State: a.State.String(), By: a.By, Command: a.Command}
			user, extent := a.Event.UserID, access.UnknownExtent
			if a.State != record.Readable {
				user = "(" + a.State.String() + ")"
			}
			if a.Known {
				item.Records, item.First, item.Last = &a.Records, &a.First, &a.Last
				extent = fmt.Sprintf("%s, %d to %d", display.Number(a.Records), a.First, a.Last)
			}
			if !yield(row{[]string{fmt.Sprint(a.Seq), display.Time(a.Time), string(a.Type), user, a.By, a.Command, extent}, item}, nil) {
				return
			}
		}
	})
}

// A historyItem is one change in the JSON of access history.
type historyItem struct {
	Seq    uint64      `json:"seq"`
	Time   time.Time   `json:"time"`
	Type   event.Type  `json:"type"`
	User   string      `json:"user"`
	State  string      `json:"state"`
	IDs    []access.ID `json:"ids"`
	Role   string      `json:"role,omitempty"`
	By     string      `json:"by,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

func (e *env) accessHistory(s *service.Session) error {
	changes, err := s.GrantHistory(e.ctx, service.GrantHistoryRequest{})
	if err != nil {
		return err
	}
	columns := []column{
		{name: "seq", width: 8, right: true},
		{name: "time", width: 24},
		{name: "what", width: 14},
		{name: "user", width: 14},
		{name: "role", width: 8},
		{name: "tokens", width: 18},
	}
	var rows iter.Seq2[row, error] = func(yield func(row, error) bool) {
		for ch, err := range changes {
			if err != nil {
				yield(row{}, err)
				return
			}
			item := historyItem{ch.Seq, ch.Time, ch.Type, ch.User, ch.State.String(), ch.IDs, ch.Role, ch.By, ch.Reason}
			user := ch.User
			if ch.State != record.Readable {
				user = "(" + ch.State.String() + ")"
			}
			if ch.NewerForm {
				ch.Role = "(unknown: written by a newer program)"
			}
			var ids []string
			for _, id := range ch.IDs {
				ids = append(ids, id.String())
			}
			cells := []string{
				fmt.Sprint(ch.Seq), display.Time(ch.Time), string(ch.Type), user, ch.Role, strings.Join(ids, " "),
			}
			if !yield(row{cells, item}, nil) {
				return
			}
		}
	}
	return e.list(columns, rows)
}

func (e *env) rolesCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "roles",
		Short: "List the permissions of each role",
		Long: `Roles lists the built-in roles and those of the configuration file, with the
permissions of each.` + exits(ends0, ends1, ends2),
		Example: "  audittrail access roles",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.roles(func(roles []access.Role) error {
				columns := []column{{name: "role", width: 12}, {name: "permissions", width: 40, wrap: true}}
				return e.list(columns, func(yield func(row, error) bool) {
					for _, r := range roles {
						var names []string
						for _, p := range r.Permissions {
							names = append(names, string(p))
						}
						value := struct {
							Role        string              `json:"role"`
							Description string              `json:"description"`
							Custom      bool                `json:"custom"`
							Permissions []access.Permission `json:"permissions"`
						}{r.Name, r.Description, r.Custom, r.Permissions}
						if !yield(row{[]string{r.Name, strings.Join(names, " ")}, value}, nil) {
							return
						}
					}
				})
			})
		},
	}
}
