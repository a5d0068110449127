package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// runDemo runs the demonstration in a terminal or into a file, and returns what it
// printed. The folder for temporary files is empty afterwards.
func runDemo(t *testing.T, o Options, attacks []attack) (string, error) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	t.Setenv("TMP", tmp)
	var out bytes.Buffer
	o.Out, o.Now = &out, time.Now
	err := (&demo{Options: o, attacks: attacks}).run(t.Context())
	left, lerr := os.ReadDir(tmp)
	if lerr != nil {
		t.Fatal(lerr)
	}
	if len(left) > 0 {
		t.Errorf("demo left %s in the folder for temporary files", left[0].Name())
	}
	return out.String(), err
}

// TestDemoFits compares every line with the width of a terminal, and the
// output in a file with that on a terminal.
func TestDemoFits(t *testing.T) {
	coloured, err := runDemo(t, Options{Colours: true}, attacks())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := runDemo(t, Options{}, attacks())
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
		if n := display.Columns(line); n > 80 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("a line ends in spaces: %q", line)
		}
	}
}

// keepDemo runs the demonstration, and returns what it leaves and what it printed.
func keepDemo(t *testing.T) (dir, out string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "kept")
	out, err := runDemo(t, Options{Dir: dir}, attacks())
	if err != nil {
		t.Fatal(err)
	}
	return dir, out
}

// TestDemoSealsItsContent looks for what people said in all that demo left,
// but for what says that it is open.
func TestDemoSealsItsContent(t *testing.T) {
	dir, _ := keepDemo(t)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
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
	dir, out := keepDemo(t)
	log := logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
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
		if want := fmt.Sprintf("   %-15s%7s%11s ", model, display.Number(n), display.Number(tokens[model])); !strings.Contains(out, want) {
			t.Errorf("demo does not say %q", want)
		}
	}
	for _, want := range []string{
		fmt.Sprintf("%d records about %d people in 11 languages", records, len(people)),
		fmt.Sprintf("all %d records are as they were recorded", records),
		fmt.Sprintf("%d records intact", records),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("demo does not say %q", want)
		}
	}
}

// TestDemoDay compares the day with the statements about it.
func TestDemoDay(t *testing.T) {
	now := time.Date(2026, 3, 1, 7, 0, 0, 0, time.FixedZone("", 9*3600))
	events := eventsOf(now)
	if again := eventsOf(now); !slices.EqualFunc(events, again, func(a, b event.Event) bool {
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
	for _, a := range []attack{
		{"modified", "nothing at all", "", func(lines [][]byte, _ int) [][]byte { return lines }},
		{"modified", "the record taken out", "", attacks()[2].do},
	} {
		out, err := runDemo(t, Options{}, []attack{a})
		if err == nil {
			t.Errorf("demo with an attack that is %s (%s) succeeds", a.kind, a.what)
		}
		if strings.Contains(out, "Proved:  ") {
			t.Errorf("demo says what was proved, and it was not:\n%s", out)
		}
	}
}

// TestDemoLeavesFoldersAlone runs the demonstration in a folder with a file.
func TestDemoLeavesFoldersAlone(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := runDemo(t, Options{Dir: full}, attacks()); err == nil || out != "" {
		t.Errorf("demo in a folder that is not empty: %v, want it refused", err)
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
	for what, c := range map[string]struct {
		ctx context.Context
		out io.Writer
	}{
		"interrupted":      {interrupted, new(bytes.Buffer)},
		"in a broken pipe": {t.Context(), brokenPipe{}},
	} {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		t.Setenv("TMP", tmp)
		if err := Run(c.ctx, Options{Out: c.out, Now: time.Now}); err == nil {
			t.Errorf("demo %s succeeds", what)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("demo %s left %v, %v", what, left, err)
		}
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }
