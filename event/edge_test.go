package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

func TestParseJSON(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want event.Event
	}{
		{`{"type":"prompt"}`, event.Event{Type: event.Prompt}},
		{" {\r\n\t\"type\" : \"x.mine\" } \n", event.Event{Type: "x.mine"}},
		{`{"type":"prompt","prompt":null,"tool":null,"labels":null,"metadata":null,"latency_ms":null,"cost":null,` +
			`"producer":null,"time":null,"input_messages":null,"id":null,"input_tokens":null}`, event.Event{Type: event.Prompt}},
		{`{"type":"prompt","prompt":"","tool":{},"labels":{},"metadata":{},"producer":{},"model_id":""}`, event.Event{Type: event.Prompt}},
		{
			`{"type":"prompt","tool":{"name":null,"call_id":null,"arguments":null,"result":null},"producer":{"id":null,"seq":null}}`,
			event.Event{Type: event.Prompt},
		},
		{
			`{"type":"tool_call","tool":{"result":[ 1 ],"name":"n","arguments":{"b":1,"a":"\u00e9"},"call_id":"c"}}`,
			event.Event{Type: event.ToolCall, Tool: &event.Tool{
				Name: "n", CallID: "c",
				Arguments: json.RawMessage(`{"a":"é","b":1}`), Result: json.RawMessage(`[1]`),
			}},
		},
		{`{"type":"prompt","input_tokens":12.0,"output_tokens":1.2e1,"cached_tokens":120e-1,"reasoning_tokens":-0.0}`, event.Event{
			Type: event.Prompt, InputTokens: new(int64(12)), OutputTokens: new(int64(12)), CachedTokens: new(int64(12)), ReasoningTokens: new(int64(0)),
		}},
		{`{"type":"prompt","producer":{"seq":3.0}}`, event.Event{Type: event.Prompt, Producer: &event.Producer{Seq: new(uint64(3))}}},
		{`{"type":"prompt","producer":{"seq":0}}`, event.Event{Type: event.Prompt, Producer: &event.Producer{Seq: new(uint64(0))}}},
		{
			`{"type":"prompt","metadata":{"a":null,"b":{"y":1,"x":2}}}`,
			event.Event{Type: event.Prompt, Metadata: map[string]json.RawMessage{"a": json.RawMessage("null"), "b": json.RawMessage(`{"x":2,"y":1}`)}},
		},
		{`{"\u0074ype":"prompt"}`, event.Event{Type: event.Prompt}},
		{`{"type":"prompt","prompt":"\u0000\ud83c\udf0d\/"}`, event.Event{Type: event.Prompt, Prompt: "\x00🌍/"}},
		{`{"type":"prompt","input_messages":1e999999}`, event.Event{Type: event.Prompt, InputMessages: json.RawMessage("1e999999")}},
	} {
		got, err := event.ParseJSON([]byte(tt.in))
		if err != nil {
			t.Errorf("ParseJSON(%s): %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseJSON(%s) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestEdgeRoundTrip(t *testing.T) {
	dollars := full()
	dollars.Cost = &event.Cost{Nano: 1, Currency: "USD"}
	for _, want := range []event.Event{full(), kilobyte(), dollars, {Type: event.Failure}} {
		if err := event.Canonicalize(&want); err != nil {
			t.Fatal(err)
		}
		text := event.AppendJSON(nil, &want)
		got, err := event.ParseJSON(text)
		if err != nil {
			t.Fatalf("ParseJSON(%s): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	}
}

func TestMarshal(t *testing.T) {
	want := full()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got event.Event
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("through encoding/json (-want +got):\n%s", diff)
	}
	if _, err := json.Marshal(event.Event{}); err == nil {
		t.Error("Marshal of an event without a type succeeded")
	}
	if err := json.Unmarshal([]byte("null"), &got); err != nil || got.Type != want.Type {
		t.Errorf("Unmarshal of null: %v, type %q", err, got.Type)
	}
}

func TestLatency(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want time.Duration // or less than 0 where it is refused
		out  string
	}{
		{"0", 0, "0"},
		{"0.0", 0, "0"},
		{"0e999999999999", 0, "0"},
		{"150.5", 150500 * time.Microsecond, "150.5"},
		{"150.1", 150100 * time.Microsecond, "150.1"},
		{"1505e-1", 150500 * time.Microsecond, "150.5"},
		{"0.1505E+3", 150500 * time.Microsecond, "150.5"},
		{"0.001", time.Microsecond, "0.001"},
		{"0.0005", time.Microsecond, "0.001"},
		{"0.0004999999999999999999999999999", 0, "0"},
		{"1.0015", 1002 * time.Microsecond, "1.002"},
		{"2.675", 2675 * time.Microsecond, "2.675"},
		{"2.6755", 2676 * time.Microsecond, "2.676"},
		{"0.9999", time.Millisecond, "1"},
		{"1e-999999", 0, "0"},
		{"1e-99999999999999999999999999", 0, "0"},
		{"60000", time.Minute, "60000"},
		{"9007199254740.991", (1<<53 - 1) * time.Microsecond, "9007199254740.991"},
		{"9007199254740.992", -1, ""},
		{"9007199254740.9915", -1, ""},
		{"1e999999", -1, ""},
		{"1e99999999999999999999999999", -1, ""},
		{"9223372036854775.807", -1, ""},
		{"9223372036854775.8075", -1, ""},
		{"18446744073709551.617", -1, ""},
		{"18446744073709.552", -1, ""}, // 384 ns, if the nanoseconds wrapped around
		{strings.Repeat("9", 100_000), -1, ""},
		{"0." + strings.Repeat("0", 100_000) + "1e100001", time.Millisecond, "1"},
		{"1" + strings.Repeat("0", 100_000) + "e-100000", time.Millisecond, "1"},
		{"-1", -1, ""},
		{"-0.0001", -1, ""},
		{`"150"`, -1, ""},
		{"NaN", -1, ""},
		{"Infinity", -1, ""},
		{"true", -1, ""},
	} {
		e, err := event.ParseJSON([]byte(`{"type":"prompt","latency_ms":` + tt.in + `}`))
		if tt.want < 0 {
			if err == nil {
				t.Errorf("latency_ms %.40s = %v, want it refused", tt.in, *e.Latency)
			}
			continue
		}
		if err != nil || *e.Latency != tt.want {
			t.Errorf("latency_ms %.40s: %v, %v, want %v", tt.in, e.Latency, err, tt.want)
			continue
		}
		if got, want := string(event.AppendJSON(nil, &e)), `{"type":"prompt","latency_ms":`+tt.out+`}`; got != want {
			t.Errorf("latency_ms %.40s comes out as %s, want %s", tt.in, got, want)
		}
	}
}

func TestCost(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want event.Cost
		out  string // "" where it is refused
	}{
		{`0`, event.Cost{Currency: "USD"}, `0`},
		{`0.0123`, event.Cost{Nano: 12_300_000, Currency: "USD"}, `0.0123`},
		{`0.30000000000000004`, event.Cost{Nano: 300_000_000, Currency: "USD"}, `0.3`},
		{`1.5e-7`, event.Cost{Nano: 150, Currency: "USD"}, `0.00000015`},
		{`9007199.254740991`, event.Cost{Nano: event.MaxInt, Currency: "USD"}, `9007199.254740991`},
		{`{"amount":0.0123,"currency":"USD"}`, event.Cost{Nano: 12_300_000, Currency: "USD"}, `0.0123`},
		{` { "currency" : "EUR" , "amount" : 2e0 } `, event.Cost{Nano: 2_000_000_000, Currency: "EUR"}, `{"amount":2,"currency":"EUR"}`},
		{`9007199.254740992`, event.Cost{}, ""},
		{`-0.01`, event.Cost{}, ""},
		{`1e400`, event.Cost{}, ""},
		{`"0.01"`, event.Cost{}, ""},
		{`{}`, event.Cost{}, ""},
		{`{"amount":1}`, event.Cost{}, ""},
		{`{"currency":"EUR"}`, event.Cost{}, ""},
		{`{"amount":null,"currency":"EUR"}`, event.Cost{}, ""},
		{`{"amount":1,"currency":"eur"}`, event.Cost{}, ""},
		{`{"amount":1,"currency":"EURO"}`, event.Cost{}, ""},
		{`{"amount":-1,"currency":"EUR"}`, event.Cost{}, ""},
		{`{"amount":1,"amount":1,"currency":"EUR"}`, event.Cost{}, ""},
		{`[1]`, event.Cost{}, ""},
	} {
		e, err := event.ParseJSON([]byte(`{"type":"prompt","cost":` + tt.in + `}`))
		if tt.out == "" {
			if err == nil {
				t.Errorf("cost %s = %v, want it refused", tt.in, *e.Cost)
			}
			continue
		}
		if err != nil || *e.Cost != tt.want {
			t.Errorf("cost %s: %v, %v, want %v", tt.in, e.Cost, err, tt.want)
			continue
		}
		if got, want := string(event.AppendJSON(nil, &e)), `{"type":"prompt","cost":`+tt.out+`}`; got != want {
			t.Errorf("cost %s comes out as %s, want %s", tt.in, got, want)
		}
	}
}

func TestEdgeTime(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-23T12:34:56Z":            "2026-11-23T12:34:56.000000000Z",
		"2026-11-23t12:34:56z":            "2026-11-23T12:34:56.000000000Z",
		"2026-11-23 12:34:56+00:00":       "2026-11-23T12:34:56.000000000Z",
		"2026-11-23T12:34:56.7Z":          "2026-11-23T12:34:56.700000000Z",
		"2026-11-23T12:34:56.123456789Z":  "2026-11-23T12:34:56.123456789Z",
		"2026-11-23T00:30:00.5+05:45":     "2026-11-22T18:45:00.500000000Z",
		"2026-12-31T23:59:59-23:59":       "2027-01-01T23:58:59.000000000Z",
		"2026-11-23T12:34:56-00:00":       "2026-11-23T12:34:56.000000000Z",
		"9999-12-31T23:59:59.999999999Z":  "9999-12-31T23:59:59.999999999Z",
		"0001-01-01T00:00:00Z":            "", // Go's zero time: absent
		"2026-11-23T12:34:56":             "no offset from UTC at the end, such as Z or +01:00",
		"2026-11-23T12:34:56.1234567890Z": "more than nine digits of a second",
		"2026-11-23T12:34:56.Z":           "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34:56,5Z":          "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34:60Z":            "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34:56+24:00":       "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34:56+01:60":       "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34:56+0100":        "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34:56ZZ":           "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23T12:34Z":               "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-11-23":                      "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"2026-02-30T00:00:00Z":            "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"":                                "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
		"0001-01-01T00:00:00+00:01":       "in the year 0; use 1 to 9999",
		"9999-12-31T23:59:59-00:01":       "in the year 10000; use 1 to 9999",
		"Mon, 23 Nov 2026 12:34:56 GMT":   "not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z",
	} {
		e, err := event.ParseJSON([]byte(`{"type":"prompt","time":"` + in + `"}`))
		var got string
		switch {
		case err != nil:
			_, got, _ = strings.Cut(err.Error(), `": `)
			if got == "" {
				got = strings.TrimPrefix(err.Error(), "time: ")
			}
		case !e.Time.IsZero():
			got = string(event.AppendTime(nil, e.Time))
		}
		if got != want {
			t.Errorf("time %q: %s, want %s", in, got, want)
		}
	}
}

func TestParseJSONRefused(t *testing.T) {
	const secret = "SECRET"
	for _, tt := range []struct{ in, want string }{
		{``, "byte 0: expected an object, found the end"},
		{`[]`, "byte 0: expected an object, found an array"},
		{`null`, "byte 0: expected an object, found null"},
		{`{}`, "type: missing"},
		{`{"type":null}`, "type: missing"},
		{`{"type":"prompt"}x`, "byte 17: more input after the value"},
		{`{"type":"prompt"`, "byte 16: expected comma or }"},
		{`{"type":"prompt",}`, "byte 17: expected a key"},
		{`{"type":1}`, "type: byte 8: expected a string, found a number"},
		{`{"type":"prompt","model":"m"}`, `unknown field "model"`},
		{`{"type":"prompt","model_i":"m"}`, `unknown field "model_i"; did you mean "model_id"?`},
		{`{"typ":"prompt"}`, `unknown field "typ"; did you mean "type"?`},
		{`{"tpye":"prompt"}`, `unknown field "tpye"; did you mean "type"?`},
		{`{"modelid":"m"}`, `unknown field "modelid"; did you mean "model_id"?`},
		{`{"latency":1}`, `unknown field "latency"`},
		{`{"zzzzz":1}`, `unknown field "zzzzz"`},
		{`{"":1}`, `unknown field ""`},
		{`{"a\nb":1}`, `unknown field "a\nb"`},
		{`{"zzz":null}`, `unknown field "zzz"`},
		{`{"` + strings.Repeat("k", 1000) + `":1}`, `unknown field "` + strings.Repeat("k", 64) + `"...`},
		{`{"tool":{"nam":"x"}}`, `unknown field "tool.nam"; did you mean "tool.name"?`},
		{`{"tool":"search"}`, "tool: byte 8: expected an object, found a string"},
		{`{"producer":{"sequence":1}}`, `unknown field "producer.sequence"`},
		{`{"producer":{"seq":-1}}`, "producer.seq: -1; 0 to 2^53-1 are allowed"},
		{`{"producer":{"seq":1.5}}`, "producer.seq: 1.5; use a whole number"},
		{`{"cost":{"amont":1}}`, `unknown field "cost.amont"; did you mean "cost.amount"?`},
		{`{"type":"prompt","type":"prompt"}`, "type: given twice, again at byte 17"},
		{`{"type":"prompt","\u0074ype":"prompt"}`, "type: given twice, again at byte 17"},
		{`{"prompt":"` + secret + `","prompt":1}`, "prompt: given twice, again at byte 19"},
		{`{"metadata":{"` + secret + `":1,"` + secret + `":2}}`, "metadata: byte 24: duplicate key"},
		{`{"tool":{"name":"a","name":"b"}}`, "tool: byte 20: duplicate key"},
		{`{"labels":{"a":"1","a":"2"}}`, "labels: byte 19: duplicate key"},
		{`{"labels":{"a":null}}`, "labels: byte 15: expected a string, found null"},
		{`{"labels":{"a":1}}`, "labels: byte 15: expected a string, found a number"},
		{`{"labels":[]}`, "labels: byte 10: expected an object, found an array"},
		{`{"metadata":[]}`, "metadata: byte 12: expected an object, found an array"},
		{`{"input_tokens":1.01}`, "input_tokens: 1.01; use a whole number"},
		{`{"input_tokens":-1}`, "input_tokens: -1; 0 to 2^53-1 are allowed"},
		{`{"input_tokens":1e-3}`, "input_tokens: 1e-3; use a whole number"},
		{`{"input_tokens":1e400}`, "input_tokens: 1e400; at most 2^53-1 is allowed"},
		{`{"input_tokens":NaN}`, "input_tokens: byte 16: NaN, which JSON does not have: write null, or leave the member out"},
		{`{"output_tokens":9007199254740992}`, "output_tokens: 9007199254740992; at most 2^53-1 is allowed"},
		{`{"prompt":"` + secret + "\xff" + `"}`, "prompt: byte 17: invalid UTF-8"},
		{`{"prompt":"` + secret + `\ud800"}`, "prompt: byte 17: lone surrogate"},
		{`{"prompt":"` + secret + "\x00" + `"}`, "prompt: byte 17: control character in a string"},
		{`{"prompt":["` + secret + `"]}`, "prompt: byte 10: expected a string, found an array"},
		{`{"input_messages":["` + secret + `"`, "input_messages: byte 27: expected comma or ]"},
		{`{"input_messages":` + strings.Repeat("[", 1<<20), "input_messages: byte 82: nested more than 64 deep"},
		{`{"type":"prompt","user_id":"` + secret + strings.Repeat("x", 2000) + `"}`, "user_id: 2006 bytes; at most 1024 are allowed"},
		{`{"latency_ms":-1}`, "latency_ms: negative"},
		{`{"latency_ms":1e999999}`, "latency_ms: too large; at most 2^53-1 units of 10^-3 are allowed"},
		{`{"time":1}`, "time: byte 8: expected a string, found a number"},
		{`{"type":"prompt","severity":"bad"}`, `severity: unknown "bad"; there are info, low, medium, high, critical`},
	} {
		e, err := event.ParseJSON([]byte(tt.in))
		if err == nil || err.Error() != tt.want {
			t.Errorf("ParseJSON(%.60s) = %v\nwant %s", tt.in, err, tt.want)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("ParseJSON(%.60s): the error quotes sealed content: %v", tt.in, err)
		}
		if diff := cmp.Diff(event.Event{}, e); diff != "" {
			t.Errorf("ParseJSON(%.60s) returns an event with its error:\n%s", tt.in, diff)
		}
	}
	_, err := event.ParseJSON([]byte(`{"tool":{"nam":"x"}}`))
	var unknown *event.UnknownFieldError
	if !errors.As(err, &unknown) || *unknown != (event.UnknownFieldError{Field: "tool.nam", Near: "tool.name"}) {
		t.Errorf("unknown field gives %#v", err)
	}
}

// Counts are limited as they are read, in every form that is read.
func TestMetadataCount(t *testing.T) {
	metadata := func(n int) string {
		b := []byte(`{"metadata":{`)
		for i := range n {
			b = fmt.Appendf(b, `"%05d":1,`, i)
		}
		b[len(b)-1] = '}'
		return string(append(b, '}'))
	}
	edge := func(n int) []byte { return []byte(`{"type":"prompt",` + metadata(n)[1:]) }
	plain := func(n int) []byte { return []byte(`{"event_type":"prompt","hash":"x",` + metadata(n)[1:]) }
	for _, tt := range []struct {
		form string
		read func(n int) error
		most int
	}{
		{"edge", func(n int) error { _, err := event.ParseJSON(edge(n)); return err }, 1024},
		{"plain", func(n int) error { _, _, err := event.ParsePlain(plain(n)); return err }, 1023}, // and "imported"
		{"content", func(n int) error { _, err := event.DecodeContent([]byte(metadata(n)), new(event.Event)); return err }, 1024},
	} {
		if err := tt.read(tt.most); err != nil {
			t.Errorf("%s with %d metadata keys: %v", tt.form, tt.most, err)
		}
		err := tt.read(tt.most + 1)
		if want := "metadata: 1025 keys; at most 1024 are allowed"; err == nil || err.Error() != want {
			t.Errorf("%s with %d metadata keys: %v, want %s", tt.form, tt.most+1, err, want)
		}
	}
}

// An event's strings must not change with the buffer that they came from.
func TestParseJSONCopies(t *testing.T) {
	e := full()
	text := event.AppendJSON(nil, &e)
	got, err := event.ParseJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	clear(text)
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("after the input was cleared (-want +got):\n%s", diff)
	}
}
