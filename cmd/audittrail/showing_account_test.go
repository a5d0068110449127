package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An outlet is a standard output that does something when the first byte comes.
type outlet struct {
	first func()
	err   error // of what comes after the first
	n     int
}

func (o *outlet) Write(p []byte) (int, error) {
	if o.n++; o.n == 1 {
		o.first()
	} else if o.err != nil {
		return 0, o.err
	}
	return len(p), nil
}

// readHistory is what access history --reads prints.
func readHistory(t *testing.T, dir string) (all []readItem) {
	t.Helper()
	text := mustRun(t, "--dir", dir, "access", "history", "--reads", "-o", "json")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// readLog makes a log that records reads, with so many prompts.
func readLog(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	var events strings.Builder
	for i := range n {
		fmt.Fprintf(&events, "{\"type\":\"prompt\",\"user_id\":\"ann\",\"prompt\":\"%d %s\"}\n", i, strings.Repeat("x", 500))
	}
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(events.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "--dir", dir, "import", file)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte("record_reads = \"always\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A read is recorded before its first byte is written, and its extent after the
// last byte, however the command ends.
func TestReadsAreRecordedFirst(t *testing.T) {
	const n = 400 // more than any buffer on the way holds
	gone := &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}
	for _, c := range []struct {
		name   string
		args   string
		stop   bool // interrupted
		err    error
		status int
		kind   string
		page   bool // in memory as a whole first
		most   uint64
		least  uint64
	}{
		{"export", "export", false, nil, exitOK, "data_exported", false, n, n},
		{"export, interrupted", "export", true, nil, exitFailed, "data_exported", false, n - 1, 1},
		{"export, reader gone", "export", false, gone, exitFailed, "data_exported", false, n - 1, 1},
		{"export csv, reader gone", "export --format csv", false, gone, exitFailed, "data_exported", false, n - 1, 1},
		{"query, all", "query --limit 0", false, nil, exitOK, "content_read", false, n, n},
		{"query, reader gone", "query --limit 0 -o jsonl", false, gone, exitFailed, "content_read", false, n - 1, 1},
		{"tail, many, reader gone", "tail -n 2000 -o jsonl", false, gone, exitFailed, "content_read", false, n - 1, 1},
		{"a page", "query --limit 10", false, nil, exitOK, "content_read", true, 10, 10},
		{"tail", "tail -n 3", false, nil, exitOK, "content_read", true, 3, 3},
		{"show", "show 7", false, nil, exitOK, "content_read", true, 1, 1},
		{"disclose", "disclose 7", false, nil, exitOK, "data_exported", true, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := readLog(t, n)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			e, _, stderr := newEnv(t, append([]string{"--dir", dir}, strings.Fields(c.args)...)...)
			e.ctx = ctx
			e.stdout = &outlet{err: c.err, first: func() {
				all := readHistory(t, dir)
				if len(all) != 1 || string(all[0].Type) != c.kind || (all[0].Records != nil) != c.page {
					t.Errorf("when the first byte leaves, the log tells of %+v", all)
				}
				if c.stop {
					interrupt()
				}
			}}
			if status := e.run(); status != c.status {
				t.Errorf("exit status %d, want %d: %s", status, c.status, stderr)
			}
			if c.err != nil && stderr.Len() > 0 {
				t.Errorf("to somebody who has gone it says %s", stderr)
			}
			all := readHistory(t, dir)
			if len(all) != 1 || all[0].Records == nil || *all[0].Records > c.most || *all[0].Records < c.least || all[0].By != "local" {
				t.Fatalf("the log tells of %+v, want one reading of %d to %d records", all, c.least, c.most)
			}
			if *all[0].First > *all[0].Last || *all[0].Last-*all[0].First+1 < *all[0].Records {
				t.Errorf("%d records from %d to %d", *all[0].Records, *all[0].First, *all[0].Last)
			}
			records := mustRun(t, "--dir", dir, "query", "-t", "content_read,data_exported", "-o", "jsonl", "--limit", "0")
			if strings.Contains(records, "ann") || strings.Contains(records, "xxx") {
				t.Errorf("the accounts say what was read: %s", records)
			}
		})
	}
}

// A reading that was ended by force has no number, and counts once, as one with
// both records does.
func TestReadingWithoutEnd(t *testing.T) {
	const n = 400 // more than any buffer on the way holds
	dir := readLog(t, n)
	e, _, _ := newEnv(t, "--dir", dir, "export")
	func() {
		defer func() { _ = recover() }() // as if it were killed
		e.stdout = &outlet{first: func() { panic("killed") }}
		e.run()
	}()
	mustRun(t, "--dir", dir, "export")
	all := readHistory(t, dir)
	if len(all) != 2 || all[0].Records != nil || all[1].Records == nil || *all[1].Records < n {
		t.Errorf("the log tells of %+v, want one reading without a number, and one with", all)
	}
	if text := mustRun(t, "--dir", dir, "access", "history", "--reads"); !strings.Contains(text, "ended early, number not known") {
		t.Errorf("access history --reads prints\n%s", text)
	}
	var report struct {
		Report struct {
			Sections []struct {
				Figures []struct {
					ID    string
					Value struct{ Count int }
				}
			}
		}
	}
	text := mustRun(t, "--dir", dir, "report", "--type", "access", "--format", "json", "--no-record")
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	exports := -1
	for _, s := range report.Report.Sections {
		for _, f := range s.Figures {
			if f.ID == "exports" || f.ID == "access.exports" {
				exports = f.Value.Count
			}
		}
	}
	if exports != 2 || strings.Count(text, "ended early, number not known") != 1 {
		t.Errorf("the report counts %d exports, want 2: %s", exports, text)
	}
}
