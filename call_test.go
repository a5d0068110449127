package audittrail_test

import (
	"context"
	"errors"
	"testing"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

func TestRecordCall(t *testing.T) {
	log := logtest.New(t)
	overloaded := errors.New("overloaded")
	for name, c := range map[string]struct {
		fails             error
		outcome, response string
	}{
		"answered":  {nil, event.OutcomeSuccess, "A loan."},
		"failed":    {overloaded, event.OutcomeError, ""},
		"timed out": {context.DeadlineExceeded, event.OutcomeTimeout, ""},
		"cancelled": {context.Canceled, event.OutcomeCancelled, "A lo"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		receipt, err := log.RecordCall(ctx, event.Event{ModelID: "gpt-4", UserID: "ann", Prompt: "What is a bond?"}, func(_ context.Context, e *event.Event) error {
			e.Response = c.response
			cancel() // the user has gone away; the call is recorded all the same
			return c.fails
		})
		if !errors.Is(err, c.fails) || c.fails == nil && err != nil {
			t.Errorf("%s: RecordCall() = %v, want %v", name, err, c.fails)
		}
		r, err := log.Get(t.Context(), receipt.Seq)
		if err != nil || r.ID != receipt.ID {
			t.Fatalf("%s: record %v, %v, want %v", name, r, err, receipt.ID)
		}
		e := &r.Event
		if e.Type != event.Prompt || e.Prompt != "What is a bond?" || e.Response != c.response || e.Outcome != c.outcome || e.Latency == nil || *e.Latency < 0 || (e.Error != "") != (c.fails != nil) {
			t.Errorf("%s: recorded %+v", name, e)
		}
		if got := event.Call(e, r.Parts, true); got != event.CallComplete {
			t.Errorf("%s: Call() = %d, want a whole call", name, got)
		}
	}
	logtest.Close(t, log)
	if _, err := log.RecordCall(t.Context(), event.Event{}, func(context.Context, *event.Event) error { return overloaded }); !errors.Is(err, overloaded) || !errors.Is(err, audittrail.ErrClosed) {
		t.Errorf("in a closed log: %v, want both errors", err)
	}
}
