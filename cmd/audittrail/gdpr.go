package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/privacy"
	"audittrail/service"
)

func (e *env) gdprCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gdpr",
		Short: "Forget a person, answer one, or hide what is about one",
		Long: `Gdpr has the commands for the rights of the people whom the log is about: to be
forgotten (article 17 GDPR), to know and take along what is held on them (15,
20), and to have it restricted (18).

A user's name among the arguments can be seen by other users of this machine;
--user-file reads it from a file, or from standard input.` + exits(ends0, ends1, ends4),
		GroupID: groupPeople,
	}
	cmd.AddCommand(e.eraseCmd(), e.approveCmd(), e.certificateCmd(), e.answerCmd(), e.gdprStatusCmd(), e.restrictCmd(), e.liftCmd())
	return cmd
}

// one returns the user whom a command is about.
func (u *userArgs) one(e *env, cmd *cobra.Command, args []string) (string, error) {
	user, rest, err := u.take(e, args)
	if err == nil && len(rest) > 0 {
		err = errors.New("it is about one user")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", nameOf(cmd), err)
	}
	return user, nil
}

func (e *env) approveCmd() *cobra.Command {
	var users userArgs
	var file string
	cmd := &cobra.Command{
		Use:   "approve USER",
		Short: "Consent to an erasure, as the second person",
		Long: `Approve records that a second person consents to the erasure of a user, or with
--file of all users in a file. It is given with the approver's own token in
$AUDITTRAIL_TOKEN, which must permit delete_data, and can be used for 30 days:
'gdpr erase' takes its id with --approval.` + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail gdpr approve alice
  audittrail gdpr approve --file users.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := e.usersOf(cmd, &users, file, args)
			if err != nil {
				return err
			}
			return e.approve(func(s *service.Session) (*service.Approval, error) {
				a, err := s.ApproveErasure(e.ctx, service.ApproveErasureRequest{Users: all.ids})
				if err == nil {
					e.noteLookup(lookupOf(all, a.Users))
				}
				return a, err
			})
		},
	}
	users.flags(cmd)
	cmd.Flags().StringVar(&file, "file", "", "`file` of users, one a line; - is standard input")
	e.writerFlags(cmd)
	return cmd
}

// maxUsers bounds the file of a bulk erasure.
const maxUsers = 2_000_000

// approve records an approval with the token of its approver.
func (e *env) approve(give func(*service.Session) (*service.Approval, error)) error {
	if e.getenv(tokenVar) == "" {
		return fmt.Errorf("approve: there is no token in $%s; an approval is given with the approver's own", tokenVar)
	}
	return e.writing(func(s *service.Session) error {
		a, err := give(s)
		if err != nil {
			return err
		}
		made := struct {
			ID       string    `json:"id"`
			Subjects int       `json:"subjects,omitempty"`
			Hold     string    `json:"hold,omitempty"`
			By       string    `json:"by"`
			Expires  time.Time `json:"expires"`
		}{a.ID.String(), len(a.Subjects), a.Hold, a.By, a.Expires}
		what := "erasure of " + display.Count(len(a.Subjects), "person", "persons")
		if a.Hold != "" {
			what = "release of the hold " + a.Hold
		}
		return e.receipt("as the approval "+made.ID, e.sheet(made, []field{{"approval", made.ID}, {"of", what}, {"until", display.Time(a.Expires)}}))
	})
}

func (e *env) answerCmd() *cobra.Command {
	var users userArgs
	var out string
	cmd := &cobra.Command{
		Use:   "export USER --out FILE.zip",
		Short: "Write out everything that is held on a person",
		Long: `Export writes everything that is held on a user to a ZIP archive: data.json and
events.jsonl for programs, index.html to read, with what it is for and how long
it stays. It is recorded that the person was answered. The file holds all of it
in the clear: nobody else on this machine can read it, and it is for the person
alone.` + exits(ends0, ends1, ends2, "3  nothing is held on that user", ends4),
		Example: "  audittrail gdpr export alice --out alice.zip",
		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := users.one(e, cmd, args)
			if err != nil {
				return err
			}
			if out == "" {
				return errors.New("gdpr export: name the file with --out")
			}
			return e.answer(user, out)
		},
	}
	users.flags(cmd)
	cmd.Flags().StringVar(&out, "out", "", "`file` of the archive")
	cmd.PreRunE = oneForm(&out, "zip")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) answer(user, out string) error {
	return e.writing(func(s *service.Session) error {
		file := &lateSecret{name: out}
		done, err := s.SubjectAccess(e.ctx, service.SubjectAccessRequest{User: user, Archive: file})
		err = file.end(err)
		unknown := (*service.UnknownUserError)(nil)
		if errors.As(err, &unknown) {
			e.noteNear(unknown.Lookup)
		}
		if err != nil {
			return fmt.Errorf("gdpr export: %w", err)
		}
		e.noteNear(done.Lookup)
		held := done.Data
		made := struct {
			File    string `json:"file"`
			Records uint64 `json:"records"`
			Acted   uint64 `json:"acted,omitempty"`
			Absent  uint64 `json:"absent,omitempty"`
			Unknown uint64 `json:"unknown,omitempty"`
			Gone    uint64 `json:"acted_absent,omitempty"`
			Away    uint64 `json:"acted_unknown,omitempty"`
		}{out, held.Records - held.Absent, held.Acted - held.ActedAbsent, held.Absent, held.Unknown, held.ActedAbsent, held.ActedUnknown}
		fields := []field{{"file", out}, {"records", display.Number(made.Records)}}
		if made.Acted > 0 {
			fields = append(fields, field{"acted in", display.Count(made.Acted, "other record", "other records")})
		}
		if held.Unknown+held.Absent+held.ActedAbsent+held.ActedUnknown == 0 {
			return e.receipt("and the answer is in "+out, e.sheet(made, fields))
		}
		_ = e.receipt("and the answer is in "+out, e.sheet(made, append(fields, unreachedFields(held)...)))
		return ended(exitLimited)
	})
}

func (e *env) gdprStatusCmd() *cobra.Command {
	var users userArgs
	cmd := &cobra.Command{
		Use:   "status USER",
		Short: "Tell what is held on a person, in numbers",
		Long: `Status tells how much is held on a user, since when, whether it is restricted,
and which holds are on that user by name. It shows no content. It counts the
known users whose ids differ only in case, blanks or accents, and does not say
which they are.` + exits(ends0, ends1, ends2, "3  nothing is held on that user", ends4),
		Example: "  audittrail gdpr status --user-file - < name",
		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := users.one(e, cmd, args)
			if err != nil {
				return err
			}
			return e.reading(func(s *service.Session) error { return e.gdprStatus(s, user) })
		},
	}
	users.flags(cmd)
	return cmd
}

// A personStatus is what status prints in JSON.
type personStatus struct {
	Held       bool                 `json:"held"`
	Holding    *privacy.SubjectData `json:"holding,omitempty"`
	Restricted *time.Time           `json:"restricted"`
	Holds      []string             `json:"holds"`
	Near       int                  `json:"near"` // users of a near spelling
}

func (e *env) gdprStatus(s *service.Session, user string) error {
	is, err := s.Status(e.ctx, service.StatusRequest{User: user})
	if err != nil {
		return err
	}
	status := personStatus{Held: is.Data != nil, Holding: is.Data, Restricted: is.Restricted, Holds: is.Holds, Near: is.Near}
	holds := cmp.Or(strings.Join(status.Holds, " "), "none")
	if is.Data == nil {
		if err := e.sheet(status, status.withNear([]field{{"held", "nothing"}, {"holds", holds}})); err != nil {
			return err
		}
		return ended(exitLimited)
	}
	held, restricted := is.Data, "no"
	if is.Restricted != nil {
		restricted = "since " + display.Time(*is.Restricted)
	}
	here := display.Count(held.Records, "record", "records")
	if held.Archived > 0 {
		here += ", " + display.Number(held.Archived) + " of them in archives"
	}
	fields := []field{
		{"held", here},
		{"subject", held.Subject},
		{"restricted", restricted},
		{"holds", holds},
	}
	if held.Records > 0 {
		fields = slices.Insert(fields, 2, field{"from", display.Time(held.First)}, field{"to", display.Time(held.Last)})
	}
	if held.Acted > 0 {
		fields = slices.Insert(fields, 1, field{"acted in", display.Count(held.Acted, "other record", "other records")})
	}
	fields = append(fields, unreachedFields(held)...)
	for _, c := range held.Classes {
		fields = append(fields, field{"class " + c.Class, display.Count(c.Records, "record", "records")})
	}
	if err := e.sheet(status, status.withNear(fields)); err != nil || held.Unknown == 0 {
		return err // how many there are is known
	}
	return ended(exitLimited)
}

// withNear adds how many users have a near spelling, if any has.
func (s *personStatus) withNear(fields []field) []field {
	if s.Near == 0 {
		return fields
	}
	return append(fields, field{"near", nearText(s.Near)})
}

// unreachedFields say which archives could not be read, and what that leaves out.
func unreachedFields(h *privacy.SubjectData) []field {
	var fields []field
	where := " in archives that could not be read: " + strings.Join(h.Unreached, ", ")
	if h.Absent > 0 {
		fields = append(fields, field{"out of reach", display.Count(h.Absent, "record", "records") + " of those" + where})
	}
	if h.Unknown > 0 {
		fields = append(fields, field{"not known", "how many of " + display.Count(h.Unknown, "record", "records") + where})
	}
	if h.ActedAbsent > 0 {
		fields = append(fields, field{"out of reach", display.Count(h.ActedAbsent, "record", "records") + " of those acted in," + where})
	}
	if h.ActedUnknown > 0 {
		fields = append(fields, field{"not known", "in how many of " + display.Count(h.ActedUnknown, "record", "records") + " the person acted," + where})
	}
	return fields
}

func (e *env) restrictCmd() *cobra.Command {
	return e.restriction("restrict", "Hide content about a person", `Restrict hides the content about a user from everyone but the privacy role,
until 'gdpr lift': show and query tell that the records are there, and no more.
Nothing is erased. A user on whom nothing is held is restricted all the same,
with a warning.`)
}

func (e *env) liftCmd() *cobra.Command {
	return e.restriction("lift", "End the hiding of content about a person", `Lift ends a restriction.`)
}

func (e *env) restriction(name, short, long string) *cobra.Command {
	var users userArgs
	var reason string
	var force bool
	cmd := &cobra.Command{
		Use:     name + " USER --reason R",
		Short:   short,
		Long:    long + exits(ends0, ends1, ends2, ends4),
		Example: "  audittrail gdpr " + name + ` alice --reason "disputes accuracy, ticket 17"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := users.one(e, cmd, args)
			if err != nil {
				return err
			}
			if strings.TrimSpace(reason) == "" {
				return fmt.Errorf("gdpr %s: say why with --reason", name)
			}
			return e.writing(func(s *service.Session) error {
				do := s.Restrict
				if name == "lift" {
					do = s.Lift
				}
				is, err := do(e.ctx, service.RestrictRequest{User: user, Reason: reason, Mention: force})
				if errors.Is(err, service.ErrReasonMentionsUser) {
					return fmt.Errorf("gdpr %s: %w", name, flagged(err))
				}
				if err != nil {
					return err
				}
				e.noteNear(is.Lookup)
				text := "no more"
				if name == "restrict" {
					text = "since " + display.Time(is.Since)
				}
				return e.receipt("restricted "+text, e.sheet(struct {
					Restricted bool `json:"restricted"`
				}{name == "restrict"}, []field{{"restricted", text}}))
			})
		},
	}
	users.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record; it must not say who")
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	e.writerFlags(cmd)
	return cmd
}

// certificateLines returns the certificates in a file: the lines that are JSON.
// What stands between them is for people, and counts for nothing.
func certificateLines(text []byte) [][]byte {
	var all [][]byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if bytes.HasPrefix(line, []byte("{")) {
			all = append(all, line)
		}
	}
	return all
}
