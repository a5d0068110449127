package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
)

// A hurry is a clock that runs ahead with every look at it, so that what
// measures for a second is done after some looks.
type hurry struct {
	mu    sync.Mutex
	looks int
	at    func(look int) // called at each, if not nil
}

func (h *hurry) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks++
	if h.at != nil {
		h.at(h.looks)
	}
	return time.Unix(1e9, 0).Add(time.Duration(h.looks) * 20 * time.Millisecond)
}

// runBench runs bench with a clock in a hurry.
func runBench(ctx context.Context, clock *hurry, args ...string) (out, errs string, status int) {
	return runHurried(ctx, clock, append([]string{"bench", "--writers", "4", "--size", "300"}, args...))
}

func runHurried(ctx context.Context, clock *hurry, args []string) (out, errs string, status int) {
	var stdout, stderr bytes.Buffer
	e := &env{
		ctx: ctx, args: args,
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(string) string { return "" }, now: clock.now,
	}
	status = e.run()
	return stdout.String(), stderr.String(), status
}

// TestBenchMeasuresEverything looks for figures that are missing.
func TestBenchMeasuresEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	out, errs, status := runBench(t.Context(), new(hurry), "--events", "50", "--dir", dir, "-o", "json")
	if status != exitOK || errs != "" {
		t.Fatalf("bench: exit status %d, %s", status, errs)
	}
	var result map[string]any
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("bench -o json: %v: %s", err, out)
	}
	noneMissing(t, "", result)
	for _, name := range []string{"append", "alone", "verify", "open", "read", "memory", "limits", "ratios"} {
		if result[name] == nil {
			t.Errorf("bench -o json has no %q", name)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("bench left the folder that it made: %v", err)
	}
}

// noneMissing looks for figures that are nought.
func noneMissing(t *testing.T, name string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			noneMissing(t, name+"."+k, sub)
		}
	case []any:
		for i, sub := range v {
			noneMissing(t, fmt.Sprintf("%s[%d]", name, i), sub)
		}
	case float64:
		if v <= 0 {
			t.Errorf("%s = %v, want more", name, v)
		}
	case string:
		if v == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

// TestBenchFits holds the table against the width of a terminal, with figures
// as large as they get.
func TestBenchFits(t *testing.T) {
	out, errs, status := runBench(t.Context(), new(hurry), "--events", "50", "--dir", t.TempDir())
	if status != exitOK {
		t.Fatalf("bench: exit status %d, %s", status, errs)
	}
	huge := benchResult{
		Events: maxBenchEvents, Writers: maxBenchWriters, Size: maxBenchSize, RecordBytes: 2 * maxBenchSize,
		Records: maxBenchEvents, Cores: 256, System: "windows/amd64", Go: "go1.26.10",
	}
	slow := latency{1234, 12345, 123456}
	huge.Append, huge.Alone, huge.Limits.Sync, huge.Read.Latency = benchAppend{1234567, 12345, slow}, slow, slow, slow
	huge.Verify, huge.Read.InOrder, huge.Read.Random = benchRate{12345678, 123456}, 1234567, 1234567
	huge.Limits.SHA256One, huge.Limits.SHA256All, huge.Limits.Write = 2345, 523456, 23456
	huge.Memory = peakMemory()
	var large bytes.Buffer
	e := &env{stdout: &large, flags: flags{output: asTable}}
	if err := e.printBench(&huge); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(out+large.String(), "\n") {
		if n := columnsOf(line); n > 80 {
			t.Errorf("a line has %d columns: %s", n, line)
		}
	}
	if strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
		t.Errorf("bench prints what is no number:\n%s", out)
	}
}

// TestBenchKeeps verifies the log that is kept.
func TestBenchKeeps(t *testing.T) {
	dir := t.TempDir()
	out, errs, status := runBench(t.Context(), new(hurry), "--events", "50", "--dir", dir, "--keep", "-o", "json")
	if status != exitOK {
		t.Fatalf("bench: exit status %d, %s", status, errs)
	}
	var result benchResult
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	v, err := audittrail.VerifyDir(t.Context(), result.Kept, audittrail.Options{}, audittrail.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !v.Valid() || v.Records != result.Records {
		t.Errorf("the kept log has %d records, valid %v, want %d", v.Records, v.Valid(), result.Records)
	}
}

// TestBenchLeavesLogsAlone runs bench where a log is.
func TestBenchLeavesLogsAlone(t *testing.T) {
	dir := t.TempDir()
	log, err := audittrail.Open(dir, audittrail.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, errs, status := runBench(t.Context(), new(hurry), "--events", "50", "--dir", dir)
	if status != exitFailed || !strings.Contains(errs, "holds a log") {
		t.Errorf("bench in the folder of a log: exit status %d, %s", status, errs)
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("bench put something into the folder of a log: %v, before %v", after, before)
	}
}

// TestBenchInterrupted interrupts bench at many moments: it ends, says so, and
// leaves nothing.
func TestBenchInterrupted(t *testing.T) {
	whole := new(hurry)
	if _, errs, status := runBench(t.Context(), whole, "--events", "20", "--dir", t.TempDir()); status != exitOK {
		t.Fatalf("bench: exit status %d, %s", status, errs)
	}
	for part := range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		clock := &hurry{at: func(look int) {
			if look > whole.looks*part/16 {
				cancel()
			}
		}}
		dir := t.TempDir()
		out, errs, status := runBench(ctx, clock, "--events", "20", "--dir", dir, "--keep")
		if status != exitFailed || !strings.Contains(errs, "interrupted") || out != "" {
			t.Errorf("bench, interrupted after %d/16: exit status %d, %s", part, status, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench, interrupted after %d/16, left %v, %v", part, left, err)
		}
		cancel()
	}
}

// TestBenchRefuses lists what bench does not take.
func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"--events", "0"},
		{"--writers", "0"},
		{"--size", "63"},
		{"--size", "999999999"},
		{"-o", "csv"},
		{"--keys", "keys"},
		{"--master", "env:X"},
		{"more"},
		{"--events", "100000000", "--size", "8000000"},
	} {
		dir := t.TempDir()
		if out, errs, status := runBench(t.Context(), new(hurry), append(args, "--dir", dir)...); status != exitFailed || out != "" || errs == "" {
			t.Errorf("bench %v: exit status %d, want it refused", args, status)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench %v left %v, %v", args, left, err)
		}
	}
}

// TestBenchEvents holds the events against the size that was asked for.
func TestBenchEvents(t *testing.T) {
	for _, size := range []int{minBenchSize, 100, 255, 256, 1024, 100_000} {
		pool := benchEvents(size)
		for i := range pool {
			ev := &pool[i]
			if err := event.Validate(ev); err != nil {
				t.Fatalf("size %d, event %d: %v", size, i, err)
			}
			if n := len(event.AppendJSON(nil, ev)); n != size {
				t.Fatalf("size %d, event %d has %d bytes", size, i, n)
			}
		}
	}
}

// TestLatencies holds the histogram against a sorted list.
func TestLatencies(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var l latencies
	var list []time.Duration
	for range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(300*time.Microsecond))
		l.add(d)
		list = append(list, d)
	}
	l.add(1<<62 + 1) // the bucket of the longest is there
	list = append(list, 1<<62+1)
	slices.Sort(list)
	for _, part := range []float64{0, 0.01, 0.5, 0.99, 0.999, 0.99999} {
		got, want := l.at(part), list[int(float64(len(list))*part)]
		if got > want || got < want-want/100 {
			t.Errorf("at(%v) = %v, want %v or up to 1%% less", part, got, want)
		}
	}
	if got := l.summary().Max; got != milliseconds(1<<62+1) {
		t.Errorf("the longest = %v ms, want %v", got, milliseconds(1<<62+1))
	}
}
