package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An erasure on a terminal asks, and anything but a yes erases nobody.
func TestEraseAsks(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", "ann", "-p", "x")
	erase := []string{"--dir", dir, "gdpr", "erase", "ann", "--reason", "r", "--basis", "b"}
	for _, c := range []struct {
		answer string
		args   []string
		status int
		asks   bool
	}{
		{"n\n", nil, exitFailed, true},
		{"", nil, exitFailed, true},
		{"\n", nil, exitFailed, true},
		{"", []string{"--dry-run"}, exitOK, false},
		{"y\n", nil, exitOK, true},
		{"n\n", nil, exitLimited, false}, // there is nothing to erase any more
	} {
		e, stdout, stderr := newEnv(t, append(erase, c.args...)...)
		e.inTerminal, e.errTerminal, e.stdin = true, true, strings.NewReader(c.answer)
		status := e.run()
		if status != c.status || strings.Contains(stderr.String(), "[y/N]") != c.asks {
			t.Errorf("erase with the answer %q %q: exit status %d, want %d\n%s%s", c.answer, c.args, status, c.status, stdout, stderr)
		}
		if strings.Contains(stderr.String(), "ann") {
			t.Errorf("stderr names the user: %s", stderr)
		}
	}
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", "ann", "-p", "x")
	e, _, stderr := newEnv(t, append(erase, "--yes")...)
	e.inTerminal, e.errTerminal = true, true
	if status := e.run(); status != exitOK || strings.Contains(stderr.String(), "[y/N]") {
		t.Errorf("erase --yes: exit status %d, %s", status, stderr)
	}
}

// A file of users that is not UTF-8 is refused, and a byte order mark at its start
// is ignored.
func TestUsersFile(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-u", "ann", "-p", "x")
	for name, c := range map[string]struct {
		text, want string
		status     int
	}{
		"utf16":  {"\xff\xfea\x00n\x00n\x00\n\x00", "save it as UTF-8", exitFailed},
		"utf16b": {"a\x00n\x00n\x00\n\x00", "save it as UTF-8", exitFailed},
		"latin1": {"jos\xe9\n", "line 1 is not valid UTF-8", exitFailed},
		"bom":    {"\xef\xbb\xbfann\r\n", "", exitOK},
	} {
		file := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"--file", "--user-file"} {
			e, _, stderr := newEnv(t, "--dir", dir, "gdpr", "erase", flag, file, "--dry-run")
			if status := e.run(); status != c.status || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("%s %s: exit status %d, want %d; %s", flag, name, status, c.status, stderr)
			}
		}
	}
}
