package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"audittrail/access"
	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
)

// accounts are what was done with the log, without governing it.
var accounts = []event.Type{event.ContentRead, event.DataExported, event.ReportMade, event.SubjectAccessAnswered, event.AccessDenied}

func (m *maker) access(s *document.Section) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	q := m.base(accounts...)
	q.Models = nil
	t, err := m.group("accounts of what was done with the log", q, []string{"type", "category"}, m.distinctPeople(), "min(time)", "max(time)")
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
		people, _ := m.peopleValue(r[3])
		rows = append(rows, []document.Value{document.TextOf(words(r[0].String())), what, document.CountOf(t.n(i, 0)), people, timeValue(r[4]), timeValue(r[5])})
	}
	grants, revocations := m.of(event.AccessGranted), m.of(event.AccessRevoked)
	if err := m.inForce(s, q); err != nil {
		return err
	}
	figure(s, "grants", "Grants", document.CountOf(len(grants)), "Over the log's whole life.", m.administrative(event.AccessGranted))
	figure(s, "revocations", "Revocations", document.CountOf(len(revocations)), "Over the log's whole life.", m.administrative(event.AccessRevoked))
	figure(s, "denials", "Denials", document.CountOf(by[string(event.AccessDenied)]), "Repeated ones are counted together.", t.source)
	figure(s, "reads", "Times that content was read", document.CountOf(by[string(event.ContentRead)]), "", t.source)
	figure(s, "exports", "Exports", document.CountOf(by[string(event.DataExported)]), "", t.source)
	figure(s, "reports", "Reports made", document.CountOf(by[string(event.ReportMade)]), "", t.source)
	add(s, "by_kind", "What was done with the log", columns("what", "of what", "times+", "people+", "first", "last"), rows, "People: the holders of the tokens that were used. Use of the files without a token is not counted.", t.source)
	if err := m.readings(s, q); err != nil {
		return err
	}
	return m.changes(s)
}

// end is when the period ends: when the last record that counts was logged, or
// before, where the report was limited.
func (m *maker) end() time.Time {
	last := m.doc.AsOf.Time
	if n := len(m.own); last.IsZero() && n > 0 {
		last = m.own[n-1].Logged // the last record has left the log: of those that govern it
	}
	if m.o.End.IsZero() {
		return last
	}
	return earlier(m.o.End.Add(-1), last)
}

// grants are those that the records which count make, and how many of the
// records cannot be read, though nobody was erased.
func (m *maker) grants() (all []*access.Grant, unread int, err error) {
	return access.GrantsOf(func(yield func(*record.Record, error) bool) {
		for _, r := range m.of(event.AccessGranted, event.AccessRevoked) {
			if !yield(r, nil) {
				return
			}
		}
	})
}

// inForce lists who has access at the end of the period.
func (m *maker) inForce(s *document.Section, accounts query.Query) error {
	all, unread, err := m.grants()
	if err != nil {
		return err
	}
	q := m.administrative(event.AccessGranted, event.AccessRevoked)
	if unread > 0 {
		figure(s, "in_force", "Grants in force", document.Value{}, fmt.Sprintf("Not known: %s cannot be read.", plural(unread, "record of a grant or revocation", "records of grants and revocations")), q)
		return nil
	}
	end := m.end()
	var live []*access.Grant
	for _, g := range all {
		expired := !g.Expires.IsZero() && !end.Before(g.Expires)
		revoked := !g.Revoked.IsZero() && !g.Revoked.After(end)
		if !g.Granted.After(end) && !expired && !revoked {
			live = append(live, g)
		}
	}
	used, source, err := m.lastUses(live, accounts, end)
	if err != nil {
		return err
	}
	var rows [][]document.Value
	for _, g := range live {
		row := []document.Value{document.CodeOf(g.ID.String())}
		if m.o.Pseudonyms {
			row = append(row, m.subjectOf(g))
		}
		rows = append(rows, append(row, document.TextOf(g.Role), document.TextOf(cmp.Or(strings.Join(g.Scope.Terms(), " "), "all records")), expiry(g), used[g.ID.String()], document.TimeOf(g.Granted), document.CodeOf(g.GrantedBy)))
	}
	when := "when the last record was logged"
	if !end.IsZero() {
		when = "at " + document.TimeOf(end).String()
	}
	figure(s, "in_force", "Grants in force", document.CountOf(len(live)), "At the end of the period, "+when+": neither revoked nor expired, and their holders not erased.", q)
	add(s, "in_force_table", "Who has access now", m.columns("token", "holder", "role", "scope", "expires", "last use on record", "granted", "by"), rows,
		"Now is the end of the period. 'audittrail access list' leads from a token to its holder. On record are readings, exports, answers, and what governs the log; not what was written. A person with the files and the master key has access without a grant.", q, source)
	return nil
}

func expiry(g *access.Grant) document.Value {
	if g.Expires.IsZero() {
		return document.TextOf("never")
	}
	return document.TimeOf(g.Expires)
}

// columns are those of a table, without the holder's in a report without
// pseudonyms.
func (m *maker) columns(names ...string) []document.Column {
	return columns(slices.DeleteFunc(names, func(n string) bool { return n == "holder" && !m.o.Pseudonyms })...)
}

// subjectOf is whose grant it is, as the log has that person.
func (m *maker) subjectOf(g *access.Grant) document.Value {
	for _, r := range m.of(event.AccessGranted) {
		if slices.Contains(access.ChangeOf(r).IDs, g.ID) {
			return document.CodeOf(r.Subject.String())
		}
	}
	return document.Value{}
}

// maxUses is how many of the newest accounts are opened for when tokens were
// used.
const maxUses = 10_000

// lastUses is when each grant was last used, according to records: the hint
// that is kept outside the log is not part of it, and is not read.
func (m *maker) lastUses(live []*access.Grant, accounts query.Query, end time.Time) (map[string]document.Value, string, error) {
	waiting, last := make(map[string]bool), make(map[string]time.Time)
	for _, g := range live {
		waiting[g.ID.String()] = true
	}
	use := func(by string, at time.Time) {
		if waiting[by] && at.After(last[by]) && !at.After(end) {
			last[by] = at
		}
	}
	for _, r := range m.own {
		use(byOf(r), r.Event.Time)
	}
	accounts.Types = []event.Type{event.ContentRead, event.DataExported, event.SubjectAccessAnswered}
	accounts.Start, accounts.Limit = time.Time{}, maxUses
	read, oldest := 0, time.Time{}
	if m.o.Size > 0 && len(live) > 0 {
		for h, err := range m.engine.Find(m.ctx, accounts) {
			if err != nil {
				return nil, "", err
			}
			use(byOf(h.Record), h.Event.Time)
			read, oldest = read+1, h.Event.Time
		}
	}
	all := make(map[string]document.Value)
	for id := range maps.Keys(waiting) {
		switch at := last[id]; {
		case !at.IsZero():
			all[id] = document.TimeOf(at)
		case read == maxUses:
			all[id] = document.TextOf("none since " + oldest.UTC().Format(time.DateOnly))
		default:
			all[id] = document.TextOf("none")
		}
	}
	return all, m.source("find", "the newest uses of tokens on record", &accounts, query.Grouping{}, uint64(read)), nil
}

// byOf is the token with which something was done, by a record of it.
func byOf(r *record.Record) string {
	for _, raw := range r.Event.Metadata {
		var d struct {
			By string `json:"by"`
		}
		if json.Unmarshal(raw, &d) == nil && d.By != "" {
			return d.By
		}
	}
	return ""
}

// readings lists what was read and exported with which token, the newest first.
func (m *maker) readings(s *document.Section, q query.Query) error {
	q.Types = []event.Type{event.ContentRead, event.DataExported}
	q.Limit = maxRows
	list, source, err := m.find("the newest readings and exports", q)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	all, err := access.LoggedReads(func(yield func(*record.Record, error) bool) {
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
		row := []document.Value{document.TimeOf(a.Time), document.TextOf(words(string(a.Type)))}
		if m.o.Pseudonyms {
			row = append(row, m.pseudonym(a.Record))
		}
		switch {
		case a.State != record.Readable:
			state := document.StateOf(document.Plain, a.State.String())
			row = append(row, state, state, state, document.Value{}, document.Value{})
		case a.Known:
			row = append(row, document.CodeOf(a.By), document.TextOf(a.Command), document.CountOf(a.Records), document.CountOf(a.First), document.CountOf(a.Last))
		default:
			row = append(row, document.CodeOf(a.By), document.TextOf(a.Command), document.StateOf(document.Warning, access.UnknownExtent), document.Value{}, document.Value{})
		}
		rows = append(rows, row)
	}
	add(s, "readings", "What was read and exported", m.columns("time", "what", "holder", "token", "with", "records+", "first record+", "last record+"), rows, "local: a person with the files, without a token. 'audittrail access history --reads' leads from a token to its holder.", source)
	return nil
}

// changes lists grants and revocations.
func (m *maker) changes(s *document.Section) error {
	grants, _, err := m.grants()
	if err != nil {
		return err
	}
	of := make(map[access.ID]*access.Grant)
	for _, g := range grants {
		of[g.ID] = g
	}
	var rows [][]document.Value
	for _, r := range m.of(event.AccessGranted, event.AccessRevoked) {
		row := []document.Value{document.TimeOf(r.Event.Time), document.TextOf(words(string(r.Event.Type)))}
		ch := access.ChangeOf(r)
		var tokens, roles, scopes []string
		expires := document.Value{}
		for _, id := range ch.IDs {
			tokens = append(tokens, id.String())
			if g := of[id]; g != nil {
				roles, scopes = append(roles, g.Role), append(scopes, cmp.Or(strings.Join(g.Scope.Terms(), " "), "all records"))
				if r.Event.Type == event.AccessGranted {
					expires = expiry(g)
				}
			}
		}
		if m.o.Pseudonyms {
			row = append(row, m.pseudonym(r))
		}
		if r.State != record.Readable || ch.NewerForm {
			state := document.StateOf(document.Plain, r.State.String())
			if ch.NewerForm {
				state = document.StateOf(document.Warning, "newer form")
			}
			row = append(row, state, state, state, document.Value{}, document.Value{})
		} else {
			row = append(row, document.CodeOf(strings.Join(tokens, " ")), distinctText(roles), distinctText(scopes), expires, document.CodeOf(ch.By))
		}
		rows = append(rows, append(row, document.CountOf(r.Seq)))
	}
	add(s, "changes", "Grants and revocations", m.columns("time", "what", "holder", "token", "role", "scope", "expires", "by", "record+"), rows, "", m.administrative(event.AccessGranted, event.AccessRevoked))
	return nil
}

func distinctText(all []string) document.Value {
	slices.Sort(all)
	return document.TextOf(strings.Join(slices.Compact(all), ", "))
}

// pseudonym returns the subject id of a record; nothing if the record is about
// no person.
func (m *maker) pseudonym(r *record.Record) document.Value {
	if m.people.known && r.Subject == m.people.own || r.Subject == (record.Subject{}) {
		return document.Value{}
	}
	return document.CodeOf(r.Subject.String())
}
