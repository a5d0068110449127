package query_test

import (
	"encoding/hex"
	"math"
	"math/big"
	"time"

	"audittrail/event"
)

// A textField and a numberField are clear fields, as the documentation names
// them.
type textField struct {
	name string
	of   func(*fact) string // "" is absent
}

type numberField struct {
	name   string
	of     func(*fact) (n int64, known bool)
	places int  // by which the unit of the edge is larger
	time   bool // nanoseconds since 1970
}

var textFields = []textField{
	{"type", func(f *fact) string { return string(f.Event.Type) }},
	{"model_id", func(f *fact) string { return f.Event.ModelID }},
	{"model_version", func(f *fact) string { return f.Event.ModelVersion }},
	{"provider", func(f *fact) string { return f.Event.Provider }},
	{"deployment_id", func(f *fact) string { return f.Event.DeploymentID }},
	{"outcome", func(f *fact) string { return f.Event.Outcome }},
	{"severity", func(f *fact) string { return f.Event.Severity }},
	{"category", func(f *fact) string { return f.Event.Category }},
	{"finish_reason", func(f *fact) string { return f.Event.FinishReason }},
	{"trace_id", func(f *fact) string { return f.Event.TraceID }},
	{"span_id", func(f *fact) string { return f.Event.SpanID }},
	{"parent_span_id", func(f *fact) string { return f.Event.ParentSpanID }},
	{"class", func(f *fact) string { return f.Class }},
	{"retention_class", func(f *fact) string { return f.Event.RetentionClass }},
	{"subject", func(f *fact) string { return f.Subject.String() }},
	{"tool", func(f *fact) string {
		if f.Event.Tool == nil {
			return ""
		}
		return f.Event.Tool.Name
	}},
	{"producer", func(f *fact) string {
		if f.Event.Producer == nil {
			return ""
		}
		return f.Event.Producer.ID
	}},
	{"currency", func(f *fact) string {
		if f.Event.Cost == nil {
			return ""
		}
		return f.Event.Cost.Currency
	}},
	{"parts", func(f *fact) string {
		if p := event.PartsOf(&f.Event); p != 0 {
			return p.String()
		}
		return "none"
	}},
	{"source", func(f *fact) string {
		if f.Event.Type.Reserved() {
			return "log"
		}
		return "app"
	}},
	{"session", func(f *fact) string {
		if f.session == "" {
			return ""
		}
		return hex.EncodeToString(f.Session[:])
	}},
}

func counted(of func(*event.Event) *int64) func(*fact) (int64, bool) {
	return func(f *fact) (int64, bool) {
		if n := of(&f.Event); n != nil {
			return *n, true
		}
		return 0, false
	}
}

var numberFields = []numberField{
	{name: "input_tokens", of: counted(func(e *event.Event) *int64 { return e.InputTokens })},
	{name: "output_tokens", of: counted(func(e *event.Event) *int64 { return e.OutputTokens })},
	{name: "cached_tokens", of: counted(func(e *event.Event) *int64 { return e.CachedTokens })},
	{name: "reasoning_tokens", of: counted(func(e *event.Event) *int64 { return e.ReasoningTokens })},
	{name: "delay_ms", places: 3, of: func(f *fact) (int64, bool) {
		d := new(big.Int).Sub(big.NewInt(nanoseconds(f.Logged)), big.NewInt(nanoseconds(f.Event.Time)))
		if d.CmpAbs(big.NewInt(math.MaxInt64)) > 0 {
			return int64(d.Sign()) * (math.MaxInt64 / 1000), true
		}
		return d.Int64() / 1000, true
	}},
	{name: "latency_ms", places: 3, of: counted(func(e *event.Event) *int64 {
		if e.Latency == nil {
			return nil
		}
		return new(int64(*e.Latency / time.Microsecond))
	})},
	{name: "cost", places: 9, of: counted(func(e *event.Event) *int64 {
		if e.Cost == nil {
			return nil
		}
		return &e.Cost.Nano
	})},
	{name: "producer_seq", of: counted(func(e *event.Event) *int64 {
		if e.Producer == nil || e.Producer.Seq == nil {
			return nil
		}
		return new(int64(*e.Producer.Seq))
	})},
	{name: "size", of: func(f *fact) (int64, bool) { return int64(f.Size), true }},
	{name: "time", of: func(f *fact) (int64, bool) { return nanoseconds(f.Event.Time), true }, time: true},
	{name: "logged", of: func(f *fact) (int64, bool) { return nanoseconds(f.Logged), true }, time: true},
}

// nanoseconds since 1970. Times that are further away than an int64 can tell
// count as the last ones that it can.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Year() < 1677, t.Year() == 1677 && t.Before(time.Unix(0, math.MinInt64)):
		return math.MinInt64
	case t.Year() > 2262, t.Year() == 2262 && t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

func textNamed(name string) func(*fact) string {
	for _, f := range textFields {
		if f.name == name {
			return f.of
		}
	}
	panic(name)
}

func numberNamed(name string) *numberField {
	for i := range numberFields {
		if numberFields[i].name == name {
			return &numberFields[i]
		}
	}
	return nil
}
