package bench

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
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/internal/logtest"
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

// in are the options of a bench that works in a folder with a clock in a hurry.
func in(dir string, clock *hurry) (Options, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return Options{Dir: dir, Out: out, JSON: true, Now: clock.now}, out
}

// few is a small load.
func few(events int) Load { return Load{Events: events, Writers: 4, Size: 300} }

// TestBenchMeasuresEverything looks for figures that are missing.
func TestBenchMeasuresEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	o, out := in(dir, new(hurry))
	if err := Run(t.Context(), o, few(50)); err != nil {
		t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
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

// TestBenchFits compares the table with the width of a terminal, with figures
// as large as they get.
func TestBenchFits(t *testing.T) {
	o, small := in(t.TempDir(), new(hurry))
	o.JSON = false
	if err := Run(t.Context(), o, few(50)); err != nil {
		t.Fatal(err)
	}
	huge := result{
		Events: maxEvents, Writers: maxWriters, Size: maxSize, RecordBytes: 2 * maxSize,
		Records: maxEvents, Cores: 256, System: "windows/amd64", Go: "go1.26.10",
	}
	slow := latency{1234, 12345, 123456}
	huge.Append, huge.Alone, huge.Limits.Sync, huge.Read.Latency = appendRate{1234567, 12345, slow}, slow, slow, slow
	huge.Verify, huge.Read.InOrder, huge.Read.Random = throughput{12345678, 123456}, 1234567, 1234567
	huge.Limits.SHA256One, huge.Limits.SHA256All, huge.Limits.Write = 2345, 523456, 23456
	huge.Memory = peakMemory()
	var large bytes.Buffer
	if err := (&Options{Out: &large}).print(&huge); err != nil {
		t.Fatal(err)
	}
	out := small.String()
	for line := range strings.SplitSeq(out+large.String(), "\n") {
		if n := display.Columns(line); n > 80 {
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
	o, out := in(dir, new(hurry))
	load := few(50)
	load.Keep = true
	if err := Run(t.Context(), o, load); err != nil {
		t.Fatal(err)
	}
	var kept result
	if err := json.Unmarshal(out.Bytes(), &kept); err != nil {
		t.Fatal(err)
	}
	v, err := audittrail.VerifyDir(t.Context(), kept.Kept, audittrail.Options{}, audittrail.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !v.Valid() || v.Records != kept.Records {
		t.Errorf("the kept log has %d records, valid %v, want %d", v.Records, v.Valid(), kept.Records)
	}
}

// TestBenchLeavesLogsAlone runs bench where a log is.
func TestBenchLeavesLogsAlone(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Close(t, log)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := in(dir, new(hurry))
	if err := Run(t.Context(), o, few(50)); err == nil || !strings.Contains(err.Error(), "contains a log") {
		t.Errorf("bench in the folder of a log: %v, want a refusal", err)
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
	o, _ := in(t.TempDir(), whole)
	if err := Run(t.Context(), o, few(20)); err != nil {
		t.Fatal(err)
	}
	for part := range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		clock := &hurry{at: func(look int) {
			if look > whole.looks*part/16 {
				cancel()
			}
		}}
		dir := t.TempDir()
		o, out := in(dir, clock)
		load := few(20)
		load.Keep = true
		if err := Run(ctx, o, load); err == nil || !strings.Contains(err.Error(), "interrupted") || out.Len() > 0 {
			t.Errorf("bench, interrupted after %d/16: %v", part, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench, interrupted after %d/16, left %v, %v", part, left, err)
		}
		cancel()
	}
}

// TestBenchRefuses lists loads that bench does not take.
func TestBenchRefuses(t *testing.T) {
	for _, load := range []Load{
		{Events: 0, Writers: 4, Size: 300},
		{Events: 50, Writers: 0, Size: 300},
		{Events: 50, Writers: 4, Size: 63},
		{Events: 50, Writers: 4, Size: 999999999},
		{Events: 100000000, Writers: 4, Size: 8000000},
	} {
		dir := t.TempDir()
		o, out := in(dir, new(hurry))
		if err := Run(t.Context(), o, load); err == nil || out.Len() > 0 {
			t.Errorf("bench with %+v: %v, want a refusal", load, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench with %+v left %v, %v", load, left, err)
		}
	}
}

// TestBenchEvents compares the events with the size that was asked for.
func TestBenchEvents(t *testing.T) {
	for _, size := range []int{minSize, 100, 255, 256, 1024, 100_000} {
		pool := eventPool(size)
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

// TestLatencies compares the histogram with a sorted list.
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
