package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/service"
	"audittrail/tlog"
)

func (e *env) statCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "stat",
		Short:   "Show the size of the log, and what the checkpoint covers",
		Long:    "Stat shows the number of records, their times and sizes, and how many of them\nthe newest checkpoint covers." + exits(ends0, ends1, ends2),
		Example: "  audittrail stat --dir /var/lib/audit -o json",
		Args:    takes(),
		GroupID: groupRead,
		RunE: func(*cobra.Command, []string) error {
			return e.reading(func(s *service.Session) error {
				if err := e.stat(s); err != nil {
					return fmt.Errorf("stat: %w", err)
				}
				return nil
			})
		},
	}
}

// A statistic is the result of stat in JSON.
type statistic struct {
	Origin     string     `json:"origin"`
	Records    uint64     `json:"records"`
	First      uint64     `json:"first"`
	Bytes      int64      `json:"bytes"`
	Segments   int        `json:"segments"`
	Oldest     *time.Time `json:"oldest"`
	Newest     *time.Time `json:"newest"`
	Head       string     `json:"head,omitempty"`
	Checkpoint *struct {
		Size uint64    `json:"size"`
		Root tlog.Hash `json:"root"`
	} `json:"checkpoint"`
	Subjects *int `json:"subjects"`
	Writer   bool `json:"writer"`
	// Unauthenticated records beyond these.
	Unauthenticated uint64 `json:"unauthenticated,omitempty"`
	// Ranges of these records that are missing, although no record says why.
	Missing uint64 `json:"missing,omitempty"`
}

func (e *env) stat(session *service.Session) error {
	s, err := session.Stat(e.ctx, service.StatRequest{})
	if err != nil {
		return err
	}
	out := statistic{
		Origin: s.Origin, Records: s.Records, First: s.First, Bytes: s.Bytes, Segments: s.Segments, Writer: s.Writer,
		Unauthenticated: s.Beyond.Records,
	}
	var b sheetBuilder
	b.add("log", s.Origin)
	b.add("records", display.Number(s.Records))
	b.add("bytes", fmt.Sprintf("%s (%s)", display.Number(s.Bytes), display.Bytes(s.Bytes)))
	b.add("segments", display.Number(s.Segments))
	if s.Beyond.Records > 0 {
		b.add("unauthenticated", display.Count(s.Beyond.Records, "more record", "more records")+" beyond these, which are in no other number")
	}
	for _, r := range s.Beyond.Missing {
		out.Missing += r[1] - r[0]
		b.add("missing", fmt.Sprintf("%d to %d: no record that counts says that they were archived or dropped: run audittrail verify", r[0], r[1]-1))
	}
	if s.Head != nil {
		out.Head, out.Oldest, out.Newest = s.Head.String(), &s.Oldest, &s.Newest
		b.add("first", fmt.Sprintf("%d, logged %s", s.First, display.Time(s.Oldest)))
		b.add("last", fmt.Sprintf("%d, logged %s (%s ago)", s.Records-1, display.Time(s.Newest), ageText(e.now().Sub(s.Newest))))
		b.add("head", out.Head)
	}
	if s.Checkpoint == nil {
		b.add("checkpoint", "none yet")
	} else {
		out.Checkpoint = &struct {
			Size uint64    `json:"size"`
			Root tlog.Hash `json:"root"`
		}{s.Signed.Size, s.Signed.Root}
		covered := "all of them"
		if s.Beyond.Behind > 0 {
			covered = display.Number(s.Beyond.Behind) + " more than the log has: run audittrail verify"
		} else if s.Signed.Size < s.Records {
			covered = "all but the last " + display.Number(s.Records-s.Signed.Size)
		}
		if s.Beyond.Unchecked != "" {
			covered += "; its signature was not checked: " + s.Beyond.Unchecked
		}
		b.add("checkpoint", fmt.Sprintf("covers %s: %s", display.Count(s.Signed.Size, "record", "records"), covered))
		b.add("root", s.Signed.Root.String())
	}
	if s.Subjects >= 0 {
		out.Subjects = &s.Subjects
		b.add("subjects", strconv.Itoa(s.Subjects)+" whose data can be read")
	} else {
		b.add("subjects", "not known: the log is open without its keyring")
	}
	if s.Writer {
		b.add("writer", "at work")
	}
	return e.sheet(out, b.fields)
}

// ageText returns a duration in its largest unit.
func ageText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return display.Count(int(d/(24*time.Hour)), "day", "days")
}
