package event_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

const exportedHead = `{"seq":7,"uuid":"0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e11","hash":"ab","logged":"2026-11-30T17:12:59.216227001Z",` +
	`"class":"standard/2026-11","subject":"cf90","state":"readable","parts":["prompt"],"source":"import",`

func TestParseExported(t *testing.T) {
	when := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		in   string
		want event.Event
	}{
		{
			exportedHead + `"id":"e2","type":"prompt","time":"2026-11-02T09:00:00Z","prompt":"bye","metadata":{"k":1},` +
				`"retention_class":"standard","matches":[{"field":"prompt","start":0,"end":3,"text":"bye"}]}`,
			event.Event{
				ID: "e2", Type: event.Prompt, Time: when, Prompt: "bye", RetentionClass: "standard",
				Metadata: map[string]json.RawMessage{"k": json.RawMessage("1")},
			},
		},
		{exportedHead + `"type":"feedback"}`, event.Event{ID: "0b8f0f6e-5f53-4d8a-9d3b-1f6c0a2f4e11", Type: event.Feedback}},
	} {
		got, is, err := event.ParseExported([]byte(tt.in))
		if !is || err != nil {
			t.Errorf("ParseExported(%s) = %v, %v, want true, nil", tt.in, is, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseExported(%s) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestNotExported(t *testing.T) {
	for _, in := range []string{``, `[]`, `{"uuid":"x","seq":1}`, `{"type":"prompt"}`, strings.Replace(exportedHead, `"seq":7,`, "", 1) + `"type":"prompt"}`} {
		if e, is, err := event.ParseExported([]byte(in)); is || err != nil {
			t.Errorf("ParseExported(%s) = %v, %v, %v, want false, nil", in, e, is, err)
		}
	}
}

func TestExportedRefused(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{
			strings.Replace(exportedHead, "readable", "erased", 1) + `"type":"prompt"}`,
			`state: "erased": the content of this record was not readable when it was exported`,
		},
		{exportedHead + `"type":"prompt","promt":"x"}`, `unknown field "promt"; did you mean "prompt"?`},
		{exportedHead + `"time":"2026-11-02T09:00:00Z"}`, "type: missing"},
	} {
		_, is, err := event.ParseExported([]byte(tt.in))
		if !is || err == nil || err.Error() != tt.want {
			t.Errorf("ParseExported(%s) = %v, %v, want true, %s", tt.in, is, err, tt.want)
		}
	}
}
