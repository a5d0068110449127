package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"audittrail/event"
)

// full returns an event with every field, all in canonical form.
func full() event.Event {
	return event.Event{
		ID:                 "req-0001/α",
		Time:               time.Date(2026, 11, 23, 12, 34, 56, 789_000_001, time.UTC),
		Type:               event.ToolCall,
		ModelID:            "gpt-4",
		ModelVersion:       "4.0",
		Provider:           "openai",
		DeploymentID:       "eu-west-1",
		UserID:             "user-001",
		SessionID:          "session \"7\"",
		TraceID:            "0af7651916cd43dd8448eb211c80319c",
		SpanID:             "b7ad6b7169203331",
		ParentSpanID:       "00f067aa0ba902b7",
		Prompt:             "What is the weather\nin Zürich? 🌦",
		Response:           "Let me look.",
		SystemInstructions: "Be brief.",
		InputMessages:      json.RawMessage(`[{"content":"hi","role":"user"}]`),
		OutputMessages:     json.RawMessage(`{"n":1.50,"z":null}`),
		Tool: &event.Tool{
			Name: "weather", CallID: "call_1",
			Arguments: json.RawMessage(`{"city":"Zürich"}`),
			Result:    json.RawMessage(`"rain"`),
		},
		Latency:         new(150500 * time.Microsecond),
		InputTokens:     new(int64(10)),
		OutputTokens:    new(int64(50)),
		CachedTokens:    new(int64(0)),
		ReasoningTokens: new(int64(event.MaxInt)),
		Cost:            &event.Cost{Nano: 12_300_000, Currency: "EUR"},
		Outcome:         event.OutcomePartial,
		FinishReason:    "tool_calls",
		Error:           "stream ended early",
		Severity:        event.SeverityLow,
		Category:        "weather",
		Producer:        &event.Producer{ID: "api-1", Seq: new(uint64(41))},
		Labels:          map[string]string{"team": "search", "env": "prod", "note": ""},
		Metadata:        map[string]json.RawMessage{"b": json.RawMessage(`[1,2]`), "": json.RawMessage(`null`), "é\n": json.RawMessage(`{}`)},
		RetentionClass:  "standard",
	}
}

// kilobyte returns an event of the size for which the project states its
// figures.
func kilobyte() event.Event {
	return event.Event{
		Type: event.Response, ModelID: "gpt-4", ModelVersion: "4.0", Provider: "openai",
		UserID: "user-001", SessionID: "session-0001",
		TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331",
		Prompt:      strings.Repeat("Tell me what you know about audits. ", 8),
		Response:    strings.Repeat("An audit checks what was done.\n", 12),
		Latency:     new(150500 * time.Microsecond),
		InputTokens: new(int64(80)), OutputTokens: new(int64(120)),
		Outcome: event.OutcomeSuccess, FinishReason: "stop",
		Labels: map[string]string{"env": "prod", "team": "search"},
	}
}

func BenchmarkAppendClear(b *testing.B) {
	e := kilobyte()
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = event.AppendClear(dst[:0], &e)
	}
}

func BenchmarkAppendContent(b *testing.B) {
	e := kilobyte()
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = event.AppendContent(dst[:0], &e, nil)
	}
}

func BenchmarkCanonicalize(b *testing.B) {
	e := kilobyte()
	b.ReportAllocs()
	for b.Loop() {
		if err := event.Canonicalize(&e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeContent(b *testing.B) {
	e := kilobyte()
	in := event.AppendContent(nil, &e, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.DecodeContent(in, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	e := kilobyte()
	b.ReportAllocs()
	for b.Loop() {
		event.Digest(&e)
	}
}

func BenchmarkAppendTime(b *testing.B) {
	t := time.Now()
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = event.AppendTime(dst[:0], t)
	}
}

func BenchmarkParseTime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.ParseTime("2026-11-23T12:34:56.789000001Z"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJSON(b *testing.B) {
	e := kilobyte()
	in := event.AppendJSON(nil, &e)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.ParseJSON(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := kilobyte()
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = event.AppendJSON(dst[:0], &e)
	}
}

func BenchmarkParsePlain(b *testing.B) {
	in := []byte(`{"event_id":"evt-1","event_type":"prompt","timestamp":"2026-11-23T12:34:56.789012",` +
		`"model_id":"gpt-4","user_id":"user-001","prompt":"` + strings.Repeat("What do you know? ", 50) +
		`","latency_ms":150.5,"previous_hash":"` + strings.Repeat("0", 64) + `","hash":"` + strings.Repeat("a", 64) + `"}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, plain, err := event.ParsePlain(in); err != nil || !plain {
			b.Fatal(plain, err)
		}
	}
}
