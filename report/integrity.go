package report

import (
	"fmt"
	"slices"
	"strings"

	"audittrail"
	"audittrail/event"
	"audittrail/finding"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
)

// verify checks the records that count, and returns what says what is wrong with
// them.
func (m *maker) verify() (say func()) {
	o := audittrail.VerifyOptions{Size: m.o.Size, IgnoreUnauthenticated: m.within, Progress: m.o.Progress}
	if m.doc.Witness != nil {
		o.Checkpoints = [][]byte{[]byte(m.doc.Witness.Checkpoint)}
	}
	v, err := m.log.Verify(m.ctx, o)
	if err != nil {
		return func() {
			m.worse(document.Unchecked, document.Bad, fmt.Sprintf("The log could not be verified: %v.", err))
		}
	}
	return func() {
		m.verified = v
		m.judgeCheck()
	}
}

// judgeCheck says what the check of the log found.
func (m *maker) judgeCheck() {
	v := m.verified
	limits := strings.Join(v.Caveats(), "; ")
	switch v.Verdict() {
	case audittrail.VerdictAltered:
		m.worse(document.Altered, document.Bad, fmt.Sprintf("The log was ALTERED: %s among the records that count; the integrity section lists the first of them.", plural(int(v.Alterations()), "alteration", "alterations")))
		if limits != "" {
			m.notice(document.Bad, "The check of the log also found that "+limits+".")
		}
	case audittrail.VerdictUnchecked:
		m.worse(document.Unchecked, document.Bad, "The log could not be checked: "+limits+".")
	case audittrail.VerdictLimited:
		m.worse(document.Incomplete, document.Warning, notAltered+limits+": see the integrity section.")
	}
	if n := v.Count(finding.Unauthenticated); n > 0 {
		m.worse(document.Incomplete, document.Warning, goesOn+", which are not authenticated. They are not part of any figure: 'audittrail verify' names them.")
	}
	for _, missing := range v.Limitations {
		m.worse(document.Incomplete, document.Warning, lacked+missing+".")
	}
}

// state is what the check of the log came to.
func (m *maker) state() document.Value {
	if m.verified == nil {
		return document.StateOf(document.Bad, "not checked")
	}
	switch m.verified.Verdict() {
	case audittrail.VerdictIntact:
		return document.StateOf(document.Good, "intact")
	case audittrail.VerdictLimited:
		return document.StateOf(document.Warning, "intact, but "+strings.Join(m.verified.Caveats(), "; "))
	case audittrail.VerdictAltered:
		return document.StateOf(document.Bad, "ALTERED")
	}
	return document.StateOf(document.Bad, "not checked")
}

func (m *maker) integrity(s *document.Section) error {
	q := m.source("verify", "the first "+recordsText(m.o.Size)+" against their hashes, the chain and the tree: audittrail verify", nil, query.Grouping{}, m.o.Size)
	figure(s, "state", "The log", m.state(), "", q)
	figure(s, "records", "Records that the checkpoint covers", document.CountOf(m.o.Size), "", q)
	figure(s, "root", "Root of their tree", document.CodeOf(m.doc.Root), "", q)
	m.witnessed(s, q)
	m.unreadable(s)
	if v := m.verified; v != nil {
		figure(s, "alterations", "Alterations", document.CountOf(v.Alterations()), "", q)
		var rows [][]document.Value
		for _, p := range v.Findings {
			rows = append(rows, []document.Value{document.CountOf(p.Seq), document.StateOf(document.Bad, string(p.Kind)), document.CodeOf(fmt.Sprintf("%s, byte %d", p.File, p.Offset)), document.TextOf(p.Detail)})
		}
		if len(rows) > 0 {
			add(s, "problems", "What is wrong", columns("record+", "kind", "where", "detail"), rows, "", q)
			if t := &s.Tables[len(s.Tables)-1]; v.FindingCount > uint64(len(t.Rows)) {
				t.Total = v.FindingCount
			}
		}
	}
	if err := m.keys(s); err != nil {
		return err
	}
	return m.governed(s, "acts", "What the log did to itself", event.SignerRotated, event.MasterRotated, event.KeysBackedUp, event.LogRepaired, event.LogRebuilt)
}

// keys lists who signs and has signed.
func (m *maker) keys(s *document.Section) error {
	keys, err := m.log.Keys()
	if err != nil {
		return fmt.Errorf("list the log's keys: %w", err)
	}
	q := m.source("keys", "the log's verifier keys: audittrail keys show", nil, query.Grouping{}, 0)
	var rows [][]document.Value
	for _, k := range keys {
		if k.From > m.o.Size {
			continue
		}
		until := document.TextOf("in force")
		if k.Until != nil && *k.Until <= m.o.Size {
			until = document.CountOf(*k.Until)
		}
		rows = append(rows, []document.Value{document.CodeOf(k.VKey), document.TimeOf(k.Created), document.CountOf(k.From), until})
	}
	figure(s, "keys", "Keys that have signed", document.CountOf(len(rows)), "", q)
	add(s, "signers", "Keys of the log", columns("verifier key", "made", "from size+", "until size+"), rows, "", q)
	return nil
}

// governed lists administrative records of some types.
func (m *maker) governed(s *document.Section, id, title string, types ...event.Type) error {
	if m.ownErr != nil {
		return m.ownErr
	}
	var rows [][]document.Value
	for _, r := range m.own {
		if slices.Contains(types, r.Event.Type) {
			rows = append(rows, []document.Value{document.TimeOf(r.Event.Time), document.TextOf(words(string(r.Event.Type))), document.CountOf(r.Seq)})
		}
	}
	q := m.administrative(types...)
	add(s, id, title, columns("time", "what", "record+"), rows, "", q)
	return nil
}

// administrative is the source of figures from records that govern the log.
// They count for the whole log, whatever the period: they govern all of it.
func (m *maker) administrative(types ...event.Type) string {
	n := uint64(0)
	for _, r := range m.own {
		if slices.Contains(types, r.Event.Type) {
			n++
		}
	}
	q := query.Query{Types: types, Size: m.o.Size}
	return m.source("administrative", "records that govern the log, over its whole life", &q, query.Grouping{}, n)
}

// of returns the administrative records of some types.
func (m *maker) of(types ...event.Type) []*record.Record {
	var some []*record.Record
	for _, r := range m.own {
		if slices.Contains(types, r.Event.Type) {
			some = append(some, r)
		}
	}
	return some
}
