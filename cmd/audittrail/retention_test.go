package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
	"audittrail/internal/logtest"
)

// TestRetention lets time go by over a log, and looks at what plan says and
// apply does.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	audit, away := filepath.Join(dir, "audit"), filepath.Join(dir, "away")
	if err := os.Mkdir(away, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		run := func(args ...string) (string, string) {
			t.Helper()
			e, stdout, stderr := newEnv(t, append([]string{"--dir", audit}, args...)...)
			if status := e.run(); status != exitOK {
				t.Fatalf("audittrail %s: exit status %d, %s", strings.Join(args, " "), status, stderr)
			}
			return stdout.String(), stderr.String()
		}
		log := logtest.Open(t, audit, audittrail.Options{Create: true, SegmentBytes: 8 << 10})
		for range 60 {
			if _, err := log.Append(context.Background(), event.Event{Type: event.Prompt, UserID: "a", Prompt: "p"}); err != nil {
				t.Fatal(err)
			}
		}
		logtest.Close(t, log)
		if _, said := run("retention", "plan"); !strings.Contains(said, "60 records (") {
			t.Errorf("without a policy, plan says %s", said)
		}
		run("retention", "policy", "set", "--class", "standard", "--keep-for", "6mo", "--archive-after", "1mo", "--archive-to", away, "--drop-after", "2y")
		if out, said := run("retention", "apply"); strings.Contains(out, "done") || !strings.Contains(said, "nothing is due") {
			t.Errorf("apply: %s%s", out, said)
		}
		type plan struct {
			Steps []struct {
				Action, State, Class, To string
				Segment                  *uint64
				Records                  uint64
				Due                      time.Time
			}
		}
		read := func(args ...string) (p plan, states map[string]int) {
			t.Helper()
			out, _ := run(append([]string{"retention", "plan", "-o", "json"}, args...)...)
			if err := json.Unmarshal([]byte(out), &p); err != nil {
				t.Fatal(err)
			}
			states = map[string]int{}
			for _, s := range p.Steps {
				states[s.Action+" "+s.State]++
			}
			return p, states
		}
		p, states := read()
		if states["archive later"] < 2 || states["expire later"] != 1 || states["drop later"] < 2 || len(p.Steps) == 0 || p.Steps[0].Action != "archive" || p.Steps[0].To != away {
			t.Errorf("plan: %+v", p)
		}
		if _, states := read("--at", "2001-01-01"); states["archive due"] < 2 || states["expire due"] != 1 || states["drop later"] < 2 {
			t.Errorf("plan for a later day: %v", states)
		}
		time.Sleep(40 * 24 * time.Hour)
		out, _ := run("retention", "apply", "--reason", "as agreed")
		if n := strings.Count(out, "done     archive  segment "); n != states["archive later"] {
			t.Errorf("apply archived %d segments, want %d: %s", n, states["archive later"], out)
		}
		if out, _ := run("archive", "list", "-o", "csv"); strings.Count(out, ",archived,"+away) < 2 {
			t.Errorf("archive list: %s", out)
		}
		if out, _ := run("verify"); !strings.Contains(out, "checked in archives") {
			t.Errorf("verify: %s", out)
		}
		time.Sleep(200 * 24 * time.Hour)
		var hold governance.Hold
		use := func(do func(*audittrail.Log) error) {
			t.Helper()
			log := logtest.Open(t, audit, audittrail.Options{AcceptClock: true})
			if err := errors.Join(do(log), log.Close()); err != nil {
				t.Fatal(err)
			}
		}
		use(func(log *audittrail.Log) (err error) {
			hold, err = log.PlaceHold(t.Context(), governance.Hold{Reason: "a claim", User: "a"})
			return err
		})
		if out, _ := run("retention", "apply", "-o", "jsonl"); !strings.Contains(out, `"action":"expire","class":"standard/2000-01","records":60`) || !strings.Contains(out, hold.ID) {
			t.Errorf("apply: %s", out)
		}
		time.Sleep(600 * 24 * time.Hour)
		if out, said := run("retention", "apply", "--accept-clock"); strings.Contains(out, "drop") || !strings.Contains(said, "steps are due and were not carried out") {
			t.Errorf("apply past a hold: %s%s", out, said)
		}
		if out, _ := run("retention", "plan"); !strings.Contains(out, "blocked  drop") || !strings.Contains(strings.Join(strings.Fields(out), " "), "a legal hold keeps records of the segment; held by "+hold.ID) {
			t.Errorf("plan: %s", out)
		}
		use(func(log *audittrail.Log) error {
			_, err := log.ReleaseHold(t.Context(), hold.ID, "settled", "")
			return err
		})
		if out, _ := run("retention", "apply"); strings.Count(out, "done     drop") < 2 {
			t.Errorf("apply: %s", out)
		}
		e, _, stderr := newEnv(t, "--dir", audit, "show", "3")
		if status := e.run(); status != exitFailed || !strings.Contains(stderr.String(), "record 3 was dropped, as record ") {
			t.Errorf("show 3: status %d, %s", status, stderr)
		}
		run("verify")
		for _, c := range []struct {
			args []string
			want string
		}{
			{[]string{"retention", "plan", "--at", "soon"}, `read --at: invalid time "soon": use `},
			{[]string{"retention", "apply", "now"}, "takes no argument"},
		} {
			e, _, stderr := newEnv(t, append([]string{"--dir", audit}, c.args...)...)
			if status := e.run(); status != exitFailed || !bytes.Contains(stderr.Bytes(), []byte(c.want)) {
				t.Errorf("%v: status %d, %s, want %s", c.args, status, stderr, c.want)
			}
		}
	})
}
