package report

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"audittrail/event"
	"audittrail/query"
	"audittrail/report/document"
)

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
	var gaps []string
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
		if span > distinct {
			gaps = append(gaps, fmt.Sprintf("Of the numbers that the producer %s gives its events, %s never arrived.", r[0].String(), document.Thousands(span-distinct)))
		}
		repeated += n - distinct
		rows = append(rows, []document.Value{textValue(r[0]), document.CountOf(producers.n(i, 0)), document.CountOf(n), countValue(r[3]), countValue(r[4]), document.CountOf(span - distinct), document.CountOf(n - distinct)})
	}
	note := "Between a producer's lowest and highest number in the period."
	if estimated {
		note += " For producers with more than 131,072 events it is the least that can be missing: repeated numbers would hide as many gaps."
	}
	m.attendEach(document.Gap, document.Warning, s.ID, gaps, "producers have gaps in their numbers")
	figure(s, "numbered", "Events with a producer's number", document.CountOf(numbered), "", producers.source)
	never, twice, why := document.CountOf(missing), document.CountOf(repeated), ""
	if numbered == 0 {
		never, twice = document.Value{}, document.Value{}
		note, why = "Not known: no producer numbers its events.", "Not known: no producer numbers its events."
	}
	figure(s, "missing", "Numbers that never arrived", never, note, producers.source, source)
	figure(s, "repeated", "Numbers that arrived more than once", twice, why, producers.source, source)
	if err := m.unanswered(s); err != nil {
		return err
	}
	ended, err := m.outcomes("what calls came to", m.calls())
	if err != nil {
		return err
	}
	early, why := ended.number(ended.of[event.OutcomePartial], "Outcome partial: what arrived is recorded.")
	figure(s, "partial", "Answers that ended early", early, why, ended.source)
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
	var b query.RequestCounts
	q := m.base()
	if m.o.Size > 0 {
		var err error
		if b, err = m.engine.CountRequests(m.ctx, q); err != nil {
			return err
		}
	}
	source := m.source("joined", "prompts that do not carry their answer, and what answers them in their span or trace", &q, query.Grouping{}, b.Requests)
	open := document.CountOf(b.Unanswered)
	note := "Nothing in their span, or their trace, answers or blocks them, whenever it came."
	if b.Requests > 0 && b.Uncorrelated == b.Requests {
		open, note = document.Value{}, "Not known: no prompt names a span or a trace by which an answer could be told."
	}
	figure(s, "begun", "Prompts that are recorded without their answer", document.CountOf(b.Requests), "The answer, if there is one, is an event of its own.", source)
	figure(s, "unanswered", "Prompts without an answer", open, note, source)
	figure(s, "untraced", "Prompts without a span or a trace", document.CountOf(b.Uncorrelated), "Whether they were answered is not known.", source)
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
	figure(s, "late", "Events that came late", document.CountOf(n), "The log took them more than an hour after their time: imported, delayed, or from a clock that is slow.", source)
	return nil
}
