package report

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
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

// unread is what a review came to that says it in a part that cannot be read.
const unread = "not known"

// verdictOf is what a review came to: by its label review, or else its category,
// or else the sealed detail verdict.
func verdictOf(r *record.Record) string {
	said := r.Event.Labels["review"]
	if _, known := verdicts[strings.ToLower(r.Event.Category)]; said == "" && known {
		said = r.Event.Category
	}
	if said == "" && r.State != record.Readable {
		return unread
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

// reviewCounts is what some reviews came to.
type reviewCounts map[string]int

// overrides are those that changed or rejected what a model gave.
func (t reviewCounts) overrides() int { return t["changed"] + t["rejected"] }

// said are those that say what they came to.
func (t reviewCounts) said() int {
	n := 0
	for v, of := range t {
		if v != "not said" && v != unread {
			n += of
		}
	}
	return n
}

func (t reviewCounts) all() int {
	n := 0
	for _, of := range t {
		n += of
	}
	return n
}

func (t reviewCounts) share() document.Value {
	return document.ShareOf(uint64(t.overrides()), uint64(t.said()))
}

func (m *maker) oversight(s *document.Section) error {
	q := m.base(event.HumanReview)
	q.Limit = maxReviews
	t, err := m.group("reviews", m.base(event.HumanReview), nil, "distinct(actor_subject)", "count(actor_subject)")
	if err != nil {
		return err
	}
	reviews, named := t.n(0, 0), t.n(0, 2)
	figure(s, "reviews", "Reviews", document.CountOf(reviews), "", t.source)
	reviewers, note := ofThoseThatSay(t.n(0, 1), named, reviews, "People named as who acted in a review.", "an actor")
	figure(s, "reviewers", "Reviewers", reviewers, note, t.source)
	figure(s, "reviews_by_nobody", "Reviews by nobody named", document.CountOf(reviews-named), "The review names no actor. Its user is whom it is about.", t.source)
	list, source, err := m.find("the newest reviews", q)
	if err != nil {
		return err
	}
	came := make(reviewCounts)
	for _, r := range list {
		came[verdictOf(r)]++
	}
	newest := ""
	if uint64(reviews) > uint64(len(list)) {
		newest = " Of the newest 1,000."
	}
	overrides, note := ofThoseThatSay(int64(came.overrides()), int64(came.said()), int64(len(list)), "Reviews that changed or rejected what a model gave."+newest, "a verdict")
	figure(s, "overrides", "Overrides", overrides, note, source)
	figure(s, "override_rate", "Share of overrides", came.share(), "Of the reviews that say what they came to."+newest, source)
	var rows [][]document.Value
	for _, v := range []string{"approved", "changed", "rejected", "escalated", "other", "not said", unread} {
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
	}{{"decisions", "Decisions", event.Decision}, {"feedback", "Feedback", event.Feedback}} {
		n, q, err := m.count(strings.ToLower(c.label), m.base(c.of))
		if err != nil {
			return err
		}
		figure(s, c.id, c.label, document.CountOf(n), "", q)
	}
	add(s, "verdicts", "What reviews came to", columns("verdict", "reviews+"), rows, "By the label review, or else the category, or else the sealed detail verdict; not known is what only the sealed detail tells, and it cannot be read."+newest, source)
	m.byReviewer(s, list, source, newest)
	d, err := m.group("decisions by category and outcome", m.base(event.Decision), []string{"category", "outcome"})
	if err != nil {
		return err
	}
	rows = nil
	for i, r := range d.rows {
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(d.n(i, 0))})
	}
	add(s, "decisions_by_category", "Decisions", columns("category", "outcome", "decisions+"), rows, "", d.source)
	return m.evaluations(s)
}

// byReviewer lists reviewers, those with the most reviews first. Only a
// report with pseudonyms tells them apart by subject id.
func (m *maker) byReviewer(s *document.Section, list []*record.Record, source, newest string) {
	by, last := make(map[record.Subject]reviewCounts), make(map[record.Subject]time.Time)
	for _, r := range list {
		if r.Actor == (record.Subject{}) {
			continue
		}
		if by[r.Actor] == nil {
			by[r.Actor] = make(reviewCounts)
		}
		by[r.Actor][verdictOf(r)]++
		if r.Event.Time.After(last[r.Actor]) {
			last[r.Actor] = r.Event.Time
		}
	}
	all := slices.SortedFunc(maps.Keys(by), func(a, b record.Subject) int {
		return cmp.Or(cmp.Compare(by[b].all(), by[a].all()), bytes.Compare(a[:], b[:]))
	})
	var rows [][]document.Value
	for i, reviewer := range all {
		t := by[reviewer]
		who := document.TextOf("reviewer " + strconv.Itoa(i+1))
		if m.o.Pseudonyms {
			who = document.CodeOf(reviewer.String())
		}
		overrides := document.Value{}
		if t.said() > 0 {
			overrides = document.CountOf(t.overrides())
		}
		rows = append(rows, []document.Value{who, document.CountOf(t.all()), overrides, t.share(), document.TimeOf(last[reviewer])})
	}
	add(s, "by_reviewer", "Reviewers", columns("reviewer", "reviews+", "overrides+", "share of overrides+", "last"), rows, "Those named as who acted."+newest, source)
}

// find lists records, the newest first.
func (m *maker) find(text string, q query.Query) ([]*record.Record, string, error) {
	var list []*record.Record
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
func (m *maker) timeToReview(s *document.Section, reviews []*record.Record, source string) error {
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
			if p := event.Call(&h.Event, parts, known); p == event.CallRequest || p == event.CallUnknown {
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
	if len(waits) == 0 && len(reviews) > 0 {
		note = "Not known: no review is in a trace with an answer, a guardrail or an incident before it."
	}
	figure(s, "wait_median", "Time to review, median", at(50), note, source)
	figure(s, "wait_p95", "Time to review, 95th percentile", at(95), "", source)
	return nil
}

// refusing are the finish reasons by which models refuse.
var refusing = []string{"refusal", "content_filter", "safety"}

func (m *maker) safety(s *document.Section) error {
	t, err := m.group("results of guardrails", m.base(event.Guardrail), []string{"category", "outcome"})
	if err != nil {
		return err
	}
	stopped, said := int64(0), int64(0)
	var rows [][]document.Value
	for i, r := range t.rows {
		if r[1].Kind() != query.Absent {
			said += t.n(i, 0)
		}
		if o := r[1].String(); o == event.OutcomeBlocked || o == event.OutcomeRefused {
			stopped += t.n(i, 0)
		}
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(t.n(i, 0))})
	}
	figure(s, "checks", "Checks by guardrails", document.CountOf(t.total(0)), "", t.source)
	blocked, note := ofThoseThatSay(stopped, said, t.total(0), "Outcome blocked or refused.", "an outcome")
	figure(s, "blocked", "that blocked", blocked, note, t.source)
	figure(s, "block_rate", "Share that blocked", document.ShareOf(uint64(stopped), uint64(said)), "", t.source)
	refused, err := m.group("answers by outcome and finish reason", m.calls(), []string{"outcome", "finish_reason"})
	if err != nil {
		return err
	}
	n, said := int64(0), int64(0)
	for i, r := range refused.rows {
		if r[0].Kind() != query.Absent || r[1].Kind() != query.Absent {
			said += refused.n(i, 0)
		}
		if r[0].String() == event.OutcomeRefused || slices.Contains(refusing, r[1].String()) {
			n += refused.n(i, 0)
		}
	}
	refusals, note := ofThoseThatSay(n, said, refused.total(0), "Outcome refused, or finish reason refusal, content_filter or safety.", "an outcome or finish reason")
	figure(s, "refusals", "Refusals by models", refusals, note, refused.source)
	tools, err := m.group("calls of tools", m.base(event.ToolCall, event.ToolResult), []string{"tool", "type", "outcome"})
	if err != nil {
		return err
	}
	calls, denied, said := int64(0), int64(0), int64(0)
	for i, r := range tools.rows {
		if r[2].Kind() != query.Absent {
			said += tools.n(i, 0)
		}
		if r[1].String() == string(event.ToolCall) {
			calls += tools.n(i, 0)
		}
		if o := r[2].String(); o == event.OutcomeBlocked || o == event.OutcomeRefused {
			denied += tools.n(i, 0)
		}
	}
	figure(s, "tool_calls", "Calls of tools", document.CountOf(calls), "", tools.source)
	stops, note := ofThoseThatSay(denied, said, tools.total(0), "Outcome blocked or refused.", "an outcome")
	figure(s, "denied_tools", "Tools denied", stops, note, tools.source)
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
	x := m.axisOf(ends.rows[0][1], ends.rows[0][2])
	t, err := m.group("incidents and blocks by "+x.span, q, []string{x.span, "type", "outcome"})
	if err != nil {
		return err
	}
	blocks, incidents := m.zeros(x), m.zeros(x)
	for i, r := range t.rows {
		series := blocks
		switch o := r[2].String(); {
		case r[1].String() == string(event.SafetyIncident):
			series = incidents
		case o != event.OutcomeBlocked && o != event.OutcomeRefused:
			continue
		}
		if at, ok := x.place(r[0], t.n(i, 0)); ok {
			addTo(series, at, t.n(i, 0))
		}
	}
	if len(x.labels) > 0 {
		s.Charts = append(s.Charts, document.Chart{
			ID: s.ID + ".trend", Title: x.title("Incidents and blocks"), Kind: document.Bars, Labels: x.labels, Sources: []string{t.source},
			Series: []document.Series{{Name: "blocked by guardrails", Tone: document.Warning, Values: blocks}, {Name: "incidents", Tone: document.Bad, Values: incidents}},
		})
	}
	return nil
}
