package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail"
	"audittrail/internal/loadgen"
)

// runBenchQuery runs bench query with a clock in a hurry.
func runBenchQuery(ctx context.Context, clock *hurry, args ...string) (out, errs string, status int) {
	return runHurried(ctx, clock, append([]string{"bench", "query"}, args...))
}

// TestBenchQueryMeasuresEverything looks for figures that are missing, and runs
// bench query again over the log that it kept.
func TestBenchQueryMeasuresEverything(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) (result map[string]any) {
		t.Helper()
		out, errs, status := runBenchQuery(t.Context(), new(hurry), append(args, "--dir", dir, "-o", "json")...)
		if status != exitOK || errs != "" {
			t.Fatalf("bench query %v: exit status %d, %s", args, status, errs)
		}
		if err := json.Unmarshal([]byte(out), &result); err != nil {
			t.Fatalf("bench query -o json: %v: %s", err, out)
		}
		return result
	}
	first := run("--events", "1200", "--keep", "--rebuild")
	noneMissing(t, "", first)
	if n := len(first["queries"].([]any)); n < 10 {
		t.Errorf("bench query asks %d kinds of queries, want all", n)
	}
	kept, _ := first["kept"].(string)
	v, err := audittrail.VerifyDir(t.Context(), filepath.Join(kept, "audit"), audittrail.Options{}, audittrail.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !v.Valid() || v.Records != 1200 {
		t.Errorf("the kept log has %d records, valid %v, want 1200", v.Records, v.Valid())
	}
	again := run()
	if again["events"] != first["events"] || again["kept"] != kept || again["index_made_anew"] != nil {
		t.Errorf("bench query, with a log that was kept: %v", again)
	}
	noneMissing(t, "", again)
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("bench query did not leave the log that was there: %v", err)
	}
	_, errs, status := runBenchQuery(t.Context(), new(hurry), "--dir", dir, "--events", "1300")
	if status != exitFailed || !strings.Contains(errs, "1,200") {
		t.Errorf("bench query of more events than were kept: exit status %d, %s", status, errs)
	}
	if err := os.Remove(filepath.Join(kept, queryBenchMade)); err != nil {
		t.Fatal(err)
	}
	_, errs, status = runBenchQuery(t.Context(), new(hurry), "--dir", dir)
	if status != exitFailed || !strings.Contains(errs, "not the whole") {
		t.Errorf("bench query with half a log: exit status %d, %s", status, errs)
	}
}

// TestBenchQueryFits holds the table against the width of a terminal, with
// figures as large as they get.
func TestBenchQueryFits(t *testing.T) {
	dir := t.TempDir()
	out, errs, status := runBenchQuery(t.Context(), new(hurry), "--events", "1000", "--dir", dir)
	if status != exitOK {
		t.Fatalf("bench query: exit status %d, %s", status, errs)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("bench query left %v, %v", left, err)
	}
	huge := queryBenchResult{
		Events: maxBenchEvents, Cores: 256, System: "windows/amd64",
		Made: benchMade{1234, 1234567, 1234567, queryCompared, 1234567, 1234567, 1234567, 1234567, 123456, 123456, 1234, 1234, peakMemory()},
		Anew: &benchAnew{1234567, 1e14}, Open: benchOpen{12345, 12345}, Memory: peakMemory(),
	}
	q := &queryBench{bench: &bench{}, result: huge, generator: loadgen.New(1, maxBenchEvents)}
	for _, kind := range q.questions() {
		huge.Asked = append(huge.Asked, benchQuery{kind.name, kind.asks, maxBenchEvents, askMost, 123456, latency{123456, 123456, 123456}})
	}
	var large bytes.Buffer
	e := &env{stdout: &large, flags: flags{output: asTable}}
	if err := e.printQueryBench(&huge); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(out+large.String(), "\n") {
		if n := columnsOf(line); n > 80 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
		t.Errorf("bench query prints what is no number:\n%s", out)
	}
}

// TestBenchQueryInterrupted interrupts bench query at some moments.
func TestBenchQueryInterrupted(t *testing.T) {
	for _, looks := range []int{1, 3, 6, 20} {
		ctx, cancel := context.WithCancel(t.Context())
		clock := &hurry{at: func(look int) {
			if look == looks {
				cancel()
			}
		}}
		dir := t.TempDir()
		out, errs, status := runBenchQuery(ctx, clock, "--events", "1000", "--dir", dir, "--keep")
		if status != exitFailed || !strings.Contains(errs, "interrupted") || out != "" {
			t.Errorf("bench query, interrupted at look %d: exit status %d, %s", looks, status, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench query, interrupted at look %d, left %v, %v", looks, left, err)
		}
		cancel()
	}
}

// TestBenchQueryRefuses lists what bench query does not take.
func TestBenchQueryRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--events", "0"},
		{"--events", "999"},
		{"--events", "100000001"},
		{"--events", "100000000"},
		{"-o", "csv"},
		{"--keys", "keys"},
		{"--master", "env:X"},
		{"more"},
	} {
		dir := t.TempDir()
		if out, errs, status := runBenchQuery(t.Context(), new(hurry), append(args, "--dir", dir)...); status != exitFailed || out != "" || errs == "" {
			t.Errorf("bench query %v: exit status %d, want it refused", args, status)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench query %v left %v, %v", args, left, err)
		}
	}
}
