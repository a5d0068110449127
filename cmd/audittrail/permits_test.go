package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"audittrail/access"
)

// TestPermits lists for every command the permission that a token needs.
func TestPermits(t *testing.T) {
	e, _, _ := newEnv(t)
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			look(c)
		}
		if _, known := permissionOf(cmd); cmd.Runnable() && cmd.HasParent() && !known {
			t.Errorf("%s is neither in permits nor in asks", cmd.CommandPath())
		}
	}
	look(e.rootCmd())
}

// The ways in which commands treat a token with the permission and a scope.
const (
	refuses = "refuses" // the command is about more than the scope
	keeps   = "keeps"   // it shows what is in the scope
	whole   = "whole"   // it shows nothing but hashes, or nothing of the log
)

// cells says of every command that asks for a token which permissions it needs,
// all of them, and what it makes of a scope. The arguments do no harm: where the
// token permits the command, it fails, or changes nothing that others see.
var cells = []struct {
	args  string
	needs string
	scope string
}{
	{"log -t nonsense", "write_events", refuses},
	{"import missing.jsonl", "write_events", refuses},
	{"stat", "read_events", refuses},
	{"query", "read_events", refuses},
	{"query --count-only", "read_events", refuses},
	{"query --group-by model_id", "read_events", refuses},
	{"query --group-by user", "read_events read_content", refuses},
	{"query --group-by user_id", "read_events read_content", refuses},
	{"query -u ann", "read_events read_content", refuses},
	{"query -u ann --explain", "read_events read_content", refuses},
	{"query --actor ann", "read_events read_content", refuses},
	{"query --session s", "read_events read_content", refuses},
	{"query --text x", "read_events read_content", refuses},
	{"export", "read_events export_data", refuses},
	{"export --metadata-only", "read_events export_data", refuses},
	{"export -u ann", "read_events export_data read_content", refuses},
	{"export --text x", "read_events export_data read_content", refuses},
	{"show 0", "read_events", keeps},
	{"show --raw 0", "read_events", keeps},
	{"tail", "read_events", keeps},
	{"tail --session s", "read_events read_content", keeps},
	{"disclose 0", "read_events read_content export_data", keeps},
	{"verify", "verify", whole},
	{"prove 0", "verify", whole},
	{"checkpoint", "verify", whole},
	{"consistency missing", "verify", whole},
	{"tree export /dev/null/x", "verify", whole},
	{"archive list", "verify", whole},
	{"archive verify", "verify", whole},
	{"archive create nonsense", "manage_retention", refuses},
	{"archive restore", "manage_retention", refuses},
	{"keys show", "verify", whole},
	{"keys backup", "manage_keys", refuses},
	{"doctor", "verify", whole},
	{"doctor --repair", "manage_keys", refuses},
	{"reindex", "manage_keys", refuses},
	{"rebuild --from missing", "manage_keys", refuses},
	{"report --type access --no-record", "view_reports", refuses},
	{"report verify missing", "view_reports", refuses},
	{"report case 0 --no-record", "read_events", keeps},
	{"report case --user ann --no-record", "read_events read_content", refuses},
	{"lineage", "read_events", refuses},
	{"lineage show x", "read_events", refuses},
	{"lineage path x y", "read_events", refuses},
	{"lineage impact x", "read_events", refuses},
	{"lineage calls", "read_events", refuses},
	{"lineage explain 0", "read_events", refuses},
	{"lineage verify-artifact x y", "read_events", refuses},
	{"lineage export --format cyclonedx", "export_data", refuses},
	{"lineage add dataset", "manage_lineage", refuses},
	{"lineage import missing --format croissant", "manage_lineage", refuses},
	{"lineage retire x", "manage_lineage", refuses},
	{"retention policy list", "manage_retention", refuses},
	{"retention policy set", "manage_retention", refuses},
	{"retention plan", "manage_retention", refuses},
	{"retention apply", "manage_retention", refuses},
	{"hold place --reason r --start 2026-02-01 --end 2026-01-01", "manage_holds", refuses},
	{"hold release x --reason r", "manage_holds", refuses},
	{"hold approve x", "manage_holds", refuses},
	{"hold list", "manage_holds", refuses},
	{"gdpr status ann", "delete_data", refuses},
	{"gdpr approve nobody", "delete_data", refuses},
	{"gdpr erase nobody --reason r --basis b", "delete_data", refuses},
	{"gdpr erase ann --dry-run", "delete_data", refuses},
	{"gdpr restrict nobody --reason r", "delete_data", refuses},
	{"gdpr lift nobody --reason r", "delete_data", refuses},
	{"gdpr certificate --list", "delete_data", refuses},
	{"gdpr export nobody --out x.zip", "export_data read_content", refuses},
	{"access list", "manage_access", refuses},
	{"access history", "manage_access", refuses},
	{"access revoke t-0123456789abcdef", "manage_access", refuses},
	{"access grant eve nonsense", "manage_access", refuses},
	// access check is about the token that it is given, and roles are those of
	// the configuration.
	{"access check verify", "verify", whole},
	{"access roles", "", whole},
	{"gdpr certificate verify missing --key x", "", whole},
	{"check --disclosed missing", "", whole},
	{"keys restore --from missing --identity missing", "", whole},
	// These do what they are told, and each key more makes what follows slower.
	{"keys rotate-signer", "manage_keys", refuses},
	{"keys rotate-master", "manage_keys", refuses},
}

// TestPermissionCells tries each command with tokens that lack one permission
// each, one that has all, and one that has all within a scope.
func TestPermissionCells(t *testing.T) {
	dir := t.TempDir()
	all := access.Permissions()
	var config strings.Builder
	for _, lacks := range append([]access.Permission{""}, all...) {
		fmt.Fprintf(&config, "[roles.%s]\ndescription = \"x\"\npermissions = [", roleWithout(lacks))
		for _, p := range all {
			if p != lacks {
				fmt.Fprintf(&config, "%q,", p)
			}
		}
		config.WriteString("]\n")
	}
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-m", "gpt-4", "-u", "ann", "-p", "x")
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	grant := func(role string, more ...string) string {
		e, stdout, stderr := newEnv(t, append([]string{"--dir", dir, "access", "grant", "somebody", role, "-o", "csv"}, more...)...)
		if status := e.run(); status != exitOK {
			t.Fatalf("grant %s: %s", role, stderr)
		}
		return strings.Split(strings.Split(stdout.String(), "\n")[1], ",")[1]
	}
	tokens := map[access.Permission]string{}
	for _, lacks := range append([]access.Permission{""}, all...) {
		tokens[lacks] = grant(roleWithout(lacks))
	}
	scoped := grant(roleWithout(""), "--scope", "model=gpt-4")
	foreign := grant(roleWithout(""), "--scope", "model=other")

	work := t.TempDir()
	run := func(args, token string) (int, string) {
		words := strings.Fields(args)
		for i, w := range words {
			if w == "x.zip" || w == "missing" || w == "missing.jsonl" {
				words[i] = filepath.Join(work, w)
			}
		}
		e, _, stderr := newEnv(t, append([]string{"--dir", dir}, words...)...)
		e.getenv = func(name string) string {
			if name == tokenVar {
				return token
			}
			return ""
		}
		return e.run(), stderr.String()
	}
	covered := map[string]bool{}
	for _, c := range cells {
		needs := strings.Fields(c.needs)
		for _, p := range all {
			status, said := run(c.args, tokens[p])
			if denied, want := status == exitDenied, slices.Contains(needs, string(p)); denied != want {
				t.Errorf("%s without %s: exit status %d, denied must be %v: %s", c.args, p, status, want, said)
			}
		}
		if status, said := run(c.args, tokens[""]); status == exitDenied {
			t.Errorf("%s with all permissions: denied: %s", c.args, said)
		}
		status, said := run(c.args, scoped)
		if denied := status == exitDenied; denied != (c.scope == refuses) {
			t.Errorf("%s within a scope: exit status %d, want it to be of the kind %q: %s", c.args, status, c.scope, said)
		}
		if c.scope == keeps && !strings.HasPrefix(c.args, "tail") {
			if status, said := run(c.args, foreign); status != exitDenied {
				t.Errorf("%s out of scope: exit status %d, want %d: %s", c.args, status, exitDenied, said)
			}
		}
		e, _, _ := newEnv(t)
		if cmd, _, err := e.rootCmd().Find(strings.Fields(c.args)); err == nil {
			covered[cmd.CommandPath()] = true
		}
	}
	var look func(*cobra.Command) error
	look = func(cmd *cobra.Command) error {
		var errs []error
		for _, c := range cmd.Commands() {
			errs = append(errs, look(c))
		}
		name := cmd.CommandPath()
		if cmd.Runnable() && cmd.HasParent() && !covered[name] && !slices.Contains(tokenless, strings.Fields(name + " -")[1]) && !strings.HasPrefix(name, "audittrail lineage add") {
			errs = append(errs, fmt.Errorf("%s has no cell", name))
		}
		return errors.Join(errs...)
	}
	e, _, _ := newEnv(t)
	if err := look(e.rootCmd()); err != nil {
		t.Error(err)
	}
}

// tokenless are commands that read no log of anybody.
var tokenless = []string{"init", "demo", "bench", "man", "version", "completion", "help"}

func roleWithout(p access.Permission) string {
	if p == "" {
		return "all"
	}
	return "no-" + strings.ReplaceAll(string(p), "_", "-")
}
