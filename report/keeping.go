package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"audittrail"
	"audittrail/event"
	"audittrail/governance"
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
	why := ""
	if set > 0 {
		last := m.of(types...)[set-1]
		if policy, err = retention.PolicyIn(last); errors.Is(err, retention.ErrSealed) {
			why = fmt.Sprintf("Not known: the policy is in record %d, which is %s.", last.Seq, last.State)
		} else if err != nil {
			why = fmt.Sprintf("Not known: the policy in record %d has a form that this program does not know.", last.Seq)
		}
	}
	figure(s, "policies", "Policies set", document.CountOf(set), "The last one counts, for the events accepted from then on.", q)
	var frameworks []string
	for _, p := range m.o.Rules {
		if slices.Contains(retention.Frameworks(), p.ID) {
			frameworks = append(frameworks, p.ID)
		}
	}
	short := policy.MinimumViolations(frameworks)
	shortfalls := document.CountOf(len(short))
	if why != "" {
		shortfalls, short = document.Value{}, nil
	}
	figure(s, "shortfalls", "Classes that keep too short", shortfalls, cmp.Or(why, "Compared with the statutory minimums of the selected rules. A class without a period is kept permanently."), q)
	for _, law := range frameworks {
		count, n := shortfalls, 0
		for _, f := range short {
			if f.Minimum.Framework == law {
				n++
			}
		}
		if why == "" {
			count = document.CountOf(n)
		}
		figure(s, "shortfalls_"+law, "Classes that keep shorter than "+m.titleOf(law)+" asks", count, why, q)
	}
	var rows [][]document.Value
	for _, f := range short {
		rows = append(rows, []document.Value{document.TextOf(f.Class), document.TextOf(f.Keeps.String()), document.TextOf(f.Minimum.AtLeast.String()), document.TextOf(f.Minimum.Rule)})
	}
	if len(rows) > 0 {
		add(s, "short", "Shorter than a floor", columns("class", "keeps", "at least", "rule"), rows, "", q)
	}
	m.attendEach(document.ShortKept, document.Bad, s.ID, shortLines(short), "classes are kept shorter than a law asks")
	m.holds(s)
	rows = nil
	for i, r := range t.rows {
		name, _, err := record.SplitClass(r[0].String())
		keeps := "permanently"
		if c, ok := policy.Class(name); err == nil && ok && !c.KeepFor.IsZero() {
			keeps = c.KeepFor.String()
		} else if why != "" && name != audittrail.GovernanceClass {
			keeps = "not known"
		}
		rows = append(rows, []document.Value{document.TextOf(record.ClassText(r[0].String())), document.CountOf(t.n(i, 0)), bytesValue(r[4]), document.TextOf(keeps), timeValue(r[2]), timeValue(r[3])})
	}
	add(s, "classes", "Classes", columns("class and month", "records+", "content+", "kept", "first logged", "last logged"), rows, "Content: its length, rounded up as it is before it is sealed, also of what was erased since.", t.source, q)
	m.floors(s, frameworks)
	return m.governed(s, "acts", "What was done", event.RetentionPolicySet, event.ClassExpired, event.HoldPlaced, event.HoldReleased, event.SegmentsArchived, event.SegmentsDropped)
}

// shortLines say of each class for how long it is kept, and what asks for more.
func shortLines(short []retention.MinimumViolation) []string {
	var lines []string
	for i := 0; i < len(short); {
		f := short[i]
		var asked []string
		for ; i < len(short) && short[i].Class == f.Class; i++ {
			asked = append(asked, fmt.Sprintf("%s (at least %s)", short[i].Minimum.Rule, periodWords(short[i].Minimum.AtLeast)))
		}
		lines = append(lines, fmt.Sprintf("Records of the class %s are kept for %s, shorter than is asked by %s.", f.Class, periodWords(f.Keeps), strings.Join(asked, ", ")))
	}
	return lines
}

// periodWords is a period in words.
func periodWords(p retention.Period) string {
	var parts []string
	for _, n := range []struct {
		n         int
		one, many string
	}{{p.Years, "year", "years"}, {p.Months, "month", "months"}, {p.Days, "day", "days"}} {
		if n.n > 0 {
			parts = append(parts, plural(n.n, n.one, n.many))
		}
	}
	return strings.Join(parts, " and ")
}

// titleOf is the title of the rules of that name.
func (m *maker) titleOf(id string) string {
	for _, p := range m.o.Rules {
		if p.ID == id {
			return p.Title
		}
	}
	return id
}

// holds lists the legal holds that prevent erasure and expiry: those that were
// placed and not released, among the records that count.
func (m *maker) holds(s *document.Section) {
	q := m.administrative(event.HoldPlaced, event.HoldReleased)
	n, note := document.CountOf(len(m.holdsInForce())), ""
	sealed := 0
	for _, r := range m.of(event.HoldReleased) {
		if _, err := governance.ReadRelease(r.Event.Metadata); err != nil {
			sealed++
		}
	}
	if sealed > 0 {
		n, note = document.Value{}, fmt.Sprintf("Not known: %s cannot be read.", plural(sealed, "record of a release", "records of releases"))
	}
	figure(s, "holds", "Holds in force", n, note, q)
	expired := m.administrative(event.ClassExpired)
	figure(s, "expirations", "Expirations", document.CountOf(len(m.of(event.ClassExpired))), "", expired)
	moved := m.administrative(event.SegmentsArchived, event.SegmentsDropped)
	figure(s, "archived", "Archivings and drops of segments", document.CountOf(len(m.of(event.SegmentsArchived, event.SegmentsDropped))), "", moved)
}

// holdsInForce are the holds that were placed and not released among the
// records that count. A release that cannot be read releases none.
func (m *maker) holdsInForce() []*governance.Hold {
	released := make(map[string]bool)
	for _, r := range m.of(event.HoldReleased) {
		if rel, err := governance.ReadRelease(r.Event.Metadata); err == nil {
			released[rel.Hold] = true
		}
	}
	var holds []*governance.Hold
	for _, r := range m.of(event.HoldPlaced) {
		id := r.ID.String()
		if released[id] {
			continue
		}
		h, err := governance.ReadHold(r.Event.Metadata)
		if err != nil {
			h = &governance.Hold{Unreadable: true}
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
	for _, f := range retention.StatutoryMinimums() {
		if slices.Contains(frameworks, f.Framework) {
			rows = append(rows, []document.Value{document.TextOf(f.Rule), document.TextOf(f.AtLeast.String()), document.TextOf(f.Of), document.TextOf(f.Applies), document.CodeOf(f.Source)})
		}
	}
	add(s, "floors", "Floors", columns("rule", "at least", "of", "applies from", "source"), rows, "", q)
}

// erasureDetails are the details of the record of an erasure. The person
// who asked for it and the reason are not read: they may name people.
type erasureDetails struct {
	Approval string   `json:"approval"`
	Basis    string   `json:"basis"`
	Subjects []string `json:"subjects"`
}

func subjectsOf(r *record.Record) []string {
	var d erasureDetails
	member(r.Event.Metadata, "erasure", &d)
	return d.Subjects
}

// erasedPeople returns how many people were erased by the records that count, and how
// many of these records cannot be read.
func (m *maker) erasedPeople() (people, sealed int) {
	for _, r := range m.of(event.SubjectErased) {
		if r.State != record.Readable {
			sealed++
		}
		people += len(subjectsOf(r))
	}
	return people, sealed
}

func (m *maker) privacy(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	whole, err := m.different()
	if err != nil {
		return err
	}
	n, note := m.peopleValue(whole.rows[0][5])
	figure(s, "subjects", "Data subjects in the period", n, cmp.Or(note, "People whom records are about; the log's own subject is none of them."), whole.source)
	figure(s, "actors", "People named as who acted", countValue(whole.rows[0][8]), "Such as reviewers. Records may be about them, too.", whole.source)
	erasures := m.of(event.SubjectErased)
	q := m.administrative(event.SubjectErased)
	var rows [][]document.Value
	baseless := 0
	for _, r := range erasures {
		var d erasureDetails
		subjects := document.Value{}
		if member(r.Event.Metadata, "erasure", &d) {
			subjects = document.CountOf(len(d.Subjects))
			if d.Basis == "" {
				baseless++
			}
		}
		rows = append(rows, []document.Value{document.TimeOf(r.Event.Time), document.CountOf(r.Seq), subjects, document.TextOf(d.Basis), document.CodeOf(d.Approval), document.CodeOf(r.Hash.String())})
	}
	figure(s, "erasures", "Erasures", document.CountOf(len(erasures)), "", q)
	people, sealed := m.erasedPeople()
	forgotten, bases, note := document.CountOf(people), document.CountOf(baseless), ""
	if sealed > 0 {
		forgotten, bases, note = document.Value{}, document.Value{}, fmt.Sprintf("Not known: %s cannot be read.", plural(sealed, "record of an erasure", "records of erasures"))
	}
	figure(s, "erasures_without_basis", "Erasures that name no legal basis", bases, note, q)
	figure(s, "forgotten", "Data subjects erased", forgotten, note, q)
	answers := m.base(event.SubjectAccessAnswered)
	answers.Models = nil
	answered, source, err := m.count("answers to requests for access", answers)
	if err != nil {
		return err
	}
	figure(s, "access_answers", "Requests for access answered", document.CountOf(answered), "", source)
	figure(s, "restrictions", "People whose data is restricted", document.CountOf(m.restrictions()), "Restrictions that were not lifted. A person who was erased counts, if the restriction was in force then.", m.administrative(event.SubjectRestricted, event.RestrictionLifted))
	figure(s, "approvals", "Four-eyes approvals", document.CountOf(len(m.of(event.ErasureApproved))), "", m.administrative(event.ErasureApproved))
	figure(s, "expirations", "Expirations", document.CountOf(len(m.of(event.ClassExpired))), "", m.administrative(event.ClassExpired))
	add(s, "erased", "Erasures", columns("time", "record+", "subjects+", "basis", "approval", "hash of the record"), rows, "'audittrail gdpr certificate verify' checks a certificate against the record.", q)
	return m.governed(s, "acts", "Restrictions, approvals and expirations", event.SubjectRestricted, event.RestrictionLifted, event.ErasureApproved, event.ClassExpired)
}

// restrictions is how many people's data is restricted, by what the records
// that count say.
func (m *maker) restrictions() int {
	restricted := make(map[record.Subject]bool)
	for _, r := range m.of(event.SubjectRestricted, event.RestrictionLifted) {
		if r.Event.Type == event.SubjectRestricted {
			restricted[r.Subject] = true
		} else {
			delete(restricted, r.Subject)
		}
	}
	return len(restricted)
}
