// Package event defines an event: one prompt, response, tool call or other act
// of an AI system, as its producer reports it.
//
// An [Event] has three written forms. People and programs send the edge form
// ([ParseJSON], [AppendJSON]): one JSON object, with latencies in milliseconds
// and costs as decimal numbers. The other two are parts of a record and have
// exactly one encoding per value: the cleartext part ([AppendClear]), which can
// be read without a key, and the content ([AppendContent]), which the record
// encrypts. docs/format/event.md has both, field by field.
//
// The package does no I/O, keeps no state, and does not depend on keys or
// records. It does not promise that a well-formed event is true.
package event

import (
	"encoding/json"
	"time"
)

// Limits of single fields, in bytes unless said otherwise. They are part of the
// format: a decoder refuses longer values. The log limits the size of a whole
// event.
const (
	MaxID       = 256  // Event.ID
	MaxPerson   = 1024 // Event.UserID, Event.Actor, Event.SessionID, Tool.CallID
	MaxClear    = 128  // every cleartext string, and each label's key and value
	MaxLabels   = 64   // number of labels
	MaxMetadata = 1024 // number of metadata keys, without those within their values

	// MaxInt bounds every number, so that readers that store numbers as IEEE
	// 754 doubles see the same ones.
	MaxInt = 1<<53 - 1
)

// An Event is one thing that happened. Only Type is required. An empty string,
// a nil pointer, an empty map, an empty or null JSON value, and the zero Time
// mean that a value is not known, which differs from zero.
//
// Fields marked clear are stored in cleartext: they can be read, counted and
// filtered without a key, survive erasure, and so must not contain personal
// data. They have at most [MaxClear] bytes of UTF-8 without control characters
// each. The others are encrypted.
type Event struct {
	// ID makes appending idempotent: any string that the producer will not use
	// for another event. A UUID in its canonical form is stored in cleartext;
	// any other id is encrypted, and a UUID derived from it is in cleartext.
	ID string

	// Time is when the event happened, in cleartext; zero means the time at
	// which the log accepts it.
	Time time.Time

	Type         Type   // clear
	ModelID      string // clear
	ModelVersion string // clear
	Provider     string // clear
	DeploymentID string // clear

	UserID    string // the data subject
	Actor     string // the person who acted, if that is somebody else, such as a reviewer; kept only in the keyring
	SessionID string // also in cleartext, but only as a keyed hash

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
	// empty means the log's default. It is in cleartext.
	RetentionClass string
}

// A Tool is the call of a tool, or its result.
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

// A Producer is the program that sent the event. If it numbers its events, a
// gap in the numbers shows that some were lost.
type Producer struct {
	ID  string
	Seq *uint64 // 0 to MaxInt
}

// The outcomes of an event.
const (
	OutcomeSuccess   = "success"
	OutcomeError     = "error"
	OutcomePartial   = "partial" // a stream that ended early
	OutcomeBlocked   = "blocked" // by a guardrail
	OutcomeRefused   = "refused" // by the model
	OutcomeTimeout   = "timeout"
	OutcomeCancelled = "cancelled"
)

// The severities of an event.
const (
	SeverityInfo     = "info"
	SeverityLow      = "low"
	SeverityMedium   = "medium"
	SeverityHigh     = "high"
	SeverityCritical = "critical"
)

// Outcomes returns the values of [Event.Outcome], without the empty one.
func Outcomes() []string {
	return []string{
		OutcomeSuccess, OutcomeError, OutcomePartial, OutcomeBlocked,
		OutcomeRefused, OutcomeTimeout, OutcomeCancelled,
	}
}

// Severities returns the values of [Event.Severity], without the empty one, in
// ascending order.
func Severities() []string {
	return []string{SeverityInfo, SeverityLow, SeverityMedium, SeverityHigh, SeverityCritical}
}
