package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"audittrail"
	"audittrail/event"
	"audittrail/lineage"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
)

// CaseType is the type of a report on one case, which GenerateCase makes.
const CaseType = "case"

// A Case is what a report on one case is about: the records of a trace, about a
// person, or around one of them.
type Case struct {
	// Description is what the case is, in words: "the trace 4bf9…".
	Description string
	// Records are those of the case, in the order of the log, as the caller may see
	// them: other content is redacted. More says that others follow.
	Records []*record.Record
	More    bool
}

// MaxCase is how many records a report on a case has at most.
const MaxCase = maxRows

// buildCase computes the report on one case: questions and answers, the
// model with the data it was trained on, reviews, and actions. It contains the
// records with their contents and hashes. Of o, it uses the program, the size,
// Redacted, Pseudonyms and Progress.
func buildCase(ctx context.Context, log *audittrail.Log, o Options, c Case) (*document.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &maker{ctx: ctx, log: log, engine: query.New(log), answers: make(map[string]*query.Table), o: Options{
		Type: CaseType, Program: o.Program, Size: o.Size, Redacted: o.Redacted, Pseudonyms: o.Pseudonyms, Progress: o.Progress,
	}}
	err := m.begin()
	if err == nil {
		err = m.findOwn()
	}
	if err == nil {
		err = m.caseSections(&c)
	}
	var b []byte
	if err == nil {
		b, err = m.doc.Encode()
	}
	var r *document.Report
	if err == nil {
		r, err = document.Decode(b) // in the form that a file has it in
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

func (m *maker) caseSections(c *Case) error {
	m.look()
	after := m.doc.Notices
	m.doc.Notices = nil
	m.verify()() // what it found stands first
	m.doc.Notices = append(m.doc.Notices, after...)
	c.Records = slices.DeleteFunc(slices.Clone(c.Records), func(r *record.Record) bool { return r.Seq >= m.o.Size })
	source := m.source("find", "the records of the case, as far as the person who asked for the report may see them", nil, query.Grouping{}, uint64(len(c.Records)))
	for _, k := range []kind{
		{"case", "Case", "What the log has of " + c.Description + ": questions and answers, the model and its data, reviews, and actions.", func(m *maker, s *document.Section) error {
			m.caseSection(s, c, source)
			return nil
		}},
		kinds[place("integrity")],
	} {
		if err := m.section(&k); err != nil {
			return err
		}
	}
	m.sayFailed()
	m.attention()
	return m.ctx.Err()
}

func (m *maker) caseSection(s *document.Section, c *Case, source string) {
	n, note := document.CountOf(len(c.Records)), ""
	if c.More {
		note = "Those that were recorded first; there are more."
	}
	figure(s, "records", "Records", n, note, source)
	var first, last time.Time
	people := make(map[record.Subject]bool)
	hidden := make(map[string]int)
	for _, r := range c.Records {
		if at := r.Event.Time; first.IsZero() || at.Before(first) {
			first = at
		}
		if r.Event.Time.After(last) {
			last = r.Event.Time
		}
		if !m.people.known || r.Subject != m.people.own {
			people[r.Subject] = true
		}
		if r.State != record.Readable {
			hidden[r.State.String()]++
		}
	}
	figure(s, "first", "First", document.TimeOf(first), "", source)
	figure(s, "last", "Last", document.TimeOf(last), "", source)
	count, why := document.CountOf(len(people)), "Without the log's own subject, which records about nobody have."
	if !m.people.known {
		count, why = document.Value{}, document.Unknown+"which subject is the log's own, only the keyring tells."
	}
	figure(s, "people", "People whom it is about", count, why, source)
	unread, states := 0, []string{}
	for _, state := range []record.State{record.Erased, record.Expired, record.Restricted, record.Sealed, record.Lost} {
		if n := hidden[state.String()]; n > 0 {
			unread += n
			states = append(states, fmt.Sprintf("%d %s", n, state))
		}
	}
	figure(s, "unread", "Records whose content is not shown", document.CountOf(unread), strings.Join(states, ", "), source)
	m.caseWords(s, c, source)
	m.caseModels(s, c, source)
	m.caseReviews(s, c, source)
	m.caseActs(s, c, source)
	var rows [][]document.Value
	for _, r := range c.Records {
		row := []document.Value{document.CountOf(r.Seq), document.TimeOf(r.Event.Time), document.TextOf(words(string(r.Event.Type)))}
		if m.o.Pseudonyms {
			row = append(row, m.pseudonym(r))
		}
		rows = append(rows, append(row, document.TextOf(r.State.String()), document.CodeOf(r.Hash.String())))
	}
	add(s, "records_table", "Its records", m.columns("record+", "time", "what", "holder", "content", "hash"), rows, "'audittrail show' shows one, and 'audittrail prove' proves that the log has it.", source)
	if m.o.Pseudonyms {
		t := &s.Tables[len(s.Tables)-1]
		t.Columns[3].Name = "about"
	}
}

// maxSaid is how many characters of a text a report on a case has.
const maxSaid = 4000

// said is a text of a record, as far as the report has it.
func said(r *record.Record, text string) document.Value {
	if utf8.RuneCountInString(text) <= maxSaid {
		return document.TextOf(text)
	}
	all := []rune(text)
	return document.TextOf(string(all[:maxSaid]) + fmt.Sprintf("… (%s more characters: audittrail show %d)", document.Thousands(int64(len(all)-maxSaid)), r.Seq))
}

// caseWords is what was asked and answered, word for word.
func (m *maker) caseWords(s *document.Section, c *Case, source string) {
	var rows [][]document.Value
	for _, r := range c.Records {
		e := &r.Event
		switch e.Type {
		case event.Prompt, event.Response, event.Embedding, event.Failure, event.Decision:
		default:
			continue
		}
		put := func(what string, v document.Value) {
			rows = append(rows, []document.Value{document.TimeOf(e.Time), document.CountOf(r.Seq), document.TextOf(what), v})
		}
		if r.State != record.Readable {
			put(words(string(e.Type)), document.StateOf(document.Warning, "its content is "+r.State.String()))
			continue
		}
		some := false
		for _, part := range []struct{ what, text string }{
			{"instructions", e.SystemInstructions},
			{"asked", e.Prompt},
			{"messages in", string(e.InputMessages)},
			{"answered", e.Response},
			{"messages out", string(e.OutputMessages)},
			{"error", e.Error},
		} {
			if part.text != "" {
				some = true
				put(part.what, said(r, part.text))
			}
		}
		if !some {
			put(words(string(e.Type)), document.StateOf(document.Plain, "no words are recorded"))
		}
	}
	add(s, "words", "What was asked, and what was answered", columns("time", "record+", "what", "words"), rows, "", source)
}

// joined joins texts, one on each line.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), "\n")
}

// caseModels is by which models, and what these were made of.
func (m *maker) caseModels(s *document.Section, c *Case, source string) {
	type name struct{ model, version, provider, deployment string }
	var names []name
	events, calls := make(map[name]int), make(map[name]int)
	for _, r := range c.Records {
		e := &r.Event
		n := name{e.ModelID, e.ModelVersion, e.Provider, e.DeploymentID}
		if n.model == "" {
			continue
		}
		if events[n] == 0 {
			names = append(names, n)
		}
		events[n]++
		parts, known := r.KnownParts()
		switch event.Call(e, parts, known) {
		case event.CallComplete, event.CallResponse, event.CallFailed:
			calls[n]++
		}
	}
	q := m.administrative(lineageTypes...)
	var rows [][]document.Value
	for _, n := range names {
		state, data, runs := document.StateOf(document.Warning, "not registered"), []string{}, []string{}
		if m.graphErr != nil {
			state = document.StateOf(document.Warning, "not known: the registered entities cannot be read")
		} else if node := m.versionOf(n.model, n.version); node != nil {
			state = document.StateOf(document.Good, "registered")
			if node.Retired != nil {
				state = document.StateOf(document.Plain, "registered, retired")
			}
			for _, up := range m.graph.Walk([]*lineage.Node{node}, lineage.Upstream, 0) {
				switch up.Kind {
				case lineage.KindDataset:
					data = append(data, up.Label())
				case lineage.KindRun:
					runs = append(runs, up.Label())
				}
			}
		}
		rows = append(rows, []document.Value{
			document.TextOf(n.model), document.TextOf(n.version), document.TextOf(n.provider), document.TextOf(n.deployment), document.CountOf(events[n]), document.CountOf(calls[n]),
			state, distinctText(runs), distinctText(data),
		})
	}
	add(s, "models", "The model and its data", columns("model", "version", "provider", "deployment", "records+", "answers+", "state", "runs", "datasets"), rows,
		"Answers: records that carry an answer, or an error in its place. Runs and datasets: all upstream of the version, as registered.", source, q)
}

// versionOf is the registered version of a model, or nil.
func (m *maker) versionOf(model, version string) *lineage.Node {
	for n := range m.graph.Nodes() {
		if v, ok := n.Entity.(*lineage.ModelVersion); ok && v.Name == model && v.Version == version {
			return n
		}
	}
	return nil
}

// caseReviews is who looked at it.
func (m *maker) caseReviews(s *document.Section, c *Case, source string) {
	numbers := make(map[record.Subject]int)
	var rows [][]document.Value
	reviews := 0
	for _, r := range c.Records {
		e := &r.Event
		verdict := document.TextOf(e.Outcome)
		switch e.Type {
		case event.HumanReview:
			reviews++
			verdict = document.TextOf(verdictOf(r))
		case event.Feedback, event.Evaluation:
		default:
			continue
		}
		who := document.TextOf("nobody named")
		if r.Actor != (record.Subject{}) {
			if numbers[r.Actor] == 0 {
				numbers[r.Actor] = len(numbers) + 1
			}
			who = document.TextOf("person " + strconv.Itoa(numbers[r.Actor]))
			if m.o.Pseudonyms {
				who = document.CodeOf(r.Actor.String())
			}
		}
		text := document.StateOf(document.Warning, "its content is "+r.State.String())
		if r.State == record.Readable {
			text = said(r, joined(e.Prompt, e.Response, metadataText(e)))
		}
		rows = append(rows, []document.Value{document.TimeOf(e.Time), document.CountOf(r.Seq), document.TextOf(words(string(e.Type))), who, verdict, document.TextOf(e.Category), text})
	}
	figure(s, "reviews", "Reviews by people", document.CountOf(reviews), "", source)
	add(s, "looked", "Who looked at it", columns("time", "record+", "what", "who", "verdict", "category", "words"), rows, "'audittrail access history --reads' lists the people who read its records in the log.", source)
}

// metadataText is the further details of an event, sorted.
func metadataText(e *event.Event) string {
	var parts []string
	for k, raw := range e.Metadata {
		text := string(raw)
		var s string
		if member(e.Metadata, k, &s) {
			text = s
		}
		parts = append(parts, k+": "+text)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// caseActs is what was done: by tools and guardrails, decided, and recorded as an
// incident; and which hold keeps it.
func (m *maker) caseActs(s *document.Section, c *Case, source string) {
	holds := m.holdsInForce()
	held := 0
	var rows [][]document.Value
	for _, r := range c.Records {
		e := &r.Event
		hold := heldText(holds, e)
		if hold != "" {
			held++
		}
		switch e.Type {
		case event.Prompt, event.Response, event.Embedding, event.HumanReview, event.Feedback, event.Evaluation:
			continue
		}
		text := document.StateOf(document.Warning, "its content is "+r.State.String())
		if r.State == record.Readable {
			var tool string
			if e.Tool != nil {
				tool = joined(string(e.Tool.Arguments), string(e.Tool.Result))
			}
			text = said(r, joined(tool, e.Prompt, e.Response, string(e.InputMessages), string(e.OutputMessages), e.Error, metadataText(e)))
		}
		what := words(string(e.Type))
		if e.Tool != nil && e.Tool.Name != "" {
			what += " " + e.Tool.Name
		}
		rows = append(rows, []document.Value{document.TimeOf(e.Time), document.CountOf(r.Seq), document.TextOf(what), document.TextOf(e.Category), document.TextOf(e.Severity), document.TextOf(e.Outcome), text})
	}
	q := m.administrative(event.HoldPlaced, event.HoldReleased)
	figure(s, "held", "Records that a hold on a model, class or time keeps", document.CountOf(held), "Holds on a person by name are not told here: 'audittrail gdpr status' tells.", source, q)
	add(s, "done", "What was done", columns("time", "record+", "what", "category", "severity", "outcome", "details"), rows, "", source)
}

// caseRecords returns the records that a report on a case has, by their numbers, with
// their hashes.
func caseRecords(r *document.Report) (map[uint64]string, error) {
	s := r.Section("case")
	if s == nil {
		return nil, errors.New("the report is not about a case")
	}
	all := make(map[uint64]string)
	for _, t := range s.Tables {
		if t.ID != "case.records_table" {
			continue
		}
		for _, row := range t.Rows {
			if len(row) < 2 || row[0].Kind != document.Count || row[len(row)-1].Kind != document.Code {
				return nil, errors.New("its table of records has another form")
			}
			all[uint64(row[0].N)] = row[len(row)-1].Text
		}
	}
	return all, nil
}
