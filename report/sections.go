package report

import (
	"cmp"
	"strconv"
	"strings"

	"audittrail/event"
	"audittrail/query"
	"audittrail/report/document"
)

// words spells a type's name, unless it is a custom one, which is another's own
// term.
func words(name string) string {
	if strings.HasPrefix(name, "x.") {
		return name
	}
	return strings.ReplaceAll(name, "_", " ")
}

// byType are all events of the period.
func (m *maker) byType() (*table, error) {
	return m.group("all events by type", m.base(), []string{"type"}, "min(time)", "max(time)")
}

// different is how many there are of what events name.
func (m *maker) different() (*table, error) {
	return m.group("how many different there are", m.base(), nil, "distinct(model_id)", "distinct(provider)", "distinct(deployment_id)", "distinct(producer)", "distinct(subject)", "min(time)", "max(time)")
}

func (m *maker) scope(s *document.Section) error {
	types, err := m.byType()
	if err != nil {
		return err
	}
	whole, err := m.different()
	if err != nil {
		return err
	}
	figure(s, "events", "Events in the period", document.CountOf(types.total(0)), "", types.source)
	for i, f := range []struct{ id, label string }{{"models", "Models"}, {"providers", "Providers"}, {"deployments", "Deployments"}, {"producers", "Producers"}, {"subjects", "Data subjects"}} {
		note := ""
		if f.id == "subjects" {
			note = "The log's own subject, for events about nobody, is one of them."
		}
		figure(s, f.id, f.label, countValue(whole.rows[0][i+1]), note, whole.source)
	}
	figure(s, "first", "First event", timeValue(whole.rows[0][6]), "", whole.source)
	figure(s, "last", "Last event", timeValue(whole.rows[0][7]), "", whole.source)
	var rows [][]document.Value
	for i, r := range types.rows {
		rows = append(rows, []document.Value{document.TextOf(words(r[0].String())), document.CountOf(types.n(i, 0)), timeValue(r[2]), timeValue(r[3])})
	}
	mostFirst(rows, 1)
	add(s, "by_type", "Events by type", columns("type", "events+", "first", "last"), rows, "", types.source)
	systems, err := m.group("events by deployment and producer", m.base(), []string{"deployment_id", "producer"}, "distinct(model_id)", "min(time)", "max(time)")
	if err != nil {
		return err
	}
	rows = nil
	for i, r := range systems.rows {
		rows = append(rows, []document.Value{textValue(r[0]), textValue(r[1]), document.CountOf(systems.n(i, 0)), countValue(r[3]), timeValue(r[4]), timeValue(r[5])})
	}
	mostFirst(rows, 2)
	add(s, "systems", "Systems", columns("deployment", "producer", "events+", "models+", "first", "last"), rows, "Owners, where they were registered, are in the model inventory.", systems.source)
	return nil
}

func (m *maker) completeness(s *document.Section) error {
	producers, err := m.group("what producers number", m.base(), []string{"producer"}, "count(producer_seq)", "min(producer_seq)", "max(producer_seq)")
	if err != nil {
		return err
	}
	different, source, err := m.differentNumbers(producers)
	if err != nil {
		return err
	}
	numbered, missing, repeated, estimated := int64(0), int64(0), int64(0), false
	var rows [][]document.Value
	for i, r := range producers.rows {
		n := producers.n(i, 1)
		if r[0].Kind() == query.Absent && n == 0 {
			rows = append(rows, []document.Value{document.TextOf("(none named)"), document.CountOf(producers.n(i, 0)), document.CountOf(0), {}, {}, {}, {}})
			continue
		}
		numbered += n
		distinct, span := different[r[0].String()], int64(0)
		if n > 0 {
			span = producers.n(i, 3) - producers.n(i, 2) + 1
		}
		if n > m.exactly() {
			// Beyond that, the number of different ones is an estimate. Where
			// none is repeated, all are different.
			distinct, estimated = min(n, span), true
		}
		missing += span - distinct
		repeated += n - distinct
		rows = append(rows, []document.Value{textValue(r[0]), document.CountOf(producers.n(i, 0)), document.CountOf(n), countValue(r[3]), countValue(r[4]), document.CountOf(span - distinct), document.CountOf(n - distinct)})
	}
	note := "Between a producer's lowest and highest number in the period."
	if estimated {
		note += " For producers with more than 131,072 events it is the least that can be missing: repeated numbers would hide as many gaps."
	}
	figure(s, "numbered", "Events with a producer's number", document.CountOf(numbered), "", producers.source)
	figure(s, "missing", "Numbers that never arrived", document.CountOf(missing), note, producers.source, source)
	figure(s, "repeated", "Numbers that arrived more than once", document.CountOf(repeated), "", producers.source, source)
	if err := m.unanswered(s); err != nil {
		return err
	}
	partial := m.base()
	partial.Outcomes = []string{event.OutcomePartial}
	n, q, err := m.count("streams that ended early", partial)
	if err != nil {
		return err
	}
	figure(s, "partial", "Answers that ended early", document.CountOf(n), "Outcome partial: what arrived is recorded.", q)
	add(s, "producers", "Producers", columns("producer", "events+", "numbered+", "lowest+", "highest+", "missing+", "repeated+"), rows, "", producers.source, source)
	return m.skew(s)
}

// differentNumbers are how many different numbers the events of each producer
// have, but of those that have too many to tell.
func (m *maker) differentNumbers(producers *table) (map[string]int64, string, error) {
	q := m.base()
	var many []string
	for i, r := range producers.rows {
		if producers.n(i, 1) > m.exactly() {
			many = append(many, strconv.Quote(r[0].String()))
		}
	}
	// A filter has at most 4 KiB. Without one, the answer takes longer.
	if list := strings.Join(many, ", "); list != "" && len(list) < 4000 {
		q.Filter = "!(producer in [" + list + "])"
	}
	t, err := m.group("how many different numbers producers have", q, []string{"producer"}, "distinct(producer_seq)")
	if err != nil {
		return nil, "", err
	}
	all := make(map[string]int64)
	for i, r := range t.rows {
		all[r[0].String()] = t.n(i, 1)
	}
	return all, t.source, nil
}

// exactDistinct is up to how many the engine counts different values exactly.
const exactDistinct = 131072

func (m *maker) exactly() int64 { return cmp.Or(m.o.testOnlyExact, exactDistinct) }

// unanswered tells of the calls that were begun by events of their own whether
// there is an answer to them.
func (m *maker) unanswered(s *document.Section) error {
	var b query.Begun
	q := m.base()
	if m.o.Size > 0 {
		var err error
		if b, err = m.engine.Begun(m.ctx, q); err != nil {
			return err
		}
	}
	source := m.source("joined", "prompts that do not carry their answer, and what answers them in their span or trace", &q, query.Grouping{}, b.Begun)
	open := document.CountOf(b.Unanswered)
	note := "Nothing in their span, or their trace, answers or blocks them, whenever it came."
	if b.Begun > 0 && b.Loose == b.Begun {
		open, note = document.Value{}, "Not known: no prompt names a span or a trace by which an answer could be told."
	}
	figure(s, "begun", "Prompts that are recorded without their answer", document.CountOf(b.Begun), "The answer, if there is one, is an event of its own.", source)
	figure(s, "unanswered", "Prompts without an answer", open, note, source)
	figure(s, "untraced", "Prompts without a span or a trace", document.CountOf(b.Loose), "Whether they were answered is not known.", source)
	return nil
}

// skew counts events whose producer's clock was ahead of the log's.
func (m *maker) skew(s *document.Section) error {
	q := m.base()
	q.Filter = "delay_ms < -60000"
	n, source, err := m.count("events that claim to be later than the log took them", q)
	if err != nil {
		return err
	}
	figure(s, "ahead", "Events from clocks ahead", document.CountOf(n), "Their time is more than a minute after the log took them.", source)
	q.Filter = "delay_ms > 3600000"
	if n, source, err = m.count("events that came late", q); err != nil {
		return err
	}
	figure(s, "late", "Events that came late", document.CountOf(n), "The log took them more than an hour after their time: imported, delayed, or from a clock behind.", source)
	return nil
}

// failures are the outcomes of calls that failed.
var failures = []string{event.OutcomeError, event.OutcomeTimeout, event.OutcomeCancelled}

func (m *maker) usage(s *document.Section) error {
	calls := m.calls()
	aggregates := []string{"sum(input_tokens)", "sum(output_tokens)", "sum(cached_tokens)", "sum(reasoning_tokens)", "p50(latency_ms)", "p95(latency_ms)", "p99(latency_ms)", "min(time)", "max(time)"}
	all, err := m.group("all calls", calls, nil, aggregates...)
	if err != nil {
		return err
	}
	r := all.rows[0]
	unknown, source, err := m.unknownCalls()
	if err != nil {
		return err
	}
	n, note := document.CountOf(all.n(0, 0)), ""
	switch {
	case unknown > 0 && all.n(0, 0) == 0:
		n, note = document.Value{}, "Not known: of the prompts, none of which says in the clear whether it was answered, the content is out of reach."
	case unknown > 0:
		note = "At least so many: there are prompts of which it is not known."
	}
	figure(s, "calls", "Calls", n, note, all.source)
	if unknown > 0 {
		figure(s, "calls_unknown", "Prompts that may be calls", document.CountOf(unknown), "Recorded in the first format, which does not say whether a prompt carries its answer; their content is out of reach.", source)
	}
	failed := calls
	failed.Outcomes = failures
	bad, err := m.group("calls that failed, by model", failed, []string{"model_id", "model_version"})
	if err != nil {
		return err
	}
	figure(s, "failed", "Calls that failed", document.CountOf(bad.total(0)), "Outcome error, timeout or cancelled.", bad.source)
	figure(s, "failure_rate", "Share that failed", document.ShareOf(uint64(bad.total(0)), uint64(all.n(0, 0))), "", all.source, bad.source)
	for i, f := range []struct{ id, label string }{{"input_tokens", "Input tokens"}, {"output_tokens", "Output tokens"}, {"cached_tokens", "of the input from a cache"}, {"reasoning_tokens", "of the output for reasoning"}} {
		figure(s, f.id, f.label, countValue(r[i+1]), "", all.source)
	}
	for i, f := range []struct{ id, label string }{{"p50", "Latency, median"}, {"p95", "Latency, 95th percentile"}, {"p99", "Latency, 99th percentile"}} {
		figure(s, f.id, f.label, latencyValue(r[i+5]), "", all.source)
	}
	if err := m.byTime(s, calls, bucket(r[8], r[9])); err != nil {
		return err
	}
	if err := m.byModel(s, calls, bad); err != nil {
		return err
	}
	return m.byCostAndSubject(s, calls)
}

// unknownCalls counts the prompts of which it is not known whether they are calls.
func (m *maker) unknownCalls() (uint64, string, error) {
	n, q := uint64(0), m.base()
	if m.o.Size > 0 {
		var err error
		if n, err = m.engine.UnknownCalls(m.ctx, q); err != nil {
			return 0, "", err
		}
	}
	if n == 0 {
		return 0, "", nil
	}
	return n, m.source("joined", "prompts of which it is not known whether they carry their answer", &q, query.Grouping{}, n), nil
}

// byTime draws the calls and their latency over the period.
func (m *maker) byTime(s *document.Section, calls query.Query, span string) error {
	t, err := m.group("calls by "+span, calls, []string{span}, "p50(latency_ms)", "p95(latency_ms)", "p99(latency_ms)")
	if err != nil {
		return err
	}
	bad := calls
	bad.Outcomes = failures
	b, err := m.group("calls that failed by "+span, bad, []string{span})
	if err != nil {
		return err
	}
	failed := make(map[string]int64)
	for i, r := range b.rows {
		failed[r[0].String()] = b.n(i, 0)
	}
	c := document.Chart{ID: s.ID + ".over_time", Title: "Calls by " + span, Kind: document.Stack, Sources: []string{t.source, b.source}, Series: []document.Series{{Name: "others"}, {Name: "failed", Tone: document.Bad}}}
	l := document.Chart{ID: s.ID + ".latency", Title: "Latency by " + span, Kind: document.Lines, Sources: []string{t.source}, Series: []document.Series{{Name: "median"}, {Name: "95th percentile"}, {Name: "99th percentile"}}}
	for i, r := range t.rows {
		label := r[0].String()
		c.Labels = append(c.Labels, label)
		c.Series[0].Values = append(c.Series[0].Values, document.CountOf(t.n(i, 0)-failed[label]))
		c.Series[1].Values = append(c.Series[1].Values, document.CountOf(failed[label]))
		for j := range l.Series {
			l.Series[j].Values = append(l.Series[j].Values, latencyValue(r[2+j]))
		}
	}
	l.Labels = c.Labels
	if len(c.Labels) > 0 {
		s.Charts = append(s.Charts, c, l)
	}
	return nil
}

func (m *maker) byModel(s *document.Section, calls query.Query, bad *table) error {
	t, err := m.group("calls by model", calls, []string{"model_id", "model_version"}, "sum(input_tokens)", "sum(output_tokens)", "p50(latency_ms)", "p95(latency_ms)")
	if err != nil {
		return err
	}
	failed := make(map[[2]string]int64)
	for i, r := range bad.rows {
		failed[[2]string{r[0].String(), r[1].String()}] = bad.n(i, 0)
	}
	var rows [][]document.Value
	for i, r := range t.rows {
		rows = append(rows, []document.Value{
			textValue(r[0]), textValue(r[1]), document.CountOf(t.n(i, 0)), document.CountOf(failed[[2]string{r[0].String(), r[1].String()}]),
			countValue(r[3]), countValue(r[4]), latencyValue(r[5]), latencyValue(r[6]),
		})
	}
	mostFirst(rows, 2)
	add(s, "by_model", "By model", columns("model", "version", "calls+", "failed+", "input tokens+", "output tokens+", "median+", "95th percentile+"), rows, "", t.source, bad.source)
	return nil
}

func (m *maker) byCostAndSubject(s *document.Section, calls query.Query) error {
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
	if t, err = m.group("calls by data subject", calls, []string{"subject"}, "sum(input_tokens)", "sum(output_tokens)", "max(time)"); err != nil {
		return err
	}
	rows = nil
	for i, r := range t.rows {
		rows = append(rows, []document.Value{document.CodeOf(r[0].String()), document.CountOf(t.n(i, 0)), countValue(r[2]), countValue(r[3]), timeValue(r[4])})
	}
	mostFirst(rows, 1)
	const shown = 50
	total := len(rows)
	add(s, "by_subject", "By data subject, those with the most calls", columns("subject", "calls+", "input tokens+", "output tokens+", "last"), rows[:min(shown, total)], "A subject is what stands in the log for a person; 'audittrail gdpr status' leads from one to the other while the person is not forgotten.", t.source)
	if total > shown {
		s.Tables[len(s.Tables)-1].Total = uint64(total)
	}
	return nil
}
