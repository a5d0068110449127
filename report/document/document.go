// Package document represents the content of a compliance report, without its
// layout: sections of figures, charts and tables, each with its queries.
//
// A [Report] has one encoding ([Report.Encode]), and [Decode] accepts no other.
// A [File] is a report and the log's signature over it. docs/format/report.md
// draws both.
//
// The package computes nothing and looks at no log. That a report is signed
// says that the log's key made it, not that the figures are right: for that
// they are computed again, and [Compare] names those that differ.
package document

import (
	"encoding/json"
	"strings"
	"time"

	"audittrail/event"
)

// Version of the format. Reports of version 1, which have neither organisation,
// witness nor attention, are read as well.
const Version = 2

// A Report is a whole report at one size of the log.
type Report struct {
	Version int    `json:"v"`
	Type    string `json:"type"` // "full", or the one section that was asked for
	Program string `json:"program"`
	Method  int    `json:"method,omitempty"` // how figures are defined: see report.MethodVersion
	Origin  string `json:"origin"`
	Size    uint64 `json:"size"` // records that count
	Root    string `json:"root"` // of the tree over them, in base64
	AsOf    Time   `json:"as_of,omitzero"`
	Start   Time   `json:"start,omitzero"` // of the period; zero if open
	End     Time   `json:"end,omitzero"`
	Model   string `json:"model,omitempty"`
	// Redacted says that the report has no names and nothing that was written
	// about registered things: it was made for somebody who may not read contents.
	Redacted bool `json:"redacted,omitempty"`
	// Pseudonyms says that the tables by person have the subject ids of single
	// people, and not only numbers.
	Pseudonyms bool `json:"pseudonyms,omitempty"`

	Rules        []Rules       `json:"rules,omitempty"`
	Organisation *Organisation `json:"organisation,omitempty"`
	Witness      *Witness      `json:"witness,omitempty"`
	Status       Status        `json:"status"`
	Notices      []Notice      `json:"notices,omitempty"`
	Attention    []Attention   `json:"attention,omitzero"` // never nil since version 2
	Sources      []Source      `json:"sources,omitempty"`
	Sections     []Section     `json:"sections,omitempty"`
}

// An Organisation is what the organisation says of itself: whose systems these
// are, for whom the report is made, and what does not apply to them.
type Organisation struct {
	Name          string          `json:"name,omitempty"`
	Systems       string          `json:"systems,omitempty"`
	For           string          `json:"for,omitempty"`
	NotApplicable []NotApplicable `json:"not_applicable,omitempty"`
}

// A NotApplicable is a control, or a whole rule file, of which the organisation
// says that it does not apply, and why.
type NotApplicable struct {
	Rules  string `json:"rules"`
	Place  string `json:"place,omitempty"` // of a control; empty for the whole file
	Reason string `json:"reason"`
}

// A Witness is the newest checkpoint that somebody outside cosigned, as it was
// given to the program, and the verifier keys of those who did.
type Witness struct {
	Checkpoint string   `json:"checkpoint"` // the signed note
	Keys       []string `json:"keys"`
}

// An Attention is something that somebody must look at, and the section that
// says more about it.
type Attention struct {
	Kind    Concern `json:"kind"`
	Tone    Tone    `json:"tone"`
	Text    string  `json:"text"`
	Section string  `json:"section"`
}

// A Concern is why something needs attention.
type Concern string

// The concerns, in the order in which a report lists them.
const (
	FailedTest   Concern = "failed_test"        // a test of controls does not hold
	Overdue      Concern = "overdue"            // an incident was not reported in time
	Unclassified Concern = "unclassified"       // nobody said what kind a severe incident is
	Unregistered Concern = "unregistered_model" // a model was used and never registered
	Gap          Concern = "producer_gap"       // numbers of a producer never arrived
	ShortKept    Concern = "retention"          // a class is kept shorter than a law asks
	Unwitnessed  Concern = "unwitnessed"        // records that no witness has cosigned
	Unreadable   Concern = "unreadable"         // content that could not be read
)

// Concerns returns all concerns in the order in which a report lists them.
func Concerns() []Concern {
	return []Concern{FailedTest, Overdue, Unclassified, Unregistered, Gap, ShortKept, Unwitnessed, Unreadable}
}

// A Time has one spelling, that of a record.
type Time struct{ time.Time }

// MarshalJSON gives the time in UTC with nine digits of a second.
func (t Time) MarshalJSON() ([]byte, error) {
	return append(event.AppendTime([]byte{'"'}, t.Time), '"'), nil
}

// UnmarshalJSON reads what MarshalJSON gives.
func (t *Time) UnmarshalJSON(in []byte) error {
	var s string
	err := json.Unmarshal(in, &s)
	if err == nil {
		t.Time, err = event.ParseTime(s)
	}
	return err
}

// Status says how far the report can be relied upon.
type Status string

// The statuses of a report.
const (
	Complete   Status = "sound"      // the log verifies, and everything was computed
	Incomplete Status = "incomplete" // something that was asked for could not be had
	Unchecked  Status = "unchecked"  // whether the log was altered could not be found out
	Altered    Status = "altered"    // the log was altered
)

// Rules are a rule file that was used.
type Rules struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Source string `json:"source"`
	AsOf   string `json:"as_of"`  // the day on which it was compared with its source
	Digest string `json:"digest"` // SHA-256 of the file, in hexadecimal
	Note   string `json:"note,omitempty"`
}

// A Notice is shown at the top of the report.
type Notice struct {
	Tone Tone   `json:"tone"`
	Text string `json:"text"`
}

// A Source is where figures come from: a query that can be run again, or
// another look at the log.
type Source struct {
	ID      string          `json:"id"`              // "q1", "q2", …
	Kind    string          `json:"kind"`            // "count", "group", "find", "verify", …
	Query   json.RawMessage `json:"query,omitempty"` // canonical JSON
	Text    string          `json:"text"`            // what it asks, in words
	Command string          `json:"command,omitempty"`
	Records uint64          `json:"records"` // that it covers
}

// A Section is one subject of the report.
type Section struct {
	ID      string     `json:"id"`
	Title   string     `json:"title"`
	Intro   string     `json:"intro"`
	AskedBy []Citation `json:"asked_by,omitempty"`
	Failed  string     `json:"failed,omitempty"` // why it could not be computed

	Figures []Figure `json:"figures,omitempty"`
	Charts  []Chart  `json:"charts,omitempty"`
	Graphs  []Graph  `json:"graphs,omitempty"`
	Tables  []Table  `json:"tables,omitempty"`

	Gaps []string `json:"gaps"` // what the log does not evidence
}

// A Citation is a place in a rule file.
type Citation struct {
	Rules string `json:"rules"`
	Place string `json:"place"` // "Art. 12(1)"
	Title string `json:"title"`
}

// A Figure is one value.
type Figure struct {
	ID      string   `json:"id"` // "usage.calls"
	Label   string   `json:"label"`
	Value   Value    `json:"value"`
	Sources []string `json:"sources"`
	Note    string   `json:"note,omitempty"`
}

// Unknown begins the note of a figure that has no value since it cannot be
// known, and which then says why.
const Unknown = "Not known: "

// Shown returns the value for people to read: in words, if it is not known.
func (f Figure) Shown() Value {
	if f.Value.Kind == Absent && strings.HasPrefix(f.Note, Unknown) {
		return StateOf(Warning, "not known")
	}
	return f.Value
}

// A Table is many values. Total is how many rows there are, where it shows
// fewer.
type Table struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Columns []Column  `json:"columns"`
	Rows    [][]Value `json:"rows,omitempty"`
	Total   uint64    `json:"total,omitempty"`
	Sources []string  `json:"sources"`
	Note    string    `json:"note,omitempty"`
}

// A Column is one of a table's. Numeric ones are aligned to the right.
type Column struct {
	Name    string `json:"name"`
	Numeric bool   `json:"numeric,omitempty"`
}

// A Chart is values over common labels.
type Chart struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Kind    string   `json:"kind"` // "bars", "lines" or "stack"
	Labels  []string `json:"labels"`
	Series  []Series `json:"series"`
	Sources []string `json:"sources"`
}

// The kinds of charts.
const (
	Bars  = "bars"  // next to one another
	Stack = "stack" // on one another
	Lines = "lines"
)

// A Series is the values of one name, one for each label of its chart.
type Series struct {
	Name   string  `json:"name"`
	Tone   Tone    `json:"tone,omitempty"`
	Values []Value `json:"values"`
}

// A Graph is things and what leads from one to another.
type Graph struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Nodes   []Node   `json:"nodes,omitempty"`
	Edges   [][2]int `json:"edges,omitempty"` // indexes of nodes
	Sources []string `json:"sources"`
	Note    string   `json:"note,omitempty"`
}

// A Node is one thing in a graph. Nodes of one layer are drawn in one column.
type Node struct {
	Label string `json:"label"`
	Kind  string `json:"kind"`
	Layer int    `json:"layer"`
	Tone  Tone   `json:"tone,omitempty"`
}

// A Tone says how something is to be taken.
type Tone string

// The tones.
const (
	Good    Tone = "good"
	Warning Tone = "wary"
	Bad     Tone = "bad"
	Plain   Tone = "plain"
	Dim     Tone = "dim"
)

// Section returns the section of that name, or nil.
func (r *Report) Section(id string) *Section {
	for i := range r.Sections {
		if r.Sections[i].ID == id {
			return &r.Sections[i]
		}
	}
	return nil
}

// Figure returns the figure of that name.
func (r *Report) Figure(id string) (Figure, bool) {
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			if f.ID == id {
				return f, true
			}
		}
	}
	return Figure{}, false
}
