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

// A Query selects records. The zero Query selects all of them, the newest
// first.
//
// Conditions on different fields must all hold; where one field lists several
// values, the record must have one of them. Governance records are found like
// all others.
type Query struct {
	Types       []event.Type
	Models      []string
	Versions    []string // of models
	Providers   []string
	Deployments []string
	Users       []string // user ids, as producers gave them
	Actors      []string `json:",omitempty"` // who acted, by the names that producers gave
	Sources     []string `json:",omitempty"` // how the log received the record: see record.Source
	Sessions    []string // session ids, as producers gave them
	Traces      []string // trace ids: 32 lower-case hexadecimal digits
	Producers   []string
	Outcomes    []string
	Severities  []string
	Categories  []string
	Tools       []string
	Classes     []string         // retention classes, "standard", or of one month, "standard/2026-11"
	Subjects    []record.Subject // the pseudonyms of people in the log
	Labels      map[string]string

	// Calls selects the records that count calls of models, each call by one
	// record: see event.Call. If a request that includes its response is in one
	// span with a response or an error, the response counts the call. The
	// halves of a call are found among all records of the log, also among those
	// that do not meet the other conditions.
	Calls bool `json:",omitempty"`

	// Start (inclusive) and End (exclusive) bound the time at which the event
	// happened, not the time at which it was logged; a zero time sets no bound.
	Start, End time.Time

	InputTokens     Range
	OutputTokens    Range
	CachedTokens    Range
	ReasoningTokens Range
	Latency         Range // in microseconds
	Cost            Range // in 10^-9 of the currency, whichever it is

	// Text is a text query: words, "phrases", prefix*, field:word, AND (which
	// need not be written), OR, -not, parentheses, substring:"…" and
	// /patterns/. Content that can no longer be read has no text, and never
	// matches.
	Text string
	// Filter is an expression in CEL (cel.dev) over the cleartext fields, such
	// as `latency_ms > 100 && labels["team"] == "x"`. A condition on a field
	// that a record lacks does not hold, and neither does its negation;
	// present(latency_ms) tells whether the record has the field. An absent
	// text is empty.
	Filter string

	// Size is how many records of the log the query covers: those with smaller
	// sequence numbers, as if the log had been queried when it had that many. 0
	// covers all records.
	Size uint64

	// From is the smallest sequence number that the query covers.
	From uint64

	// OldestFirst asks for the order of the log; otherwise the newest record
	// comes first. The order is that of sequence numbers.
	OldestFirst bool
	// Limit is the most records that Find yields; 0 sets no limit.
	Limit int
	// Cursor is the Cursor of a hit of the same query: Find continues after
	// that hit. Records that were appended since do not shift the following
	// pages.
	Cursor string

	part callPart // selects other records of calls than those that count them
}

// A Range bounds a number, both ends included. A nil end is open. A record
// without the number matches only the zero Range.
type Range struct{ Min, Max *int64 }

// AtLeast returns the range from n upwards.
func AtLeast(n int64) Range { return Range{Min: &n} }

// AtMost returns the range up to n.
func AtMost(n int64) Range { return Range{Max: &n} }

func (r Range) open() bool { return r.Min == nil && r.Max == nil }

// A Hit is a record that matches.
type Hit struct {
	// Record was read from the log for this hit, and its hash was verified
	// against the tree. Unless its State is Readable, it has structure alone.
	*record.Record
	// Matches are the places where words of Text were found, in the order of
	// the event's fields: at most a hundred.
	Matches []Match

	cursors cursors
}

// A Match is a place in the text of an event where a word of the query was
// found.
type Match struct {
	Field string // prompt, response, system, input, output, arguments, result, error or metadata
	Text  string // of the field; in JSON, the string that contains the match
	Start int    // in bytes: the match is Text[Start:End]
	End   int
}

// Cursor returns a cursor that continues the query after this hit: see
// Query.Cursor.
func (h *Hit) Cursor() string { return h.cursors.at(h.Seq) }

// An Error reports which part of a query is invalid, and why.
type Error struct {
	Part    string // of the query: "limit", "cursor", "end", "group by", …
	Problem string
}

func (e *Error) Error() string { return e.Part + ": " + e.Problem }

func problem(part, format string, args ...any) error {
	return &Error{Part: part, Problem: fmt.Sprintf(format, args...)}
}

// Limits on the values that a query may list.
const (
	maxValues = 100_000 // of all fields together
	maxValue  = 1 << 10 // bytes of one
)

// check refuses a query with values that no record can have.
func (q *Query) check() error {
	if q.Limit < 0 {
		return problem("limit", "%d is negative; use 0 for no limit", q.Limit)
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

// checkValues refuses values that no field can have.
func (q *Query) checkValues() error {
	total := len(q.Labels) + len(q.Subjects) + len(q.Types)
	for _, s := range q.sets() {
		total += len(s.values)
		for _, v := range s.values {
			if len(v) > maxValue {
				return problem(s.name, "a value of %d bytes; use at most %d", len(v), maxValue)
			}
			if !utf8.ValidString(v) {
				return problem(s.name, "a value is not UTF-8")
			}
		}
	}
	if total > maxValues {
		return problem("query", "%d values in all; use at most %d", total, maxValues)
	}
	for _, t := range q.Types {
		if !t.Valid() {
			return problem("type", "unknown event type %q: use %s, or x.NAME", t, typeNames())
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
			return problem("trace_id", "invalid trace id %q: use 32 lower-case hexadecimal digits", id)
		}
	}
	for _, c := range q.Classes {
		if _, _, err := record.SplitClass(c); err != nil && !event.ValidClass(c) {
			return problem("class", "invalid retention class %q: use a class, such as standard, or a class and a month, such as standard/2026-11", c)
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

// A namedSet has the values that a query lists for one field.
type namedSet struct {
	name   string
	values []string
}

// sets returns the conditions on cleartext fields of text, except those on
// types.
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

// A namedRange is the condition of a query on one numeric field.
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
