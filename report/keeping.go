package report

import (
	"fmt"
	"slices"

	"audittrail"
	"audittrail/access"
	"audittrail/event"
	"audittrail/internal/barrier"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
	"audittrail/retention"
)

func (m *maker) retention(s *document.Section) error {
	t, err := m.group("records by retention class and month", m.base(), []string{"class"}, "min(logged)", "max(logged)", "sum(size)")
	if err != nil {
		return err
	}
	if m.ownErr != nil {
		return m.ownErr
	}
	types := []event.Type{event.RetentionPolicySet}
	q := m.administrative(types...)
	set := len(m.of(types...))
	var policy retention.Policy
	if set > 0 {
		if last := m.of(types...)[set-1]; !member(last.Event.Metadata, "policy", &policy) {
			return fmt.Errorf("read the retention policy: record %d is %s", last.Seq, last.State)
		}
	}
	figure(s, "policies", "Policies set", document.CountOf(set), "The last one counts, for the events accepted from then on.", q)
	var frameworks []string
	for _, p := range m.o.Rules {
		if slices.Contains(retention.Frameworks(), p.ID) {
			frameworks = append(frameworks, p.ID)
		}
	}
	short := policy.Shortfalls(frameworks)
	figure(s, "shortfalls", "Classes that keep too short", document.CountOf(len(short)), "Against the floors of the selected rules. A class without a period is kept for good.", q)
	var rows [][]document.Value
	for _, f := range short {
		rows = append(rows, []document.Value{document.TextOf(f.Class), document.TextOf(f.Keeps.String()), document.TextOf(f.Floor.AtLeast.String()), document.TextOf(f.Floor.Rule)})
	}
	if len(rows) > 0 {
		add(s, "short", "Shorter than a floor", columns("class", "keeps", "at least", "rule"), rows, "", q)
	}
	m.holds(s)
	rows = nil
	for i, r := range t.rows {
		name, _, err := record.SplitClass(r[0].String())
		keeps := "for good"
		if c, ok := policy.Class(name); err == nil && ok && !c.KeepFor.IsZero() {
			keeps = c.KeepFor.String()
		}
		rows = append(rows, []document.Value{textValue(r[0]), document.CountOf(t.n(i, 0)), bytesValue(r[4]), document.TextOf(keeps), timeValue(r[2]), timeValue(r[3])})
	}
	add(s, "classes", "Classes", columns("class and month", "records+", "content+", "kept", "first logged", "last logged"), rows, "Content: its length, rounded up as it is before it is sealed, also of what was erased since.", t.source, q)
	m.floors(s, frameworks)
	return m.governed(s, "acts", "What was done", event.RetentionPolicySet, event.ClassExpired, event.HoldPlaced, event.HoldReleased, event.SegmentsArchived, event.SegmentsDropped)
}

// holds counts what stands against erasure and expiry: those that were placed
// and not released among the records that count.
func (m *maker) holds(s *document.Section) {
	q := m.administrative(event.HoldPlaced, event.HoldReleased)
	figure(s, "holds", "Holds in force", document.CountOf(len(m.holdsInForce())), "", q)
	expired := m.administrative(event.ClassExpired)
	figure(s, "expirations", "Expirations", document.CountOf(len(m.of(event.ClassExpired))), "", expired)
	moved := m.administrative(event.SegmentsArchived, event.SegmentsDropped)
	figure(s, "archived", "Archivings and drops of segments", document.CountOf(len(m.of(event.SegmentsArchived, event.SegmentsDropped))), "", moved)
}

// holdsInForce are the holds that were placed and not released among the
// records that count.
func (m *maker) holdsInForce() []*barrier.Hold {
	released := make(map[string]bool)
	for _, r := range m.of(event.HoldReleased) {
		if rel, err := barrier.ReadRelease(r.Event.Metadata); err == nil {
			released[rel.Hold] = true
		}
	}
	var holds []*barrier.Hold
	for _, r := range m.of(event.HoldPlaced) {
		id := r.ID.String()
		if released[id] {
			continue
		}
		h, err := barrier.ReadHold(r.Event.Metadata)
		if err != nil {
			h = &barrier.Hold{Unreadable: true}
		}
		h.ID, h.User = id, r.Event.UserID
		holds = append(holds, h)
	}
	return holds
}

// floors lists what laws name, for the selected rules.
func (m *maker) floors(s *document.Section, frameworks []string) {
	q := m.source("rules", "the floors that come with the program: audittrail retention floors", nil, query.Grouping{}, 0)
	var rows [][]document.Value
	for _, f := range retention.Floors() {
		if slices.Contains(frameworks, f.Framework) {
			rows = append(rows, []document.Value{document.TextOf(f.Rule), document.TextOf(f.AtLeast.String()), document.TextOf(f.Of), document.TextOf(f.Applies), document.CodeOf(f.Source)})
		}
	}
	add(s, "floors", "Floors", columns("rule", "at least", "of", "applies from", "source"), rows, "", q)
}

// erasureDetails are what the record of an erasure holds. Who asked for it and
// why may name people, and is not read here.
type erasureDetails struct {
	Approval string   `json:"approval"`
	Basis    string   `json:"basis"`
	Subjects []string `json:"subjects"`
}

func subjectsOf(r *audittrail.Record) []string {
	var d erasureDetails
	member(r.Event.Metadata, "erasure", &d)
	return d.Subjects
}

func (m *maker) privacy(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	whole, err := m.different()
	if err != nil {
		return err
	}
	figure(s, "subjects", "Data subjects in the period", countValue(whole.rows[0][5]), "The log's own subject is one of them.", whole.source)
	erasures := m.of(event.SubjectErased)
	q := m.administrative(event.SubjectErased)
	var rows [][]document.Value
	forgotten := 0
	for _, r := range erasures {
		var d erasureDetails
		member(r.Event.Metadata, "erasure", &d)
		forgotten += len(d.Subjects)
		rows = append(rows, []document.Value{document.TimeOf(r.Event.Time), document.CountOf(r.Seq), document.CountOf(len(d.Subjects)), document.TextOf(d.Basis), document.CodeOf(d.Approval), document.CodeOf(r.Hash.String())})
	}
	figure(s, "erasures", "Erasures", document.CountOf(len(erasures)), "", q)
	figure(s, "forgotten", "Data subjects forgotten", document.CountOf(forgotten), "", q)
	answers := m.base(event.SubjectAccessAnswered)
	answers.Models = nil
	n, source, err := m.count("answers to requests for access", answers)
	if err != nil {
		return err
	}
	figure(s, "access_answers", "Requests for access answered", document.CountOf(n), "", source)
	figure(s, "restrictions", "Restrictions, less those lifted", document.CountOf(len(m.of(event.SubjectRestricted))-len(m.of(event.RestrictionLifted))), "", m.administrative(event.SubjectRestricted, event.RestrictionLifted))
	figure(s, "approvals", "Approvals by a second person", document.CountOf(len(m.of(event.ErasureApproved))), "", m.administrative(event.ErasureApproved))
	figure(s, "expirations", "Expirations", document.CountOf(len(m.of(event.ClassExpired))), "", m.administrative(event.ClassExpired))
	add(s, "erased", "Erasures", columns("time", "record+", "subjects+", "basis", "approval", "hash of the record"), rows, "'audittrail gdpr certificate verify' checks a certificate against the record.", q)
	return m.governed(s, "acts", "Restrictions, approvals and expirations", event.SubjectRestricted, event.RestrictionLifted, event.ErasureApproved, event.ClassExpired)
}

// accounts are what was done with the log, without governing it.
var accounts = []event.Type{event.ContentRead, event.DataExported, event.ReportMade, event.SubjectAccessAnswered, event.AccessDenied}

func (m *maker) access(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	q := m.base(accounts...)
	q.Models = nil
	t, err := m.group("accounts of what was done with the log", q, []string{"type", "category"}, "distinct(subject)", "min(time)", "max(time)")
	if err != nil {
		return err
	}
	by := make(map[string]int64)
	var rows [][]document.Value
	for i, r := range t.rows {
		if r[1].String() == access.Ended {
			continue // which the record of its beginning counts
		}
		by[r[0].String()] += t.n(i, 0)
		what := textValue(r[1])
		if r[1].String() == access.Began {
			what = document.TextOf("")
		}
		rows = append(rows, []document.Value{document.TextOf(words(r[0].String())), what, document.CountOf(t.n(i, 0)), countValue(r[3]), timeValue(r[4]), timeValue(r[5])})
	}
	grants, revocations := m.of(event.AccessGranted), m.of(event.AccessRevoked)
	figure(s, "grants", "Grants", document.CountOf(len(grants)), "Over the log's whole life.", m.administrative(event.AccessGranted))
	figure(s, "revocations", "Revocations", document.CountOf(len(revocations)), "Over the log's whole life.", m.administrative(event.AccessRevoked))
	figure(s, "denials", "Denials", document.CountOf(by[string(event.AccessDenied)]), "Repeated ones are counted together.", t.source)
	figure(s, "reads", "Times that content was read", document.CountOf(by[string(event.ContentRead)]), "", t.source)
	figure(s, "exports", "Exports", document.CountOf(by[string(event.DataExported)]), "", t.source)
	figure(s, "reports", "Reports made", document.CountOf(by[string(event.ReportMade)]), "", t.source)
	add(s, "by_kind", "What was done with the log", columns("what", "of what", "times+", "people+", "first", "last"), rows, "", t.source)
	if err := m.readings(s, q); err != nil {
		return err
	}
	return m.changes(s)
}

// readings lists who read and exported what, the newest first.
func (m *maker) readings(s *document.Section, q query.Query) error {
	q.Types = []event.Type{event.ContentRead, event.DataExported}
	q.Limit = maxRows
	list, source, err := m.find("the newest readings and exports", q)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	all, err := access.Accounts(func(yield func(*audittrail.Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	var rows [][]document.Value
	for _, a := range slices.Backward(all) {
		row := []document.Value{
			document.TimeOf(a.Time), document.TextOf(words(string(a.Type))), m.who(a.Record), document.CodeOf(a.By), document.TextOf(a.Command),
		}
		if a.Known {
			row = append(row, document.CountOf(a.Records), document.CountOf(a.First), document.CountOf(a.Last))
		} else {
			row = append(row, document.StateOf(document.Wary, access.UnknownExtent), document.TextOf(""), document.TextOf(""))
		}
		rows = append(rows, row)
	}
	add(s, "readings", "Who read and exported what", columns("time", "what", "who", "token", "with", "records+", "first record+", "last record+"), rows, "Who: the user of the token, while that person is not forgotten; the subject id where the name is not for whoever asked for this report. local is whoever holds the files.", source)
	return nil
}

// changes lists grants and revocations.
func (m *maker) changes(s *document.Section) error {
	var rows [][]document.Value
	for _, r := range m.of(event.AccessGranted, event.AccessRevoked) {
		rows = append(rows, []document.Value{document.TimeOf(r.Event.Time), document.TextOf(words(string(r.Event.Type))), m.who(r), document.TextOf(r.Event.Labels["role"]), document.CountOf(r.Seq)})
	}
	add(s, "changes", "Grants and revocations", columns("time", "what", "who", "role", "record+"), rows, "", m.administrative(event.AccessGranted, event.AccessRevoked))
	return nil
}

// restricted tells whether the data of whom a record is about was restricted
// when the log had the records that count.
func (m *maker) restricted(about *audittrail.Record) bool {
	is := false
	for _, r := range m.of(event.SubjectRestricted, event.RestrictionLifted) {
		if r.Subject == about.Subject {
			is = r.Event.Type == event.SubjectRestricted
		}
	}
	return is
}

// who is the user of a record, or why nobody can say, or may say it.
func (m *maker) who(r *audittrail.Record) document.Value {
	if r.State != audittrail.Readable {
		return document.StateOf(document.Plain, r.State.String())
	}
	if m.o.Redacted || m.restricted(r) {
		return document.CodeOf(r.Subject.String())
	}
	return document.TextOf(r.Event.UserID)
}
