package event_test

import (
	"testing"
	"time"

	"audittrail/event"
)

func TestCall(t *testing.T) {
	type e = event.Event
	one, latency := int64(1), time.Second
	for name, c := range map[string]struct {
		event e
		want  event.CallPart
		blind event.CallPart // without knowing the parts
	}{
		"the original's own event": {e{Type: event.Prompt, ModelID: "gpt-4", Prompt: "q", Response: "a", Latency: &latency, InputTokens: &one, OutputTokens: &one}, event.CallComplete, event.CallComplete},
		"a prompt alone":           {e{Type: event.Prompt, Prompt: "q"}, event.CallRequest, event.CallUnknown},
		"only a type":              {e{Type: event.Prompt}, event.CallRequest, event.CallUnknown},
		"with input tokens":        {e{Type: event.Prompt, Prompt: "q", InputTokens: &one}, event.CallRequest, event.CallUnknown},
		"with a response":          {e{Type: event.Prompt, Response: "a"}, event.CallComplete, event.CallUnknown},
		"with output messages":     {e{Type: event.Prompt, OutputMessages: []byte(`[]`)}, event.CallComplete, event.CallUnknown},
		"with output tokens":       {e{Type: event.Prompt, OutputTokens: &one}, event.CallComplete, event.CallComplete},
		"with a latency":           {e{Type: event.Prompt, Latency: &latency}, event.CallComplete, event.CallComplete},
		"with a finish reason":     {e{Type: event.Prompt, FinishReason: "stop"}, event.CallComplete, event.CallComplete},
		"with an outcome":          {e{Type: event.Prompt, Prompt: "q", Outcome: "success"}, event.CallRequest, event.CallUnknown},
		"a response":               {e{Type: event.Response}, event.CallResponse, event.CallResponse},
		"an embedding":             {e{Type: event.Embedding}, event.CallResponse, event.CallResponse},
		"an error of a model":      {e{Type: event.Failure, ModelID: "gpt-4"}, event.CallFailed, event.CallFailed},
		"an error of nothing":      {e{Type: event.Failure, Error: "no disk"}, event.NoCall, event.NoCall},
		"an error of a tool":       {e{Type: event.Failure, ModelID: "gpt-4", Tool: &event.Tool{Name: "search"}}, event.NoCall, event.NoCall},
		"a call of a tool":         {e{Type: event.ToolCall, ModelID: "gpt-4", Latency: &latency}, event.NoCall, event.NoCall},
		"a review":                 {e{Type: event.HumanReview, ModelID: "gpt-4", OutputTokens: &one}, event.NoCall, event.NoCall},
		"one's own":                {e{Type: "x.call", ModelID: "gpt-4", Response: "a"}, event.NoCall, event.NoCall},
	} {
		if got := event.Call(&c.event, event.PartsOf(&c.event), true); got != c.want {
			t.Errorf("%s: Call() = %d, want %d", name, got, c.want)
		}
		if got := event.Call(&c.event, 0, false); got != c.blind {
			t.Errorf("%s, parts not known: Call() = %d, want %d", name, got, c.blind)
		}
	}
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		parts event.Parts
		text  string
	}{
		{0, "[]"},
		{event.PartPrompt, `["prompt"]`},
		{event.PartError | event.PartSystem, `["system","error"]`},
		{2*event.PartError - 1, `["prompt","response","system","input","output","arguments","result","error"]`},
	} {
		raw := event.AppendParts(nil, c.parts)
		if string(raw) != c.text {
			t.Errorf("AppendParts(%b) = %s, want %s", c.parts, raw, c.text)
		}
		if got, err := event.ParseParts(raw); (err == nil) != (c.parts != 0) || got != c.parts {
			t.Errorf("ParseParts(%s) = %v, %v", raw, got, err)
		}
	}
}

func FuzzParseParts(f *testing.F) {
	f.Add([]byte(`["prompt","response"]`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`["error"]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := event.ParseParts(in); err == nil && string(event.AppendParts(nil, p)) != string(in) {
			t.Errorf("ParseParts accepted %q", in)
		}
	})
}
