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
		Short: "Erase, export or restrict what is stored about a person",
		Long: `Gdpr has the commands for the rights of data subjects: erasure (article 17
GDPR), access and portability (15, 20), and restriction (18).

Other users of this machine can see a name among the arguments; --user-file
reads the name from a file, or from standard input.` + exits(ends0, ends1, ends4),
		GroupID: groupPeople,
	}
	cmd.AddCommand(e.eraseCmd(), e.approveCmd(), e.certificateCmd(), e.answerCmd(), e.gdprStatusCmd(), e.restrictCmd(), e.liftCmd())
	return cmd
}

// one returns the user whom a command concerns.
func (u *userArgs) one(e *env, cmd *cobra.Command, args []string) (string, error) {
	user, rest, err := u.take(e, args)
	if err == nil && len(rest) > 0 {
		err = errors.New("several users given; the command takes one")
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
		Short: "Approve an erasure requested by somebody else",
		Long: `Approve records a four-eyes approval for the erasure of a user, or with --file
of all users in a file. The approver runs it with their own token in
$AUDITTRAIL_TOKEN, which must permit delete_data. The approval is valid for 30
days: give its id to 'gdpr erase' with --approval.` + exits(ends0, ends1, ends2, ends4),
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
	cmd.Flags().StringVar(&file, "file", "", "`file` of users, one per line; - is standard input")
	e.writerFlags(cmd)
	return cmd
}

// maxUsers bounds the file of a bulk erasure.
const maxUsers = 2_000_000

// approve records an approval with the token of its approver.
func (e *env) approve(give func(*service.Session) (*service.Approval, error)) error {
	if e.getenv(tokenVar) == "" {
		return fmt.Errorf("approve: no token in $%s; set the variable to the approver's own token", tokenVar)
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
		Short: "Write everything that is stored about a person",
		Long: `Export answers a data subject access request: it writes everything that is
stored about a user to a ZIP archive, with data.json and events.jsonl for
programs and index.html for people, including the purposes and the retention
periods. The log records the answer. The file is not encrypted: only its owner
can read it on this machine; give it only to the person.` + exits(ends0, ends1, ends2, "3  nothing is stored about that user", ends4),
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
		Short: "Show how much is stored about a person",
		Long: `Status shows how many records are stored about a user, since when, whether the
user is restricted, and which legal holds name the user. It shows no content. It
counts known users whose ids differ only in case, blanks or accents, without
naming them.` + exits(ends0, ends1, ends2, "3  nothing is stored about that user", ends4),
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

// A personStatus is the result of status in JSON.
type personStatus struct {
	Held       bool                 `json:"held"`
	Holding    *privacy.SubjectData `json:"holding,omitempty"`
	Restricted *time.Time           `json:"restricted"`
	Holds      []string             `json:"holds"`
	Near       int                  `json:"near"` // users with a similar id
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
		return err // all numbers are known
	}
	return ended(exitLimited)
}

// withNear adds the number of users with a similar id, if there are any.
func (s *personStatus) withNear(fields []field) []field {
	if s.Near == 0 {
		return fields
	}
	return append(fields, field{"near", nearText(s.Near)})
}

// unreachedFields lists the archives that could not be read, and the numbers that
// are incomplete for that reason.
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
	return e.restriction("restrict", "Restrict content about a person to the privacy role", `Restrict shows the content about a user only to the privacy role, until 'gdpr
lift'. For others, show and query list the records without content. Nothing is
erased. A user about whom nothing is stored is also restricted, with a warning.`)
}

func (e *env) liftCmd() *cobra.Command {
	return e.restriction("lift", "Lift the restriction of content about a person", `Lift ends a restriction.`)
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
				return fmt.Errorf("gdpr %s: no reason given; give one with --reason", name)
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
	cmd.Flags().StringVar(&reason, "reason", "", "`reason`, which the log records; it must not name the person")
	cmd.Flags().BoolVar(&force, "force", false, forceUsage)
	e.writerFlags(cmd)
	return cmd
}

// certificateLines returns the certificates in a file: the lines that are JSON.
// Other lines are for people, and are ignored.
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
