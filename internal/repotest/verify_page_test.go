package repotest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// auditCopy creates a log on the disk, with the files that docs/verify.md needs,
// and returns the folder and the log's verifier key.
func auditCopy(t *testing.T) (dir, vkey string) {
	t.Helper()
	dir = t.TempDir()
	log := logtest.Open(t, filepath.Join(dir, "audit"), audittrail.Options{Create: true, Origin: "example.com/assistant"})
	for i := range 41 {
		logtest.Append(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: strings.Repeat("Wort ", i)})
		if i == 22 {
			signed, err := log.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "monday.checkpoint"), signed)
		}
	}
	keys, err := log.Keys()
	if err != nil {
		t.Fatal(err)
	}
	logtest.Close(t, log)
	script, err := os.ReadFile(filepath.Join("docs", "verify.py"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "verify.py"), script)
	return dir, keys[0].VKey
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// needs passes over a test for want of a program: to run the tests of this
// module, Go must be enough. Where CI is set, all of them must run.
func needs(t *testing.T, program string) {
	t.Helper()
	_, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("this test runs what the documentation tells people to run with %s: %v", program, err)
	}
	if err != nil {
		t.Skipf("this test runs what the documentation tells people to run with %s: %v", program, err)
	}
}

// TestVerifyPage runs the commands of docs/verify.md and compares what they
// print with what the page says.
func TestVerifyPage(t *testing.T) {
	needs(t, "bash")
	needs(t, "python3")
	page, err := os.ReadFile(filepath.Join("docs", "verify.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```(sh|output)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	dir, vkey := auditCopy(t)
	ran := 0
	for i, b := range blocks {
		if b[1] != "sh" {
			continue
		}
		ran++
		cmd := exec.CommandContext(t.Context(), "bash", "-ec", b[2])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "VKEY="+vkey)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s\n%v: %s", b[2], err, out)
			continue
		}
		if i+1 == len(blocks) || blocks[i+1][1] != "output" {
			t.Errorf("%s\nis not followed by what it prints", b[2])
			continue
		}
		want := strings.ReplaceAll(regexp.QuoteMeta(blocks[i+1][2]), "…", ".*")
		if !regexp.MustCompile("^" + want + "$").Match(out) {
			t.Errorf("%s\nprinted\n%s\nwant\n%s", b[2], out, blocks[i+1][2])
		}
	}
	if ran < 4 {
		t.Errorf("the page has %d blocks of commands, want 4 or more", ran)
	}
}
