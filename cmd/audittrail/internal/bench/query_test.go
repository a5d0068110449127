package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"audittrail"
	"audittrail/cmd/audittrail/internal/display"
	"audittrail/internal/loadgen"
)

// TestBenchQueryMeasuresEverything looks for figures that are missing, and runs
// bench query again over the log that it kept.
func TestBenchQueryMeasuresEverything(t *testing.T) {
	dir := t.TempDir()
	run := func(load QueryLoad) (result map[string]any) {
		t.Helper()
		o, out := in(dir, new(hurry))
		if err := RunQuery(t.Context(), o, load); err != nil {
			t.Fatalf("bench query %+v: %v", load, err)
		}
		if err := json.Unmarshal(out.Bytes(), &result); err != nil {
			t.Fatalf("bench query -o json: %v: %s", err, out)
		}
		return result
	}
	first := run(QueryLoad{Events: 1200, Chosen: true, Keep: true, Rebuild: true})
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
	again := run(QueryLoad{Events: 100_000})
	if again["events"] != first["events"] || again["kept"] != kept || again["index_made_anew"] != nil {
		t.Errorf("bench query, with a log that was kept: %v", again)
	}
	noneMissing(t, "", again)
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("bench query did not leave the log that was there: %v", err)
	}
	o, _ := in(dir, new(hurry))
	if err := RunQuery(t.Context(), o, QueryLoad{Events: 1300, Chosen: true}); err == nil || !strings.Contains(err.Error(), "1,200") {
		t.Errorf("bench query of more events than were kept: %v", err)
	}
	if err := os.Remove(filepath.Join(kept, queryMade)); err != nil {
		t.Fatal(err)
	}
	if err := RunQuery(t.Context(), o, QueryLoad{Events: 100_000}); err == nil || !strings.Contains(err.Error(), "incomplete log") {
		t.Errorf("bench query with half a log: %v", err)
	}
}

// TestBenchQueryFits compares the table with the width of a terminal, with
// figures as large as they get.
func TestBenchQueryFits(t *testing.T) {
	dir := t.TempDir()
	o, small := in(dir, new(hurry))
	o.JSON = false
	if err := RunQuery(t.Context(), o, QueryLoad{Events: 1000}); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("bench query left %v, %v", left, err)
	}
	huge := queryResult{
		Events: maxEvents, Cores: 256, System: "windows/amd64",
		Made: makeRates{1234, 1234567, 1234567, queryCompared, 1234567, 1234567, 1234567, 1234567, 123456, 123456, 1234, 1234, peakMemory()},
		Anew: &rebuildRate{1234567, 1e14}, Open: openTimes{12345, 12345}, Memory: peakMemory(),
	}
	q := &queryBench{bench: &bench{}, result: huge, generator: loadgen.New(1, maxEvents)}
	for _, kind := range q.questions() {
		huge.Asked = append(huge.Asked, queryTimes{kind.name, kind.asks, maxEvents, askMost, 123456, latency{123456, 123456, 123456}})
	}
	var large bytes.Buffer
	if err := (&Options{Out: &large}).printQuery(&huge); err != nil {
		t.Fatal(err)
	}
	out := small.String()
	for line := range strings.SplitSeq(out+large.String(), "\n") {
		if n := display.Columns(line); n > 80 {
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
		o, out := in(dir, clock)
		if err := RunQuery(ctx, o, QueryLoad{Events: 1000, Keep: true}); err == nil || !strings.Contains(err.Error(), "interrupted") || out.Len() > 0 {
			t.Errorf("bench query, interrupted at look %d: %v", looks, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench query, interrupted at look %d, left %v, %v", looks, left, err)
		}
		cancel()
	}
}

// TestBenchQueryRefuses lists loads that bench query does not take.
func TestBenchQueryRefuses(t *testing.T) {
	for _, events := range []int{0, 999, 100000001, 100000000} {
		dir := t.TempDir()
		o, out := in(dir, new(hurry))
		if err := RunQuery(t.Context(), o, QueryLoad{Events: events, Chosen: true}); err == nil || out.Len() > 0 {
			t.Errorf("bench query of %d events: %v, want it refused", events, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("bench query of %d events left %v, %v", events, left, err)
		}
	}
}
