package event_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
	"audittrail/internal/cjson"
)

// decodeClear reads a clear part as a record does.
func decodeClear(in []byte) (event.Event, error) {
	var e event.Event
	text := append(append([]byte("{"), in...), '}')
	d := cjson.NewDecoder(text)
	err := d.Object(func(key string) error {
		known, err := e.ClearMember(key, d)
		if !known {
			return &event.FieldError{Field: key, Problem: "unknown"}
		}
		return err
	})
	if err == nil {
		err = d.End()
	}
	return e, err
}

func TestRoundTrip(t *testing.T) {
	for _, want := range []event.Event{full(), kilobyte(), {Type: event.Prompt}} {
		if err := event.Canonicalize(&want); err != nil {
			t.Fatal(err)
		}
		got, err := decodeClear(event.AppendClear(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		digest := event.Digest(&want)
		for _, d := range []*[32]byte{nil, &digest} {
			back, err := event.DecodeContent(event.AppendContent(nil, &want, d), &got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d, back); diff != "" {
				t.Errorf("digest (-want +got):\n%s", diff)
			}
		}
		// The record has the other fields elsewhere.
		got.Time, got.RetentionClass = want.Time, want.RetentionClass
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	}
}

// sealedUUID is a client's id that is in cleartext, and so not in the content.
const sealedUUID = "0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e11"

func TestUUIDIsNotSealed(t *testing.T) {
	e := event.Event{Type: event.Prompt, ID: sealedUUID}
	if got := string(event.AppendContent(nil, &e, nil)); got != "{}" {
		t.Errorf("AppendContent = %s, want {}", got)
	}
	back := event.Event{ID: sealedUUID}
	if _, err := event.DecodeContent([]byte("{}"), &back); err != nil || back.ID != sealedUUID {
		t.Errorf("DecodeContent left the id %q, %v", back.ID, err)
	}
	if _, err := event.DecodeContent([]byte(`{"id":"`+sealedUUID+`"}`), &back); err == nil {
		t.Error("DecodeContent accepted a UUID as a sealed id")
	}
}

func TestClearRefused(t *testing.T) {
	long := strings.Repeat("x", 129)
	for _, in := range []string{
		``,
		`"type":""`,
		`"type":"nonsense"`,
		`"type":null`,
		`"type":"prompt","type":"prompt"`,
		`"type":"prompt","model_id":""`,
		`"type":"prompt","model_id":"` + long + `"`,
		`"type":"prompt","model_id":"a\u0001"`,
		`"type":"prompt","model_id":"\u0061"`,
		`"type":"prompt","model_id":"a\/b"`,
		`"type":"prompt","model_id": "a"`,
		`"model_id":"a","type":"prompt"`,
		`"type":"prompt","prompt":"sealed"`,
		`"type":"prompt","outcome":"fine"`,
		`"type":"prompt","severity":"INFO"`,
		`"type":"prompt","latency_us":-1`,
		`"type":"prompt","latency_us":1.0`,
		`"type":"prompt","latency_us":9007199254740992`,
		`"type":"prompt","latency_us":00`,
		`"type":"prompt","input_tokens":"1"`,
		`"type":"prompt","input_tokens":-0`,
		`"type":"prompt","input_tokens":1e3`,
		`"type":"prompt","cost_nano":1`,
		`"type":"prompt","currency":"USD"`,
		`"type":"prompt","cost_nano":1,"currency":"usd"`,
		`"type":"prompt","cost_nano":-1,"currency":"USD"`,
		`"type":"prompt","currency":"USD","cost_nano":1`,
		`"type":"prompt","tool":{"name":"x"}`,
		`"type":"prompt","tool":""`,
		`"type":"prompt","trace_id":"0AF7651916CD43DD8448EB211C80319C"`,
		`"type":"prompt","span_id":"b7"`,
		`"type":"prompt","producer":""`,
		`"type":"prompt","producer_seq":-1`,
		`"type":"prompt","labels":{}`,
		`"type":"prompt","labels":{"":"x"}`,
		`"type":"prompt","labels":{"b":"","a":""}`,
		`"type":"prompt","labels":{"a":"","\u0061":""}`,
		`"type":"prompt","labels":{"a":null}`,
		`"type":"prompt","labels":{"a":"` + long + `"}`,
		`"type":"prompt","labels":` + manyLabels(65),
		`"type":"prompt","labels":null`,
		"\"type\":\"prompt\",\"model_id\":\"a\xff\"",
	} {
		e, err := decodeClear([]byte(in))
		if err == nil && string(event.AppendClear(nil, &e)) == in {
			t.Errorf("accepted %s", in)
		}
	}
	if _, err := decodeClear([]byte(`"type":"prompt","labels":` + manyLabels(64))); err != nil {
		t.Errorf("64 labels: %v", err)
	}
}

func manyLabels(n int) string {
	b := []byte("{")
	for i := range n {
		b = fmt.Appendf(b, `"%03d":"",`, i)
	}
	b[len(b)-1] = '}'
	return string(b)
}

func TestClearMemberUnknown(t *testing.T) {
	var e event.Event
	d := cjson.NewDecoder([]byte(`"x"`))
	for _, key := range []string{"", "id", "time", "prompt", "latency_ms", "cost", "class", "retention_class", "seq"} {
		if known, err := e.ClearMember(key, d); known || err != nil {
			t.Errorf("ClearMember(%q) = %v, %v, want false, nil", key, known, err)
		}
	}
	if d.Offset() != 0 {
		t.Error("ClearMember read the value of a member that is not its own")
	}
}

func TestContentRefused(t *testing.T) {
	for _, in := range []string{
		``,
		`null`,
		`[]`,
		`{} `,
		` {}`,
		`{}{}`,
		`{"nonsense":1}`,
		`{"type":"prompt"}`,
		`{"digest":""}`,
		`{"digest":null}`,
		`{"digest":"` + strings.Repeat("A", 64) + `"}`,
		`{"digest":"` + strings.Repeat("g", 64) + `"}`,
		`{"digest":"` + strings.Repeat("a", 66) + `"}`,
		`{"user_id":"u","digest":"` + strings.Repeat("a", 64) + `"}`,
		`{"id":""}`,
		`{"id":"` + strings.Repeat("x", 257) + `"}`,
		`{"user_id":"` + strings.Repeat("x", 1025) + `"}`,
		`{"prompt":""}`,
		`{"prompt":null}`,
		`{"prompt":"\u0061"}`,
		`{"prompt":"\/"}`,
		`{"prompt":"\u000A"}`,
		`{"prompt":"\u000a"}`,
		`{"prompt":"` + "\n" + `"}`,
		`{"prompt":"\ud800"}`,
		"{\"prompt\":\"\xff\"}",
		`{"prompt": "a"}`,
		`{"prompt":"a","prompt":"a"}`,
		`{"prompt":"a","user_id":"u"}`,
		`{"input_messages":null}`,
		`{"input_messages":[1, 2]}`,
		`{"input_messages":{"b":1,"a":2}}`,
		`{"tool":{}}`,
		`{"tool":null}`,
		`{"tool":{"name":"n"}}`,
		`{"tool":{"call_id":""}}`,
		`{"tool":{"arguments":null}}`,
		`{"tool":{"result":1,"arguments":2}}`,
		`{"metadata":{}}`,
		`{"metadata":{"b":1,"a":1}}`,
		`{"metadata":{"a":1,"a":1}}`,
		`{"metadata":{"a":}}`,
		`{"metadata":{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}}`,
	} {
		before := full()
		e := before
		digest, err := event.DecodeContent([]byte(in), &e)
		if err == nil {
			t.Errorf("DecodeContent accepted %s", in)
		}
		if diff := cmp.Diff(before, e); diff != "" || digest != nil {
			t.Errorf("DecodeContent(%s) failed, but changed the event or gave a digest:\n%s", in, diff)
		}
	}
	deep := `{"metadata":{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}}`
	if _, err := event.DecodeContent([]byte(deep), new(event.Event)); err != nil {
		t.Errorf("a value 64 deep in the metadata: %v", err)
	}
}

func TestContentErrorsAreSilent(t *testing.T) {
	const secret = "SECRET"
	for _, in := range []string{
		`{"` + secret + `":1}`,
		`{"prompt":"` + secret + `\x"}`,
		`{"prompt":"` + secret,
		`{"tool":{"` + secret + `":1}}`,
		`{"metadata":{"` + secret + `":1,"` + secret + `":2}}`,
		`{"id":"` + secret + strings.Repeat("x", 300) + `"}`,
		`{"digest":"` + secret + `"}`,
		`{"prompt":"` + secret + `"} `,
	} {
		_, err := event.DecodeContent([]byte(in), new(event.Event))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("DecodeContent(%s) = %v, want an error that does not quote", in, err)
		}
	}
}

// A tool's name is in cleartext, its other fields in the content.
func TestToolParts(t *testing.T) {
	for _, tool := range []*event.Tool{
		{Name: "search"},
		{CallID: "c"},
		{Name: "search", Result: []byte("1")},
	} {
		want := event.Event{Type: event.ToolCall, Tool: tool}
		got, err := decodeClear(event.AppendClear(nil, &want))
		if err != nil {
			t.Fatal(err)
		}
		clearTool := got.Tool
		if _, err := event.DecodeContent(event.AppendContent(nil, &want, nil), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
		if clearTool != nil && clearTool.Result != nil {
			t.Error("DecodeContent wrote to the tool that was there")
		}
	}
}

// Every value that the producer gave changes the digest, and so does its field.
func TestDigest(t *testing.T) {
	seen := map[[32]byte]string{}
	add := func(name string, e event.Event) {
		t.Helper()
		if err := event.Canonicalize(&e); err != nil {
			t.Fatal(err)
		}
		d := event.Digest(&e)
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
		if again := event.Digest(&e); again != d {
			t.Errorf("%s: two digests of one event", name)
		}
	}
	base := event.Event{Type: event.Prompt, ID: sealedUUID}
	add("base", base)
	for name, set := range map[string]func(*event.Event){
		"no id":        func(e *event.Event) { e.ID = "" },
		"other id":     func(e *event.Event) { e.ID = "i" },
		"time":         func(e *event.Event) { e.Time = time.Unix(1, 0) },
		"class":        func(e *event.Event) { e.RetentionClass = "a" },
		"type":         func(e *event.Event) { e.Type = event.Response },
		"model":        func(e *event.Event) { e.ModelID = "a" },
		"user":         func(e *event.Event) { e.UserID = "a" },
		"prompt":       func(e *event.Event) { e.Prompt = "a" },
		"response":     func(e *event.Event) { e.Response = "a" },
		"tokens":       func(e *event.Event) { e.InputTokens = new(int64(0)) },
		"label":        func(e *event.Event) { e.Labels = map[string]string{"a": ""} },
		"metadata":     func(e *event.Event) { e.Metadata = map[string]json.RawMessage{"a": json.RawMessage(`""`)} },
		"number":       func(e *event.Event) { e.InputMessages = json.RawMessage(`1`) },
		"same number":  func(e *event.Event) { e.InputMessages = json.RawMessage(`1.0`) },
		"string":       func(e *event.Event) { e.InputMessages = json.RawMessage(`"1"`) },
		"tool name":    func(e *event.Event) { e.Tool = &event.Tool{Name: "a"} },
		"tool call id": func(e *event.Event) { e.Tool = &event.Tool{CallID: "a"} },
	} {
		e := base
		set(&e)
		add(name, e)
	}
}

func TestNoAllocations(t *testing.T) {
	e := full()
	if err := event.Canonicalize(&e); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 8192)
	digest := [32]byte{1}
	for name, f := range map[string]func(){
		"AppendClear":   func() { event.AppendClear(buf, &e) },
		"AppendContent": func() { event.AppendContent(buf, &e, &digest) },
		"AppendJSON":    func() { event.AppendJSON(buf, &e) },
		"AppendTime":    func() { event.AppendTime(buf, e.Time) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
