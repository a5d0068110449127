package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"audittrail/event"
	"audittrail/query"
	"audittrail/report/document"
)

// failures are the outcomes of calls that failed.
var failures = []string{event.OutcomeError, event.OutcomeTimeout, event.OutcomeCancelled}

// failed narrows a query down to what failed: by its outcome, or as an error.
func failed(q query.Query) query.Query {
	q.Filter = `outcome in ["error", "timeout", "cancelled"] || type == "error" && !present(outcome)`
	return q
}

// outcomes are what records came to, of those that say.
type outcomes struct {
	of     map[string]int64 // by outcome; an error without one has the outcome error
	said   int64
	all    int64
	source string
}

func (m *maker) outcomes(text string, q query.Query) (*outcomes, error) {
	t, err := m.group(text, q, []string{"type", "outcome"})
	if err != nil {
		return nil, err
	}
	o := &outcomes{of: make(map[string]int64), all: t.total(0), source: t.source}
	for i, r := range t.rows {
		if outcome := outcomeOf(r[0], r[1]); outcome != "" {
			o.of[outcome] += t.n(i, 0)
			o.said += t.n(i, 0)
		}
	}
	return o, nil
}

// outcomeOf is the outcome of records of a type: an error needs not say it.
func outcomeOf(typ, outcome query.Value) string {
	if outcome.Kind() == query.Absent && typ.String() == string(event.Failure) {
		return event.OutcomeError
	}
	return outcome.String()
}

// failed is how many failed.
func (o *outcomes) failed() int64 {
	n := int64(0)
	for _, f := range failures {
		n += o.of[f]
	}
	return n
}

// number is how many came to something, with what must be said of it: it is not
// known if none of them says what it came to.
func (o *outcomes) number(n int64, note string) (document.Value, string) {
	return ofThoseThatSay(n, o.said, o.all, note, "an outcome")
}

// ofThoseThatSay is a number of some of all records of a kind, where only those
// that say something can be counted for it.
func ofThoseThatSay(n, said, all int64, note, what string) (document.Value, string) {
	switch {
	case all > 0 && said == 0:
		return document.Value{}, fmt.Sprintf("%snone of the %s states %s.", document.Unknown, document.Thousands(all), what)
	case said < all:
		return document.CountOf(n), strings.TrimSpace(note + fmt.Sprintf(" Of the %s of %s that state %s.", document.Thousands(said), document.Thousands(all), what))
	}
	return document.CountOf(n), note
}

func (m *maker) usage(s *document.Section) error {
	calls := m.calls()
	aggregates := []string{
		"sum(input_tokens)", "sum(output_tokens)", "sum(cached_tokens)", "sum(reasoning_tokens)", "p50(latency_ms)", "p95(latency_ms)", "p99(latency_ms)", "min(time)", "max(time)",
		"count(input_tokens)", "count(output_tokens)", "count(cached_tokens)", "count(reasoning_tokens)", "count(latency_ms)", m.distinctPeople(),
	}
	all, err := m.group("all calls", calls, nil, aggregates...)
	if err != nil {
		return err
	}
	r, total := all.rows[0], all.n(0, 0)
	unknown, source, err := m.unknownCalls()
	if err != nil {
		return err
	}
	n, note := document.CountOf(total), ""
	switch {
	case unknown > 0 && total == 0:
		n, note = document.Value{}, "Not known: no prompt has a cleartext field that tells whether it was answered, and their content cannot be read."
	case unknown > 0:
		note = "At least so many: there are prompts of which it is not known."
	}
	figure(s, "calls", "Calls", n, note, all.source)
	if unknown > 0 {
		figure(s, "calls_unknown", "Prompts that may be calls", document.CountOf(unknown), "Recorded in the first format, which does not say whether a prompt carries its answer; their content is out of reach.", source)
	}
	if err := m.failedCalls(s); err != nil {
		return err
	}
	for i, f := range []struct{ id, label, what string }{{"input_tokens", "Input tokens", "input tokens"}, {"output_tokens", "Output tokens", "output tokens"}, {"cached_tokens", "of the input from a cache", "tokens from a cache"}, {"reasoning_tokens", "of the output for reasoning", "tokens for reasoning"}} {
		v, note := ofThoseThatSay(r[i+1].Int(), all.n(0, 10+i), total, "", f.what)
		figure(s, f.id, f.label, v, note, all.source)
	}
	_, note = ofThoseThatSay(0, all.n(0, 14), total, "", "a latency")
	for i, f := range []struct{ id, label string }{{"p50", "Latency, median"}, {"p95", "Latency, 95th percentile"}, {"p99", "Latency, 99th percentile"}} {
		figure(s, f.id, f.label, latencyValue(r[i+5]), note, all.source)
	}
	if err := m.callsByPerson(s, calls, all); err != nil {
		return err
	}
	if err := m.byTime(s, calls, m.axisOf(r[8], r[9])); err != nil {
		return err
	}
	if err := m.byModel(s, calls); err != nil {
		return err
	}
	return m.byCost(s, calls)
}

// failedCalls tells how many calls failed. A call with an answer that states no
// outcome did not fail.
func (m *maker) failedCalls(s *document.Section) error {
	o, err := m.outcomes("what calls came to", m.calls())
	if err != nil {
		return err
	}
	note := "Outcome error, timeout or cancelled, or an error in the place of an answer."
	if silent := o.all - o.said; silent > 0 {
		note += fmt.Sprintf(" %s without an outcome are taken as answered.", plural(int(silent), "answer", "answers"))
	}
	figure(s, "failed", "Calls that failed", document.CountOf(o.failed()), note, o.source)
	figure(s, "failure_rate", "Share that failed", document.ShareOf(uint64(o.failed()), uint64(o.all)), "", o.source)
	return nil
}

// maybeCalls counts the prompts of which it is not known whether they are calls.
func (m *maker) maybeCalls() (uint64, error) {
	if m.maybe == nil {
		n := uint64(0)
		if m.o.Size > 0 {
			var err error
			if n, err = m.engine.CountUnknownCalls(m.ctx, m.base()); err != nil {
				return 0, err
			}
		}
		m.maybe = &n
	}
	return *m.maybe, nil
}

// onlyMaybe is maybeCalls where no call is known, and otherwise 0.
func (m *maker) onlyMaybe() (uint64, error) {
	if m.only == nil {
		n, err := m.maybeCalls()
		if err == nil && n > 0 {
			var known uint64
			if known, err = m.engine.Count(m.ctx, m.calls()); known > 0 {
				n = 0
			}
		}
		if err != nil {
			return 0, err
		}
		m.only = &n
	}
	return *m.only, nil
}

// unknownCalls is maybeCalls with its source.
func (m *maker) unknownCalls() (uint64, string, error) {
	n, err := m.maybeCalls()
	if n == 0 || err != nil {
		return 0, "", err
	}
	q := m.base()
	return n, m.source("joined", "prompts of which it is not known whether they carry their answer", &q, query.Grouping{}, n), nil
}

// byTime draws the calls and their latency over the period.
func (m *maker) byTime(s *document.Section, calls query.Query, x *axis) error {
	t, err := m.group("calls by "+x.span, calls, []string{x.span}, "p50(latency_ms)", "p95(latency_ms)", "p99(latency_ms)")
	if err != nil {
		return err
	}
	b, err := m.group("calls that failed by "+x.span, failed(calls), []string{x.span})
	if err != nil {
		return err
	}
	others, bad := m.zeros(x), m.zeros(x)
	latency := make([][]document.Value, 3)
	for j := range latency {
		latency[j] = make([]document.Value, len(x.labels)) // of no calls there is none
	}
	for i, r := range t.rows {
		at, ok := x.place(r[0], t.n(i, 0))
		if !ok {
			continue
		}
		addTo(others, at, t.n(i, 0))
		for j := range latency {
			latency[j][at] = latencyValue(r[2+j])
		}
	}
	for i, r := range b.rows {
		if at, ok := x.at[r[0].String()]; ok {
			addTo(bad, at, b.n(i, 0))
			addTo(others, at, -b.n(i, 0))
		}
	}
	if len(x.labels) > 0 {
		s.Charts = append(s.Charts,
			document.Chart{ID: s.ID + ".over_time", Title: x.title("Calls"), Kind: document.Stack, Labels: x.labels, Sources: []string{t.source, b.source}, Series: []document.Series{{Name: "others", Values: others}, {Name: "failed", Tone: document.Bad, Values: bad}}},
			document.Chart{ID: s.ID + ".latency", Title: x.title("Latency"), Kind: document.Lines, Labels: x.labels, Sources: []string{t.source}, Series: []document.Series{{Name: "median", Values: latency[0]}, {Name: "95th percentile", Values: latency[1]}, {Name: "99th percentile", Values: latency[2]}}})
	}
	return nil
}

func (m *maker) byModel(s *document.Section, calls query.Query) error {
	t, err := m.group("calls by model", calls, []string{"model_id", "model_version"}, "sum(input_tokens)", "sum(output_tokens)", "p50(latency_ms)", "p95(latency_ms)")
	if err != nil {
		return err
	}
	o, err := m.group("what calls came to by model", calls, []string{"model_id", "model_version", "type", "outcome"})
	if err != nil {
		return err
	}
	bad := make(map[[2]string]int64)
	for i, r := range o.rows {
		if slices.Contains(failures, outcomeOf(r[2], r[3])) {
			bad[[2]string{r[0].String(), r[1].String()}] += o.n(i, 0)
		}
	}
	var rows [][]document.Value
	for i, r := range t.rows {
		rows = append(rows, []document.Value{
			textValue(r[0]), textValue(r[1]), document.CountOf(t.n(i, 0)), document.CountOf(bad[[2]string{r[0].String(), r[1].String()}]),
			countValue(r[3]), countValue(r[4]), latencyValue(r[5]), latencyValue(r[6]),
		})
	}
	mostFirst(rows, 2)
	add(s, "by_model", "By model", columns("model", "version", "calls+", "failed+", "input tokens+", "output tokens+", "median+", "95th percentile+"), rows, "", t.source, o.source)
	return nil
}

func (m *maker) byCost(s *document.Section, calls query.Query) error {
	t, err := m.group("what calls cost", calls, []string{"currency", "model_id"}, "sum(cost)")
	if err != nil {
		return err
	}
	var rows [][]document.Value
	for i, r := range t.rows {
		if r[0].Kind() != query.Absent {
			rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(t.n(i, 0)), costValue(r[3], r[0].String())})
		}
	}
	add(s, "cost", "Cost, of the calls that say", columns("currency", "model", "calls+", "cost+"), rows, "", t.source)
	return nil
}

// maxPeople is up to how many people calls are counted by person: a query has no
// more rows.
const maxPeople = 900_000

// callsByPerson tells how calls are spread over people.
func (m *maker) callsByPerson(s *document.Section, calls query.Query, all *table) error {
	n, note := m.peopleValue(all.rows[0][15])
	figure(s, "people", "People whom calls are about", n, note, all.source)
	many := all.n(0, 15) > maxPeople
	if !m.people.known || many {
		why := note
		if many {
			why = "Not known: too many people to count the calls of each."
		}
		figure(s, "about_nobody", "Calls about nobody", document.Value{}, cmp.Or(why, "Not known: which subject is the log's own, only the keyring tells."), all.source)
		return nil
	}
	t, err := m.group("calls by data subject", calls, []string{"subject"}, "sum(input_tokens)", "sum(output_tokens)", "max(time)")
	if err != nil {
		return err
	}
	nobody := int64(0)
	var rows [][]document.Value
	for i, r := range t.rows {
		if m.isOwn(r[0]) {
			nobody = t.n(i, 0)
			continue
		}
		rows = append(rows, []document.Value{document.CodeOf(r[0].String()), document.CountOf(t.n(i, 0)), countValue(r[2]), countValue(r[3]), timeValue(r[4])})
	}
	figure(s, "about_nobody", "Calls about nobody", document.CountOf(nobody), "Their events name no user.", t.source)
	add(s, "by_people", "People by how many calls are about them", columns("calls of one person", "people+", "calls+"), m.distribution(t), "", t.source)
	if !m.o.Pseudonyms {
		return nil
	}
	mostFirst(rows, 1)
	const shown = 50
	total := len(rows)
	add(s, "by_subject", "By data subject, those with the most calls", columns("subject", "calls+", "input tokens+", "output tokens+", "last"), rows[:min(shown, total)], "A subject id represents a person in the log; 'audittrail gdpr status' leads from one to the other until the person is erased.", t.source)
	if total > shown {
		s.Tables[len(s.Tables)-1].Total = uint64(total)
	}
	return nil
}
