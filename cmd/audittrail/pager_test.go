package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
)

// aLog makes a log of so many prompts in a new folder.
func aLog(t *testing.T, n int, prompt func(i int) string) (dir string) {
	t.Helper()
	var lines bytes.Buffer
	for i := range n {
		lines.Write(append(event.AppendJSON(nil, &event.Event{
			Type: event.Prompt, ModelID: "m", UserID: "ada", Prompt: prompt(i), Labels: map[string]string{"n": fmt.Sprint(i)},
		}), '\n'))
	}
	dir = t.TempDir()
	file := filepath.Join(dir, "events.jsonl")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "--dir", filepath.Join(dir, "log"), "import", file)
	return filepath.Join(dir, "log")
}

// onTerminal runs a command as on a terminal of 80 columns and 10 lines.
func onTerminal(t *testing.T, vars map[string]string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	e, out, errs := newEnv(t, args...)
	e.outTerminal, e.width, e.height = true, 80, 10
	e.getenv = func(name string) string { return vars[name] }
	status = e.run()
	return out.String(), errs.String(), status
}

// A table of more than one screen goes to the pager, and nothing else does.
func TestPager(t *testing.T) {
	dir := aLog(t, 30, func(i int) string { return fmt.Sprintf("number %d", i) })
	for _, test := range []struct {
		name   string
		pager  string
		args   []string
		lines  int
		paged  bool
		stderr string
	}{
		{"more than a screen", "sed s/^/|/", []string{"query"}, 31, true, ""},
		{"groups", "sed s/^/|/", []string{"query", "--group-by", "label:n"}, 31, true, ""},
		{"a screen", "sed s/^/|/", []string{"query", "-n", "8"}, 9, false, "audittrail: only 8 records listed: --limit N lists more, --limit 0 all\n"},
		{"a line more", "sed s/^/|/", []string{"query", "-n", "9"}, 10, true, "audittrail: only 9 records listed: --limit N lists more, --limit 0 all\n"},
		{"switched off", "sed s/^/|/", []string{"query", "--no-pager"}, 31, false, ""},
		{"JSON lines", "sed s/^/|/", []string{"query", "-o", "jsonl"}, 30, false, ""},
		{"CSV", "sed s/^/|/", []string{"query", "-o", "csv"}, 31, false, ""},
		{"a count", "sed s/^/|/", []string{"query", "--count-only"}, 1, false, ""},
		{"left early", "sed -e s/^/|/ -e 2q", []string{"query"}, 2, true, ""},
		{"not there", "no-such-pager", []string{"query"}, 31, false, `audittrail: run $PAGER: exec: "no-such-pager": executable file not found in $PATH; the output is shown without a pager` + "\n"},
		{"no program", " ", []string{"query"}, 31, false, "audittrail: run $PAGER: the variable names no program; the output is shown without a pager\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, status := onTerminal(t, map[string]string{"PAGER": test.pager}, append([]string{"--dir", dir}, test.args...)...)
			if status != exitOK || stderr != test.stderr {
				t.Errorf("exit status %d, stderr %q, want %q", status, stderr, test.stderr)
			}
			lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
			if len(lines) != test.lines {
				t.Errorf("%d lines, want %d", len(lines), test.lines)
			}
			for _, line := range lines {
				if strings.HasPrefix(line, "|") != test.paged {
					t.Fatalf("paged, want that to be %v: %q", test.paged, line)
				}
				if display.Columns(strings.TrimPrefix(line, "|")) > 80 && !strings.HasPrefix(line, "{") {
					t.Errorf("wider than the terminal: %q", line)
				}
			}
		})
	}
}

// After the user has left the pager, the rest of the result is not computed.
func TestPagerIsLeft(t *testing.T) {
	dir := aLog(t, 3000, func(i int) string { return strings.Repeat("word ", 200) })
	stdout, stderr, status := onTerminal(t, map[string]string{"PAGER": "sed 1q"}, "--dir", dir, "query", "-n", "0")
	if status != exitOK || stderr != "" || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	stdout, stderr, status = onTerminal(t, map[string]string{"PAGER": "false"}, "--dir", dir, "query", "-n", "50")
	if want := "audittrail: run the pager false: exit status 1; --no-pager shows the output without a pager\n"; status != exitFailed || stderr != want || stdout != "" {
		t.Errorf("exit status %d, stdout %q, stderr %q, want %q", status, stdout, stderr, want)
	}
}

// Words that match are marked on a terminal, if colours are enabled.
func TestMarks(t *testing.T) {
	long := strings.Repeat("padding ", 30)
	dir := aLog(t, 1, func(int) string { return long + "what is a \ufdd0bond\ufdd1 and a bond? " + long })
	query := []string{"--dir", dir, "query", "--text", "bond"}
	const yellow, off = "\x1b[1;33m", "\x1b[0m"
	for _, test := range []struct {
		name  string
		vars  map[string]string
		args  []string
		plain bool
	}{
		{"on a terminal", nil, nil, false},
		{"--no-color", nil, []string{"--no-color"}, true},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, nil, true},
		{"CSV", nil, []string{"-o", "csv"}, true},
	} {
		stdout, _, _ := onTerminal(t, test.vars, append(query, test.args...)...)
		if got := strings.Contains(stdout, yellow+"bond"+off); got == test.plain || strings.Contains(stdout, "\ufdd0") {
			t.Errorf("%s: %q", test.name, stdout)
		}
		if test.plain && strings.Contains(stdout, "\x1b") {
			t.Errorf("%s: colours in %q", test.name, stdout)
		}
		plain := strings.NewReplacer(yellow, "", off, "").Replace(stdout)
		for line := range strings.Lines(plain) {
			if display.Columns(strings.TrimSuffix(line, "\n")) > 80 && !strings.Contains(line, ",") {
				t.Errorf("%s: wider than the terminal: %q", test.name, line)
			}
		}
	}
	if stdout := mustRun(t, query...); strings.ContainsAny(stdout, "\x1b\ufdd0[") || !strings.Contains(stdout, "what is a bond and a bond? ") {
		t.Errorf("into a file: %q", stdout)
	}
}

// JSON says where the words stand.
func TestMatchesInJSON(t *testing.T) {
	dir := aLog(t, 2, func(i int) string { return fmt.Sprintf("Crème brûlée %d", i) })
	var got struct {
		Prompt  string
		Matches []struct {
			Field      string
			Start, End int
			Text       string
		}
	}
	out := mustRun(t, "--dir", dir, "query", "--text", "creme brulee", "-n", "1", "-o", "jsonl")
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Matches) != 2 {
		t.Fatalf("%v, of %s", err, out)
	}
	for _, m := range got.Matches {
		if m.Field != "prompt" || got.Prompt[m.Start:m.End] != m.Text {
			t.Errorf("%q is said to have %q at %d to %d", got.Prompt, m.Text, m.Start, m.End)
		}
	}
	if out := mustRun(t, "--dir", dir, "query", "--text", "-other", "-n", "1", "-o", "json"); !strings.Contains(out, `"matches":[]}`) {
		t.Errorf("nothing to mark: %s", out)
	}
	if out := mustRun(t, "--dir", dir, "query", "-o", "json"); strings.Contains(out, "matches") {
		t.Errorf("without words: %s", out)
	}
}
