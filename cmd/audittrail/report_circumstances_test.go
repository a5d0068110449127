package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A report that was handed out holds, whatever has become of files that are no part
// of the log, and does not once a line was altered.
func TestReportCircumstances(t *testing.T) {
	plain := segmentedLog(t)
	kept := filepath.Join(t.TempDir(), "report.json")
	mustRun(t, "--dir", plain, "report", "--format", "json", "--no-record", "--out", kept)
	segments, err := filepath.Glob(filepath.Join(plain, "log", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	first := strings.TrimSuffix(filepath.Base(segments[1]), ".jsonl")
	flipped := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, c := range map[string]struct {
		do     func(dir string)
		status int
	}{
		"nothing":            {func(string) {}, exitOK},
		"a side file":        {func(dir string) { edited(t, filepath.Join(dir, "log", first+".side"), flipped) }, exitLimited},
		"a file of the tree": {func(dir string) { edited(t, filepath.Join(dir, "tree", "0"), flipped) }, exitLimited},
		"the checkpoint":     {func(dir string) { edited(t, filepath.Join(dir, "tree", "checkpoint"), unsigned) }, exitLimited},
		"no checkpoint": {func(dir string) {
			if err := os.Remove(filepath.Join(dir, "tree", "checkpoint")); err != nil {
				t.Fatal(err)
			}
		}, exitLimited},
		"a stray tombstone": {func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, "log", strings.Repeat("0", 19)+"1.remnant"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, exitLimited},
		"a line": {func(dir string) { edited(t, filepath.Join(dir, "log", first+".jsonl"), flipped) }, exitAltered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyLog(t, plain)
			c.do(dir)
			out, errs, status := runIn(t, dir, "report", "verify", kept)
			if status != c.status || strings.Contains(out, "DOES NOT HOLD") != (c.status == exitAltered) {
				t.Errorf("report verify: exit status %d, %s%s; want %d", status, out, errs, c.status)
			}
			// One that is made now says what the check of the log says.
			if out, errs, status := runIn(t, dir, "report", "--type", "integrity", "--format", "md", "--no-record"); status != c.status {
				t.Errorf("report: exit status %d, %s%s; want %d", status, out, errs, c.status)
			}
			if out, errs, status := runIn(t, dir, "verify"); status != c.status {
				t.Errorf("verify: exit status %d, %s%s; want %d", status, out, errs, c.status)
			}
		})
	}
}
