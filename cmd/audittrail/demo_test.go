package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runDemo runs the command demo, and returns what it printed.
func runDemo(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	e := &env{
		ctx: t.Context(), args: append([]string{"demo"}, args...), stdin: strings.NewReader(""),
		stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now,
	}
	if status := e.run(); status != exitOK || errs.Len() > 0 {
		return out.String(), fmt.Errorf("audittrail demo: exit status %d, stderr %q", status, errs.String())
	}
	return out.String(), nil
}

// A keptDemo is what demo leaves with --dir.
type keptDemo struct {
	dir, out string
	incident uint64
	vkey     string
}

func keepDemo(t *testing.T) keptDemo {
	t.Helper()
	k := keptDemo{dir: filepath.Join(t.TempDir(), "kept")}
	var err error
	if k.out, err = runDemo(t, "--dir", k.dir); err != nil {
		t.Fatal(err)
	}
	proofs, err := filepath.Glob(filepath.Join(k.dir, "demo", "*.tlog-proof"))
	if err != nil || len(proofs) != 1 {
		t.Fatalf("demo left the proofs %q, want one", proofs)
	}
	if k.incident, err = strconv.ParseUint(strings.TrimSuffix(filepath.Base(proofs[0]), ".tlog-proof"), 10, 64); err != nil {
		t.Fatal(err)
	}
	vkey, err := os.ReadFile(filepath.Join(k.dir, "demo", "log.vkey"))
	if err != nil {
		t.Fatal(err)
	}
	k.vkey = strings.TrimSpace(string(vkey))
	return k
}

// audittrail runs another command, and returns what it printed and its status.
func (k keptDemo) audittrail(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	e := &env{
		ctx: t.Context(), args: args, stdin: strings.NewReader(""), stdout: &out, stderr: &out,
		getenv: func(string) string { return "" }, now: time.Now,
	}
	status := e.run()
	return out.String(), status
}

// TestDemoSaysWhatIs does what demo says that it did once more, with the
// commands that people have, on what demo leaves.
func TestDemoSaysWhatIs(t *testing.T) {
	k := keepDemo(t)
	file := func(name string) string { return filepath.Join(k.dir, "demo", name) }
	for name, kind := range map[string]string{
		"../": "", "untouched": "", "modified": "modified", "rewritten": "rewritten", "missing": "missing", "truncated": "truncated",
	} {
		out, status := k.audittrail(t, "verify", "--dir", file(name), "--key", k.vkey, "--checkpoint", file("checkpoint"), "-o", "json")
		want := exitAltered
		if kind == "" {
			want = exitOK
		}
		if status != want {
			t.Errorf("verify %s: exit status %d, want %d: %s", name, status, want, out)
		}
		var v struct {
			Valid  bool
			Errors []struct {
				Seq  uint64
				Kind string
			}
		}
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatalf("verify %s: %v: %s", name, err, out)
		}
		if v.Valid != (kind == "") {
			t.Errorf("verify %s: valid = %v", name, v.Valid)
		}
		if kind == "" {
			continue
		}
		if len(v.Errors) == 0 || v.Errors[0].Kind != kind || v.Errors[0].Seq != k.incident {
			t.Errorf("verify %s: %+v, want record %d %s first", name, v.Errors, k.incident, kind)
		}
		if says := fmt.Sprintf("record %d %s\n", k.incident, kind); !strings.Contains(k.out, says) {
			t.Errorf("demo does not say %q", says)
		}
	}
	number := strconv.FormatUint(k.incident, 10)
	out, status := k.audittrail(t, "check", "--key", k.vkey, "--proof", file(number+".tlog-proof"), file(number+".json"))
	if status != exitOK {
		t.Errorf("check: exit status %d: %s", status, out)
	}
	for line := range strings.Lines(out) {
		if !strings.Contains(k.out, line) {
			t.Errorf("check says %q, which demo does not show", line)
		}
	}
}

// TestDemoRefuses lists what demo does not take.
func TestDemoRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--dir", full}, {"--keys", "keys"}, {"-o", "json"}, {"--master", "env:X"}, {"more"},
	} {
		if out, err := runDemo(t, args...); err == nil || out != "" {
			t.Errorf("demo %v: %v, want it refused", args, err)
		}
	}
	names, err := os.ReadDir(full)
	if err != nil || len(names) != 1 {
		t.Errorf("demo put something into a folder that was not empty: %v", names)
	}
}

// TestDemoStatus has the exit status of a demonstration that could not be given.
func TestDemoStatus(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for what, e := range map[string]*env{
		"interrupted":      {ctx: interrupted, stdout: new(bytes.Buffer)},
		"in a broken pipe": {ctx: t.Context(), stdout: brokenPipe{}},
	} {
		e.args, e.stdin, e.stderr = []string{"demo"}, strings.NewReader(""), new(bytes.Buffer)
		e.getenv, e.now = func(string) string { return "" }, time.Now
		if status := e.run(); status != exitFailed {
			t.Errorf("demo %s: exit status %d, want %d", what, status, exitFailed)
		}
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }
