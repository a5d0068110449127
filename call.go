package audittrail

import (
	"cmp"
	"context"
	"errors"

	"audittrail/event"
)

// RecordCall makes a call of a model and records it as one event, with the
// request and the response. The caller fills in the request; call sends it to
// the model and adds the result to the event: the response, the tokens, the
// reason why it stopped. RecordCall adds the type prompt, the time, the latency
// and the outcome, where they are not set, and the text of an error that call
// returns.
//
// The event is recorded when call has returned, also after an error and after
// ctx has ended, since the model has answered by then. If a request must be on
// record before it is sent, append it first as an event of its own, with the
// same span.
//
// The error is that of call, that of recording the event, or both. If the event
// was recorded, the ID of the receipt is not zero.
func (l *Log) RecordCall(ctx context.Context, e event.Event, call func(context.Context, *event.Event) error) (Receipt, error) {
	began := l.opts.now()
	e.Type = cmp.Or(e.Type, event.Prompt)
	if e.Time.IsZero() {
		e.Time = began
	}
	failed := call(ctx, &e)
	if e.Latency == nil {
		e.Latency = new(max(0, l.opts.now().Sub(began)))
	}
	e.Outcome = cmp.Or(e.Outcome, outcomeOf(failed))
	if failed != nil {
		e.Error = cmp.Or(e.Error, failed.Error())
	}
	receipt, err := l.Append(context.WithoutCancel(ctx), e)
	return receipt, errors.Join(failed, err)
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return event.OutcomeSuccess
	case errors.Is(err, context.DeadlineExceeded):
		return event.OutcomeTimeout
	case errors.Is(err, context.Canceled):
		return event.OutcomeCancelled
	}
	return event.OutcomeError
}
