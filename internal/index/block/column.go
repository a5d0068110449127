package block

import (
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"strings"

	"audittrail/record"
)

// A TextColumn is one of the columns of text.
type TextColumn uint8

// A NumberColumn is one of the columns of numbers.
type NumberColumn uint8

// The columns of text. Their order is that of the file.
const (
	Type TextColumn = iota
	Model
	Version
	Provider
	Deployment
	Outcome
	Severity
	Category
	FinishReason
	Tool
	Producer
	Currency
	Class
	Labels // all labels of a record as one text: see ParseLabels
	Subject
	Session
	Trace
	Span
	ParentSpan
	Parts  // which encrypted fields the event has: see partsOf
	ToldBy // record.Source
	Actor
	Domain
	Withheld
	Call

	textColumns
)

// The columns of numbers, in the units of the record.
const (
	Time   NumberColumn = iota // nanoseconds since 1970
	Logged                     // nanoseconds since 1970
	Latency
	InputTokens
	OutputTokens
	CachedTokens
	ReasoningTokens
	Cost
	Size
	ProducerSeq

	numberColumns
)

// textTraits describe the columns of text: the name on disk, whether values are
// hexadecimal in a record, and whether rows are looked up by value, since there
// are many values.
var textTraits = [textColumns]struct {
	name          string
	hex, inverted bool
}{
	Type: {"type", false, false}, Model: {"model_id", false, false}, Version: {"model_version", false, false},
	Provider: {"provider", false, false}, Deployment: {"deployment_id", false, false},
	Outcome: {"outcome", false, false}, Severity: {"severity", false, false}, Category: {"category", false, false},
	FinishReason: {"finish_reason", false, false}, Tool: {"tool", false, false}, Producer: {"producer", false, false},
	Currency: {"currency", false, false}, Class: {"class", false, false}, Labels: {"labels", false, false},
	Subject: {"subject", true, true}, Session: {"session", true, true}, Trace: {"trace_id", true, true},
	Span: {"span_id", true, false}, ParentSpan: {"parent_span_id", true, false},
	Parts: {"parts", false, false}, ToldBy: {"source", false, false}, Actor: {"actor", true, true},
	Domain: {"domain", false, false}, Withheld: {"withheld", false, false}, Call: {"call", true, true},
}

var numberNames = [numberColumns]string{
	"time", "logged", "latency", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost", "size", "producer_seq",
}

// textsOf puts the texts of a record into t, in the form of the file.
func textsOf(r *record.Record, t *[textColumns]string) {
	e := &r.Event
	if e.Type == "" {
		return // a record that was removed from the log
	}
	*t = [textColumns]string{
		Type: string(e.Type), Model: e.ModelID, Version: e.ModelVersion, Provider: e.Provider,
		Deployment: e.DeploymentID, Outcome: e.Outcome, Severity: e.Severity, Category: e.Category,
		FinishReason: e.FinishReason, Class: r.Class, Labels: joinLabels(e.Labels),
		Subject: string(r.Subject[:]), Trace: unhex(e.TraceID), Span: unhex(e.SpanID), ParentSpan: unhex(e.ParentSpanID),
	}
	t[Parts], t[ToldBy], t[Domain], t[Withheld] = partsOf(r), string(r.Source), r.Domain, r.Withheld
	if r.Actor != (record.Subject{}) {
		t[Actor] = string(r.Actor[:])
	}
	if r.Call != (record.CallID{}) {
		t[Call] = string(r.Call[:])
	}
	if r.Session != [16]byte{} {
		t[Session] = string(r.Session[:])
	}
	if e.Tool != nil {
		t[Tool] = e.Tool.Name
	}
	if e.Producer != nil {
		t[Producer] = e.Producer.ID
	}
	if e.Cost != nil {
		t[Currency] = e.Cost.Currency
	}
}

// NoParts is the value of column Parts for an event that has no encrypted
// fields. The value is absent if it is not known which the event has.
const NoParts = "none"

// partsOf returns the value of column Parts: as the record states it, or, if
// its version does not, from its content.
func partsOf(r *record.Record) string {
	p, known := r.KnownParts()
	switch {
	case !known:
		return ""
	case p == 0:
		return NoParts
	}
	return p.String()
}

// unhex returns the bytes that hexadecimal digits of an event stand for.
func unhex(s string) string {
	if s == "" {
		return ""
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return "" // a value that no record can have
	}
	return string(b)
}

// A number is a value that may be absent.
type number struct {
	n     int64
	known bool
}

func numbersOf(r *record.Record, t *[numberColumns]number) {
	e := &r.Event
	if e.Type == "" {
		return // a record that was removed from the log
	}
	*t = [numberColumns]number{
		Time: {Nanos(e.Time), true}, Logged: {Nanos(r.Logged), true}, Size: {int64(r.Size), true},
		InputTokens: optional(e.InputTokens), OutputTokens: optional(e.OutputTokens),
		CachedTokens: optional(e.CachedTokens), ReasoningTokens: optional(e.ReasoningTokens),
	}
	if e.Latency != nil {
		t[Latency] = number{e.Latency.Microseconds(), true}
	}
	if e.Cost != nil {
		t[Cost] = number{e.Cost.Nano, true}
	}
	if e.Producer != nil && e.Producer.Seq != nil {
		t[ProducerSeq] = number{int64(*e.Producer.Seq), true}
	}
}

func optional(n *int64) number {
	if n == nil {
		return number{}
	}
	return number{*n, true}
}

// joinLabels writes labels as one text: key, zero byte, value, zero byte, by key.
// Neither can have a zero byte.
func joinLabels(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k)
		b.WriteByte(0)
		b.WriteString(labels[k])
		b.WriteByte(0)
	}
	return b.String()
}

// ParseLabels reads the value of column Labels.
func ParseLabels(s string) map[string]string { return maps.Collect(labels(s)) }

// Label returns one label of a value of column Labels, and whether it is there.
func Label(s, key string) (value string, ok bool) {
	for k, v := range labels(s) {
		if k == key {
			return v, true
		}
	}
	return "", false
}

func labels(s string) iter.Seq2[string, string] {
	return func(yield func(k, v string) bool) {
		for s != "" {
			var k, v string
			k, s, _ = strings.Cut(s, "\x00")
			v, s, _ = strings.Cut(s, "\x00")
			if !yield(k, v) {
				return
			}
		}
	}
}
