package query

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"audittrail"
	"audittrail/query/internal/filter"
	"audittrail/query/internal/search"
)

// A plan is a query made ready: its conditions, all of which must hold.
type plan struct {
	conditions []condition
	text       *search.Expr // nil: any
	nothing    bool         // no record can match: it asks for a user whom nobody knows
}

// A condition decides about one record.
type condition interface {
	holds(r *audittrail.Record) bool
}

// oneOf is the condition that a field of text has one of some values.
type oneOf struct {
	field  *field
	values map[string]bool
}

func (c *oneOf) holds(r *audittrail.Record) bool { return c.values[c.field.text(r)] }

// within is the condition that a field of numbers is in a range.
type within struct {
	field *field
	Range
}

func (c *within) holds(r *audittrail.Record) bool {
	n, known := c.field.number(r)
	return known && c.Range.holds(n)
}

// labelled is the condition that a record has a label of that value.
type labelled struct{ key, value string }

func (c *labelled) holds(r *audittrail.Record) bool {
	v, ok := r.Event.Labels[c.key]
	return ok && v == c.value
}

func (p *plan) holds(r *audittrail.Record) bool {
	for _, c := range p.conditions {
		if !c.holds(r) {
			return false
		}
	}
	return !p.nothing
}

func (p *plan) oneOf(name string, values []string) error {
	f, err := fieldNamed(name, name)
	if err != nil {
		return err
	}
	c := &oneOf{field: f, values: make(map[string]bool, len(values))}
	for _, v := range values {
		c.values[v] = true
	}
	p.conditions = append(p.conditions, c)
	return nil
}

func (p *plan) within(name string, r Range) error {
	f, err := fieldNamed(name, name)
	if err != nil {
		return err
	}
	p.conditions = append(p.conditions, &within{f, r})
	return nil
}

// plan makes a query ready.
func (e *Engine) plan(q *Query) (*plan, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	p := new(plan)
	if err := p.times(q); err != nil {
		return nil, err
	}
	if err := e.identities(p, q); err != nil {
		return nil, err
	}
	if len(q.Types) > 0 {
		var types []string
		for _, t := range q.Types {
			types = append(types, string(t))
		}
		if err := p.oneOf("type", types); err != nil {
			return nil, err
		}
	}
	for _, s := range q.sets() {
		if len(s.values) == 0 || s.name == "user_id" || s.name == "session_id" || s.name == "class" {
			continue
		}
		if err := p.oneOf(s.name, s.values); err != nil {
			return nil, err
		}
	}
	if err := p.classes(q.Classes); err != nil {
		return nil, err
	}
	for _, r := range q.ranges() {
		if r.open() {
			continue
		}
		if err := p.within(r.name, r.Range); err != nil {
			return nil, err
		}
	}
	for k, v := range q.Labels {
		p.conditions = append(p.conditions, &labelled{k, v})
	}
	if err := e.expressions(p, q); err != nil {
		return nil, err
	}
	return p, nil
}

// expressions adds the conditions that are written in a language.
func (e *Engine) expressions(p *plan, q *Query) error {
	if q.Filter != "" {
		n, err := filter.Compile(q.Filter, filterFields)
		var bad *filter.Error
		switch {
		case errors.As(err, &bad):
			return problem("filter", "%v", err)
		case err != nil:
			return err
		}
		p.conditions = append(p.conditions, &expression{n})
	}
	if q.Text == "" {
		return nil
	}
	x, err := search.Parse(q.Text)
	if err != nil {
		return problem("text", "%v", err)
	}
	p.text = x
	p.conditions = append(p.conditions, &wording{x, e.hidden})
	return nil
}

// times adds the bounds of the event's time.
func (p *plan) times(q *Query) error {
	var r Range
	if !q.Start.IsZero() {
		r.Min = new(nanos(q.Start))
	}
	if !q.End.IsZero() {
		end := nanos(q.End)
		if end == math.MinInt64 {
			p.nothing = true
			return nil
		}
		r.Max = new(end - 1)
	}
	if r.open() {
		return nil
	}
	return p.within("time", r)
}

// The times that nanoseconds since 1970 can tell.
var (
	firstNano = time.Unix(0, math.MinInt64)
	lastNano  = time.Unix(0, math.MaxInt64)
)

// nanos is a time in nanoseconds since 1970. What is before 1677 or after 2262
// counts as the first or last one that there is.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(firstNano):
		return math.MinInt64
	case t.After(lastNano):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// instant is the time of nanos.
func instant(n int64) time.Time { return time.Unix(0, n).UTC() }

// identities adds the conditions on people and sessions, which stand in the
// records under other names.
func (e *Engine) identities(p *plan, q *Query) error {
	var subjects []string
	for _, s := range q.Subjects {
		subjects = append(subjects, s.String())
	}
	if len(q.Users) > 0 || len(q.Subjects) > 0 {
		for _, user := range q.Users {
			s, known, err := e.log.Subject(user)
			if err != nil {
				return fmt.Errorf("find records about a user: %w", err)
			}
			if known {
				subjects = append(subjects, s.String())
			}
		}
		p.nothing = p.nothing || len(subjects) == 0
		if err := p.oneOf("subject", subjects); err != nil {
			return err
		}
	}
	var sessions []string
	for _, id := range q.Sessions {
		s, err := e.log.Session(id)
		if err != nil {
			return fmt.Errorf("find records of a session: %w", err)
		}
		sessions = append(sessions, hex.EncodeToString(s[:]))
	}
	if len(sessions) == 0 {
		return nil
	}
	return p.oneOf("session", sessions)
}

// classes adds the condition on retention classes, with and without a month.
func (p *plan) classes(list []string) error {
	months, names := 0, 0
	for _, c := range list {
		if strings.Contains(c, "/") {
			months++
		} else {
			names++
		}
	}
	switch {
	case len(list) == 0:
		return nil
	case names == 0:
		return p.oneOf("class", list)
	case months == 0:
		return p.oneOf("retention_class", list)
	}
	return problem("class", "some name a month and some do not; write all of them in one of the two forms")
}
