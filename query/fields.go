package query

import (
	"encoding/hex"
	"strings"

	"audittrail"
	"audittrail/event"
)

// A field is one of the clear fields of a record, under the name that the edge
// form of an event gives it: one of text and number is there.
type field struct {
	name   string
	text   func(*audittrail.Record) string        // "" is absent
	number func(*audittrail.Record) (int64, bool) // in the record's unit
	scale  int                                    // decimal places by which the edge's unit is larger
	time   bool                                   // nanoseconds since 1970
}

// fields are all of them.
var fields = []field{
	{name: "type", text: func(r *audittrail.Record) string { return string(r.Event.Type) }},
	{name: "model_id", text: func(r *audittrail.Record) string { return r.Event.ModelID }},
	{name: "model_version", text: func(r *audittrail.Record) string { return r.Event.ModelVersion }},
	{name: "provider", text: func(r *audittrail.Record) string { return r.Event.Provider }},
	{name: "deployment_id", text: func(r *audittrail.Record) string { return r.Event.DeploymentID }},
	{name: "outcome", text: func(r *audittrail.Record) string { return r.Event.Outcome }},
	{name: "severity", text: func(r *audittrail.Record) string { return r.Event.Severity }},
	{name: "category", text: func(r *audittrail.Record) string { return r.Event.Category }},
	{name: "finish_reason", text: func(r *audittrail.Record) string { return r.Event.FinishReason }},
	{name: "tool", text: toolName},
	{name: "producer", text: producerID},
	{name: "currency", text: currency},
	{name: "class", text: func(r *audittrail.Record) string { return r.Class }},
	{name: "retention_class", text: func(r *audittrail.Record) string { return r.Event.RetentionClass }},
	{name: "subject", text: func(r *audittrail.Record) string { return r.Subject.String() }},
	{name: "session", text: sessionKey},
	{name: "trace_id", text: func(r *audittrail.Record) string { return r.Event.TraceID }},
	{name: "span_id", text: func(r *audittrail.Record) string { return r.Event.SpanID }},
	{name: "parent_span_id", text: func(r *audittrail.Record) string { return r.Event.ParentSpanID }},

	{name: "time", number: func(r *audittrail.Record) (int64, bool) { return nanos(r.Event.Time), true }, time: true},
	{name: "logged", number: func(r *audittrail.Record) (int64, bool) { return nanos(r.Logged), true }, time: true},
	{name: "latency_ms", number: latency, scale: 3},
	{name: "input_tokens", number: func(r *audittrail.Record) (int64, bool) { return known(r.Event.InputTokens) }},
	{name: "output_tokens", number: func(r *audittrail.Record) (int64, bool) { return known(r.Event.OutputTokens) }},
	{name: "cached_tokens", number: func(r *audittrail.Record) (int64, bool) { return known(r.Event.CachedTokens) }},
	{name: "reasoning_tokens", number: func(r *audittrail.Record) (int64, bool) { return known(r.Event.ReasoningTokens) }},
	{name: "cost", number: cost, scale: 9},
	{name: "size", number: func(r *audittrail.Record) (int64, bool) { return int64(r.Size), true }},
	{name: "producer_seq", number: producerSeq},
}

// byName finds a field.
var byName = func() map[string]*field {
	m := make(map[string]*field, len(fields))
	for i := range fields {
		m[fields[i].name] = &fields[i]
	}
	return m
}()

// aliases are other names that people try.
var aliases = map[string]string{
	"model": "model_id", "version": "model_version", "deployment": "deployment_id",
	"session_id": "session", "trace": "trace_id", "span": "span_id", "latency": "latency_ms",
}

// fieldNamed returns the field of that name, or an error that lists them.
func fieldNamed(part, name string) (*field, error) {
	want := name
	if a, ok := aliases[name]; ok {
		want = a
	}
	f, ok := byName[want]
	if !ok {
		return nil, problem(part, "%q is no clear field: %s", name, strings.Join(fieldNames(), ", "))
	}
	return f, nil
}

func fieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func known(n *int64) (int64, bool) {
	if n == nil {
		return 0, false
	}
	return *n, true
}

func latency(r *audittrail.Record) (int64, bool) {
	if r.Event.Latency == nil {
		return 0, false
	}
	return r.Event.Latency.Microseconds(), true
}

func cost(r *audittrail.Record) (int64, bool) {
	if r.Event.Cost == nil {
		return 0, false
	}
	return r.Event.Cost.Nano, true
}

func currency(r *audittrail.Record) string {
	if r.Event.Cost == nil {
		return ""
	}
	return r.Event.Cost.Currency
}

func toolName(r *audittrail.Record) string {
	if r.Event.Tool == nil {
		return ""
	}
	return r.Event.Tool.Name
}

func producer(r *audittrail.Record) event.Producer {
	if r.Event.Producer == nil {
		return event.Producer{}
	}
	return *r.Event.Producer
}

func producerID(r *audittrail.Record) string { return producer(r).ID }

func producerSeq(r *audittrail.Record) (int64, bool) {
	n := producer(r).Seq
	if n == nil {
		return 0, false
	}
	return int64(*n), true
}

func sessionKey(r *audittrail.Record) string {
	if r.Session == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(r.Session[:])
}
