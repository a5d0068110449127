package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"audittrail/event"
	"audittrail/internal/cjson"
)

func ExampleParseJSON() {
	e, err := event.ParseJSON([]byte(`{
		"type": "response",
		"model_id": "gpt-4",
		"user_id": "user-001",
		"response": "Zürich is dry until noon.",
		"latency_ms": 150.5,
		"cost": 0.0123
	}`))
	fmt.Println(e.Type, e.ModelID, *e.Latency, e.Cost.Nano, e.Cost.Currency, err)

	_, err = event.ParseJSON([]byte(`{"type": "prompt", "promt": "Hello"}`))
	fmt.Println(err)
	// Output:
	// response gpt-4 150.5ms 12300000 USD <nil>
	// unknown field "promt"; did you mean "prompt"?
}

func ExampleAppendJSON() {
	latency := 2500 * time.Microsecond
	e := event.Event{
		Type:          event.ToolCall,
		Tool:          &event.Tool{Name: "weather", Arguments: json.RawMessage(`{ "unit": "C", "city": "Zürich" }`)},
		Latency:       &latency,
		InputMessages: json.RawMessage(`null`),
	}
	if err := event.Canonicalize(&e); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", event.AppendJSON(nil, &e))
	// Output: {"type":"tool_call","tool":{"name":"weather","arguments":{"city":"Zürich","unit":"C"}},"latency_ms":2.5}
}

func ExampleValidate() {
	err := event.Validate(&event.Event{Type: event.Prompt, TraceID: "0af7"})
	var field *event.FieldError
	if errors.As(err, &field) {
		fmt.Println(field.Field)
	}
	fmt.Println(err)
	// Output:
	// trace_id
	// trace_id: 4 bytes; use 32 lower-case hexadecimal digits
}

func ExampleCanonicalize() {
	e := event.Event{
		Type:     event.Feedback,
		Metadata: map[string]json.RawMessage{"rating": json.RawMessage(`{"stars": 5, "of": 5.0}`)},
		Labels:   map[string]string{},
	}
	err := event.Canonicalize(&e)
	fmt.Println(string(e.Metadata["rating"]), e.Labels == nil, err)
	// Output: {"of":5.0,"stars":5} true <nil>
}

func ExampleAppendClear() {
	tokens := int64(12)
	e := event.Event{Type: event.Prompt, ModelID: "gpt-4", UserID: "user-001", Prompt: "Hello", InputTokens: &tokens}
	fmt.Printf("%s\n", event.AppendClear(nil, &e))
	fmt.Printf("%s\n", event.AppendContent(nil, &e, nil))
	// Output:
	// "type":"prompt","model_id":"gpt-4","input_tokens":12
	// {"user_id":"user-001","prompt":"Hello"}
}

func ExampleEvent_ClearMember() {
	d := cjson.NewDecoder([]byte(`{"type":"prompt","model_id":"gpt-4","seq":41}`))
	var e event.Event
	err := d.Object(func(key string) error {
		if known, err := e.ClearMember(key, d); known {
			return err
		}
		fmt.Println("not the event's:", key)
		return d.Skip()
	})
	fmt.Println(e.Type, e.ModelID, err)
	// Output:
	// not the event's: seq
	// prompt gpt-4 <nil>
}

func ExampleDecodeContent() {
	var e event.Event
	_, err := event.DecodeContent([]byte(`{"user_id":"user-001","prompt":"Hello"}`), &e)
	fmt.Println(e.UserID, e.Prompt, err)

	// The same value in another form is refused.
	_, err = event.DecodeContent([]byte(`{"user_id":"user-001","prompt":"\u0048ello"}`), &e)
	fmt.Println(err)
	// Output:
	// user-001 Hello <nil>
	// content is not in canonical form: byte 32 must not be '\\'
}

func ExampleDigest() {
	e := event.Event{ID: "order-17", Type: event.Prompt, Prompt: "Hello"}
	again := e
	other := e
	other.Prompt = "Goodbye"
	fmt.Println(event.Digest(&e) == event.Digest(&again), event.Digest(&e) == event.Digest(&other))
	// Output: true false
}

func ExampleParsePlain() {
	e, plain, err := event.ParsePlain([]byte(`{"event_id":"evt-1","event_type":"prompt",` +
		`"timestamp":"2026-11-23T12:34:56","prompt":"Hello","previous_hash":"00","hash":"ab"}`))
	fmt.Println(e.ID, e.Type, e.Time, plain, err)
	fmt.Println(string(e.Metadata["imported"]))
	// Output:
	// evt-1 prompt 2026-11-23 12:34:56 +0000 UTC true <nil>
	// {"event_id":"evt-1","hash":"ab","previous_hash":"00"}
}

func ExampleType_Valid() {
	for _, t := range []event.Type{event.Prompt, "x.model_swap", "model_swap"} {
		fmt.Println(t, t.Valid(), t.Governance())
	}
	// Output:
	// prompt true false
	// x.model_swap true false
	// model_swap false false
}

func ExampleIsUUID() {
	fmt.Println(event.IsUUID("0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e11"), event.IsUUID("order-17"))
	// Output: true false
}

func ExampleValidClass() {
	fmt.Println(event.ValidClass("standard"), event.ValidClass("Standard"))
	// Output: true false
}

func ExampleAppendTime() {
	t := time.Date(2026, 11, 23, 14, 0, 0, 5, time.FixedZone("", 2*3600))
	fmt.Printf("%s\n", event.AppendTime(nil, t))
	// Output: 2026-11-23T12:00:00.000000005Z
}

func ExampleParseTime() {
	t, err := event.ParseTime("2026-11-23T12:00:00.000000005Z")
	fmt.Println(t, err)
	_, err = event.ParseTime("2026-11-23T12:00:00Z")
	fmt.Println(err)
	// Output:
	// 2026-11-23 12:00:00.000000005 +0000 UTC <nil>
	// not a time in the form 2006-01-02T15:04:05.000000000Z
}
