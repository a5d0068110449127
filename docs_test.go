package audittrail_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
)

// auditCopy makes a log on the disk, with what docs/verify.md needs beside it,
// and returns the folder and the log's verifier key.
func auditCopy(t *testing.T, roll int64) (dir, vkey string) {
	t.Helper()
	dir = t.TempDir()
	o := audittrail.Options{Create: true, Origin: "example.com/assistant"}.With(audittrail.Seams{Roll: roll})
	log, err := audittrail.Open(filepath.Join(dir, "audit"), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 41 {
		mustAppend(t, log, event.Event{Type: event.Prompt, UserID: "u", Prompt: strings.Repeat("Wort ", i)})
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
	mustClose(t, log)
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
	dir, vkey := auditCopy(t, 0)
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

// otherLetter puts another letter of base64 in the place of one.
func otherLetter(b []byte, at int) []byte {
	b = bytes.Clone(b)
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return b
}

// python runs docs/verify.py.
func python(t *testing.T, dir string, args ...string) (status int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{"verify.py"}, args...)...)
	cmd.Dir = dir
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

// TestVerifyScript has the script find what Verify finds.
func TestVerifyScript(t *testing.T) {
	needs(t, "python3")
	dir, vkey := auditCopy(t, 5000)
	segments, err := filepath.Glob(filepath.Join(dir, "audit", "log", "*.jsonl"))
	if err != nil || len(segments) < 4 {
		t.Fatalf("%d segments, %v; want 4 or more", len(segments), err)
	}
	name := segments[1]
	var first int
	if _, err := fmt.Sscanf(filepath.Base(name), "%d.jsonl", &first); err != nil {
		t.Fatal(err)
	}
	old := []string{"--vkey", vkey, "--checkpoint", "monday.checkpoint", "audit"}
	if status, out := python(t, dir, old...); status != 0 || !strings.HasPrefix(out, "intact: 41 records of example.com/assistant, of which 41 are signed\n") {
		t.Errorf("intact: status %d, %s", status, out)
	}
	if status, out := python(t, dir, "audit"); status != 0 || !strings.Contains(out, "signature was not checked") {
		t.Errorf("without a key: status %d, %s", status, out)
	}
	_, other := auditCopy(t, 0)
	if status, out := python(t, dir, "--vkey", other, "audit"); status != 1 {
		t.Errorf("with another key: status %d, %s", status, out)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	l := lines(whole)
	checkpoint := filepath.Join(dir, "audit", "tree", "checkpoint")
	signed, err := os.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		file string
		with []byte
		want string
	}{
		{"a bit flipped", name, flipAt(whole, len(l[0])+100), fmt.Sprintf("record %d:", first+1)},
		{"a line removed", name, bytes.Join(slices.Delete(slices.Clone(l), 1, 2), nil), fmt.Sprintf("record %d:", first+1)},
		{"two lines swapped", name, bytes.Join([][]byte{l[1], l[0], bytes.Join(l[2:], nil)}, nil), fmt.Sprintf("record %d:", first)},
		{"a line twice", name, bytes.Join([][]byte{l[0], l[0], bytes.Join(l[1:], nil)}, nil), fmt.Sprintf("record %d:", first+1)},
		{"the last line made anew", segments[len(segments)-1], nil, "41 records are not those"},
		{"nothing left", segments[len(segments)-1], []byte{}, "41 records were signed"},
		{"another root", checkpoint, bytes.Replace(signed, []byte("\n41\n"), []byte("\n40\n"), 1), "ALTERED"},
		{"another signature", checkpoint, otherLetter(signed, len(signed)-10), "ALTERED"},
	} {
		before, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if c.with == nil {
			last := lines(before)
			last[len(last)-1] = rehash(last[len(last)-1], `"type":"prompt"`, `"type":"x.other"`)
			c.with = bytes.Join(last, nil)
		}
		write(t, c.file, c.with)
		status, out := python(t, dir, old...)
		if status != 2 || !strings.HasPrefix(out, "ALTERED: ") || !strings.Contains(out, c.want) {
			t.Errorf("%s: status %d, %s; want 2 and %q", c.what, status, out, c.want)
		}
		write(t, c.file, before)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if status, out := python(t, dir, "audit"); status != 2 || !strings.Contains(out, fmt.Sprintf("record %d:", first)) {
		t.Errorf("a segment deleted: status %d, %s", status, out)
	}
	if status, out := python(t, dir, "nowhere"); status != 1 {
		t.Errorf("no log: status %d, %s", status, out)
	}
}

// TestVerifyScriptTorn has an incomplete write behind the checkpoint, which is
// no alteration.
func TestVerifyScriptTorn(t *testing.T) {
	needs(t, "python3")
	dir, vkey := auditCopy(t, 0)
	segment := filepath.Join(dir, "audit", "log", firstSegment)
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	write(t, segment, append(whole, whole[:200]...))
	status, out := python(t, dir, "--vkey", vkey, "audit")
	if status != 0 || !strings.Contains(out, "intact: 41 records") || !strings.Contains(out, "incomplete") {
		t.Errorf("status %d, %s; want an intact log with an incomplete write", status, out)
	}
}
