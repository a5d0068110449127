package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTerminalGetsNothingHidden checks that what goes to files byte for byte
// does not act on a terminal.
func TestTerminalGetsNothingHidden(t *testing.T) {
	dir := t.TempDir()
	const model = "\u202egpt\u200b"
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-m", model, "-p", "a\u009b2J\x1b[31mb")
	mustRun(t, "--dir", dir, "log", "-t", "response", "-m", model, "-r", "a\u009b2Jb", "-u", "ada")
	mustRun(t, "--dir", dir, "lineage", "add", "dataset", "--name", "d"+model, "--version", "1")
	for _, command := range [][]string{
		{"show", "--raw", "0"},
		{"export"},
		{"export", "--format", "csv"},
		{"query", "-o", "csv"},
		{"tail", "-o", "csv"},
		{"show", "0", "-o", "csv"},
		{"query", "--group-by", "model_id", "-o", "csv"},
		{"report", "--format", "json", "--no-record"},
		{"report", "--format", "csv", "--no-record"},
		{"report", "--format", "md", "--no-record"},
		{"report", "--format", "html", "--no-record"},
		{"report", "--no-record"},
		{"lineage", "--format", "dot"},
		{"lineage", "--format", "mermaid"},
		{"lineage", "--format", "html"},
		{"lineage", "--format", "svg"},
		{"lineage", "--format", "json"},
		{"lineage", "--show-dag"},
		{"lineage", "export", "--format", "prov"},
		{"disclose", "0"},
		{"prove", "0"},
		{"gdpr", "erase", "ada", "--reason", model, "--basis", model, "-o", "json"},
	} {
		e, stdout, stderr := newEnv(t, append([]string{"--dir", dir, "--no-color"}, command...)...)
		e.outTerminal, e.errTerminal, e.width = true, true, 80
		if status := e.run(); status != exitOK {
			t.Errorf("%v: exit status %d: %s", command, status, stderr)
		}
		// Progress, of which nothing is recorded text, moves about on standard error.
		at := strings.IndexFunc(stdout.String(), func(r rune) bool {
			return r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || slices.Contains(unseen, r))
		})
		if at >= 0 {
			t.Errorf("%v prints something hidden at byte %d of %q", command, at, stdout)
		}
	}
	for _, form := range []string{"show --raw 0", "disclose 0"} { // to a file, byte for byte
		out := mustRun(t, append([]string{"--dir", dir}, strings.Fields(form)...)...)
		if strings.Contains(out, `\u202e`) {
			t.Errorf("%s is not as it was recorded, in a file: %s", form, out)
		}
	}
}

// TestDiagnosticsAreOneVisibleLine checks what the library logs.
func TestDiagnosticsAreOneVisibleLine(t *testing.T) {
	e, _, stderr := newEnv(t)
	e.logger().LogAttrs(context.Background(), slog.LevelWarn, "a\u202eb", slog.Any("error", fmt.Errorf("c\x9b\x1b\nd")))
	e.note("%s", "e\u200bf\naudittrail: verified")
	want := `audittrail: warn: a\u202eb (error: c\x9b\u001b d)` + "\n" + `audittrail: e\u200bf audittrail: verified` + "\n"
	if got := stderr.String(); got != want {
		t.Errorf("notes are\n%s, want\n%s", got, want)
	}
}

// TestVerifyScriptShowsNothingHidden has docs/verify.py name a folder.
func TestVerifyScriptShowsNothingHidden(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	script := filepath.Join("..", "..", "docs", "verify.py")
	out, err := exec.CommandContext(t.Context(), "python3", script, "no\x1b[31m\u202elog\u200b").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `no\x1b[31m\u202elog\u200b`) {
		t.Errorf("verify.py says %q, %v", out, err)
	}
}
