package query

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"audittrail/event"
	"audittrail/record"
)

// A Query says which records are wanted. The zero Query wants all of them, the
// newest first.
//
// Conditions on different fields must all hold; of the values that one field
// lists, one must be the record's. Administrative records of the log are found
// like all others.
type Query struct {
	Types       []event.Type
	Models      []string
	Versions    []string // of models
	Providers   []string
	Deployments []string
	Users       []string // user ids, as producers gave them
	Actors      []string `json:",omitempty"` // who acted, by the names that producers gave
	Sources     []string `json:",omitempty"` // how the log came to know of it: see record.Source
	Sessions    []string // session ids, as producers gave them
	Traces      []string // trace ids: 32 lower-case hexadecimal digits
	Producers   []string
	Outcomes    []string
	Severities  []string
	Categories  []string
	Tools       []string
	Classes     []string         // retention classes, "standard", or of one month, "standard/2026-11"
	Subjects    []record.Subject // what stands in the log for a person
	Labels      map[string]string

	// Calls asks for the records that count calls of models, each call by one
	// record: see event.Call. Where a question that carries an answer, and an
	// answer or an error, are in one span, the answer counts the call. What the
	// halves of a call are is told by all records of the log, also by those that
	// do not meet the other conditions.
	Calls bool `json:",omitempty"`

	// Start (inclusive) and End (exclusive) bound the event's time, which is
	// when it happened, not when it was logged; a zero one is no bound.
	Start, End time.Time

	InputTokens     Range
	OutputTokens    Range
	CachedTokens    Range
	ReasoningTokens Range
	Latency         Range // in microseconds
	Cost            Range // in 10^-9 of the currency, whichever it is

	// Text is a text query: words, "phrases", prefix*, field:word, AND (which
	// need not be written), OR, -not, parentheses, substring:"…" and /patterns/.
	// Content that cannot be read any more has no text, and never matches.
	Text string
	// Filter is an expression in CEL (cel.dev) over the clear fields, such as
	// `latency_ms > 100 && labels["team"] == "x"`. What needs a field that a
	// record lacks does not hold, and nor does its opposite; present(latency_ms)
	// tells. An absent text is empty.
	Filter string

	// Size is how many records of the log count: those with smaller sequence
	// numbers, as if the log had been asked when it had that many. 0 is all that
	// there are.
	Size uint64

	// From is the smallest sequence number that counts.
	From uint64

	// OldestFirst asks for the order of the log; otherwise the newest record
	// comes first. The order is that of sequence numbers.
	OldestFirst bool
	// Limit is the most records that Find yields; 0 is no limit.
	Limit int
	// Cursor is the Cursor of a hit of the same query: Find goes on behind it.
	// What was recorded since then does not shift what follows.
	Cursor string

	part callPart // which records of calls, if not those that count them
}

// A Range bounds a number, both ends included. A nil end is open. Records that
// lack the number are in no range but the zero one.
type Range struct{ Min, Max *int64 }

// AtLeast is the range from n on.
func AtLeast(n int64) Range { return Range{Min: &n} }

// AtMost is the range up to n.
func AtMost(n int64) Range { return Range{Max: &n} }

func (r Range) open() bool { return r.Min == nil && r.Max == nil }

// A Hit is a record that matches.
type Hit struct {
	// Record was read from the log, and checked against its hash and the tree,
	// for this hit. Where its State is not Readable, it has structure alone.
	*record.Record
	// Matches are places where words that Text asks for stand, in the order of
	// the event's fields: at most a hundred.
	Matches []Match

	cursors cursors
}

// A Match is a place in the text of an event.
type Match struct {
	Field string // prompt, response, system, input, output, arguments, result, error or metadata
	Text  string // of the field; of JSON, the string in which it stands
	Start int    // bytes: what matches is Text[Start:End]
	End   int
}

// Cursor continues the query behind this hit: see Query.Cursor.
func (h *Hit) Cursor() string { return h.cursors.at(h.Seq) }

// An Error says what is wrong with a query.
type Error struct {
	Part    string // of the query: "limit", "cursor", "end", "group by", …
	Problem string
}

func (e *Error) Error() string { return e.Part + ": " + e.Problem }

func problem(part, format string, args ...any) error {
	return &Error{Part: part, Problem: fmt.Sprintf(format, args...)}
}

// limits of what a query may list.
const (
	maxValues = 100_000 // of all fields together
	maxValue  = 1 << 10 // bytes of one
)

// check refuses what no record can answer to by mistake.
func (q *Query) check() error {
	if q.Limit < 0 {
		return problem("limit", "it is %d; 0 is no limit", q.Limit)
	}
	if !q.Start.IsZero() && !q.End.IsZero() && !q.Start.Before(q.End) {
		return problem("end", "%s is not after the start, %s", q.End.Format(time.RFC3339Nano), q.Start.Format(time.RFC3339Nano))
	}
	for _, r := range q.ranges() {
		if r.Min != nil && r.Max != nil && *r.Min > *r.Max {
			return problem(r.name, "the least, %d, is more than the most, %d", *r.Min, *r.Max)
		}
	}
	return q.checkValues()
}

// checkValues refuses what no field can hold.
func (q *Query) checkValues() error {
	total := len(q.Labels) + len(q.Subjects) + len(q.Types)
	for _, s := range q.sets() {
		total += len(s.values)
		for _, v := range s.values {
			if len(v) > maxValue {
				return problem(s.name, "a value of %d bytes, at most %d are possible", len(v), maxValue)
			}
			if !utf8.ValidString(v) {
				return problem(s.name, "a value is not UTF-8")
			}
		}
	}
	if total > maxValues {
		return problem("query", "%d values in all, at most %d are possible", total, maxValues)
	}
	for _, t := range q.Types {
		if !t.Valid() {
			return problem("type", "%q is no event type: %s, or x.NAME", t, typeNames())
		}
	}
	for _, s := range []struct {
		name        string
		given, some []string
	}{
		{"outcome", q.Outcomes, event.Outcomes()}, {"severity", q.Severities, event.Severities()}, {"source", q.Sources, sourceNames()},
	} {
		for _, v := range s.given {
			if !contains(s.some, v) {
				return problem(s.name, "%q is none of %s", v, strings.Join(s.some, ", "))
			}
		}
	}
	for _, id := range q.Traces {
		if b, err := hex.DecodeString(id); err != nil || len(b) != 16 || strings.ToLower(id) != id {
			return problem("trace_id", "%q is no trace id: 32 hexadecimal digits, in lower case", id)
		}
	}
	for _, c := range q.Classes {
		if _, _, err := record.SplitClass(c); err != nil && !event.ValidClass(c) {
			return problem("class", "%q is no retention class, such as standard, nor one of a month, such as standard/2026-11", c)
		}
	}
	return nil
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

func sourceNames() []string {
	var names []string
	for _, s := range record.Sources() {
		names = append(names, string(s))
	}
	return names
}

func typeNames() string {
	var names []string
	for _, t := range event.Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// A namedSet is the values that a query lists for one field.
type namedSet struct {
	name   string
	values []string
}

// sets are the conditions on text in the clear, without those on types.
func (q *Query) sets() []namedSet {
	return []namedSet{
		{"model_id", q.Models},
		{"model_version", q.Versions},
		{"provider", q.Providers},
		{"deployment_id", q.Deployments},
		{"user_id", q.Users},
		{"session_id", q.Sessions},
		{"actor", q.Actors},
		{"source", q.Sources},
		{"trace_id", q.Traces},
		{"producer", q.Producers},
		{"outcome", q.Outcomes},
		{"severity", q.Severities},
		{"category", q.Categories},
		{"tool", q.Tools},
		{"class", q.Classes},
	}
}

// A namedRange is the condition of a query on one number.
type namedRange struct {
	name string
	Range
}

func (q *Query) ranges() []namedRange {
	return []namedRange{
		{"input_tokens", q.InputTokens},
		{"output_tokens", q.OutputTokens},
		{"cached_tokens", q.CachedTokens},
		{"reasoning_tokens", q.ReasoningTokens},
		{"latency_ms", q.Latency},
		{"cost", q.Cost},
	}
}
