package query_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/index"
	"audittrail/internal/logtest"
	"audittrail/query"
	"audittrail/record"
)

const (
	trace1 = "0123456789abcdef0123456789abcdef"
	trace2 = "00000000000000000000000000000001"
	span1  = "0123456789abcdef"
	span2  = "00000000000000ff"
)

// counts is what an engine says of calls.
type counts struct {
	Calls, Unknown uint64
	query.RequestCounts
}

func countsOf(t *testing.T, e *query.Engine, q query.Query) counts {
	t.Helper()
	calls := q
	calls.Calls = true
	n, err := e.Count(t.Context(), calls)
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := e.CountUnknownCalls(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.CountRequests(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	// A list, a sum and a count are of the same calls.
	if got := found(t, e, calls); uint64(len(got)) != n {
		t.Errorf("Find has %d calls, Count %d", len(got), n)
	}
	table, err := e.Group(t.Context(), calls, query.Grouping{By: []string{"type"}})
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for _, r := range table.Rows {
		sum += uint64(r[1].Int())
	}
	if sum != n {
		t.Errorf("Group has %d calls, Count %d", sum, n)
	}
	return counts{n, unknown, b}
}

func TestCalls(t *testing.T) {
	type e = event.Event
	n := int64(5)
	asked := e{Type: event.Prompt, ModelID: "m", Prompt: "q"}
	whole := e{Type: event.Prompt, ModelID: "m", Prompt: "q", Response: "a", Latency: new(time.Second), OutputTokens: &n}
	answer := e{Type: event.Response, ModelID: "m", Response: "a"}
	failed := e{Type: event.Failure, ModelID: "m", Error: "overloaded"}
	tool := e{Type: event.ToolCall, ModelID: "m", Tool: &event.Tool{Name: "search"}}
	blocked := e{Type: event.Guardrail, Outcome: event.OutcomeBlocked}
	in := func(x e, trace, span string) e { x.TraceID, x.SpanID = trace, span; return x }
	for name, c := range map[string]struct {
		events []e
		want   counts
	}{
		"nothing":                             {nil, counts{}},
		"whole":                               {[]e{whole, whole}, counts{Calls: 2}},
		"two halves in a span":                {[]e{in(asked, trace1, span1), in(answer, trace1, span1)}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"two halves in a trace":               {[]e{in(asked, trace1, ""), in(answer, trace1, "")}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"the answer has a span":               {[]e{in(asked, trace1, ""), in(answer, trace1, span1)}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"the question has a span":             {[]e{in(asked, trace1, span1), in(answer, trace1, "")}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"the answer came first":               {[]e{in(answer, trace1, span1), in(asked, trace1, span1)}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"a span without a trace":              {[]e{in(asked, "", span1), in(answer, "", span1)}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"an answer in another span":           {[]e{in(asked, trace1, span1), in(answer, trace1, span2)}, counts{1, 0, query.RequestCounts{Requests: 1, Unanswered: 1}}},
		"an answer in another trace":          {[]e{in(asked, trace1, span1), in(answer, trace2, span1)}, counts{1, 0, query.RequestCounts{Requests: 1, Unanswered: 1}}},
		"two questions, one answer":           {[]e{in(asked, trace1, ""), in(asked, trace1, ""), in(answer, trace1, "")}, counts{1, 0, query.RequestCounts{Requests: 2, Unanswered: 1}}},
		"nothing joins them":                  {[]e{asked, answer}, counts{1, 0, query.RequestCounts{Requests: 1, Uncorrelated: 1}}},
		"whole, and its answer again":         {[]e{in(whole, trace1, span1), in(answer, trace1, span1)}, counts{Calls: 1}},
		"whole, and another span's answer":    {[]e{in(whole, trace1, span1), in(answer, trace1, span2)}, counts{Calls: 2}},
		"whole, and an answer without a span": {[]e{in(whole, trace1, span1), in(answer, trace1, "")}, counts{Calls: 2}},
		"an error alone":                      {[]e{failed}, counts{Calls: 1}},
		"errors without spans":                {[]e{failed, failed}, counts{Calls: 2}},
		"an error for an answer":              {[]e{in(asked, trace1, span1), in(failed, trace1, span1)}, counts{1, 0, query.RequestCounts{Requests: 1}}},
		"an error told twice":                 {[]e{in(failed, trace1, span1), in(failed, trace1, span1)}, counts{Calls: 1}},
		"an error and an answer":              {[]e{in(failed, trace1, span1), in(answer, trace1, span1)}, counts{Calls: 1}},
		"an error of a whole call":            {[]e{in(failed, trace1, span1), in(whole, trace1, span1)}, counts{Calls: 1}},
		"a failed tool":                       {[]e{in(tool, trace1, span1), in(failed, trace1, span1)}, counts{}},
		"an error, and a tool elsewhere":      {[]e{in(tool, trace1, span2), in(failed, trace1, span1)}, counts{Calls: 1}},
		"an error of nothing":                 {[]e{{Type: event.Failure, Error: "no disk"}}, counts{}},
		"a guardrail's block":                 {[]e{in(asked, trace1, ""), in(blocked, trace1, "")}, counts{0, 0, query.RequestCounts{Requests: 1}}},
		"others":                              {[]e{tool, {Type: event.Decision, ModelID: "m"}, {Type: "x.call", Response: "a"}}, counts{}},
		"embeddings":                          {[]e{{Type: event.Embedding}, {Type: event.Embedding}}, counts{Calls: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			log := newLog(t)
			if c.events != nil {
				logtest.AppendBatch(t, log, c.events...)
			}
			for _, most := range []int{0, 1} {
				if got := countsOf(t, query.New(log).JoiningAtMost(most), query.Query{}); got != c.want {
					t.Errorf("joining %d at a time: %+v, want %+v", most, got, c.want)
				}
			}
		})
	}
}

// TestCallsIndexed asks a log of many calls, of all shapes, in every way, and
// compares with a count by the rules, spelled out.
func TestCallsIndexed(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	var events []event.Event
	for range 3000 {
		e := event.Event{Type: []event.Type{event.Prompt, event.Prompt, event.Response, event.Failure, event.ToolCall, event.Embedding, event.Feedback, event.Guardrail}[rng.IntN(8)], Time: day, ModelID: []string{"a", "b", ""}[rng.IntN(3)], UserID: fmt.Sprint("u", rng.IntN(5))}
		if rng.IntN(4) > 0 {
			e.TraceID = fmt.Sprintf("%032x", 1+rng.IntN(200))
		}
		if rng.IntN(3) > 0 {
			e.SpanID = fmt.Sprintf("%016x", 1+rng.IntN(4))
		}
		if e.Type == event.Prompt && rng.IntN(2) == 0 {
			e.Response = "a"
		}
		if e.Type == event.Failure && rng.IntN(6) == 0 {
			e.Tool = &event.Tool{Name: "t"}
		}
		events = append(events, e)
	}
	want := byTheRules(events, func(*event.Event) bool { return true })
	wantA := byTheRules(events, func(e *event.Event) bool { return e.ModelID == "a" })

	dir := t.TempDir()
	o := audittrail.Options{Create: true}
	index.Tune(&o, index.Options{BlockRows: 500})
	log := logtest.Open(t, dir, o)
	logtest.AppendBatch(t, log, events[:2600]...)
	logtest.AppendBatch(t, log, events[2600:]...)
	for name, e := range map[string]*query.Engine{
		"index": query.New(log), "index, in shares": query.New(log).JoiningAtMost(400),
		"log": reading(t, dir), "log, in shares": reading(t, dir).JoiningAtMost(1500),
	} {
		if got := countsOf(t, e, query.Query{}); got.Calls != want || got.Unknown != 0 {
			t.Errorf("%s: %+v, want %d calls", name, got, want)
		}
		if got := countsOf(t, e, query.Query{Models: []string{"a"}}); got.Calls != wantA {
			t.Errorf("%s: %+v of model a, want %d calls", name, got, wantA)
		}
		if a, b := countsOf(t, e, query.Query{}), countsOf(t, reading(t, dir), query.Query{}); a != b {
			t.Errorf("%s: %+v, the log says %+v", name, a, b)
		}
	}
	logtest.Close(t, log)
}

// TestCallsAcrossBlocks has what tells of a call in a block of the index in which
// nothing else is of calls.
func TestCallsAcrossBlocks(t *testing.T) {
	events := []event.Event{
		{Type: event.Failure, ModelID: "m", Error: "no such page", TraceID: trace1, SpanID: span1},
		{Type: event.Prompt, ModelID: "m", Prompt: "q", TraceID: trace2},
		{Type: event.ToolCall, Tool: &event.Tool{Name: "search"}, TraceID: trace1, SpanID: span1},
		{Type: event.Guardrail, Outcome: event.OutcomeBlocked, TraceID: trace2},
	}
	dir := t.TempDir()
	o := audittrail.Options{Create: true}
	index.Tune(&o, index.Options{BlockRows: 2})
	log := logtest.Open(t, dir, o)
	for i := range events {
		logtest.AppendBatch(t, log, events[i])
	}
	want := counts{0, 0, query.RequestCounts{Requests: 1}}
	for name, e := range map[string]*query.Engine{"index": query.New(log), "log": reading(t, dir)} {
		if got := countsOf(t, e, query.Query{}); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	logtest.Close(t, log)
}

// byTheRules counts the calls among events, of those that are asked for, one by
// one against all others.
func byTheRules(events []event.Event, asked func(*event.Event) bool) (n uint64) {
	spanOf := func(e *event.Event) string {
		if e.SpanID == "" {
			return ""
		}
		return e.TraceID + "/" + e.SpanID
	}
	spans, parts := make([]string, len(events)), make([]event.CallPart, len(events))
	for i := range events {
		spans[i], parts[i] = spanOf(&events[i]), event.Call(&events[i], event.PartsOf(&events[i]), true)
	}
	for i, part := range parts {
		counts := part == event.CallResponse || part == event.CallComplete || part == event.CallFailed
		for j, other := range parts {
			if i == j || spans[i] == "" || spans[i] != spans[j] {
				continue
			}
			if part == event.CallComplete && other == event.CallResponse {
				counts = false
			}
			if part == event.CallFailed && (other == event.CallResponse || other == event.CallComplete || events[j].Type == event.ToolCall || other == event.CallFailed && j < i) {
				counts = false
			}
		}
		if counts && asked(&events[i]) {
			n++
		}
	}
	return n
}

// TestCallsOfVersion1 counts the calls of a log of format 1, continued in
// format 2, with and without keys: calls that cannot be known are reported as
// unknown.
func TestCallsOfVersion1(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../testdata/calls/v1")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("../testdata/calls/v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var events []event.Event
	for in := bufio.NewScanner(f); in.Scan(); {
		e, err := event.ParseJSON(in.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		e.ID += "-again"
		events = append(events, e)
	}
	half := counts{5, 0, query.RequestCounts{Requests: 2, Uncorrelated: 1}}
	log := logtest.Open(t, dir, audittrail.Options{AcceptClock: true})
	indexed, all := query.New(log), uint64(len(events))
	if got := countsOf(t, indexed, query.Query{Size: all}); got != half {
		t.Errorf("format 1: %+v, want %+v", got, half)
	}
	for i := range events {
		events[i].SpanID = strings.ReplaceAll(events[i].SpanID, "0", "1")
	}
	logtest.AppendBatch(t, log, events...)
	want := counts{10, 0, query.RequestCounts{Requests: 4, Uncorrelated: 2}}
	for name, e := range map[string]*query.Engine{"index": indexed, "log": reading(t, dir)} {
		if got := countsOf(t, e, query.Query{}); got != want {
			t.Errorf("both formats, by the %s: %+v, want %+v", name, got, want)
		}
	}
	// Of carol's two, the one of format 1 says nothing of an answer any more.
	if _, err := log.Erase(t.Context(), audittrail.Erasure{Users: []string{"carol"}, Reason: "asked", Basis: "GDPR 17(1)(b)"}); err != nil {
		t.Fatal(err)
	}
	want.Calls, want.Unknown = 9, 1
	for name, e := range map[string]*query.Engine{"index": indexed, "log": reading(t, dir)} {
		if got := countsOf(t, e, query.Query{}); got != want {
			t.Errorf("after an erasure, by the %s: %+v, want %+v", name, got, want)
		}
	}
	logtest.Close(t, log)
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	log = logtest.Open(t, dir, audittrail.Options{ReadOnly: true})
	// Of the nine of format 1: one is whole by its latency, one an answer, one an
	// error of a model; of four prompts nothing is known.
	want = counts{8, 4, query.RequestCounts{Requests: 2, Uncorrelated: 1}}
	if got := countsOf(t, query.New(log), query.Query{}); got != want {
		t.Errorf("without keys: %+v, want %+v", got, want)
	}
	if got := countsOf(t, query.New(log), query.Query{Size: all}); got != (counts{Calls: 3, Unknown: 4}) {
		t.Errorf("format 1 without keys: %+v, want 3 calls and 4 unknown", got)
	}
	for r, err := range log.Records(t.Context(), 0, record.MaxSeq) {
		if err != nil {
			t.Fatal(err)
		}
		if _, known := r.KnownParts(); known != (r.Version == 2) {
			t.Errorf("record %d of version %d: parts known: %v", r.Seq, r.Version, known)
		}
	}
	logtest.Close(t, log)
}
