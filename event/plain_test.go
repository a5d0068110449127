package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

func TestParsePlain(t *testing.T) {
	when := time.Date(2026, 11, 23, 12, 34, 56, 789_012_000, time.UTC)
	kept := func(s string) map[string]json.RawMessage {
		return map[string]json.RawMessage{"imported": json.RawMessage(s)}
	}
	for _, tt := range []struct {
		in   string
		want event.Event
	}{
		{`{"event_type":"prompt"}`, event.Event{Type: event.Prompt}},
		{`{"event_\u0074ype":"prompt"}`, event.Event{Type: event.Prompt}},
		{
			`{"event_id":"evt-1","event_type":"response","timestamp":"2026-11-23T12:34:56.789012","model_id":"gpt-4","user_id":"u",` +
				`"latency_ms":150.5,"previous_hash":"00","hash":"ab"}`,
			event.Event{
				ID: "evt-1", Type: event.Response, Time: when, ModelID: "gpt-4", UserID: "u",
				Latency:  new(150500 * time.Microsecond),
				Metadata: kept(`{"event_id":"evt-1","hash":"ab","previous_hash":"00"}`),
			},
		},
		{
			`{"type":"prompt","event_hash":"ab","metadata":{"a":1}}`,
			event.Event{Type: event.Prompt, Metadata: map[string]json.RawMessage{
				"a": json.RawMessage("1"), "imported": json.RawMessage(`{"hash":"ab"}`),
			}},
		},
		{
			`{"event_type":"prompt","zzz":{"b":[1.0],"a":"\u00e9"},"previous_hash":null,"unknown":null,"extra":false}`,
			event.Event{Type: event.Prompt, Metadata: kept(`{"extra":false,"zzz":{"a":"é","b":[1.0]}}`)},
		},
		{`{"event_type":"prompt","event_id":17}`, event.Event{Type: event.Prompt, ID: "17", Metadata: kept(`{"event_id":17}`)}},
		{`{"event_type":"PROMPT"}`, event.Event{Type: event.Prompt}},
		{`{"event_type":"EventType.SAFETY_INCIDENT"}`, event.Event{Type: event.SafetyIncident}},
		{`{"event_type":"ERROR"}`, event.Event{Type: event.Failure}},
		{`{"event_type":"MODEL_DEPLOYMENT"}`, event.Event{Type: "x.model_deployment"}},
		{`{"event_type":"ACCESS_GRANTED"}`, event.Event{Type: "x.access_granted"}},
		{`{"event_type":"x.Mine"}`, event.Event{Type: "x.mine"}},
		{`{"event_type":"data access!"}`, event.Event{Type: "x.data_access_", Metadata: kept(`{"event_type":"data access!"}`)}},
		{`{"event_type":"?"}`, event.Event{Type: "x.unknown", Metadata: kept(`{"event_type":"?"}`)}},
		{
			`{"event_type":"prompt","input_tokens":10.0,"trace_id":"5B8EFFF798038103D269B633813FC60C"}`,
			event.Event{Type: event.Prompt, InputTokens: new(int64(10)), TraceID: "5b8efff798038103d269b633813fc60c"},
		},
		{`{"event_type":"prompt","event_id":null,"timestamp":null}`, event.Event{Type: event.Prompt}},
		{`{"event_type":"prompt","timestamp":1795437296.789012}`, event.Event{Type: event.Prompt, Time: when}},
		{`{"event_type":"prompt","timestamp":-0.5}`, event.Event{Type: event.Prompt, Time: time.Unix(-1, 500_000_000).UTC()}},
		{`{"event_type":"prompt","time":"2026-11-23 13:34:56.789012+01:00"}`, event.Event{Type: event.Prompt, Time: when}},
	} {
		got, plain, err := event.ParsePlain([]byte(tt.in))
		if err != nil || !plain {
			t.Errorf("ParsePlain(%s): %v, %v", tt.in, plain, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParsePlain(%s) (-want +got):\n%s", tt.in, diff)
		}
		canonical := got
		if err := event.Canonicalize(&canonical); err != nil {
			t.Errorf("Canonicalize: %v", err)
		}
		if diff := cmp.Diff(got, canonical); diff != "" {
			t.Errorf("ParsePlain(%s) is not canonical:\n%s", tt.in, diff)
		}
	}
}

func TestNotPlain(t *testing.T) {
	for _, in := range []string{
		``, `{`, `[]`, `null`, `"hash"`, `nonsense`,
		`{"type":"prompt","prompt":"the hash\""}`,
		`{"type":"prompt","metadata":{"hash":"x","event_type":"y"}}`,
		`{"type":"prompt","timestamp":1}`,
		`{"type":"prompt","event_id":"x"}`,
		`{"type":"prompt","prompt":"\u00e9"}`,
		`{"type":"prompt" "hash":"x"}`,
	} {
		e, plain, err := event.ParsePlain([]byte(in))
		if plain || err != nil {
			t.Errorf("ParsePlain(%s) = %v, %v, want false, nil", in, plain, err)
		}
		if diff := cmp.Diff(event.Event{}, e); diff != "" {
			t.Errorf("ParsePlain(%s) returns an event:\n%s", in, diff)
		}
	}
}

func TestPlainRefused(t *testing.T) {
	const secret = "SECRET"
	for _, tt := range []struct{ in, want string }{
		{`{"hash":"x"}`, "type: missing"},
		{`{"event_type":"prompt"`, "byte 22: expected comma or }"},
		{`{"event_type":"prompt"}{}`, "byte 23: more input after the value"},
		{`{"event_type":1}`, "event_type: byte 14: expected a string, found a number"},
		{`{"event_type":"prompt","type":"prompt"}`, "type: given twice, under two names"},
		{`{"time":"2026-11-23T12:34:56Z","timestamp":1,"hash":"x"}`, "timestamp: given twice, under two names"},
		{`{"id":"a","event_id":"a","event_type":"prompt"}`, "event_id: given twice, under two names"},
		{`{"hash":"a","event_hash":"a"}`, "event_hash: given twice, under two names"},
		{`{"event_type":"prompt","hash":"a","hash":"a"}`, "byte 34: duplicate key"},
		{`{"event_type":"prompt","prompt":"a","prompt":"a"}`, "prompt: given twice, again at byte 36"},
		{`{"event_type":"prompt","timestamp":"yesterday"}`, `timestamp: "yesterday": not a time of RFC 3339, such as 2006-01-02T15:04:05.999Z`},
		{`{"event_type":"prompt","timestamp":1e400}`, "timestamp: more seconds since 1970 than a time can express"},
		{`{"event_type":"prompt","timestamp":1795437296789}`, "timestamp: more seconds since 1970 than a time can express"},
		{`{"event_type":"prompt","timestamp":[]}`, "timestamp: byte 35: expected a string, found an array"},
		{`{"event_type":"prompt","event_id":["` + secret + `"]}`, "event_id: byte 0: expected a string, found an array"},
		{`{"event_type":"prompt","zzz":"` + secret + `\x"}`, "imported: byte 36: unknown escape"},
		{`{"event_type":"prompt","zzz":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "imported: byte 70: nested more than 64 deep"},
		{`{"event_type":"prompt","hash":"x","metadata":{"imported":1}}`, `metadata: has a key "imported", which import needs for the old hashes`},
		{`{"event_type":"prompt","latency_ms":-1}`, "latency_ms: negative"},
		{`{"event_type":"prompt","tool":{"` + secret + `":1}}`, `unknown field "tool.` + secret + `"`},
	} {
		_, plain, err := event.ParsePlain([]byte(tt.in))
		if !plain || err == nil || err.Error() != tt.want {
			t.Errorf("ParsePlain(%.80s) = %v, %v\nwant true, %s", tt.in, plain, err, tt.want)
		}
	}
}
