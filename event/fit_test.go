package event_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"audittrail/event"
)

// arn is an inference profile as AWS names it, of 139 bytes.
var arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/" + strings.Repeat("a1", 35)

func TestFit(t *testing.T) {
	full := func(s string) map[string]json.RawMessage {
		return map[string]json.RawMessage{event.FullValues: json.RawMessage(s)}
	}
	const lower = "5b8efff798038103d269b633813fc60c"
	short := event.ClearForm(arn)
	umlauts := strings.Repeat("ä", 100)
	for _, tt := range []struct {
		name     string
		in, want event.Event
	}{
		{"nothing", event.Event{Type: event.Prompt}, event.Event{Type: event.Prompt}},
		{"as long as a field", event.Event{ModelID: arn[:128]}, event.Event{ModelID: arn[:128]}},
		{"model", event.Event{ModelID: arn}, event.Event{ModelID: short, Metadata: full(`{"model_id":"` + arn + `"}`)}},
		{
			"everything else",
			event.Event{
				ModelVersion: arn, Provider: arn, DeploymentID: arn, Category: arn, FinishReason: arn,
				Tool: &event.Tool{Name: arn, CallID: arn}, Producer: &event.Producer{ID: arn},
				Labels:   map[string]string{"a": arn, arn: "b", "c": "d"},
				Metadata: map[string]json.RawMessage{"k": json.RawMessage("1")},
			},
			event.Event{
				ModelVersion: short, Provider: short, DeploymentID: short, Category: short, FinishReason: short,
				Tool: &event.Tool{Name: short, CallID: arn}, Producer: &event.Producer{ID: short},
				Labels: map[string]string{"a": short, short: "b", "c": "d"},
				Metadata: map[string]json.RawMessage{
					"k": json.RawMessage("1"),
					event.FullValues: json.RawMessage(strings.ReplaceAll(
						`{"category":"@","deployment_id":"@","finish_reason":"@","labels":{"a":"@","@":"b"},"model_version":"@","producer.id":"@","provider":"@","tool.name":"@"}`, "@", arn)),
				},
			},
		},
		{"capitals", event.Event{TraceID: strings.ToUpper(lower), SpanID: "EEE19B7EC3C1B174"}, event.Event{TraceID: lower, SpanID: "eee19b7ec3c1b174"}},
		{"cut between letters", event.Event{ModelID: umlauts}, event.Event{ModelID: event.ClearForm(umlauts), Metadata: full(`{"model_id":"` + umlauts + `"}`)}},
		{"not UTF-8", event.Event{ModelID: arn + "\xff"}, event.Event{ModelID: arn + "\xff"}},
		{"key taken", event.Event{ModelID: arn, Metadata: full("1")}, event.Event{ModelID: arn, Metadata: full("1")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given, got := tt.in, tt.in
			if tt.in.Tool != nil {
				given.Tool, given.Producer = new(*tt.in.Tool), new(*tt.in.Producer)
			}
			event.Fit(&got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Fit (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(given, tt.in); diff != "" {
				t.Errorf("Fit wrote to what the event points to:\n%s", diff)
			}
			if again := got; true {
				event.Fit(&again)
				if diff := cmp.Diff(got, again); diff != "" {
					t.Errorf("Fit twice:\n%s", diff)
				}
			}
		})
	}
}

func TestClearForm(t *testing.T) {
	got := event.ClearForm(arn)
	if len(got) != event.MaxClear || !strings.HasPrefix(got, arn[:115]+"~") {
		t.Errorf("ClearForm = %q, want 115 bytes of it and a hash", got)
	}
	if other := event.ClearForm(arn + "x"); other == got || other[:115] != got[:115] {
		t.Errorf("ClearForm of two values with one beginning: %q and %q", got, other)
	}
	if got := event.ClearForm("gpt-4"); got != "gpt-4" {
		t.Errorf("ClearForm(gpt-4) = %q", got)
	}
}

// TestParseFitting reads events that ParseJSON refuses.
func TestParseFitting(t *testing.T) {
	in := []byte(`{"type":"response","model_id":"` + arn + `","span_id":"EEE19B7EC3C1B174"}`)
	var field *event.FieldError
	if _, err := event.ParseJSON(in); !errors.As(err, &field) {
		t.Errorf("ParseJSON = %v, want a FieldError", err)
	}
	e, err := event.ParseFitting(in)
	if err != nil || e.ModelID != event.ClearForm(arn) || e.SpanID != "eee19b7ec3c1b174" {
		t.Errorf("ParseFitting = %+v, %v", e, err)
	}
	if err := event.Validate(&e); err != nil {
		t.Errorf("Validate: %v", err)
	}
}
