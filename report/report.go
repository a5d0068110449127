// Package report computes compliance reports from a log: its scope,
// integrity and completeness, retention, the models that ran and their lineage,
// human oversight, incidents, and the controls of laws and standards for which
// this is evidence.
//
// A report counts the records below one size of the log, and no later ones; it
// reads no clock, and the same log, size, period and program give the same
// bytes. Every section ends with its limitations.
//
// It does not promise that anybody complies with anything. That the log was
// altered, cut or emptied is said at the top, and the report is still made.
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"audittrail"
	"audittrail/lineage"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
	"audittrail/report/rules"
)

// Full is the type of a report with all sections.
const Full = "full"

// A kind is one section: what it is about, and what computes it.
type kind struct {
	id, title string
	intro     string
	compute   func(*maker, *document.Section) error
}

// kinds are the sections in the order of reading. The last looks at all others.
var kinds = []kind{
	{"scope", "Scope", "Which systems, producers and kinds of events the log holds for the period. Figures are computed from the records that the checkpoint covers; events count by when they happened.", (*maker).scope},
	{"integrity", "Integrity", "Every record was checked against its own hash, the chain, and the signed Merkle tree.", (*maker).integrity},
	{"completeness", "Completeness", "Whether producers' own sequence numbers have gaps, and which calls were begun and never answered.", (*maker).completeness},
	{"retention", "Retention", "How long records stay by policy, compared with the statutory minimums; holds, expirations, archives and what was dropped.", (*maker).retention},
	{"inventory", "Model inventory", "Models and versions that were used or registered.", (*maker).inventory},
	{"lineage", "Lineage", "From datasets over training runs and versions to deployments, as they were registered.", (*maker).lineage},
	{"usage", "Usage", "Calls of models: requests that were answered, or failed, each counted once, whether its question and its answer are one event or two.", (*maker).usage},
	{"oversight", "Human oversight", "Reviews by people, what they came to, and how long they took; decisions, feedback and evaluations.", (*maker).oversight},
	{"safety", "Safety", "Results of guardrails, refusals, denied tools, and safety incidents by severity and category.", (*maker).safety},
	{"incidents", "Incidents", "Safety incidents one by one, with the time by which each must be reported, where its producer said what kind it is.", (*maker).incidents},
	{"privacy", "Privacy", "Data subjects, erasures, restrictions, expirations, and answers to requests for access.", (*maker).privacy},
	{"access", "Access", "Grants and denials of access to the log, and readings, exports and reports from it.", (*maker).access},
	{"controls", "Control matrix", "The state of each control of the selected rules by the evidence in this log, and its tests. A state is about evidence in this log, not about compliance: evidenced (every test that the log can decide holds, and there was something to decide), failed (a test does not hold), no occurrences (nothing happened that the control is about), not applicable (the organisation says so, with its reason), outside the log (no log can show it, or its figures are not known).", (*maker).controls},
}

// MethodVersion numbers the definitions of figures. A report by other ones is not
// computed again: that it differs would say nothing of the log. Method 2 counts
// calls as event.Call has them; before, it was not written. Method 3 counts
// people without the log's own subject, and reviewers by actor; it gives each
// control a state by what its tests have to decide, and lists what needs
// attention. Method 4 has the words of the glossary.
const MethodVersion = 4

// Types returns what a report can be of.
func Types() []string {
	types := []string{Full}
	for _, k := range kinds {
		types = append(types, k.id)
	}
	return types
}

// Options say what to report.
type Options struct {
	Type       string    // one of Types; if empty, Full
	Start, End time.Time // of the events; zero is open
	Model      string    // only events of this model, where that makes sense
	// Rules are those that the log is compared with: see BuiltinRules and
	// ParseRules.
	// If nil, all that come with the program.
	Rules []*rules.Catalogue
	// Organisation is what the organisation says of itself, or nil: see
	// ParseOrganisation.
	Organisation *document.Organisation
	// Checkpoint is the newest checkpoint of the log, a signed note, that a witness
	// cosigned, and Witnesses are the verifier keys of witnesses. Both may be empty.
	Checkpoint string
	Witnesses  []string
	Program    string // version of the program
	// Size is how many records count; if 0, those of the newest checkpoint, and
	// unauthenticated lines after it are mentioned.
	Size uint64
	// Redacted leaves out what needs the permission to read contents: the texts
	// about registered entities.
	Redacted bool
	// Pseudonyms has the subject ids of single people in the tables by person.
	// Without it, these have numbers alone.
	Pseudonyms bool
	// Progress is told how far the check of the log has come.
	Progress func(done, total uint64)

	testOnlyExact int64 // if not 0, instead of exactDistinct
}

// ErrType reports an unknown type of report.
var ErrType = errors.New("no such report")

// A maker makes one report.
type maker struct {
	ctx    context.Context
	log    *audittrail.Log
	engine *query.Engine
	o      Options
	doc    *document.Report
	within bool // it is about so many records, whatever follows

	verified  *audittrail.Verification
	answers   map[string]*query.Table // of queries that were asked
	failed    []string                // sections that could not be computed
	concerns  []document.Attention    // what needs attention, by section
	cosigned  uint64                  // records that witnesses have cosigned
	witnesses []string                // their names
	own       []*record.Record
	ownErr    error
	graph     *lineage.Graph // of what was registered
	graphErr  error
	people    people
	gone      uint64  // how many of the records that count have left the log
	maybe     *uint64 // prompts of which it is not known whether they are calls
	only      *uint64 // the same, if no call is known; else 0
}

// build computes a report. Findings about the log are in the report; an error
// says that there can be no report.
func build(ctx context.Context, log *audittrail.Log, o Options) (*document.Report, error) {
	if o.Type == "" {
		o.Type = Full
	}
	if !slices.Contains(Types(), o.Type) {
		return nil, fmt.Errorf("report: %w: %q is none of %s", ErrType, o.Type, strings.Join(Types(), ", "))
	}
	if !o.Start.IsZero() && !o.End.IsZero() && !o.Start.Before(o.End) {
		return nil, fmt.Errorf("report: the end, %s, is not after the start, %s", o.End.Format(time.RFC3339), o.Start.Format(time.RFC3339))
	}
	packs, err := rulesOf(o.Rules)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	o.Rules = packs
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &maker{ctx: ctx, log: log, engine: query.New(log), o: o, answers: make(map[string]*query.Table)}
	err = m.begin()
	if err == nil {
		err = m.findOwn()
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if err := m.sections(cancel); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if o.Type == "controls" { // the others were needed, and are not asked for
		m.doc.Sections = m.doc.Sections[len(m.doc.Sections)-1:]
	}
	m.attention()
	// Encoding and decoding gives the report the form that it has in a file.
	b, err := m.doc.Encode()
	if err == nil {
		m.doc, err = document.Decode(b)
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return m.doc, nil
}

// sections computes them. The check of the log runs concurrently with those
// that do not need its result.
func (m *maker) sections(cancel func()) error {
	found := make(chan func())
	go func() { found <- m.verify() }()
	checked := false
	defer func() {
		if !checked {
			cancel()
			<-found
		}
	}()
	m.look()
	wanted := func(k *kind) bool { return m.o.Type == Full || m.o.Type == k.id || m.o.Type == "controls" }
	var late []*kind
	for i := range kinds {
		k := &kinds[i]
		if !wanted(k) {
			continue
		}
		if k.id == "integrity" || k.id == "controls" {
			late = append(late, k)
		} else if err := m.section(k); err != nil {
			return err
		}
	}
	say := <-found
	checked = true
	after := m.doc.Notices
	m.doc.Notices = nil
	say() // what it found stands first
	m.doc.Notices = append(m.doc.Notices, after...)
	for _, k := range late {
		if err := m.section(k); err != nil {
			return err
		}
		slices.SortStableFunc(m.doc.Sections, func(a, b document.Section) int { return place(a.ID) - place(b.ID) })
	}
	m.sayFailed()
	return m.ctx.Err()
}

// sayFailed says at the top which sections could not be computed.
func (m *maker) sayFailed() {
	switch n := len(m.failed); {
	case n == 1:
		m.worse(document.Incomplete, document.Bad, fmt.Sprintf("The section on %s could not be computed, or not all of it.", m.failed[0]))
	case n > 1:
		m.worse(document.Incomplete, document.Bad, fmt.Sprintf("%d sections could not be computed, or not all of them: %s.", n, strings.Join(m.failed, ", ")))
	}
}

// place is where a section stands.
func place(id string) int {
	return slices.IndexFunc(kinds, func(k kind) bool { return k.id == id })
}

// begin finds out what counts.
func (m *maker) begin() error {
	head, err := m.log.Head(m.ctx)
	if err != nil {
		return err
	}
	size, root := head.Size, head.Root
	if m.within = m.o.Size > 0; m.within {
		if m.o.Size > head.Size {
			return fmt.Errorf("at %d records: %w: the newest checkpoint covers %d", m.o.Size, audittrail.ErrNoRecord, head.Size)
		}
		size = m.o.Size
		if root, err = m.log.Root(size); err != nil {
			return err
		}
	}
	m.o.Size = size
	m.doc = &document.Report{
		Redacted: m.o.Redacted, Pseudonyms: m.o.Pseudonyms, Method: MethodVersion,
		Version: document.Version, Type: m.o.Type, Program: m.o.Program, Origin: cmp.Or(m.log.Origin(), head.Origin), Size: size, Root: root.String(),
		Start: document.Time{Time: m.o.Start.UTC()}, End: document.Time{Time: m.o.End.UTC()}, Model: m.o.Model, Status: document.Complete,
		Organisation: applicable(m.o.Organisation, m.o.Rules),
	}
	if err := m.readWitness(); err != nil {
		return err
	}
	if m.o.Start.IsZero() {
		m.doc.Start = document.Time{}
	}
	if m.o.End.IsZero() {
		m.doc.End = document.Time{}
	}
	for _, p := range m.o.Rules {
		m.doc.Rules = append(m.doc.Rules, document.Rules{ID: p.ID, Title: p.Title, Source: p.Source, AsOf: p.AsOf, Digest: p.DigestText(), Note: p.Note})
	}
	if size == 0 {
		return nil
	}
	if last, err := m.log.Get(m.ctx, size-1); err == nil {
		m.doc.AsOf = document.Time{Time: last.Logged.UTC()}
	} else if m.ctx.Err() != nil {
		return m.ctx.Err()
	}
	return nil
}

// look finds the notices for the top, other than those of the check of the log.
func (m *maker) look() {
	if types, err := m.byType(); err == nil {
		switch {
		case types.total(0) == 0:
			m.notice(document.Warning, "The log holds no event for this period: what follows is empty for that reason.")
		case submitted(types) == 0:
			m.notice(document.Warning, "No producer submitted an event for this period: what the log holds for it is what it records of itself.")
		}
	}
	for r, err := range m.log.GovernanceRecords(m.ctx, 0) {
		if err != nil {
			m.ownErr = fmt.Errorf("read what governs the log: %w", err)
			m.worse(document.Incomplete, document.Warning, m.ownErr.Error())
			break
		}
		if r.Seq >= m.o.Size {
			break
		}
		m.own = append(m.own, r)
	}
	m.provenance()
	absent, err := m.log.Absent(m.ctx)
	if err != nil {
		m.worse(document.Incomplete, document.Warning, err.Error())
	}
	for _, a := range absent {
		m.gone += min(a.Next, m.o.Size) - min(a.First, m.o.Size)
	}
	if m.gone > 0 {
		m.notice(document.Warning, fmt.Sprintf("%s left the log by retention (archived or dropped): their hashes are still in the tree, but they are in no figure below but those of what governs the log.", plural(int(m.gone), "record has", "records have")))
	}
	switch people, sealed := m.erasedPeople(); {
	case sealed > 0:
		m.notice(document.Plain, fmt.Sprintf("Data subjects were erased, by %s: how many is not known, as the content of these cannot be read.", plural(sealed, "record", "records")))
	case people > 0:
		m.notice(document.Plain, fmt.Sprintf("%s erased: the content is permanently unreadable, and the records are still counted by their cleartext fields.", plural(people, "data subject", "data subjects")))
	}
}

// worse lowers the report's status, and says why.
func (m *maker) worse(s document.Status, tone document.Tone, why string) {
	order := []document.Status{document.Complete, document.Incomplete, document.Unchecked, document.Altered}
	if slices.Index(order, s) > slices.Index(order, m.doc.Status) {
		m.doc.Status = s
	}
	m.notice(tone, why)
}

func (m *maker) notice(tone document.Tone, text string) {
	m.doc.Notices = append(m.doc.Notices, document.Notice{Tone: tone, Text: text})
}

// section computes one. One that cannot be computed says so, and why.
func (m *maker) section(k *kind) error {
	s := document.Section{ID: k.id, Title: k.title, Intro: k.intro, AskedBy: m.citations(k.id), Gaps: slices.Clone(gaps[k.id])}
	err := k.compute(m, &s)
	if err == nil {
		err = m.boundCalls(&s)
	}
	if err != nil {
		if m.ctx.Err() != nil {
			return m.ctx.Err()
		}
		s.Failed = err.Error()
		m.failed = append(m.failed, strings.ToLower(k.title))
	}
	m.bound(&s)
	m.doc.Sections = append(m.doc.Sections, s)
	return nil
}

// bound says of the counts of events in a section what they are worth where
// records have left the log: that it has none left does not say that there were
// none.
func (m *maker) bound(s *document.Section) {
	if m.gone == 0 {
		return
	}
	left := plural(int(m.gone), "record has", "records have") + " left the log"
	for i := range s.Figures {
		f := &s.Figures[i]
		if f.Value.Kind != document.Count || !m.ofEvents(f) {
			continue
		}
		switch most := slices.Contains(mostOnly, f.ID); {
		case most && f.Value.N > 0:
			f.Note = fmt.Sprintf("Not known: at most %s; %s, and may be what is missing. %s", f.Value, left, f.Note)
			f.Value = document.Value{}
		case !most && f.Value.N == 0:
			f.Note = fmt.Sprintf("Not known: there are none in the log, but %s, and may be some of these. %s", left, f.Note)
			f.Value = document.Value{}
		case !most:
			f.Note = strings.TrimSpace(fmt.Sprintf("At least: %s. %s", left, f.Note))
		}
		f.Note = strings.TrimSpace(f.Note)
	}
}

// boundCalls says of the counts of calls in a section that they are not known,
// where no call is known, and of some prompts not whether they are calls. Where
// some calls are known, the figure of these says that there may be more.
func (m *maker) boundCalls(s *document.Section) error {
	for i := range s.Figures {
		f := &s.Figures[i]
		absent := f.Value.Kind == document.Absent && f.Note == ""
		if f.Value.Kind != document.Count && !absent || f.ID == "usage.calls" || !m.ofCalls(f) {
			continue
		}
		n, err := m.onlyMaybe()
		if err != nil {
			return err
		}
		if n > 0 {
			f.Value, f.Note = document.Value{}, fmt.Sprintf("%swhether %s is not told by a cleartext field.", document.Unknown, plural(int(n), "prompt is a call", "prompts are calls"))
		}
	}
	return nil
}

// ofCalls tells whether a figure counts calls.
func (m *maker) ofCalls(f *document.Figure) bool {
	return slices.ContainsFunc(m.doc.Sources, func(s document.Source) bool {
		return slices.Contains(f.Sources, s.ID) && strings.Contains(string(s.Query), `"calls":true`)
	})
}

// callCount is a number of calls as a cell has it.
func (m *maker) callCount(n int64) document.Value {
	if maybe, err := m.onlyMaybe(); err != nil || maybe > 0 {
		return document.Value{}
	}
	return document.CountOf(n)
}

// mostOnly are the counts of what is missing, which records that have left the
// log make larger.
var mostOnly = []string{"completeness.missing", "completeness.unanswered", "completeness.untraced", "inventory.unused"}

// ofEvents tells whether a figure counts events, and not only what governs the
// log, which never leaves it.
func (m *maker) ofEvents(f *document.Figure) bool {
	return slices.ContainsFunc(m.doc.Sources, func(s document.Source) bool {
		return slices.Contains(f.Sources, s.ID) && slices.Contains([]string{"count", "group", "find", "joined"}, s.Kind)
	})
}

// citations are the places in the rules that a section speaks to.
func (m *maker) citations(section string) []document.Citation {
	var all []document.Citation
	for _, p := range m.o.Rules {
		for _, c := range p.Controls {
			if slices.Contains(c.Sections, section) {
				all = append(all, document.Citation{Rules: p.ID, Place: c.Place, Title: c.Title})
			}
		}
	}
	return all
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return document.Thousands(int64(n)) + " " + many
}
