package audittrail_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

func grant(id string) event.Event {
	return event.Event{
		ID: id, Type: event.AccessGranted, Labels: map[string]string{"role": "auditor"},
		Metadata: map[string]json.RawMessage{"grant": json.RawMessage(`{"user":"ann"}`)},
	}
}

// TestAdminister records governance records, and finds them without the other
// records.
func TestAdminister(t *testing.T) {
	dir := t.TempDir()
	log := logtest.Open(t, dir, audittrail.Options{Create: true})
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "a"})
	first, err := log.AppendGovernance(t.Context(), grant("g-1"))
	if err != nil {
		t.Fatal(err)
	}
	logtest.Append(t, log, event.Event{Type: event.Prompt, Prompt: "b"})
	again, err := log.AppendGovernance(t.Context(), grant("g-1"))
	if err != nil || again.Seq != first.Seq || !again.Duplicate {
		t.Errorf("AppendGovernance again = %+v, %v, want the first receipt", again, err)
	}
	if _, err := log.AppendGovernance(t.Context(), event.Event{Type: event.AccessDenied, Category: "read_content"}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []uint64{0, first.Seq, first.Seq + 1} {
		var got []uint64
		for r, err := range log.GovernanceRecords(t.Context(), from) {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(r.Class, audittrail.GovernanceClass+"/") || string(r.Event.Metadata["grant"]) != `{"user":"ann"}` {
				t.Errorf("record %d: class %s, metadata %s", r.Seq, r.Class, r.Event.Metadata)
			}
			got = append(got, r.Seq)
		}
		want := []uint64{first.Seq}
		if from > first.Seq {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("Administrative(%d) = %v, want %v", from, got, want)
		}
	}
}

// TestAdministerBatch records all in their order, or none.
func TestAdministerBatch(t *testing.T) {
	log := logtest.New(t)
	for _, c := range []struct {
		events []event.Event
		index  int
		field  string
	}{
		{[]event.Event{grant("a"), {Type: event.Prompt}, grant("b")}, 1, "type"},
		{[]event.Event{grant("a"), grant("b"), {Type: event.AccessGranted, Severity: "bad"}}, 2, "severity"},
	} {
		var refused *audittrail.BatchError
		var wrong *event.FieldError
		if _, err := log.AppendGovernanceBatch(t.Context(), c.events); !errors.As(err, &refused) || refused.Index != c.index || !errors.As(err, &wrong) || wrong.Field != c.field {
			t.Errorf("AppendGovernanceBatch = %v, want event %d refused for its %s", err, c.index, c.field)
		}
	}
	if receipts, err := log.AppendGovernanceBatch(t.Context(), nil); err != nil || len(receipts) != 0 {
		t.Errorf("AppendGovernanceBatch of nothing = %v, %v", receipts, err)
	}
	if size, err := log.Size(); size != 0 || err != nil {
		t.Fatalf("Size() = %d, %v, want 0", size, err)
	}
	receipts, err := log.AppendGovernanceBatch(t.Context(), []event.Event{grant("a"), grant("b"), grant("a")})
	if err != nil || len(receipts) != 3 || receipts[0].Seq != 0 || receipts[1].Seq != 1 || receipts[2].Seq != 0 || !receipts[2].Duplicate {
		t.Errorf("AppendGovernanceBatch = %v, %v, want records 0, 1 and 0 again", receipts, err)
	}
}

// TestAdministerRefuses accepts neither types that producers append nor types
// that only the log's own methods record.
func TestAdministerRefuses(t *testing.T) {
	log := logtest.New(t)
	for _, typ := range []event.Type{event.Prompt, "x.own", event.SubjectErased, event.HoldPlaced, event.LogRepaired} {
		var wrong *event.FieldError
		if _, err := log.AppendGovernance(t.Context(), event.Event{Type: typ}); !errors.As(err, &wrong) || wrong.Field != "type" {
			t.Errorf("AppendGovernance(%s): %v, want a FieldError of type", typ, err)
		}
	}
	for _, typ := range []event.Type{event.AccessGranted, event.ContentRead, event.DatasetRegistered} {
		var wrong *event.FieldError
		if _, err := log.Append(t.Context(), event.Event{Type: typ}); !errors.As(err, &wrong) || wrong.Field != "type" {
			t.Errorf("Append(%s): %v, want a FieldError of type", typ, err)
		}
	}
	if size, err := log.Size(); size != 0 || err != nil {
		t.Errorf("Size() = %d, %v, want 0", size, err)
	}
}

// TestSetClasses lets a policy choose, and holds it to the log's classes.
func TestSetClasses(t *testing.T) {
	log := logtest.New(t)
	choose := func(e *event.Event) string {
		switch e.ModelID {
		case "long":
			return "decade"
		case "wrong":
			return "unheard"
		}
		return ""
	}
	if err := log.SetClasses([]string{"decade"}, choose); err != nil {
		t.Fatal(err)
	}
	for model, want := range map[string]string{"long": "decade", "other": audittrail.DefaultClass} {
		receipt := logtest.Append(t, log, event.Event{Type: event.Prompt, ModelID: model})
		r, err := log.Get(t.Context(), receipt.Seq)
		if err != nil || r.Event.RetentionClass != want {
			t.Errorf("model %s: class %q, %v, want %q", model, r.Event.RetentionClass, err, want)
		}
	}
	if _, err := log.Append(t.Context(), event.Event{Type: event.Prompt, ModelID: "wrong"}); err == nil || !strings.Contains(err.Error(), `"unheard"`) {
		t.Errorf("Append under an unknown class of the policy: %v", err)
	}
	for _, names := range [][]string{{"Upper"}, {audittrail.GovernanceClass}} {
		if err := log.SetClasses(names, nil); err == nil {
			t.Errorf("SetClasses(%q) = nil, want an error", names)
		}
	}
}
