package foreign_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/cmd/audittrail/internal/foreign"
	"audittrail/event"
)

// lines are one of each format, without what the tests put in.
var lines = map[string]string{
	"litellm":      `{"request_id":"c-1","call_type":"acompletion","spend":0.5,"startTime":"2026-11-02T09:00:00Z"`,
	"openai-batch": `{"custom_id":"r-1"`,
	"bedrock":      `{"schemaType":"ModelInvocationLog","requestId":"q-1","modelId":"nova","operation":"Converse"`,
	"cloudtrail":   `{"eventVersion":"1.08","eventSource":"bedrock.amazonaws.com","eventName":"Converse","eventTime":"2026-11-02T09:00:00Z"`,
}

// with returns a line with members that are added, or replace those of the
// same name, the whole an object in order of the names.
func with(t *testing.T, format, members string) []byte {
	t.Helper()
	all := map[string]json.RawMessage{}
	for _, object := range []string{lines[format] + "}", "{" + members + "}"} {
		if err := json.Unmarshal([]byte(object), &all); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
	}
	line, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// fields returns what an event says in the edge form, without its metadata.
func fields(t *testing.T, e event.Event) map[string]string {
	t.Helper()
	e.Metadata = nil
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(event.AppendJSON(nil, &e), &all); err != nil {
		t.Fatal(err)
	}
	said := make(map[string]string)
	for k, v := range all {
		said[k] = string(v)
	}
	return said
}

// TestTables has every cell of the table in docs/tutorial-any-language.md, and
// the forms in which programs write it.
func TestTables(t *testing.T) {
	for _, c := range []struct{ format, members, field, want string }{
		{"litellm", ``, "type", `"response"`},
		{"litellm", `"call_type":"aembedding"`, "type", `"embedding"`},
		{"litellm", `"status":"failure"`, "type", `"error"`},
		{"litellm", `"status":"failure"`, "outcome", `"error"`},
		{"litellm", ``, "id", `"litellm:c-1"`},
		{"litellm", ``, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"litellm", `"startTime":"2026-11-02 09:00:00.25"`, "time", `"2026-11-02T09:00:00.250000000Z"`},
		{"litellm", `"startTime":"2026-11-02 10:00:00+01:00"`, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"litellm", `"startTime":"2026-11-02 10:00:00.5+01"`, "time", `"2026-11-02T09:00:00.500000000Z"`},
		{"litellm", `"startTime":"2026-11-02T10:00:00+0100"`, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"litellm", `"startTime":1793610000.25`, "time", `"2026-11-02T09:00:00.250000000Z"`},
		{"litellm", `"startTime":1793610000250`, "time", `"2026-11-02T09:00:00.250000000Z"`},
		{"litellm", `"model":"gpt"`, "model_id", `"gpt"`},
		{"litellm", `"model":"","model_group":"group"`, "model_id", `"group"`},
		{"litellm", `"custom_llm_provider":"openai"`, "provider", `"openai"`},
		{"litellm", `"model_id":"d-1"`, "deployment_id", `"d-1"`},
		{"litellm", `"user":"u","end_user":"c-17"`, "user_id", `"c-17"`},
		{"litellm", `"user":"u","end_user":""`, "user_id", `"u"`},
		{"litellm", `"session_id":"s"`, "session_id", `"s"`},
		{"litellm", `"messages":[{"role":"user"}]`, "input_messages", `[{"role":"user"}]`},
		{"litellm", `"messages":"[{\"role\":\"user\"}]"`, "input_messages", `[{"role":"user"}]`},
		{"litellm", `"messages":{}`, "input_messages", ``},
		{"litellm", `"response":{"id":"x"}`, "output_messages", `{"id":"x"}`},
		{"litellm", `"prompt_tokens":12`, "input_tokens", `12`},
		{"litellm", `"prompt_tokens":12.0`, "input_tokens", `12`},
		{"litellm", `"prompt_tokens":"12"`, "input_tokens", `12`},
		{"litellm", `"prompt_tokens":null`, "input_tokens", ``},
		{"litellm", `"completion_tokens":3`, "output_tokens", `3`},
		{"litellm", `"spend":1.5e-05`, "cost", `0.000015`},
		{"litellm", `"spend":"0.01"`, "cost", `0.01`},
		{"litellm", `"endTime":"2026-11-02 09:00:01.5"`, "latency_ms", `1500`},
		{"litellm", `"endTime":"2026-11-02 08:00:00"`, "latency_ms", ``},
		{"litellm", `"endTime":null`, "latency_ms", ``},
		{"litellm", `"status":"failure","metadata":{"error_information":{"error_message":"no"}}`, "error", `"no"`},

		{"openai-batch", `"body":{}`, "type", `"prompt"`},
		{"openai-batch", `"body":{}`, "provider", `"openai"`},
		{"openai-batch", `"response":{"body":{}}`, "type", `"response"`},
		{"openai-batch", `"response":{"body":{"data":[{"object":"embedding"}]}}`, "type", `"embedding"`},
		{"openai-batch", `"response":{"body":{"error":{"message":"no"}}}`, "type", `"error"`},
		{"openai-batch", `"response":null,"error":{"message":"no"}`, "error", `"no"`},
		{"openai-batch", `"id":"b","response":{"body":{}}`, "id", `"openai-batch:b"`},
		{"openai-batch", `"response":{"body":{"created":1793610000}}`, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"openai-batch", `"response":{"body":{"created_at":1793610000.0}}`, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"openai-batch", `"body":{"model":"gpt"}`, "model_id", `"gpt"`},
		{"openai-batch", `"response":{"body":{"model":"gpt-1"}}`, "model_id", `"gpt-1"`},
		{"openai-batch", `"body":{"user":"u","safety_identifier":"s"}`, "user_id", `"u"`},
		{"openai-batch", `"body":{"safety_identifier":"s"}`, "user_id", `"s"`},
		{"openai-batch", `"body":{"messages":[1]}`, "input_messages", `[1]`},
		{"openai-batch", `"body":{"input":"hello"}`, "input_messages", `"hello"`},
		{"openai-batch", `"body":{"prompt":"hello"}`, "prompt", `"hello"`},
		{"openai-batch", `"body":{"prompt":"hello"}`, "input_messages", ``},
		{"openai-batch", `"body":{"prompt":["a","b"]}`, "prompt", ``},
		{"openai-batch", `"body":{"prompt":["a","b"]}`, "input_messages", `["a","b"]`},
		{"openai-batch", `"body":{"instructions":"be"}`, "system_instructions", `"be"`},
		{"openai-batch", `"body":{"instructions":[{"role":"system"}]}`, "system_instructions", ``},
		{"openai-batch", `"response":{"body":{"choices":[{"finish_reason":"stop"}]}}`, "finish_reason", `"stop"`},
		{"openai-batch", `"response":{"body":{"output":[2]}}`, "output_messages", `[2]`},
		{"openai-batch", `"response":{"body":{"usage":{"prompt_tokens":4,"completion_tokens":5}}}`, "input_tokens", `4`},
		{"openai-batch", `"response":{"body":{"usage":{"input_tokens":4,"output_tokens":5}}}`, "output_tokens", `5`},
		{"openai-batch", `"response":{"body":{"usage":{"prompt_tokens_details":{"cached_tokens":6}}}}`, "cached_tokens", `6`},
		{"openai-batch", `"response":{"body":{"usage":{"output_tokens_details":{"reasoning_tokens":7}}}}`, "reasoning_tokens", `7`},

		{"bedrock", ``, "type", `"response"`},
		{"bedrock", ``, "provider", `"aws.bedrock"`},
		{"bedrock", `"output":{"outputBodyJson":{"embedding":[1]}}`, "type", `"embedding"`},
		{"bedrock", `"errorCode":"Throttled"`, "type", `"error"`},
		{"bedrock", `"errorCode":"Throttled"`, "error", `"Throttled"`},
		{"bedrock", ``, "id", `"bedrock:q-1"`},
		{"bedrock", `"timestamp":"2026-11-02T09:00:00Z"`, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"bedrock", ``, "model_id", `"nova"`},
		{"bedrock", `"identity":{"arn":"arn:aws:iam::1:user/a"}`, "user_id", `"arn:aws:iam::1:user/a"`},
		{"bedrock", `"input":{"inputBodyJson":{"a":1}}`, "input_messages", `{"a":1}`},
		{"bedrock", `"output":{"outputBodyJson":[{"a":1},{"b":2}]}`, "output_messages", `[{"a":1},{"b":2}]`},
		{"bedrock", `"input":{"inputTokenCount":8}`, "input_tokens", `8`},
		{"bedrock", `"output":{"outputTokenCount":9}`, "output_tokens", `9`},
		{"bedrock", `"input":{"cacheReadInputTokenCount":7}`, "cached_tokens", `7`},
		{"bedrock", `"output":{"outputBodyJson":{"metrics":{"latencyMs":551}}}`, "latency_ms", `551`},
		{"bedrock", `"output":{"outputBodyJson":{"stopReason":"end"}}`, "finish_reason", `"end"`},

		{"cloudtrail", ``, "type", `"response"`},
		{"cloudtrail", `"eventName":"ListFoundationModels"`, "type", `"x.aws_api_call"`},
		{"cloudtrail", `"errorCode":"AccessDenied"`, "type", `"error"`},
		{"cloudtrail", `"errorCode":"AccessDenied","errorMessage":"no"`, "error", `"no"`},
		{"cloudtrail", `"eventID":"e-1"`, "id", `"cloudtrail:e-1"`},
		{"cloudtrail", ``, "time", `"2026-11-02T09:00:00.000000000Z"`},
		{"cloudtrail", `"requestParameters":{"modelId":"nova"}`, "model_id", `"nova"`},
		{"cloudtrail", ``, "category", `"Converse"`},
		{"cloudtrail", ``, "provider", `"bedrock.amazonaws.com"`},
		{"cloudtrail", `"userIdentity":{"arn":"a","userName":"n","principalId":"p","invokedBy":"i"}`, "user_id", `"a"`},
		{"cloudtrail", `"userIdentity":{"userName":"n","principalId":"p","invokedBy":"i"}`, "user_id", `"n"`},
		{"cloudtrail", `"userIdentity":{"principalId":"p","invokedBy":"i"}`, "user_id", `"p"`},
		{"cloudtrail", `"userIdentity":{"invokedBy":"i"}`, "user_id", `"i"`},
	} {
		line := with(t, c.format, c.members)
		e, err := foreign.Parse(c.format, line)
		if err != nil {
			t.Errorf("Parse(%s, %s): %v", c.format, line, err)
			continue
		}
		if got := fields(t, e)[c.field]; got != c.want {
			t.Errorf("Parse(%s, %s): %s = %s, want %s", c.format, line, c.field, got, c.want)
		}
		if got := string(e.Metadata["imported_from"]); got != `"`+c.format+`"` {
			t.Errorf("imported_from = %s, want %q", got, c.format)
		}
	}
}

// TestKept has all that no field has a place for, and nothing twice.
func TestKept(t *testing.T) {
	e, err := foreign.Parse("openai-batch", with(t, "openai-batch", `"body":{"model":"gpt","instructions":[{"role":"system"}],"prompt":["a"],"max_tokens":5}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"body":{"instructions":[{"role":"system"}],"max_tokens":5},"custom_id":"r-1"}`
	if diff := cmp.Diff(want, string(e.Metadata["imported"])); diff != "" {
		t.Errorf("imported (-want +got):\n%s", diff)
	}
}

func TestBadValues(t *testing.T) {
	for _, c := range []struct{ format, members, want string }{
		{"litellm", `"startTime":"soon"`, "startTime: not a time"},
		{"litellm", `"startTime":-1`, "startTime: not a number of seconds or milliseconds"},
		{"litellm", `"startTime":1e300`, "startTime: not a number of seconds or milliseconds"},
		{"litellm", `"startTime":true`, "startTime: not a time"},
		{"litellm", `"prompt_tokens":"many"`, "prompt_tokens: not a number, which input_tokens needs"},
		{"litellm", `"prompt_tokens":-1`, "input_tokens"},
		{"litellm", `"model":["a"]`, "model: neither a string nor a number"},
	} {
		_, err := foreign.Parse(c.format, with(t, c.format, c.members))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%s with %s) = %v, want %s", c.format, c.members, err, c.want)
		}
	}
}

// TestName has the flag that takes each format.
func TestName(t *testing.T) {
	for format := range lines {
		members := ``
		if format == "openai-batch" {
			members = `"body":{}`
		}
		if err := foreign.Name(with(t, format, members)); err == nil || !strings.Contains(err.Error(), "--from "+format) {
			t.Errorf("Name(a line of %s) = %v", format, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for format, line := range lines {
		f.Add(format, line+`,"body":{"prompt":["x"]},"prompt_tokens":"1e5"}`)
	}
	f.Fuzz(func(t *testing.T, format, line string) {
		e, err := foreign.Parse(format, []byte(line))
		if err != nil {
			return
		}
		if _, err := event.ParseJSON(event.AppendJSON(nil, &e)); err != nil {
			t.Errorf("Parse(%s, %s) makes an event that is refused: %v", format, line, err)
		}
	})
}
