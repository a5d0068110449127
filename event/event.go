// Package event says what happened: one prompt, response, tool call or other
// act of an AI system, as its producer tells it.
//
// An [Event] has three written forms. The edge form ([ParseJSON],
// [AppendJSON]) is what people and programs send: one JSON object, with
// latencies in milliseconds and costs as decimal numbers. The other two go
// into a record and have exactly one encoding per value: the clear part
// ([AppendClear]), which anybody who holds the log can read, and the content
// ([AppendContent]), which the record seals. docs/format/event.md has both,
// field by field.
//
// The package does no I/O, keeps no state, and knows neither keys nor records.
// That an event is well formed does not make it true.
package event

import (
	"encoding/json"
	"time"
)

// Limits of single fields, in bytes unless said otherwise. They are part of
// the format: a decoder refuses what exceeds them. The size of a whole event
// is the log's to limit.
const (
	MaxID       = 256  // Event.ID
	MaxPerson   = 1024 // Event.UserID, Event.Actor, Event.SessionID, Tool.CallID
	MaxClear    = 128  // every string that stands in the clear, and each label's key and value
	MaxLabels   = 64   // number of labels
	MaxMetadata = 1024 // number of metadata keys; what is below them is not counted

	// MaxInt bounds every number, so that readers that hold numbers as IEEE
	// 754 doubles see the same ones.
	MaxInt = 1<<53 - 1
)

// An Event is one thing that happened. Only Type is required. An empty string,
// a nil pointer, an empty map, an empty or null JSON value, and the zero Time
// mean that nothing is known, which is not the same as a zero.
//
// Fields marked clear can be read, counted and filtered without a key, survive
// erasure, and so must not hold personal data: at most [MaxClear] bytes of
// UTF-8 without control characters each. The others are sealed.
type Event struct {
	// ID makes appending idempotent: any string that the producer will not use
	// for another event. A UUID in its canonical form stands in the clear;
	// everything else is sealed and stands as a UUID derived from it.
	ID string

	// Time is when it happened, in the clear; zero means when the log takes it.
	Time time.Time

	Type         Type   // clear
	ModelID      string // clear
	ModelVersion string // clear
	Provider     string // clear
	DeploymentID string // clear

	UserID    string // whom the data is about: the subject of erasure
	Actor     string // who acted, if that is somebody else: the reviewer of a decision; kept in the keyring alone
	SessionID string // also in the clear, but only as a keyed hash

	TraceID      string // clear; 32 lower-case hexadecimal digits
	SpanID       string // clear; 16
	ParentSpanID string // clear; 16

	Prompt             string
	Response           string
	SystemInstructions string
	InputMessages      json.RawMessage // any JSON value
	OutputMessages     json.RawMessage // any JSON value
	Tool               *Tool

	Latency         *time.Duration // clear; whole microseconds, not negative
	InputTokens     *int64         // clear; 0 to MaxInt, like all counts
	OutputTokens    *int64         // clear
	CachedTokens    *int64         // clear
	ReasoningTokens *int64         // clear
	Cost            *Cost          // clear

	Outcome      string // clear; one of the Outcome constants
	FinishReason string // clear
	Error        string // what went wrong, in words
	Severity     string // clear; one of the Severity constants
	Category     string // clear

	Producer *Producer                  // clear
	Labels   map[string]string          // clear; the organisation's own terms
	Metadata map[string]json.RawMessage // any JSON values, null too

	// RetentionClass names the policy that decides how long the event is kept;
	// empty means the log's default. It stands in the clear.
	RetentionClass string
}

// A Tool is the call of a tool, or what came back from it.
type Tool struct {
	Name      string // clear
	CallID    string
	Arguments json.RawMessage // any JSON value
	Result    json.RawMessage // any JSON value
}

// A Cost is an amount of money in units of 10^-9 of a currency: 0.0123 USD is
// {12300000, "USD"}.
type Cost struct {
	Nano     int64  // 0 to MaxInt
	Currency string // three capital letters, as in ISO 4217
}

// A Producer is the program that sent the event. Where it numbers its events,
// a gap in the numbers shows that some never arrived.
type Producer struct {
	ID  string
	Seq *uint64 // 0 to MaxInt
}

// What an event can have come to.
const (
	OutcomeSuccess   = "success"
	OutcomeError     = "error"
	OutcomePartial   = "partial" // a stream that ended early
	OutcomeBlocked   = "blocked" // by a guardrail
	OutcomeRefused   = "refused" // by the model
	OutcomeTimeout   = "timeout"
	OutcomeCancelled = "cancelled"
)

// How grave an event is.
const (
	SeverityInfo     = "info"
	SeverityLow      = "low"
	SeverityMedium   = "medium"
	SeverityHigh     = "high"
	SeverityCritical = "critical"
)

// Outcomes returns what [Event.Outcome] may hold, other than nothing.
func Outcomes() []string {
	return []string{
		OutcomeSuccess, OutcomeError, OutcomePartial, OutcomeBlocked,
		OutcomeRefused, OutcomeTimeout, OutcomeCancelled,
	}
}

// Severities returns what [Event.Severity] may hold, other than nothing, the
// least grave first.
func Severities() []string {
	return []string{SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}
}
