package predicate

import (
	"encoding/hex"
	"math"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/internal/index/block"
	"audittrail/record"
)

// A Field is a cleartext field of a record, under the name that the edge form
// of an event gives it: it has one of Text and Number.
type Field struct {
	Name   string
	Text   func(*record.Record) string        // "" is absent
	Number func(*record.Record) (int64, bool) // in the record's unit
	Scale  int                                // decimal places by which the edge's unit is larger
	Time   bool                               // nanoseconds since 1970

	texts   block.TextColumn    // of Text
	part    func(string) string // the part of the column's value that counts; nil: all
	numbers block.NumberColumn  // of Number
	delay   bool                // its number is how much later numbers is than block.Time, in microseconds
}

// Fields are all cleartext fields.
var Fields = []Field{
	{Name: "type", Text: func(r *record.Record) string { return string(r.Event.Type) }, texts: block.Type},
	{Name: "model_id", Text: func(r *record.Record) string { return r.Event.ModelID }, texts: block.Model},
	{Name: "model_version", Text: func(r *record.Record) string { return r.Event.ModelVersion }, texts: block.Version},
	{Name: "provider", Text: func(r *record.Record) string { return r.Event.Provider }, texts: block.Provider},
	{Name: "deployment_id", Text: func(r *record.Record) string { return r.Event.DeploymentID }, texts: block.Deployment},
	{Name: "outcome", Text: func(r *record.Record) string { return r.Event.Outcome }, texts: block.Outcome},
	{Name: "severity", Text: func(r *record.Record) string { return r.Event.Severity }, texts: block.Severity},
	{Name: "category", Text: func(r *record.Record) string { return r.Event.Category }, texts: block.Category},
	{Name: "finish_reason", Text: func(r *record.Record) string { return r.Event.FinishReason }, texts: block.FinishReason},
	{Name: "tool", Text: toolName, texts: block.Tool},
	{Name: "producer", Text: producerID, texts: block.Producer},
	{Name: "currency", Text: currency, texts: block.Currency},
	{Name: "class", Text: func(r *record.Record) string { return r.Class }, texts: block.Class},
	{Name: "retention_class", Text: func(r *record.Record) string { return r.Event.RetentionClass }, texts: block.Class, part: className},
	{Name: "subject", Text: func(r *record.Record) string { return r.Subject.String() }, texts: block.Subject},
	{Name: "session", Text: sessionKey, texts: block.Session},
	{Name: "trace_id", Text: func(r *record.Record) string { return r.Event.TraceID }, texts: block.Trace},
	{Name: "span_id", Text: func(r *record.Record) string { return r.Event.SpanID }, texts: block.Span},
	{Name: "parent_span_id", Text: func(r *record.Record) string { return r.Event.ParentSpanID }, texts: block.ParentSpan},
	{Name: "parts", Text: parts, texts: block.Parts},
	{Name: "source", Text: func(r *record.Record) string { return string(r.Source) }, texts: block.ToldBy},
	{Name: "actor_subject", Text: actor, texts: block.Actor},
	{Name: "domain", Text: func(r *record.Record) string { return r.Domain }, texts: block.Domain},
	{Name: "withheld", Text: func(r *record.Record) string { return r.Withheld }, texts: block.Withheld},
	{Name: "call", Text: func(r *record.Record) string { return r.Call.String() }, texts: block.Call},

	{Name: "time", Number: func(r *record.Record) (int64, bool) { return block.Nanos(r.Event.Time), true }, numbers: block.Time, Time: true},
	{Name: "logged", Number: func(r *record.Record) (int64, bool) { return block.Nanos(r.Logged), true }, numbers: block.Logged, Time: true},
	{Name: "delay_ms", Number: delay, numbers: block.Logged, delay: true, Scale: 3},
	{Name: "latency_ms", Number: latency, numbers: block.Latency, Scale: 3},
	{Name: "input_tokens", Number: func(r *record.Record) (int64, bool) { return known(r.Event.InputTokens) }, numbers: block.InputTokens},
	{Name: "output_tokens", Number: func(r *record.Record) (int64, bool) { return known(r.Event.OutputTokens) }, numbers: block.OutputTokens},
	{Name: "cached_tokens", Number: func(r *record.Record) (int64, bool) { return known(r.Event.CachedTokens) }, numbers: block.CachedTokens},
	{Name: "reasoning_tokens", Number: func(r *record.Record) (int64, bool) { return known(r.Event.ReasoningTokens) }, numbers: block.ReasoningTokens},
	{Name: "cost", Number: cost, numbers: block.Cost, Scale: 9},
	{Name: "size", Number: func(r *record.Record) (int64, bool) { return int64(r.Size), true }, numbers: block.Size},
	{Name: "producer_seq", Number: producerSeq, numbers: block.ProducerSeq},
}

// byName maps names to fields.
var byName = func() map[string]*Field {
	m := make(map[string]*Field, len(Fields))
	for i := range Fields {
		m[Fields[i].Name] = &Fields[i]
	}
	return m
}()

// aliases are other names that users try.
var aliases = map[string]string{
	"model": "model_id", "version": "model_version", "deployment": "deployment_id",
	"session_id": "session", "trace": "trace_id", "span": "span_id", "latency": "latency_ms",
}

// Named returns the field of a name or alias.
func Named(name string) (*Field, bool) {
	if a, ok := aliases[name]; ok {
		name = a
	}
	f, ok := byName[name]
	return f, ok
}

// Names returns the names of Fields.
func Names() []string {
	names := make([]string, len(Fields))
	for i, f := range Fields {
		names[i] = f.Name
	}
	return names
}

// Value returns a number of the field in the edge's form.
func (f *Field) Value(n int64) any {
	switch {
	case f.Time:
		return time.Unix(0, n).UTC()
	case f.Scale > 0:
		return f.float(n)
	}
	return n
}

// float returns a number of the field in the edge's unit.
func (f *Field) float(n int64) float64 {
	return float64(n) / pow10[f.Scale]
}

var pow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// className returns the class in a value of class and month.
func className(class string) string {
	name, _, _ := strings.Cut(class, "/")
	return name
}

func known(n *int64) (int64, bool) {
	if n == nil {
		return 0, false
	}
	return *n, true
}

// delay returns how much later than it happened an event was logged, which is
// negative if its producer's clock was ahead.
func delay(r *record.Record) (int64, bool) {
	return between(block.Nanos(r.Event.Time), block.Nanos(r.Logged)), true
}

// between returns the microseconds between two times in nanoseconds.
func between(from, to int64) int64 {
	d := to - from
	switch {
	case from < 0 && to > 0 && d < 0:
		d = math.MaxInt64
	case from > 0 && to < 0 && d > 0:
		d = math.MinInt64
	}
	return d / 1000
}

func latency(r *record.Record) (int64, bool) {
	if r.Event.Latency == nil {
		return 0, false
	}
	return r.Event.Latency.Microseconds(), true
}

func cost(r *record.Record) (int64, bool) {
	if r.Event.Cost == nil {
		return 0, false
	}
	return r.Event.Cost.Nano, true
}

func currency(r *record.Record) string {
	if r.Event.Cost == nil {
		return ""
	}
	return r.Event.Cost.Currency
}

func toolName(r *record.Record) string {
	if r.Event.Tool == nil {
		return ""
	}
	return r.Event.Tool.Name
}

func producer(r *record.Record) event.Producer {
	if r.Event.Producer == nil {
		return event.Producer{}
	}
	return *r.Event.Producer
}

func producerID(r *record.Record) string { return producer(r).ID }

func producerSeq(r *record.Record) (int64, bool) {
	n := producer(r).Seq
	if n == nil {
		return 0, false
	}
	return int64(*n), true
}

func parts(r *record.Record) string {
	p, known := r.KnownParts()
	if known && p == 0 {
		return block.NoParts
	}
	if !known {
		return ""
	}
	return p.String()
}

func actor(r *record.Record) string {
	if r.Actor == (record.Subject{}) {
		return ""
	}
	return r.Actor.String()
}

func sessionKey(r *record.Record) string {
	if r.Session == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(r.Session[:])
}
