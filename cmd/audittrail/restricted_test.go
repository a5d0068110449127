package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
)

// A restricted user is listed by subject id wherever results name users.
func TestGroupsHideTheRestricted(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", "annrestricted", "-p", "secret")
	mustRun(t, "--dir", dir, "gdpr", "restrict", "annrestricted", "--reason", "r")
	if out := mustRun(t, "--dir", dir, "show", "0"); strings.Contains(out, "annrestricted") {
		t.Errorf("show prints %s", out)
	}
	if out := mustRun(t, "--dir", dir, "query", "--group-by", "user"); strings.Contains(out, "annrestricted") {
		t.Errorf("query --group-by user prints\n%s", out)
	}
}

// A restriction counts from when it is in force, also for who follows the log.
func TestTailHeedsRestriction(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", "ann", "-p", "before")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	follow, _, _ := newEnv(t, "--dir", dir, "tail", "-n", "1", "-f", "-o", "csv")
	follow.ctx = ctx
	out, in := io.Pipe()
	follow.stdout = in
	go func() {
		follow.run()
		_ = in.Close()
	}()
	lines := bufio.NewScanner(out)
	next := func() string { lines.Scan(); return lines.Text() }
	next()
	next()
	mustRun(t, "--dir", dir, "gdpr", "restrict", "ann", "--reason", "r")
	next()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", "ann", "-p", "SECRET")
	if line := next(); strings.Contains(line, "SECRET") {
		t.Errorf("tail -f prints %q of who is restricted", line)
	}
	interrupt()
}
