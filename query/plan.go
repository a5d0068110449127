package query

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"audittrail"
	"audittrail/internal/index/block"
	"audittrail/query/internal/filter"
	"audittrail/query/internal/predicate"
	"audittrail/query/internal/search"
	"audittrail/record"
)

// fieldNamed returns the field of a name, or an error that lists the fields.
func fieldNamed(part, name string) (*predicate.Field, error) {
	f, ok := predicate.Named(name)
	if !ok {
		return nil, problem(part, "unknown cleartext field %q; the fields are: %s", name, strings.Join(predicate.Names(), ", "))
	}
	return f, nil
}

// A plan is a prepared query: its conditions, all of which must hold.
type plan struct {
	conditions []predicate.Condition // on cleartext fields
	text       *predicate.Wording    // nil: any
	users      []string              // the record's content must name one of them; none: any user
	calls      *predicate.Calls      // one of conditions, or nil
	nothing    bool                  // no record can match: the query asks for unknown users
}

func (p *plan) holds(r *record.Record) bool {
	return p.fits(r) && (p.text == nil || p.text.Holds(r))
}

// fits reports whether all conditions but the text hold.
func (p *plan) fits(r *record.Record) bool {
	for _, c := range p.conditions {
		if !c.Holds(r) {
			return false
		}
	}
	if len(p.users) > 0 && !(r.State == record.Readable && slices.Contains(p.users, r.Event.UserID)) {
		return false
	}
	return !p.nothing
}

func (p *plan) oneOf(name string, values []string) error {
	f, err := fieldNamed(name, name)
	if err == nil {
		p.conditions = append(p.conditions, predicate.OneOf(f, values))
	}
	return err
}

func (p *plan) within(name string, r Range) error {
	f, err := fieldNamed(name, name)
	if err == nil {
		p.conditions = append(p.conditions, predicate.Within(f, r.Min, r.Max))
	}
	return err
}

// plan prepares a query.
func (e *Engine) plan(ctx context.Context, q *Query) (*plan, error) {
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
		if len(s.values) == 0 || s.name == "user_id" || s.name == "session_id" || s.name == "actor" || s.name == "class" {
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
		p.conditions = append(p.conditions, predicate.Labelled(k, v))
	}
	if q.Calls || q.part != 0 {
		p.calls = &predicate.Calls{Unknown: q.part == unknownParts, Begun: q.part == begunParts}
		p.conditions = append(p.conditions, p.calls)
	}
	if err := e.expressions(ctx, p, q); err != nil {
		return nil, err
	}
	return p, nil
}

// expressions adds the conditions that are written as text queries or CEL.
func (e *Engine) expressions(ctx context.Context, p *plan, q *Query) error {
	if q.Filter != "" {
		n, err := filter.Compile(q.Filter, predicate.FilterFields)
		var bad *filter.Error
		switch {
		case errors.As(err, &bad):
			return problem("filter", "%v", err)
		case err != nil:
			return err
		}
		p.conditions = append(p.conditions, predicate.Satisfying(n))
	}
	if q.Text == "" {
		return nil
	}
	x, err := search.Parse(q.Text)
	if err != nil {
		return problem("text", "%v", err)
	}
	kept, err := e.kept(ctx)
	if errors.Is(err, audittrail.ErrNoKeys) {
		// Without a readable record, a search would return no hits, as if no
		// text matched.
		return fmt.Errorf("search the contents, which are encrypted, for text: %w", err)
	}
	if err != nil {
		return err
	}
	p.text = predicate.Worded(x, e.log, e.hidden, kept)
	return nil
}

// kept returns a function that reports of a class whether it has expired while
// a legal hold may keep some of its records.
func (e *Engine) kept(ctx context.Context) (func(class string) bool, error) {
	classes, err := e.log.Classes()
	if err != nil {
		return nil, err
	}
	holds, err := e.log.Holds(ctx)
	if err != nil || len(holds) == 0 {
		return nil, err
	}
	return func(class string) bool {
		return !strings.HasPrefix(class, audittrail.GovernanceClass+"/") && !slices.Contains(classes, class)
	}, nil
}

// times adds the bounds of the event's time.
func (p *plan) times(q *Query) error {
	var r Range
	if !q.Start.IsZero() {
		r.Min = new(block.Nanos(q.Start))
	}
	if !q.End.IsZero() {
		end := block.Nanos(q.End)
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

// instant is the time of nanos.
func instant(n int64) time.Time { return time.Unix(0, n).UTC() }

// identities adds the conditions on people and sessions, which the records
// contain under pseudonyms.
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
	if len(q.Actors) > 0 {
		var actors []string
		for _, name := range q.Actors {
			s, known, err := e.log.Subject(name)
			if err != nil {
				return fmt.Errorf("find records of an actor: %w", err)
			}
			if known {
				actors = append(actors, s.String())
			}
		}
		p.nothing = p.nothing || len(actors) == 0
		if err := p.oneOf("actor_subject", actors); err != nil {
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
	return problem("class", "some classes name a month and some do not; write all of them in one of the two forms")
}
