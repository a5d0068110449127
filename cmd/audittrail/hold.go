package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/governance"
	"audittrail/service"
)

func (e *env) holdCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Keep records from being erased or expiring",
		Long: `Hold has the commands for legal holds. The records under a hold cannot be erased
and do not expire until the hold is released.` + exits(ends0, ends1, ends4),
		GroupID: groupPeople,
	}
	cmd.AddCommand(e.holdPlaceCmd(), e.holdReleaseCmd(), e.holdListCmd(), e.holdApproveCmd())
	return cmd
}

type holdOptions struct {
	hold             governance.Hold
	start, end, file string
	force            bool
}

func (e *env) holdPlaceCmd() *cobra.Command {
	var o holdOptions
	cmd := &cobra.Command{
		Use:   "place --reason R",
		Short: "Place a legal hold",
		Long: `Place puts a legal hold in force, on existing and on future records. It applies
to records that meet all given conditions; without conditions, to all records.
Start and end bound the time of the event; the start is inclusive, the end
exclusive. A hold on a user about whom nothing is stored is also placed, with a
warning.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail hold place --reason "case 17" --user alice
  audittrail hold place --reason audit --model gpt-4 --start 2026-01-01`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			if err := e.placeHold(o); err != nil {
				return fmt.Errorf("hold place: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.hold.Reason, "reason", "", "`reason`, which the log records; it must not name the person")
	f.BoolVar(&o.force, "force", false, forceUsage)
	f.StringVar(&o.hold.User, "user", "", "hold records about this `user`")
	f.StringVar(&o.file, "user-file", "", "read the user from the first line of this `file`; - is standard input")
	f.StringVar(&o.hold.Model, "model", "", "hold records of this `model`")
	f.StringVar(&o.hold.Class, "class", "", "hold records of this retention `class`, or of one month of it: standard/2026-11")
	f.StringVar(&o.start, "start", "", "hold records from this `time` on: RFC 3339, or a date")
	f.StringVar(&o.end, "end", "", "hold records before this `time`")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) placeHold(o holdOptions) error {
	h := o.hold
	if o.file != "" {
		if h.User != "" {
			return errors.New("both --user and --user-file given; give one of them")
		}
		users, err := e.readUsers(o.file, 1)
		if err != nil {
			return err
		}
		h.User = users.ids[0]
	}
	var err error
	if h.Start, err = holdTime("--start", o.start); err != nil {
		return err
	}
	if h.End, err = holdTime("--end", o.end); err != nil {
		return err
	}
	return e.writing(func(s *service.Session) error {
		placed, err := s.PlaceHold(e.ctx, service.PlaceHoldRequest{Hold: h, Mention: o.force})
		if err != nil {
			return flagged(err)
		}
		if placed.Lookup != nil {
			e.noteNear(*placed.Lookup)
		}
		return e.receipt("as the hold "+placed.ID, e.sheet(placed.Hold, []field{{"hold", placed.ID}, {"reason", placed.Reason}, {"holds", holdText(&placed.Hold)}}))
	})
}

// holdTime parses a time of RFC 3339, or a date in UTC.
func holdTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("read %s: invalid time %q: use 2026-01-31 or 2026-01-31T12:00:00Z", flag, text)
	}
	return t, nil
}

// holdText describes the records under a hold.
func holdText(h *governance.Hold) string {
	if h.Unreadable {
		return "everything: its record cannot be read"
	}
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("user", h.User)
	add("model", h.Model)
	add("class", h.Class)
	if !h.Start.IsZero() {
		add("from", h.Start.UTC().Format(time.RFC3339))
	}
	if !h.End.IsZero() {
		add("before", h.End.UTC().Format(time.RFC3339))
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}

func (e *env) holdReleaseCmd() *cobra.Command {
	var reason, approval string
	var force bool
	cmd := &cobra.Command{
		Use:   "release ID --reason R",
		Short: "Release a legal hold",
		Long: `Release ends a legal hold. Contents that only this hold kept from expiring
expire at once. If the configuration demands four-eyes approval, the release
needs an approval: see 'hold approve'.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail hold release 0198c0de-0000-7000-8000-000000000001 --reason settled`,
		Args:    takes("ID"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.writing(func(s *service.Session) error {
				err := s.ReleaseHold(e.ctx, service.ReleaseHoldRequest{ID: args[0], Reason: reason, Approval: approval, Mention: force})
				if errors.Is(err, audittrail.ErrNoHold) {
					return err
				}
				if err != nil {
					return fmt.Errorf("hold release: %w", flagged(err))
				}
				return e.receipt("as the release of the hold "+args[0], e.sheet(struct {
					Released string `json:"released"`
				}{args[0]}, []field{{"released", args[0]}}))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`reason`, which the log records; it must not name the person")
	cmd.Flags().StringVar(&approval, "approval", "", "`id` of a four-eyes approval")
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	e.writerFlags(cmd)
	return cmd
}

func (e *env) holdApproveCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Approve the release of a hold requested by somebody else",
		Long: `Approve records a four-eyes approval for the release of a hold. The approver
runs it with their own token in $AUDITTRAIL_TOKEN, which must permit
manage_holds. The approval is valid for 30 days.` + exits(ends0, ends1, ends2, ends4),
		Example: "  audittrail hold approve 0198c0de-0000-7000-8000-000000000001",
		Args:    takes("ID"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.approve(func(s *service.Session) (*service.Approval, error) {
				return s.ApproveRelease(e.ctx, service.ApproveReleaseRequest{Hold: args[0]})
			})
		},
	}
	e.writerFlags(cmd)
	return cmd
}

func (e *env) holdListCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the holds in force",
		Long:    `List shows the legal holds in force, the oldest first.` + exits(ends0, ends1, ends2, ends4),
		Example: "  audittrail hold list -o json",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.reading(func(s *service.Session) error {
				holds, err := s.Holds(e.ctx, service.HoldsRequest{})
				if err != nil {
					return err
				}
				columns := []column{{name: "id", width: 36}, {name: "placed", width: 10}, {name: "reason", width: 14}, {name: "holds", width: 14}}
				return e.list(columns, func(yield func(row, error) bool) {
					for i := range holds {
						h := &holds[i]
						if !yield(row{[]string{h.ID, h.Placed.UTC().Format(time.DateOnly), h.Reason, holdText(h)}, h}, nil) {
							return
						}
					}
				})
			})
		},
	}
}
