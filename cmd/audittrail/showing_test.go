package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// TestReadBesideWriter says what it could not record, and does not wait.
func TestReadBesideWriter(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "secret")
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(mustRun(t, "--dir", dir, "access", "grant", "ann", "viewer", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	log := logtest.Open(t, dir, audittrail.Options{})
	for _, c := range []struct {
		args         []string
		status       int
		says, prints string
	}{
		{[]string{"show", "0"}, exitOK, "that content is shown was not recorded: another process has the log open for writing", "secret"},
		{[]string{"access", "check", made.Token, "manage_keys"}, exitDenied, "this denial was not recorded: another process", ""},
		{[]string{"access", "check", made.Token, "read_events"}, exitOK, "", "allowed"},
	} {
		e, stdout, stderr := newEnv(t, append([]string{"--dir", dir}, c.args...)...)
		start := time.Now()
		if status := e.run(); status != c.status {
			t.Errorf("%q: status %d, %s", c.args, status, stderr)
		}
		if !strings.Contains(stderr.String(), c.says) || c.says == "" && stderr.Len() > 0 || !strings.Contains(stdout.String(), c.prints) {
			t.Errorf("%q printed %q and %q", c.args, stdout, stderr)
		}
		if took := time.Since(start); took > 1500*time.Millisecond { // a writer waits for two seconds
			t.Errorf("%q took %v", c.args, took)
		}
	}
	logtest.Close(t, log)
	// With nobody in the way, both are recorded.
	mustRun(t, "--dir", dir, "show", "0")
	e, _, _ := newEnv(t, "--dir", dir, "access", "check", made.Token, "manage_keys")
	if status := e.run(); status != exitDenied {
		t.Errorf("access check: status %d", status)
	}
	out := mustRun(t, "--dir", dir, "tail", "-o", "jsonl")
	for _, want := range []event.Type{event.ContentRead, event.AccessDenied} {
		if n := strings.Count(out, `"type":"`+string(want)+`"`); n != 1 {
			t.Errorf("the log has %d records of type %s, want 1", n, want)
		}
	}
}
