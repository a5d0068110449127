package pick

import (
	"fmt"
	"sync"

	"audittrail"
	"audittrail/internal/index/block"
	"audittrail/query/internal/search"
	"audittrail/record"
)

// A Reader tells of subjects what can be read of them.
type Reader interface {
	StateOf(s record.Subject, class string) (audittrail.State, error)
}

// Worded is the condition that a record has some text that can be read. That of
// subjects that are hidden has none; nil hides nobody. Kept tells that holds
// keep records beyond their class: an index does not have their text.
func Worded(x *search.Expr, reader Reader, hidden func(record.Subject) bool, kept bool) Condition {
	return &wording{x, reader, hidden, kept}
}

type wording struct {
	text   *search.Expr
	reader Reader
	hidden func(record.Subject) bool
	kept   bool
}

func (c *wording) Holds(r *audittrail.Record) bool {
	return r.State == audittrail.Readable && !(c.hidden != nil && c.hidden(r.Subject)) && c.text.Match(&r.Event)
}

func (c *wording) narrow(v *View, n *narrowing) error {
	if c.hidden != nil {
		n.tests = append(n.tests, byValue(block.Subject, func(s string) bool {
			subject, err := record.ParseSubject(s)
			return err != nil || !c.hidden(subject)
		}))
	}
	rows, err := c.text.Rows(v.chunk)
	if err != nil {
		return err
	}
	n.unsure = n.unsure || !rows.Exact
	switch {
	case c.kept || rows.Outside:
		n.tests = append(n.tests, c.readable(rows))
	case rows.Set.IsEmpty():
		n.none = "no row has the words"
	default:
		n.sets = append(n.sets, rows.Set)
	}
	return nil
}

// readable leaves the rows that have the words, of those that can be read. What
// is kept beyond its class has to be opened for that.
func (c *wording) readable(rows search.Rows) test {
	var states sync.Map // of subject and class, by their codes
	return func(w *Window) error {
		subjects, who, err := w.codes(block.Subject)
		if err != nil {
			return err
		}
		classes, which, err := w.codes(block.Class)
		if err != nil {
			return err
		}
		var failed error
		w.keep(func(i int) bool {
			key := uint64(who[i])<<32 | uint64(which[i])
			s, ok := states.Load(key)
			if !ok {
				var err error
				if s, err = c.stateOf(subjects.Value(who[i]), classes.Value(which[i])); err != nil {
					failed = err
				}
				states.Store(key, s)
			}
			switch s {
			case audittrail.Readable:
				return rows.Set.Contains(w.Rows[i]) != rows.Outside
			case audittrail.Expired:
				w.Unsure = w.Unsure || c.kept
				return c.kept
			}
			return false
		})
		return failed
	}
}

func (c *wording) stateOf(subject, class string) (audittrail.State, error) {
	s, err := record.ParseSubject(subject)
	if err != nil {
		return audittrail.Lost, fmt.Errorf("read subject: %w", err)
	}
	return c.reader.StateOf(s, class)
}
