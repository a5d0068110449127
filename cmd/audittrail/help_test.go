package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
)

// TestHelp checks that the help of every command has lines that fit a terminal, an
// example, and the exit statuses.
func TestHelp(t *testing.T) {
	e, _, _ := newEnv(t)
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			look(c)
		}
		name := cmd.CommandPath()
		help, stdout, stderr := newEnv(t, append(strings.Fields(name)[1:], "--help")...)
		if status := help.run(); status != exitOK {
			t.Fatalf("%s --help: status %d, %s", name, status, stderr)
		}
		for line := range strings.SplitSeq(stdout.String(), "\n") {
			if n := display.Columns(line); n > 80 {
				t.Errorf("%s --help has a line of %d columns: %s", name, n, line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s --help has a line that ends in spaces: %q", name, line)
			}
		}
		if cmd.HasParent() && !strings.Contains(stdout.String(), "Exit status:") {
			t.Errorf("%s --help does not tell its exit statuses", name)
		}
		if cmd.Runnable() && cmd.Example == "" {
			t.Errorf("%s --help has no example", name)
		}
		if strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 66 {
			t.Errorf("%s: its summary is %q", name, cmd.Short)
		}
	}
	look(e.rootCmd())
}
