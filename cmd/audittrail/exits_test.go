package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"audittrail"
	"audittrail/record"
	"audittrail/tlog"
)

// helpStatuses returns the exit statuses that the help of a command names.
func helpStatuses(t *testing.T, cmd *cobra.Command) []int {
	t.Helper()
	_, list, ok := strings.Cut(cmd.Long, "\n\nExit status:\n")
	if !ok {
		return nil
	}
	var all []int
	for line := range strings.Lines(list) {
		m := regexp.MustCompile(`^  ([0-9])  \S`).FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: the help has %q among its exit statuses", cmd.CommandPath(), line)
			continue
		}
		n, _ := strconv.Atoi(m[1])
		all = append(all, n)
	}
	return all
}

// eachCommand calls f for every command that does something.
func eachCommand(f func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Runnable() && cmd.HasParent() {
			f(cmd)
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(new(env).rootCmd())
}

// TestExitStatuses compares the table of the exit statuses in docs/cli.md, and
// the help of every command, with what the program means by them.
func TestExitStatuses(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Exit statuses\n")
	if !ok {
		t.Fatal("docs/cli.md has no section on exit statuses")
	}
	var rows []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([0-9]) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		rows = append(rows, m[1]+" "+m[2])
	}
	var want []string
	for status, meaning := range exitMeanings {
		want = append(want, fmt.Sprintf("%d %s", status, meaning))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("docs/cli.md has\n%s\nthe program\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	eachCommand(func(cmd *cobra.Command) {
		all := helpStatuses(t, cmd)
		if len(all) == 0 || all[0] != exitOK || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) || all[len(all)-1] >= len(exitMeanings) {
			t.Errorf("%s: the help names the exit statuses %v, want them ascending, from 0 on, of those that there are", cmd.CommandPath(), all)
		}
	})
}

// TestStatusOf has the exit status of every verdict and of errors.
func TestStatusOf(t *testing.T) {
	for v, want := range map[audittrail.Verdict]int{
		audittrail.VerdictIntact: 0, audittrail.VerdictUnchecked: 1, audittrail.VerdictAltered: 2, audittrail.VerdictLimited: 3, "": 1,
	} {
		if got := statusOfVerdict(v); got != want {
			t.Errorf("statusOfVerdict(%q) = %d, want %d", v, got, want)
		}
	}
	for _, c := range []struct {
		err  error
		want int
	}{
		{&audittrail.DamagedError{}, exitLimited},
		{&audittrail.NewerFormatError{}, exitLimited},
		{fmt.Errorf("%w; and %w", &audittrail.DamagedError{}, audittrail.ErrTombstone), exitAltered}, // signed records are missing as well
		{audittrail.ErrTombstone, exitAltered},
		{&audittrail.RollbackError{}, exitAltered},
		{&audittrail.CheckpointError{Err: tlog.ErrBadSignature}, exitAltered},
		{&audittrail.CheckpointError{Err: tlog.ErrUnknownKey}, exitAltered},
		{&audittrail.CheckpointError{Err: tlog.ErrUnknownKey, Older: true}, exitFailed},
		{&audittrail.CheckpointError{Err: tlog.ErrOrigin}, exitFailed},
		{audittrail.ErrUnauthenticated, exitLimited},
		{fmt.Errorf("%w: %w", audittrail.ErrUnauthenticated, &record.CorruptError{}), exitLimited},
		{&record.CorruptError{}, exitAltered},
	} {
		if got := statusOf(fmt.Errorf("open log: %w", c.err)); got != c.want {
			t.Errorf("statusOf(%T: %v) = %d, want %d", c.err, c.err, got, c.want)
		}
	}
	order := []int{exitOK, exitLimited, exitDenied, exitFailed, exitAltered}
	for i, a := range order {
		for j, b := range order {
			if got, want := worseStatus(a, b), order[max(i, j)]; got != want {
				t.Errorf("worseStatus(%d, %d) = %d, want %d", a, b, got, want)
			}
		}
	}
}
