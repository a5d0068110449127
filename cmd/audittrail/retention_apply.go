package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/record"
	"audittrail/retention"
)

func (e *env) planCmd() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what the retention policy will do, and when",
		Long: `Plan shows what the policy in force demands: which contents expire, which
segments are archived or dropped, when, how much data that is, and which legal
holds prevent it. It changes nothing.` + exits(ends0, ends1),
		Example: `  audittrail retention plan
  audittrail retention plan --at 2027-12-31 -o json | jq .steps`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToRead, func(log *audittrail.Log) error {
				if err := e.plan(log, at); err != nil {
					return fmt.Errorf("retention plan: %w", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "show the steps due at this `time`, RFC 3339 or a date (default now)")
	return cmd
}

// A planStep is a step with its state, in JSON.
type planStep struct {
	retention.Step
	State string `json:"state"` // due, later, blocked, or done
}

// stepColumns are the columns of a plan.
var stepColumns = []column{
	{name: "due", width: 10},
	{name: "state", width: 7},
	{name: "action", width: 7},
	{name: "what", width: 18},
	{name: "records", width: 9, right: true},
	{name: "bytes", width: 8, right: true},
	{name: "remark", width: 8, wrap: true},
}

func stepRow(s retention.Step, state string, exact bool) row {
	what := s.Class
	if s.Segment != nil {
		what = "segment " + strconv.FormatUint(*s.Segment, 10)
	}
	var remarks []string
	if s.Action == retention.Archive {
		remarks = append(remarks, "to "+s.To)
	}
	if s.Blocked != "" {
		remarks = append(remarks, s.Blocked)
	}
	if len(s.Holds) > 0 {
		remarks = append(remarks, "held by "+strings.Join(s.Holds, ", "))
	}
	size := display.Bytes(s.Bytes)
	if exact {
		size = strconv.FormatInt(s.Bytes, 10)
	}
	return row{
		cells: []string{
			s.Due.UTC().Format(time.DateOnly), state, string(s.Action), what,
			strconv.FormatUint(s.Records, 10), size, strings.Join(remarks, "; "),
		},
		value: planStep{s, state},
	}
}

func stateAt(s *retention.Step, at time.Time) string {
	switch {
	case s.Due.After(at):
		return "later"
	case s.Blocked != "":
		return "blocked"
	}
	return "due"
}

// dateFlag parses a time, or a date, which means midnight UTC.
func dateFlag(name, text string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("read --%s: invalid time %.40q: use 2027-12-31T12:00:00Z or 2027-12-31", name, text)
}

func (e *env) plan(log *audittrail.Log, at string) error {
	o := retention.Options{Now: e.now}
	if at != "" {
		t, err := dateFlag("at", at)
		if err != nil {
			return err
		}
		o.Now = func() time.Time { return t }
	}
	m, err := e.retention(log, o)
	if err != nil {
		return err
	}
	p, err := m.Plan(e.ctx)
	if err != nil {
		return err
	}
	if e.output == asJSON {
		out := struct {
			At    time.Time                    `json:"at"`
			Steps []planStep                   `json:"steps"`
			Kept  map[string]record.ClassCount `json:"kept"`
		}{p.At, make([]planStep, 0, len(p.Steps)), p.Kept}
		for _, s := range p.Steps {
			out.Steps = append(out.Steps, planStep{s, stateAt(&s, p.At)})
		}
		return display.JSON(e.stdout, out)
	}
	if e.output == asTable {
		var kept record.ClassCount
		for _, n := range p.Kept {
			kept.Records, kept.Bytes = kept.Records+n.Records, kept.Bytes+n.Bytes
		}
		if kept.Records > 0 {
			e.note("%s (%s) in classes that the policy keeps readable permanently", display.Count(kept.Records, "record", "records"), display.Bytes(kept.Bytes))
		}
	}
	return e.list(stepColumns, func(yield func(row, error) bool) {
		for _, s := range p.Steps {
			if !yield(stepRow(s, stateAt(&s, p.At), e.output == asCSV), nil) {
				return
			}
		}
	})
}

func (e *env) applyCmd() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Apply the retention policy now",
		Long: `Apply carries out the steps that 'retention plan' shows as due: it destroys the
keys of expired months of retention classes, moves segments to archives, and
drops segments. Each step is recorded. It can be interrupted at any time: the
next run continues. Run it every day, from a timer.` + exits(ends0, ends1),
		Example: "  audittrail retention apply",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			return e.with(e.openToWrite, func(log *audittrail.Log) error { return e.apply(log, reason) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`reason`, which the log records (default: the retention policy)")
	e.writerFlags(cmd)
	return cmd
}

func (e *env) apply(log *audittrail.Log, reason string) error {
	m, err := e.retention(log, retention.Options{Now: e.now})
	if err != nil {
		return err
	}
	done, err := m.Apply(e.ctx, reason, nil)
	lerr := e.list(stepColumns, func(yield func(row, error) bool) {
		for _, s := range done {
			if !yield(stepRow(s, "done", e.output == asCSV), nil) {
				return
			}
		}
	})
	if err == nil && e.output == asTable {
		plan, perr := m.Plan(e.ctx)
		if perr != nil {
			return errors.Join(lerr, perr)
		}
		at := plan.At
		blocked := slices.DeleteFunc(plan.Steps, func(s retention.Step) bool { return stateAt(&s, at) != "blocked" })
		if len(blocked) > 0 {
			e.note("%s not carried out: see 'audittrail retention plan'", display.Count(len(blocked), "step is due and was", "steps are due and were"))
		} else if len(done) == 0 {
			e.note("nothing is due")
		}
	}
	return errors.Join(err, lerr)
}
