package event_test

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

func TestType(t *testing.T) {
	for _, typ := range event.Types() {
		if !typ.Valid() || typ.Reserved() {
			t.Errorf("%s: Valid = %v, Reserved = %v, want true, false", typ, typ.Valid(), typ.Reserved())
		}
	}
	kinds := map[string]struct {
		own, administrative, account bool
		types                        []event.Type
	}{
		"own": {true, true, false, []event.Type{
			"signer_rotated", "log_repaired", "keys_backed_up", "master_rotated", "subject_erased", "class_expired",
			"hold_placed", "hold_released", "segments_archived", "segments_dropped", "log_rebuilt",
		}},
		"administrative": {false, true, false, []event.Type{
			"access_granted", "access_revoked", "retention_policy_set", "subject_restricted", "restriction_lifted",
			"erasure_approved", "dataset_registered", "training_run_registered", "model_version_registered",
			"model_deployed", "model_retired", "prompt_registered", "evaluation_registered",
		}},
		"account": {false, false, true, []event.Type{
			"access_denied", "content_read", "data_exported", "report_made", "subject_access_answered",
		}},
	}
	for name, k := range kinds {
		for _, typ := range k.types {
			if !typ.Valid() || !typ.Reserved() || typ.Internal() != k.own || typ.Governance() != k.administrative || typ.AccessLog() != k.account {
				t.Errorf("%s: Valid = %v, Reserved = %v, Own = %v, Administrative = %v, Account = %v: want a valid type of kind %s",
					typ, typ.Valid(), typ.Reserved(), typ.Internal(), typ.Governance(), typ.AccessLog(), name)
			}
		}
	}
	for in, want := range map[event.Type]bool{
		"":          false,
		"Prompt":    false,
		"prompt ":   false,
		"x.":        false,
		"x.a":       true,
		"x.0-a_b.c": true,
		"x..a":      false,
		"x.-a":      false,
		"x.A":       false,
		"x.é":       false,
		"x.a\x00":   false,
		"y.a":       false,
		"x_a":       false,
		event.Type("x." + strings.Repeat("a", 63)): true,
		event.Type("x." + strings.Repeat("a", 64)): false,
	} {
		if got := in.Valid(); got != want {
			t.Errorf("Type(%q).Valid() = %v, want %v", in, got, want)
		}
		if in.Governance() {
			t.Errorf("Type(%q).Administrative() = true", in)
		}
	}
}

func TestValidate(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	labels := func(n int) map[string]string {
		m := make(map[string]string)
		for i := range n {
			m[strconv.Itoa(i)] = ""
		}
		return m
	}
	metadata := func(n int) map[string]json.RawMessage {
		m := make(map[string]json.RawMessage)
		for i := range n {
			m[strconv.Itoa(i)] = json.RawMessage("1")
		}
		return m
	}
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	const secret = "SECRET"
	for _, tt := range []struct {
		name string
		set  func(*event.Event)
		want string // "" where it is valid
	}{
		{"all", func(e *event.Event) { *e = full() }, ""},
		{"no type", func(e *event.Event) { e.Type = "" }, "type: missing"},
		{"near type", func(e *event.Event) { e.Type = "promt" }, `type: unknown "promt"; did you mean "prompt"?`},
		{"far type", func(e *event.Event) { e.Type = "llm" }, `type: unknown "llm"; there are prompt, response, tool_call, tool_result, retrieval, embedding, guardrail, evaluation, feedback, human_review, decision, safety_incident, error, and custom ones as x.<name>`},
		{"custom type", func(e *event.Event) { e.Type = "x.A" }, `type: "x.A"; a custom type is x. and 1 to 63 lower-case letters, digits, dots, hyphens and underscores, the first a letter or digit`},
		{"long type", func(e *event.Event) { e.Type = event.Type(long(100)) }, `type: unknown "` + long(64) + `"...; there are prompt, response, tool_call, tool_result, retrieval, embedding, guardrail, evaluation, feedback, human_review, decision, safety_incident, error, and custom ones as x.<name>`},

		{"id limit", func(e *event.Event) { e.ID = long(256) }, ""},
		{"id too long", func(e *event.Event) { e.ID = long(257) }, "id: 257 bytes; at most 256 are allowed"},
		{"id any text", func(e *event.Event) { e.ID = "\x00 \n/é" }, ""},
		{"id bytes", func(e *event.Event) { e.ID = secret + "\xff" }, "id: not valid UTF-8"},
		{"user limit", func(e *event.Event) { e.UserID = long(1024) }, ""},
		{"user too long", func(e *event.Event) { e.UserID = long(1025) }, "user_id: 1025 bytes; at most 1024 are allowed"},
		{"session too long", func(e *event.Event) { e.SessionID = long(1025) }, "session_id: 1025 bytes; at most 1024 are allowed"},
		{"call id too long", func(e *event.Event) { e.Tool = &event.Tool{CallID: long(1025)} }, "tool.call_id: 1025 bytes; at most 1024 are allowed"},

		{"clear limit", func(e *event.Event) { e.ModelID = long(128) }, ""},
		{"clear too long", func(e *event.Event) { e.ModelID = long(129) }, "model_id: 129 bytes; at most 128 are allowed"},
		{"clear control", func(e *event.Event) { e.Provider = "a\nb" }, "provider: control character at byte 1"},
		{"clear NUL", func(e *event.Event) { e.ModelVersion = "\x00" }, "model_version: control character at byte 0"},
		{"clear DEL", func(e *event.Event) { e.DeploymentID = "abc\x7f" }, "deployment_id: control character at byte 3"},
		{"clear C1", func(e *event.Event) { e.Category = "é\u0085" }, "category: control character at byte 2"},
		{"clear control behind letter", func(e *event.Event) { e.Category = "é\n" }, "category: control character at byte 2"},
		{"clear bytes", func(e *event.Event) { e.FinishReason = "a\xc3" }, "finish_reason: not valid UTF-8"},
		{"clear letters", func(e *event.Event) { e.Category = "Straße 世界 \"\\" }, ""},
		{"tool name", func(e *event.Event) { e.Tool = &event.Tool{Name: long(129)} }, "tool.name: 129 bytes; at most 128 are allowed"},
		{"producer", func(e *event.Event) { e.Producer = &event.Producer{ID: "\t"} }, "producer.id: control character at byte 0"},
		{"producer seq limit", func(e *event.Event) { e.Producer = &event.Producer{Seq: new(uint64(1<<53 - 1))} }, ""},
		{"producer seq", func(e *event.Event) { e.Producer = &event.Producer{Seq: new(uint64(1 << 53))} }, "producer.seq: 9007199254740992; at most 2^53-1 is allowed"},

		{"outcome", func(e *event.Event) { e.Outcome = "ok" }, `outcome: unknown "ok"; there are success, error, partial, blocked, refused, timeout, cancelled`},
		{"severity", func(e *event.Event) { e.Severity = "HIGH" }, `severity: unknown "HIGH"; there are info, low, medium, high, critical`},
		{"trace id length", func(e *event.Event) { e.TraceID = "0af7" }, "trace_id: 4 bytes; use 32 lower-case hexadecimal digits"},
		{"trace id case", func(e *event.Event) { e.TraceID = "0AF7651916CD43DD8448EB211C80319C" }, "trace_id: not a lower-case hexadecimal digit at byte 1"},
		{"span id", func(e *event.Event) { e.SpanID = "b7ad6b716920333g" }, "span_id: not a lower-case hexadecimal digit at byte 15"},
		{"parent", func(e *event.Event) { e.ParentSpanID = "b7ad6b7169203331a" }, "parent_span_id: 17 bytes; use 16 lower-case hexadecimal digits"},

		{"no latency", func(e *event.Event) { e.Latency = new(time.Duration(0)) }, ""},
		{"latency limit", func(e *event.Event) { e.Latency = new((1<<53 - 1) * time.Microsecond) }, ""},
		{"latency", func(e *event.Event) { e.Latency = new((1 << 53) * time.Microsecond) }, "latency_ms: 2501999h47m34.740992s; at most 2^53-1 microseconds are allowed"},
		{"most latency", func(e *event.Event) { e.Latency = new(time.Duration(math.MaxInt64)) }, "latency_ms: 2562047h47m16.854775807s; at most 2^53-1 microseconds are allowed"},
		{"negative latency", func(e *event.Event) { e.Latency = new(time.Duration(-1)) }, "latency_ms: negative"},
		{"tokens", func(e *event.Event) { e.InputTokens = new(int64(-1)) }, "input_tokens: -1; 0 to 2^53-1 are allowed"},
		{"tokens limit", func(e *event.Event) { e.OutputTokens = new(int64(1<<53 - 1)) }, ""},
		{"more tokens", func(e *event.Event) { e.CachedTokens = new(int64(1 << 53)) }, "cached_tokens: 9007199254740992; 0 to 2^53-1 are allowed"},
		{"reasoning", func(e *event.Event) { e.ReasoningTokens = new(int64(math.MinInt64)) }, "reasoning_tokens: -9223372036854775808; 0 to 2^53-1 are allowed"},
		{"cost", func(e *event.Event) { e.Cost = &event.Cost{Nano: -1, Currency: "USD"} }, "cost: -1 billionths; 0 to 2^53-1 are allowed"},
		{"currency", func(e *event.Event) { e.Cost = &event.Cost{Currency: "usd"} }, `cost.currency: "usd"; use three capital letters, such as "USD"`},
		{"no currency", func(e *event.Event) { e.Cost = &event.Cost{} }, `cost.currency: ""; use three capital letters, such as "USD"`},

		{"labels limit", func(e *event.Event) { e.Labels = labels(64) }, ""},
		{"labels", func(e *event.Event) { e.Labels = labels(65) }, "labels: 65 of them; at most 64 are allowed"},
		{"label key", func(e *event.Event) { e.Labels = map[string]string{"": "x"} }, "labels: empty key"},
		{"label key control", func(e *event.Event) { e.Labels = map[string]string{"a\n": "x"} }, "labels: key: control character at byte 1"},
		{"label value", func(e *event.Event) { e.Labels = map[string]string{"k": long(129)} }, `labels: value of "k": 129 bytes; at most 128 are allowed`},

		{"prompt", func(e *event.Event) { e.Prompt = secret + "\xff" }, "prompt: not valid UTF-8"},
		{"surrogate", func(e *event.Event) { e.Response = secret + "\xed\xa0\x80" }, "response: not valid UTF-8"},
		{"instructions", func(e *event.Event) { e.SystemInstructions = "\xc0\x80" }, "system_instructions: not valid UTF-8"},
		{"error", func(e *event.Event) { e.Error = "\x80" }, "error: not valid UTF-8"},
		{"messages", func(e *event.Event) { e.InputMessages = raw(`["` + secret + `]`) }, "input_messages: byte 9: string without an end"},
		{"two values", func(e *event.Event) { e.OutputMessages = raw(`1 2`) }, "output_messages: byte 2: more input after the value"},
		{"arguments", func(e *event.Event) { e.Tool = &event.Tool{Arguments: raw(`{"a":1,"\u0061":2}`)} }, "tool.arguments: byte 7: duplicate key"},
		{"result", func(e *event.Event) { e.Tool = &event.Tool{Result: raw(`"\ud800"`)} }, "tool.result: byte 1: lone surrogate"},
		{"deep", func(e *event.Event) { e.InputMessages = raw(strings.Repeat("[", 65)) }, "input_messages: byte 64: nested more than 64 deep"},
		{"metadata value", func(e *event.Event) { e.Metadata = map[string]json.RawMessage{secret: raw("x")} }, "metadata: byte 0: expected a value, found no value"},
		{"metadata key", func(e *event.Event) { e.Metadata = map[string]json.RawMessage{secret + "\xff": raw("1")} }, "metadata: a key is not valid UTF-8"},
		{"metadata limit", func(e *event.Event) { e.Metadata = metadata(1024) }, ""},
		{"metadata keys", func(e *event.Event) { e.Metadata = metadata(1025) }, "metadata: 1025 keys; at most 1024 are allowed"},
		{"metadata nil", func(e *event.Event) { e.Metadata = map[string]json.RawMessage{"k": nil} }, ""},

		{"early", func(e *event.Event) { e.Time = time.Date(0, 12, 31, 23, 0, 0, 0, time.UTC) }, "time: in the year 0; use 1 to 9999"},
		{"early in UTC", func(e *event.Event) { e.Time = time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)) }, "time: in the year 0; use 1 to 9999"},
		{"late", func(e *event.Event) { e.Time = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC) }, ""},
		{"too late", func(e *event.Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "time: in the year 10000; use 1 to 9999"},
		{"class", func(e *event.Event) { e.RetentionClass = "Long" }, `retention_class: "Long"; use 1 to 32 lower-case letters, digits, hyphens and underscores, and begin with a letter or digit`},
		{"class limit", func(e *event.Event) { e.RetentionClass = "0-_" + strings.Repeat("z", 29) }, ""},
		{"long class", func(e *event.Event) { e.RetentionClass = strings.Repeat("z", 33) }, `retention_class: "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"; use 1 to 32 lower-case letters, digits, hyphens and underscores, and begin with a letter or digit`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := event.Event{Type: event.Prompt}
			tt.set(&e)
			err := event.Validate(&e)
			var got string
			if err != nil {
				got = err.Error()
				var field *event.FieldError
				if !errors.As(err, &field) {
					t.Errorf("Validate gives a %T, want a *FieldError", err)
				}
			}
			if got != tt.want {
				t.Errorf("Validate = %q\nwant       %q", got, tt.want)
			}
			if strings.Contains(got, secret) {
				t.Error("the error quotes sealed content")
			}
			if c := event.Canonicalize(&e); (c == nil) != (err == nil) || c != nil && c.Error() != got {
				t.Errorf("Canonicalize = %v, Validate = %v", c, err)
			}
		})
	}
}

// Every enumerated value passes, so that the lists and the checks agree.
func TestEnumerations(t *testing.T) {
	for _, o := range event.Outcomes() {
		if err := event.Validate(&event.Event{Type: event.Prompt, Outcome: o}); err != nil {
			t.Error(err)
		}
	}
	for _, s := range event.Severities() {
		if err := event.Validate(&event.Event{Type: event.Prompt, Severity: s}); err != nil {
			t.Error(err)
		}
	}
}

func TestCanonicalize(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	e := event.Event{
		Type:           event.Prompt,
		Time:           time.Date(2026, 11, 23, 14, 0, 0, 1, zone),
		InputMessages:  json.RawMessage(` [ {"role":"user", "content":"h\u0069"} ] `),
		OutputMessages: json.RawMessage(` null `),
		Tool:           &event.Tool{Name: "t", Arguments: json.RawMessage(`{"b":1,"a":2.0}`), Result: json.RawMessage{}},
		Latency:        new(1500 * time.Nanosecond),
		Producer:       &event.Producer{},
		Labels:         map[string]string{},
		Metadata:       map[string]json.RawMessage{"a": json.RawMessage("[1]"), "b": json.RawMessage("[ 1 ]"), "c": nil},
	}
	want := event.Event{
		Type:          event.Prompt,
		Time:          time.Date(2026, 11, 23, 12, 0, 0, 1, time.UTC),
		InputMessages: json.RawMessage(`[{"content":"hi","role":"user"}]`),
		Tool:          &event.Tool{Name: "t", Arguments: json.RawMessage(`{"a":2.0,"b":1}`)},
		Latency:       new(2 * time.Microsecond),
		Metadata:      map[string]json.RawMessage{"a": json.RawMessage("[1]"), "b": json.RawMessage("[1]"), "c": json.RawMessage("null")},
	}
	given, tool, metadata, latency := e, *e.Tool, e.Metadata, *e.Latency
	got := e
	if err := event.Canonicalize(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Canonicalize (-want +got):\n%s", diff)
	}
	// The caller may share the values that e points to.
	if diff := cmp.Diff(tool, *given.Tool); diff != "" || *given.Latency != latency {
		t.Errorf("Canonicalize wrote to what it was given:\n%s", diff)
	}
	if string(metadata["b"]) != "[ 1 ]" || metadata["c"] != nil {
		t.Errorf("Canonicalize wrote to the metadata it was given: %q", metadata)
	}
	again := got
	if err := event.Canonicalize(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("Canonicalize twice (-once +twice):\n%s", diff)
	}
	for _, empty := range []event.Event{
		{Type: event.Prompt, Tool: &event.Tool{}},
		{Type: event.Prompt, Tool: &event.Tool{Arguments: json.RawMessage("null"), Result: json.RawMessage{}}},
		{Type: event.Prompt, Metadata: map[string]json.RawMessage{}, InputMessages: json.RawMessage{}},
	} {
		if err := event.Canonicalize(&empty); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(event.Event{Type: event.Prompt}, empty); diff != "" {
			t.Errorf("Canonicalize of what says nothing (-want +got):\n%s", diff)
		}
	}
}

func TestMonotonicClock(t *testing.T) {
	e := event.Event{Type: event.Prompt, Time: time.Now()}
	if err := event.Canonicalize(&e); err != nil {
		t.Fatal(err)
	}
	back, err := event.ParseJSON(event.AppendJSON(nil, &e))
	if err != nil {
		t.Fatal(err)
	}
	if back.Time != e.Time { // with ==, as programs compare structs
		t.Errorf("read back %#v, want %#v", back.Time, e.Time)
	}
}

func TestIsUUID(t *testing.T) {
	for s, want := range map[string]bool{
		"":                                      false,
		"0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e11":  true,
		"00000000-0000-0000-0000-000000000000":  true,
		"0B8F0F6E-5F53-4D8A-9D3B-1F6C0A2F4E11":  false,
		"0b8f0f6e5f534d8a9d3b1f6c0a2f4e11":      false,
		"0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e1":   false,
		"0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e111": false,
		"0b8f0f6e-5f53-4d8a-9d3b+1f6c0a2f4e11":  false,
		"0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e1g":  false,
	} {
		if got := event.IsUUID(s); got != want {
			t.Errorf("IsUUID(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestValidClass(t *testing.T) {
	for name, want := range map[string]bool{
		"":                      false,
		"standard":              true,
		"0-_a":                  true,
		"-a":                    false,
		"a.b":                   false,
		"Standard":              false,
		"standard/2026-11":      false,
		strings.Repeat("z", 32): true,
		strings.Repeat("z", 33): false,
		"stand\xffard":          false,
	} {
		if got := event.ValidClass(name); got != want {
			t.Errorf("ValidClass(%q) = %v, want %v", name, got, want)
		}
	}
}

// TestClone changes everything that an event points to, and looks whether its
// copy changes.
func TestClone(t *testing.T) {
	n, seq, latency := int64(1), uint64(1), time.Second
	ev := event.Event{
		Type: event.ToolCall, InputMessages: []byte(`[1]`), OutputMessages: []byte(`[1]`),
		Tool:    &event.Tool{Name: "t", Arguments: []byte(`1`), Result: []byte(`1`)},
		Latency: &latency, InputTokens: &n, OutputTokens: &n, CachedTokens: &n, ReasoningTokens: &n,
		Cost: &event.Cost{Nano: 1, Currency: "USD"}, Producer: &event.Producer{ID: "p", Seq: &seq},
		Labels: map[string]string{"k": "1"}, Metadata: map[string]json.RawMessage{"k": []byte(`1`)},
	}
	c := event.Clone(&ev)
	want, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	ev.InputMessages[1], ev.OutputMessages[1], ev.Tool.Arguments[0], ev.Tool.Result[0] = '2', '2', '2', '2'
	ev.Tool.Name, n, seq, latency, ev.Cost.Nano, ev.Producer.ID = "u", 2, 2, 2, 2, "q"
	ev.Labels["k"], ev.Metadata["k"][0] = "2", '2'
	if got, err := json.Marshal(c); err != nil || string(got) != string(want) {
		t.Errorf("Clone shares something: %s, %v, want %s", got, err, want)
	}
}
