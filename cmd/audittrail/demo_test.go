package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/event"
)

// runDemo runs demo in a terminal or into a file, and returns what it printed.
// The folder for temporary files is empty afterwards.
func runDemo(t *testing.T, terminal bool, args ...string) (string, error) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp)
	var out, errs bytes.Buffer
	e := &env{
		ctx: t.Context(), args: append([]string{"demo"}, args...), stdin: strings.NewReader(""),
		stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, now: time.Now,
		outTerminal: terminal, width: 80,
	}
	status := e.run()
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("demo left %s in the folder for temporary files", left[0].Name())
	}
	if status != exitOK || errs.Len() > 0 {
		return out.String(), fmt.Errorf("audittrail demo: exit status %d, stderr %q", status, errs.String())
	}
	return out.String(), nil
}

// TestDemoFits holds every line against the width of a terminal, and the
// output in a file against that on a terminal.
func TestDemoFits(t *testing.T) {
	coloured, err := runDemo(t, true)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := runDemo(t, false)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain, "\x1b") {
		t.Error("demo prints colours to what is no terminal")
	}
	if !strings.Contains(coloured, "\x1b") {
		t.Error("demo prints no colours to a terminal")
	}
	if diff := gocmp.Diff(settled(plain), settled(escapes.ReplaceAllString(coloured, ""))); diff != "" {
		t.Errorf("the same but for colours, in a file and on a terminal (-file +terminal):\n%s", diff)
	}
	for line := range strings.SplitSeq(plain, "\n") {
		if n := columnsOf(line); n > 80 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("a line ends in spaces: %q", line)
		}
	}
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
	if k.out, err = runDemo(t, false, "--dir", k.dir); err != nil {
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

// TestDemoSealsItsContent looks for what people said in all that demo left,
// but for what says that it is open.
func TestDemoSealsItsContent(t *testing.T) {
	k := keepDemo(t)
	err := filepath.WalkDir(k.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, secret := range []string{victim, injection, leaked, customers[0].user, customers[0].turns[0], letters[0].text} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds %q in the clear", name, secret)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDemoCounts holds the numbers that demo shows against the log.
func TestDemoCounts(t *testing.T) {
	k := keepDemo(t)
	log, err := audittrail.Open(k.dir, audittrail.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	calls, tokens, people := map[string]int{}, map[string]int64{}, map[string]bool{}
	var records int
	for r, err := range log.Records(t.Context(), 0, ^uint64(0)) {
		if err != nil {
			t.Fatal(err)
		}
		records++
		people[r.Event.UserID] = true
		if r.Event.InputTokens != nil {
			calls[r.Event.ModelID]++
			tokens[r.Event.ModelID] += *r.Event.InputTokens + *r.Event.OutputTokens
		}
	}
	delete(people, "")
	for model, n := range calls {
		if want := fmt.Sprintf("   %-15s%7s%11s ", model, number(n), number(tokens[model])); !strings.Contains(k.out, want) {
			t.Errorf("demo does not say %q", want)
		}
	}
	for _, want := range []string{
		fmt.Sprintf("%d records about %d people in 11 languages", records, len(people)),
		fmt.Sprintf("all %d records are as they were recorded", records),
		fmt.Sprintf("%d records intact", records),
	} {
		if !strings.Contains(k.out, want) {
			t.Errorf("demo does not say %q", want)
		}
	}
}

// TestDemoDay holds the day against what is said about it.
func TestDemoDay(t *testing.T) {
	now := time.Date(2026, 3, 1, 7, 0, 0, 0, time.FixedZone("", 9*3600))
	events := demoDay(now)
	if again := demoDay(now); !slices.EqualFunc(events, again, func(a, b event.Event) bool {
		return bytes.Equal(event.AppendJSON(nil, &a), event.AppendJSON(nil, &b))
	}) {
		t.Error("the day is another one the second time")
	}
	first := time.Date(2026, 2, 27, 8, 0, 0, 0, time.UTC)
	kinds := map[event.Type]int{}
	for i := range events {
		ev := &events[i]
		if err := event.Validate(ev); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
		if ev.Time.Before(first) || ev.Time.After(first.Add(10*time.Hour)) {
			t.Errorf("event %d is at %s, want %s and the ten hours after it", i, ev.Time, first)
		}
		if *ev.Producer.Seq != uint64(i+1) {
			t.Errorf("event %d has the number %d of its producer", i, *ev.Producer.Seq)
		}
		kinds[ev.Type]++
	}
	for _, kind := range []event.Type{
		event.Prompt, event.Response, event.ToolCall, event.ToolResult, event.Retrieval, event.Guardrail,
		event.Evaluation, event.Feedback, event.HumanReview, event.Decision, event.SafetyIncident, event.Failure,
	} {
		if kinds[kind] == 0 {
			t.Errorf("nothing of type %s happens", kind)
		}
	}
}

// TestDemoFailsWhereItsClaimsDo has an attack that changes nothing: demo must
// not say that it was caught.
func TestDemoFailsWhereItsClaimsDo(t *testing.T) {
	defer func(was []attack) { attacks = was }(attacks)
	for _, a := range []attack{
		{"modified", "nothing at all", "", func(lines [][]byte, _ int) [][]byte { return lines }},
		{"modified", "the record taken out", "", attacks[2].do},
	} {
		attacks = []attack{a}
		out, err := runDemo(t, false)
		if err == nil || !strings.Contains(err.Error(), "exit status 1") {
			t.Errorf("demo with an attack that is %s (%s): %v, want exit status 1", a.kind, a.what, err)
		}
		if strings.Contains(out, "Proved:  ") {
			t.Errorf("demo says what was proved, and it was not:\n%s", out)
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
		if out, err := runDemo(t, false, args...); err == nil || out != "" {
			t.Errorf("demo %v: %v, want it refused", args, err)
		}
	}
	names, err := os.ReadDir(full)
	if err != nil || len(names) != 1 {
		t.Errorf("demo put something into a folder that was not empty: %v", names)
	}
}

// TestDemoStops has a user who interrupts, and a pipe that nobody reads.
func TestDemoStops(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for what, e := range map[string]*env{
		"interrupted":      {ctx: interrupted, stdout: new(bytes.Buffer)},
		"in a broken pipe": {ctx: t.Context(), stdout: brokenPipe{}},
	} {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		t.Setenv("TMP", tmp)
		e.args, e.stdin, e.stderr = []string{"demo"}, strings.NewReader(""), new(bytes.Buffer)
		e.getenv, e.now = func(string) string { return "" }, time.Now
		if status := e.run(); status != exitFailed {
			t.Errorf("demo %s: exit status %d, want %d", what, status, exitFailed)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("demo %s left %v, %v", what, left, err)
		}
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }
