package report

import (
	"errors"
	"fmt"

	"audittrail"
	"audittrail/query"
	"audittrail/record"
	"audittrail/report/document"
)

// people is what a report needs to count people: which subject is the log's own,
// that of records about nobody. The keyring says so.
type people struct {
	own   record.Subject
	known bool
}

func (m *maker) findOwn() error {
	s, _, err := m.log.Subject("")
	if errors.Is(err, audittrail.ErrNoKeys) {
		return nil
	}
	m.people = people{own: s, known: err == nil}
	return err
}

// distinctPeople is the aggregate that counts people, or if that cannot be
// known, subjects.
func (m *maker) distinctPeople() string {
	if m.people.known {
		return "distinct(user)"
	}
	return "distinct(subject)"
}

// peopleValue is what distinctPeople came to, and if it is not known, why.
func (m *maker) peopleValue(v query.Value) (document.Value, string) {
	if m.people.known || v.Kind() == query.Absent || v.Int() == 0 {
		return countValue(v), ""
	}
	return document.Value{}, fmt.Sprintf("Not known: the records have %s, and only the keyring tells which of them is the log's own, of records that are about no person.",
		plural(int(v.Int()), "subject", "subjects"))
}

// isOwn tells whether a subject, as a group has it, is the log's own.
func (m *maker) isOwn(v query.Value) bool {
	return m.people.known && v.String() == m.people.own.String()
}

// A portion is those with a number from least up to the next portion's.
type portion struct {
	label string
	least int64
}

// portions are the parts into which people are put by how often something is
// about them.
var portions = []portion{{"1", 1}, {"2 to 9", 2}, {"10 to 99", 10}, {"100 to 999", 100}, {"1,000 to 9,999", 1000}, {"10,000 or more", 10_000}}

// distribution is how many people have how many records, from the rows of a
// group by subject: no row is one person's.
func (m *maker) distribution(t *table) [][]document.Value {
	count, sum := make([]int64, len(portions)), make([]int64, len(portions))
	for i, r := range t.rows {
		n := t.n(i, 0)
		if m.isOwn(r[0]) || n == 0 {
			continue
		}
		at := 0
		for at+1 < len(portions) && n >= portions[at+1].least {
			at++
		}
		count[at]++
		sum[at] += n
	}
	var rows [][]document.Value
	for i, p := range portions {
		if count[i] > 0 {
			rows = append(rows, []document.Value{document.TextOf(p.label), document.CountOf(count[i]), document.CountOf(sum[i])})
		}
	}
	return rows
}
