package table_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"audittrail/cmd/audittrail/internal/table"
	"audittrail/event"
	"audittrail/internal/logtest"
	"audittrail/record"
)

// everything has every field of an event.
func everything() event.Event {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	return event.Event{
		ID: "e-1", Type: event.ToolResult, Time: time.Date(2026, 11, 2, 3, 4, 5, 123456789, time.UTC),
		ModelID: "m", ModelVersion: "1", Provider: "p", DeploymentID: "d", UserID: "ada", Actor: "rick", SessionID: "s",
		TraceID: strings.Repeat("a", 32), SpanID: strings.Repeat("b", 16), ParentSpanID: strings.Repeat("c", 16),
		Prompt: "What?", Response: "That.", SystemInstructions: "Be good.",
		InputMessages: raw(`[{"n":1.50}]`), OutputMessages: raw(`"<b>"`),
		Tool:    &event.Tool{Name: "search", CallID: "c1", Arguments: raw(`{"q":"x"}`), Result: raw(`[7]`)},
		Latency: new(150500 * time.Microsecond), InputTokens: new(int64(10)), OutputTokens: new(int64(0)),
		CachedTokens: new(int64(event.MaxInt)), ReasoningTokens: new(int64(3)), Cost: &event.Cost{Nano: 12_300_000, Currency: "EUR"},
		Outcome: event.OutcomeError, FinishReason: "stop", Error: "late", Severity: event.SeverityLow, Category: "pii",
		Producer: &event.Producer{ID: "app", Seq: new(uint64(9))}, Labels: map[string]string{"team": "x", "env": "é"},
		Metadata: map[string]json.RawMessage{"k": raw(`"<v>"`), "n": raw(`1.50`)}, RetentionClass: "standard",
	}
}

// recorded are events as a log gives them back.
func recorded(t *testing.T, events ...event.Event) []*record.Record {
	t.Helper()
	log := logtest.New(t)
	defer logtest.Close(t, log)
	logtest.AppendBatch(t, log, events...)
	var all []*record.Record
	for r, err := range log.Records(t.Context(), 0, uint64(len(events))) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// written is a file of records, opened again.
func written(t *testing.T, contents bool, records ...*record.Record) *parquet.File {
	t.Helper()
	var b bytes.Buffer
	w := table.NewWriter(&b, contents)
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// rows are the values of a file, without nulls, and with the keys and values of a
// map one after the other.
func rows(t *testing.T, f *parquet.File) []map[string]string {
	t.Helper()
	all := []map[string]string{}
	columns := f.Schema().Columns()
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]parquet.Row, 10)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				m := make(map[string]string)
				for _, v := range row {
					if name := columns[v.Column()][0]; !v.IsNull() {
						m[name] += v.String()
					}
				}
				all = append(all, m)
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestEverythingAndNothing(t *testing.T) {
	records := recorded(t, everything(), event.Event{Type: event.Prompt, Time: time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)})
	own := func(i int) map[string]string {
		r := records[i]
		return map[string]string{
			"seq": fmt.Sprint(i), "uuid": r.ID.String(), "hash": r.Hash.String(), "logged": fmt.Sprint(r.Logged.UnixMicro()),
			"class": r.Class, "subject": r.Subject.String(), "state": "readable", "retention_class": "standard", "size": fmt.Sprint(r.Size),
			"source": "app",
		}
	}
	all, none := own(0), own(1)
	maps.Copy(all, map[string]string{
		"type": "tool_result", "time": "1793588645123456", "model_id": "m", "model_version": "1", "provider": "p", "deployment_id": "d",
		"session": fmt.Sprintf("%x", records[0].Session), "trace_id": strings.Repeat("a", 32), "span_id": strings.Repeat("b", 16),
		"parent_span_id": strings.Repeat("c", 16), "tool": "search", "outcome": "error", "finish_reason": "stop", "severity": "low",
		"category": "pii", "latency_ms": "150.5", "input_tokens": "10", "output_tokens": "0", "cached_tokens": "9007199254740991",
		"reasoning_tokens": "3", "cost": "12300000", "currency": "EUR", "producer": "app", "producer_seq": "9",
		"labels": "envteaméx", "parts": "prompt,response,system,input,output,arguments,result,error",
		"actor_subject": records[0].Actor.String(),
	})
	none["type"], none["time"] = "prompt", "-62135596800000000"
	clear := written(t, false, records...)
	if diff := cmp.Diff([]map[string]string{all, none}, rows(t, clear)); diff != "" {
		t.Errorf("in the clear (-want +got):\n%s", diff)
	}
	maps.Copy(all, map[string]string{
		"id": "e-1", "user_id": "ada", "actor": "rick", "session_id": "s", "prompt": "What?", "response": "That.", "system_instructions": "Be good.",
		"input_messages": `[{"n":1.50}]`, "output_messages": `"<b>"`, "tool_call_id": "c1", "tool_arguments": `{"q":"x"}`,
		"tool_result": "[7]", "error": "late", "metadata": `{"k":"<v>","n":1.50}`,
	})
	none["id"] = records[1].Event.ID
	whole := written(t, true, records...)
	if diff := cmp.Diff([]map[string]string{all, none}, rows(t, whole)); diff != "" {
		t.Errorf("with contents (-want +got):\n%s", diff)
	}
}

func TestNoRecords(t *testing.T) {
	f := written(t, true)
	if n := f.NumRows(); n != 0 || len(rows(t, f)) != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

// A writer has at most one row group in memory.
func TestRowGroupsAreBounded(t *testing.T) {
	small := recorded(t, event.Event{Type: event.Prompt, Prompt: "x"})[0]
	var many []*record.Record
	for range 70_000 {
		many = append(many, small)
	}
	f := written(t, false, many...)
	if got := groups(f); !cmp.Equal(got, []int64{65536, 4464}) {
		t.Errorf("row groups of %v rows", got)
	}
	large := recorded(t, event.Event{Type: event.Prompt, Prompt: strings.Repeat("word ", 2<<20)})[0]
	f = written(t, true, large, large, large, large, large, large, large)
	if got := groups(f); !cmp.Equal(got, []int64{4, 3}) {
		t.Errorf("row groups of %v rows of 10 MiB", got)
	}
}

func groups(f *parquet.File) []int64 {
	var rows []int64
	for _, g := range f.RowGroups() {
		rows = append(rows, g.NumRows())
	}
	return rows
}

// The page on the format has the columns as they are.
func TestColumnsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "format", "export.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|]+) \\| ([^|]*) \\|").FindAllSubmatch(page, -1) {
		want = append(want, fmt.Sprintf("%s %s %s", m[1], m[2], m[3]))
	}
	f := written(t, true)
	got := []string{}
	for _, c := range f.Schema().Fields() {
		kind := "map of string to string"
		if c.Leaf() {
			kind = strings.ToLower(c.Type().String())
		}
		kind, _, _ = strings.Cut(strings.Replace(kind, "int(64,true)", "int64", 1), "(isadjusted")
		got = append(got, fmt.Sprintf("%s %s %s", c.Name(), kind, map[bool]string{true: "null"}[c.Optional()]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-documented +written):\n%s\n%s", diff, strings.Join(got, "\n"))
	}
	short := written(t, false)
	if n := len(short.Schema().Fields()); n >= len(want) || n >= len(got) || !cmp.Equal(got[:n], want[:n]) || !strings.HasPrefix(got[n-1], "labels ") {
		t.Errorf("%d columns without contents", n)
	}
}
