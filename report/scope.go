package report

import (
	"cmp"
	"strings"

	"audittrail/event"
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

// submitted is how many of the events of the period producers submitted.
func submitted(types *table) int64 {
	n := int64(0)
	for i, r := range types.rows {
		if !event.Type(r[0].String()).Reserved() {
			n += types.n(i, 0)
		}
	}
	return n
}

// span is when the first and the last of these events happened.
func span(types *table) (first, last document.Value) {
	for _, r := range types.rows {
		if event.Type(r[0].String()).Reserved() {
			continue
		}
		from, to := timeValue(r[2]), timeValue(r[3])
		if first.Kind == document.Absent || from.Text < first.Text { // they sort as text
			first = from
		}
		if to.Text > last.Text {
			last = to
		}
	}
	return first, last
}

// different is how many there are of what events name.
func (m *maker) different() (*table, error) {
	return m.group("how many different there are", m.base(), nil, "distinct(model_id)", "distinct(provider)", "distinct(deployment_id)", "distinct(producer)", m.distinctPeople(), "min(time)", "max(time)", "distinct(actor_subject)")
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
	figure(s, "submitted", "Events that producers submitted", document.CountOf(submitted(types)), "Without what the log records of itself: grants, policies, readings, reports.", types.source)
	for i, f := range []struct{ id, label string }{{"models", "Models"}, {"providers", "Providers"}, {"deployments", "Deployments"}, {"producers", "Producers"}} {
		figure(s, f.id, f.label, countValue(whole.rows[0][i+1]), "", whole.source)
	}
	n, note := m.peopleValue(whole.rows[0][5])
	figure(s, "subjects", "People whom events are about", n, cmp.Or(note, "Also those whom grants and answers name; the log's own subject is none of them."), whole.source)
	first, last := span(types)
	figure(s, "first", "First event", first, "Of those that producers submitted.", types.source)
	figure(s, "last", "Last event", last, "Of those that producers submitted.", types.source)
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
