package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// runBench runs bench, or bench query, as a command.
func runBench(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	var looks atomic.Int64 // at a clock that runs ahead with each
	e := &env{
		ctx: t.Context(), args: append([]string{"bench"}, args...),
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(string) string { return "" }, now: func() time.Time {
			return time.Unix(1e9, 0).Add(time.Duration(looks.Add(1)) * 20 * time.Millisecond)
		},
	}
	status = e.run()
	return stdout.String(), stderr.String(), status
}

// TestBenchCommand runs the smallest measurements, and lists what the commands do
// not take.
func TestBenchCommand(t *testing.T) {
	for _, args := range [][]string{
		{"--events", "0"},
		{"--writers", "0"},
		{"--size", "63"},
		{"-o", "csv"},
		{"--keys", "keys"},
		{"--master", "env:X"},
		{"more"},
		{"query", "--events", "999"},
		{"query", "-o", "csv"},
		{"query", "--keys", "keys"},
		{"query", "--master", "env:X"},
		{"query", "more"},
	} {
		dir := t.TempDir()
		if out, errs, status := runBench(t, append(args, "--dir", dir)...); status != exitFailed || out != "" || errs == "" {
			t.Errorf("bench %v: exit status %d, want it refused", args, status)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench %v left %v, %v", args, left, err)
		}
	}
	out, errs, status := runBench(t, "--events", "20", "--writers", "4", "--size", "300", "--dir", t.TempDir(), "-o", "json")
	var result struct{ Events, Writers, Size int }
	if err := json.Unmarshal([]byte(out), &result); err != nil || status != exitOK || errs != "" || result.Events != 20 || result.Writers != 4 || result.Size != 300 {
		t.Errorf("bench -o json: exit status %d, %s%s", status, out, errs)
	}
	if out, errs, status := runBench(t, "query", "--events", "1300", "--dir", t.TempDir()); status != exitOK || !strings.Contains(out, "1,300") {
		t.Errorf("bench query: exit status %d, %s%s", status, out, errs)
	}
}
