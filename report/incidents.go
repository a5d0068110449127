package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/governance"
	"audittrail/record"
	"audittrail/report/document"
	"audittrail/report/rules"
)

// The labels by which producers tell of incidents.
const (
	incidentLabel = "incident"         // an id that the events of one incident share
	kindLabel     = "serious_incident" // what kind it is, as a rule's clock names it
	awareLabel    = "aware_at"         // when somebody became aware, RFC 3339 or a date
	statusLabel   = "incident_status"  // open, reported, closed
)

// maxIncidents is how many of the newest events are looked at one by one.
const maxIncidents = 10_000

// An incident is what the events of one say together.
type incident struct {
	first    *record.Record // the earliest event
	severity string
	kind     string
	aware    time.Time
	reported time.Time
}

func (m *maker) incidents(s *document.Section) error {
	q := m.base(event.SafetyIncident)
	q.Limit = maxIncidents
	list, source, err := m.find("safety incidents", q)
	if err != nil {
		return err
	}
	all := gather(list)
	holds := m.holdsInForce()
	var overdue, reported, unclassified, running, severe, due, rated int
	var late, unsaid []string
	var rows [][]document.Value
	for _, in := range all {
		clock, rule := m.clock(in.kind)
		deadline := time.Time{}
		state := document.StateOf(document.Plain, "no clock")
		if clock.Days > 0 {
			deadline = in.aware.AddDate(0, 0, clock.Days)
		}
		grave := in.severity == event.SeverityHigh || in.severity == event.SeverityCritical
		if grave {
			severe++
		}
		if in.severity != "" {
			rated++
		}
		if !deadline.IsZero() && (!in.reported.IsZero() || m.doc.AsOf.After(deadline)) {
			due++
		}
		switch {
		case !in.reported.IsZero() && (deadline.IsZero() || !in.reported.After(deadline)):
			reported++
			state = document.StateOf(document.Good, "reported")
		case !in.reported.IsZero():
			reported++
			overdue++
			state = document.StateOf(document.Bad, "reported late")
			late = append(late, fmt.Sprintf("%s was reported on %s; %s asked for that by %s.", in, document.InWords(in.reported), rule, document.InWords(deadline)))
		case !deadline.IsZero() && m.doc.AsOf.After(deadline):
			overdue++
			state = document.StateOf(document.Bad, "overdue")
			late = append(late, fmt.Sprintf("%s is overdue: %s asks for a report by %s, and none is on record.", in, rule, document.InWords(deadline)))
		case !deadline.IsZero():
			running++
			state = document.StateOf(document.Warning, "clock runs")
		case in.kind == "none":
			state = document.StateOf(document.Plain, "not serious")
		case grave:
			unclassified++
			unsaid = append(unsaid, fmt.Sprintf("%s is of %s severity, and nobody said what kind it is: whether it must be reported is not known.", in, in.severity))
			state = document.StateOf(document.Warning, "not classified")
		}
		e := &in.first.Event
		rows = append(rows, []document.Value{
			document.TimeOf(e.Time), document.CountOf(in.first.Seq), document.TextOf(in.severity), document.TextOf(e.Category), document.TextOf(e.ModelID),
			document.TextOf(in.kind), document.TimeOf(in.aware), document.TimeOf(deadline), document.TextOf(rule), state, document.TextOf(heldText(holds, e)),
		})
	}
	figure(s, "incidents", "Incidents", document.CountOf(len(all)), "Events that share the label incident are one.", source)
	figure(s, "reported", "Reported", document.CountOf(reported), "An event of the incident has the label incident_status=reported.", source)
	figure(s, "running", "Clock runs", document.CountOf(running), "", source)
	figure(s, "overdue", "Overdue or reported late", document.CountOf(overdue), "Against the time of the log's last record that counts.", source)
	figure(s, "due", "With a clock that has ended", document.CountOf(due), "Reported, or past the time by which they had to be.", source)
	graves, unrated := ofThoseThatSay(int64(severe), int64(rated), int64(len(all)), "", "a severity")
	figure(s, "grave", "Of high or critical severity", graves, unrated, source)
	m.attendEach(document.Overdue, document.Bad, s.ID, late, "incidents are overdue or were reported late")
	m.attendEach(document.Unclassified, document.Bad, s.ID, unsaid, "severe incidents are not classified")
	unsorted, unrated := ofThoseThatSay(int64(unclassified), int64(rated), int64(len(all)), "Severity high or critical, and nobody said with the label serious_incident what kind it is, or that it is none.", "a severity")
	figure(s, "unclassified", "Severe and not classified", unsorted, unrated, source)
	note := "Aware: the label aware_at, or else when the log took the first event."
	if len(list) == maxIncidents {
		note += " Only the newest 10,000 events were looked at."
	}
	add(s, "timeline", "Timeline", columns("time", "record+", "severity", "category", "model", "kind", "aware", "report by", "rule", "state", "hold"), rows, note, source)
	return nil
}

// String names the incident by when it began and the record of that.
func (in *incident) String() string {
	what := "The incident"
	if c := in.first.Event.Category; c != "" {
		what += " (" + c + ")"
	}
	return fmt.Sprintf("%s of %s, record %d,", what, document.InWords(in.first.Event.Time), in.first.Seq)
}

// gather puts the events of each incident together, the oldest first.
func gather(list []*record.Record) []*incident {
	var all []*incident
	by := make(map[string]*incident)
	for _, r := range slices.Backward(list) {
		id := r.Event.Labels[incidentLabel]
		in := by[id]
		if id == "" || in == nil {
			in = &incident{first: r, aware: r.Logged}
			all = append(all, in)
			if id != "" {
				by[id] = in
			}
		}
		if slices.Index(event.Severities(), r.Event.Severity) > slices.Index(event.Severities(), in.severity) {
			in.severity = r.Event.Severity
		}
		in.kind = cmp.Or(r.Event.Labels[kindLabel], in.kind)
		if t, ok := parseTime(r.Event.Labels[awareLabel]); ok {
			in.aware = t
		}
		if r.Event.Labels[statusLabel] == "reported" && in.reported.IsZero() {
			in.reported = r.Event.Time
		}
	}
	return all
}

func parseTime(s string) (time.Time, bool) {
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// clock is the shortest time that the selected rules give for a kind.
func (m *maker) clock(kind string) (rules.Deadline, string) {
	var best rules.Deadline
	rule := ""
	for _, p := range m.o.Rules {
		if c, ok := p.DeadlineFor(kind); ok && (best.Days == 0 || c.Days < best.Days) {
			best, rule = c, p.Title+" "+c.Place
		}
	}
	return best, rule
}

// heldText names a hold whose conditions an event meets, as far as they can be
// told without knowing people.
func heldText(holds []*governance.Hold, e *event.Event) string {
	for _, h := range holds {
		switch {
		case h.Unreadable, h.User != "", h.Model != "" && h.Model != e.ModelID, h.Class != "" && h.Class != e.RetentionClass && !strings.HasPrefix(h.Class, e.RetentionClass+"/"),
			!h.Start.IsZero() && e.Time.Before(h.Start), !h.End.IsZero() && !e.Time.Before(h.End):
			continue
		}
		return h.ID
	}
	return ""
}
