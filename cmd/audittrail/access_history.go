package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
)

func (e *env) accessHistoryCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "history",
		Short: "Tell what was granted and revoked",
		Long: `History lists the grants and revocations in the log, the oldest first, with the
sequence numbers by which they can be shown and proven. Denials and reads of
content are records too: 'audittrail query -t access_denied,content_read'.` + exits(ends0, ends1, ends2, ends4),
		Example: "  audittrail access history -o jsonl",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.readAccess(func(_ *audittrail.Log, c *access.Controller) error {
				if _, err := e.acting(c, access.ManageAccess); err != nil {
					return err
				}
				return e.accessHistory(e.ctx, c)
			})
		},
	}
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

func (e *env) accessHistory(ctx context.Context, c *access.Controller) error {
	columns := []column{
		{name: "seq", width: 8, right: true},
		{name: "time", width: 24},
		{name: "what", width: 14},
		{name: "user", width: 14},
		{name: "role", width: 8},
		{name: "tokens", width: 18},
	}
	var rows iter.Seq2[row, error] = func(yield func(row, error) bool) {
		for ch, err := range c.History(ctx) {
			if err != nil {
				yield(row{}, err)
				return
			}
			item := historyItem{ch.Seq, ch.Time, ch.Type, ch.User, ch.State.String(), ch.IDs, ch.Role, ch.By, ch.Reason}
			user := ch.User
			if ch.State != audittrail.Readable {
				user = "(" + ch.State.String() + ")"
			}
			var ids []string
			for _, id := range ch.IDs {
				ids = append(ids, id.String())
			}
			cells := []string{
				fmt.Sprint(ch.Seq), timeText(ch.Time), string(ch.Type), user, ch.Role, strings.Join(ids, " "),
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
		Short: "Tell what each role permits",
		Long: `Roles lists the built-in roles and those of the configuration, with what they
permit.` + exits(ends0, ends1, ends2),
		Example: "  audittrail access roles",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.readAccess(func(_ *audittrail.Log, c *access.Controller) error {
				columns := []column{{name: "role", width: 12}, {name: "permissions", width: 40, wrap: true}}
				return e.list(columns, func(yield func(row, error) bool) {
					for _, r := range c.Roles() {
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
