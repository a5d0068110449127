package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/query"
	"audittrail/report/document"
)

// verdicts are what the words mean by which reviewers and programs say what a
// review came to.
var verdicts = map[string]string{
	"approved": "approved", "approve": "approved", "accepted": "approved", "confirmed": "approved", "upheld": "approved",
	"changed": "changed", "edited": "changed", "modified": "changed", "corrected": "changed", "overridden": "changed", "override": "changed", "overturned": "changed",
	"rejected": "rejected", "reject": "rejected", "refused": "rejected", "denied": "rejected",
	"escalated": "escalated",
}

// maxReviews is how many of the newest reviews are looked at one by one.
const maxReviews = 1000

// verdictOf is what a review came to: by its label review, or else its category,
// or else the sealed detail verdict.
func verdictOf(r *audittrail.Record) string {
	said := r.Event.Labels["review"]
	if _, known := verdicts[strings.ToLower(r.Event.Category)]; said == "" && known {
		said = r.Event.Category
	}
	if said == "" {
		member(r.Event.Metadata, "verdict", &said)
	}
	if v, known := verdicts[strings.ToLower(said)]; known {
		return v
	}
	if said == "" {
		return "not said"
	}
	return "other"
}

func (m *maker) oversight(s *document.Section) error {
	q := m.base(event.HumanReview)
	q.Limit = maxReviews
	t, err := m.group("reviews", m.base(event.HumanReview), nil, "distinct(subject)")
	if err != nil {
		return err
	}
	reviews := t.n(0, 0)
	figure(s, "reviews", "Reviews", document.CountOf(reviews), "", t.source)
	figure(s, "reviewers", "Reviewers", countValue(t.rows[0][1]), "As the user id of a review names them.", t.source)
	list, source, err := m.find("the newest reviews", q)
	if err != nil {
		return err
	}
	came := make(map[string]int)
	for _, r := range list {
		came[verdictOf(r)]++
	}
	overrides := came["changed"] + came["rejected"]
	note := "Reviews that changed or rejected what a model gave."
	if uint64(reviews) > uint64(len(list)) {
		note += " Of the newest 1,000."
	}
	figure(s, "overrides", "Overrides", document.CountOf(overrides), note, source)
	figure(s, "override_rate", "Share of overrides", document.ShareOf(uint64(overrides), uint64(len(list)-came["not said"])), "Of the reviews that say what they came to.", source)
	var rows [][]document.Value
	for _, v := range []string{"approved", "changed", "rejected", "escalated", "other", "not said"} {
		if came[v] > 0 {
			rows = append(rows, []document.Value{document.TextOf(v), document.CountOf(came[v])})
		}
	}
	if err := m.timeToReview(s, list, source); err != nil {
		return err
	}
	for _, c := range []struct {
		id, label string
		of        event.Type
	}{{"decisions", "Decisions", event.Decision}, {"feedback", "Feedback", event.Feedback}, {"evaluations", "Evaluations", event.Evaluation}} {
		n, q, err := m.count(strings.ToLower(c.label), m.base(c.of))
		if err != nil {
			return err
		}
		figure(s, c.id, c.label, document.CountOf(n), "", q)
	}
	add(s, "verdicts", "What reviews came to", columns("verdict", "reviews+"), rows, "By the label review, or else the category, or else the sealed detail verdict.", source)
	d, err := m.group("decisions by category and outcome", m.base(event.Decision), []string{"category", "outcome"})
	if err != nil {
		return err
	}
	rows = nil
	for i, r := range d.rows {
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(d.n(i, 0))})
	}
	add(s, "decisions_by_category", "Decisions", columns("category", "outcome", "decisions+"), rows, "", d.source)
	return nil
}

// find lists records, the newest first.
func (m *maker) find(text string, q query.Query) ([]*audittrail.Record, string, error) {
	var list []*audittrail.Record
	if m.o.Size > 0 {
		for h, err := range m.engine.Find(m.ctx, q) {
			if err != nil {
				return nil, "", err
			}
			list = append(list, h.Record)
		}
	}
	return list, m.source("find", text, &q, query.Grouping{}, uint64(len(list))), nil
}

// timeToReview is how long after the last answer, block or incident of its trace
// each review came.
func (m *maker) timeToReview(s *document.Section, reviews []*audittrail.Record, source string) error {
	q := m.base(event.Prompt, event.Response, event.Guardrail, event.SafetyIncident)
	q.Start, q.Models = time.Time{}, nil
	seen := make(map[string]bool)
	for _, r := range reviews {
		if id := r.Event.TraceID; id != "" && !seen[id] {
			seen[id] = true
			q.Traces = append(q.Traces, id)
		}
	}
	slices.Sort(q.Traces)
	var waits []int64
	if len(q.Traces) > 0 {
		before := make(map[string][]time.Time)
		for h, err := range m.engine.Find(m.ctx, q) {
			if err != nil {
				return err
			}
			parts, known := h.KnownParts()
			if p := event.Call(&h.Event, parts, known); p == event.CallBegun || p == event.CallUnknown {
				continue // a question
			}
			before[h.Event.TraceID] = append(before[h.Event.TraceID], h.Event.Time)
		}
		for _, r := range reviews {
			wait := int64(-1)
			for _, t := range before[r.Event.TraceID] {
				if d := r.Event.Time.Sub(t).Microseconds(); d >= 0 && (wait < 0 || d < wait) {
					wait = d
				}
			}
			if wait >= 0 {
				waits = append(waits, wait)
			}
		}
	}
	slices.Sort(waits)
	at := func(percent int) document.Value {
		if len(waits) == 0 {
			return document.Value{}
		}
		return document.MicrosOf(waits[max(0, (len(waits)*percent+99)/100-1)])
	}
	note := "From the last answer, guardrail or incident before it in its trace; of " + plural(len(waits), "review", "reviews") + "."
	figure(s, "wait_median", "Time to review, median", at(50), note, source)
	figure(s, "wait_p95", "Time to review, 95th percentile", at(95), "", source)
	return nil
}

// refusals are the finish reasons by which models refuse.
var refusals = []string{"refusal", "content_filter", "safety"}

func (m *maker) safety(s *document.Section) error {
	t, err := m.group("results of guardrails", m.base(event.Guardrail), []string{"category", "outcome"})
	if err != nil {
		return err
	}
	stopped := int64(0)
	var rows [][]document.Value
	for i, r := range t.rows {
		if o := r[1].String(); o == event.OutcomeBlocked || o == event.OutcomeRefused {
			stopped += t.n(i, 0)
		}
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(t.n(i, 0))})
	}
	figure(s, "checks", "Checks by guardrails", document.CountOf(t.total(0)), "", t.source)
	figure(s, "blocked", "that blocked", document.CountOf(stopped), "Outcome blocked or refused.", t.source)
	figure(s, "block_rate", "Share that blocked", document.ShareOf(uint64(stopped), uint64(t.total(0))), "", t.source)
	refused, err := m.group("answers by outcome and finish reason", m.calls(), []string{"outcome", "finish_reason"})
	if err != nil {
		return err
	}
	n := int64(0)
	for i, r := range refused.rows {
		if r[0].String() == event.OutcomeRefused || slices.Contains(refusals, r[1].String()) {
			n += refused.n(i, 0)
		}
	}
	figure(s, "refusals", "Refusals by models", document.CountOf(n), "Outcome refused, or finish reason refusal, content_filter or safety.", refused.source)
	tools, err := m.group("calls of tools", m.base(event.ToolCall, event.ToolResult), []string{"tool", "type", "outcome"})
	if err != nil {
		return err
	}
	calls, denied := int64(0), int64(0)
	for i, r := range tools.rows {
		if r[1].String() == string(event.ToolCall) {
			calls += tools.n(i, 0)
		}
		if o := r[2].String(); o == event.OutcomeBlocked || o == event.OutcomeRefused {
			denied += tools.n(i, 0)
		}
	}
	figure(s, "tool_calls", "Calls of tools", document.CountOf(calls), "", tools.source)
	figure(s, "denied_tools", "Tools denied", document.CountOf(denied), "Outcome blocked or refused.", tools.source)
	add(s, "guardrails", "Guardrails", columns("category", "outcome", "checks+"), rows, "", t.source)
	return m.severities(s)
}

// severities draws safety incidents.
func (m *maker) severities(s *document.Section) error {
	q := m.base(event.SafetyIncident)
	t, err := m.group("safety incidents", q, []string{"severity", "category"})
	if err != nil {
		return err
	}
	figure(s, "incidents", "Safety incidents", document.CountOf(t.total(0)), "", t.source)
	by := make(map[string]int64)
	var rows [][]document.Value
	for i, r := range t.rows {
		by[r[0].String()] += t.n(i, 0)
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(t.n(i, 0))})
	}
	c := document.Chart{ID: s.ID + ".by_severity", Title: "Safety incidents by severity", Kind: document.Bars, Sources: []string{t.source}, Series: []document.Series{{Name: "incidents", Tone: document.Bad}}}
	for _, severity := range append(event.Severities(), "") {
		if severity == "" && by[""] == 0 {
			continue
		}
		c.Labels = append(c.Labels, cmp.Or(severity, "not said"))
		c.Series[0].Values = append(c.Series[0].Values, document.CountOf(by[severity]))
	}
	if t.total(0) > 0 {
		s.Charts = append(s.Charts, c)
	}
	add(s, "by_category", "Safety incidents by severity and category", columns("severity", "category", "incidents+"), rows, "", t.source)
	return m.trend(s, q)
}

// trend draws incidents and blocks over the period.
func (m *maker) trend(s *document.Section, q query.Query) error {
	q.Types = []event.Type{event.SafetyIncident, event.Guardrail}
	q.Outcomes = nil
	ends, err := m.group("first and last of them", q, nil, "min(time)", "max(time)")
	if err != nil {
		return err
	}
	span := bucket(ends.rows[0][1], ends.rows[0][2])
	t, err := m.group("incidents and blocks by "+span, q, []string{span, "type", "outcome"})
	if err != nil {
		return err
	}
	c := document.Chart{ID: s.ID + ".trend", Title: "Incidents and blocks by " + span, Kind: document.Bars, Sources: []string{t.source}, Series: []document.Series{{Name: "blocked by guardrails", Tone: document.Wary}, {Name: "incidents", Tone: document.Bad}}}
	at := make(map[string]int)
	for i, r := range t.rows {
		label := r[0].String()
		if _, ok := at[label]; !ok {
			at[label] = len(c.Labels)
			c.Labels = append(c.Labels, label)
			for j := range c.Series {
				c.Series[j].Values = append(c.Series[j].Values, document.CountOf(0))
			}
		}
		switch o := r[2].String(); {
		case r[1].String() == string(event.SafetyIncident):
			c.Series[1].Values[at[label]].N += t.n(i, 0)
		case o == event.OutcomeBlocked || o == event.OutcomeRefused:
			c.Series[0].Values[at[label]].N += t.n(i, 0)
		}
	}
	if len(c.Labels) > 0 {
		s.Charts = append(s.Charts, c)
	}
	return nil
}
