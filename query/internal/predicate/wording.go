package predicate

import (
	"fmt"
	"sync"

	"audittrail/internal/index/block"
	"audittrail/query/internal/search"
	"audittrail/record"
)

// A Reader reports of subjects whether their content can be read.
type Reader interface {
	StateOf(s record.Subject, class string) (record.State, error)
}

// Worded returns the condition that a record has some text that can be read.
// The text of hidden subjects cannot be; if hidden is nil, no subject is
// hidden. Kept reports of a class whether it has expired while legal holds keep
// some of its records, whose text an index does not have; nil stands for no
// such class.
func Worded(x *search.Expr, reader Reader, hidden func(record.Subject) bool, kept func(class string) bool) *Wording {
	return &Wording{x, reader, hidden, kept}
}

// Wording is the condition that Worded returns.
type Wording struct {
	text   *search.Expr
	reader Reader
	hidden func(record.Subject) bool
	kept   func(class string) bool
}

// Holds decides for a record.
func (c *Wording) Holds(r *record.Record) bool {
	return c.visible(r) && c.text.Match(&r.Event)
}

// Find reports whether the condition holds, and returns where the record has
// the text, at most limit places.
func (c *Wording) Find(r *record.Record, limit int) (places []search.Match, holds bool) {
	if !c.visible(r) {
		return nil, false
	}
	return c.text.Find(&r.Event, limit)
}

func (c *Wording) visible(r *record.Record) bool {
	return r.State == record.Readable && !(c.hidden != nil && c.hidden(r.Subject))
}

func (c *Wording) narrow(v *View, n *narrowing) error {
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
	kept, err := c.keeps(v)
	switch {
	case err != nil:
		return err
	case kept || rows.Outside:
		n.tests = append(n.tests, c.readable(rows, kept))
	case rows.Set.IsEmpty():
		n.none = "no row has the words"
	default:
		n.sets = append(n.sets, rows.Set)
	}
	return nil
}

// keeps reports whether records of the chunk may be kept beyond their class.
func (c *Wording) keeps(v *View) (bool, error) {
	if c.kept == nil {
		return false, nil
	}
	classes, err := v.textsOf(block.Class)
	if err != nil {
		return false, err
	}
	for code := range classes.Values() {
		if code > 0 && c.kept(classes.Value(uint32(code))) {
			return true, nil
		}
	}
	return false, nil
}

// readable keeps the rows that have the words and whose content can be read.
// Records that are kept beyond their class have to be opened to decide.
func (c *Wording) readable(rows search.Rows, kept bool) test {
	return byState(c.stateOf, func(w *Window, i int, s record.State) bool {
		switch s {
		case record.Readable:
			return rows.Set.Contains(w.Rows[i]) != rows.Outside
		case record.Expired:
			w.Unsure = w.Unsure || kept
			return kept
		}
		return false
	})
}

// byState keeps the rows for which is returns true. Its i is the row's place in
// the window, and told the result of of for the row's subject and class; of is
// called once for each pair.
func byState[T any](of func(subject, class string) (T, error), is func(w *Window, i int, told T) bool) test {
	var known sync.Map // of subject and class, by their codes
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
			told, ok := known.Load(key)
			if !ok {
				t, err := of(subjects.Value(who[i]), classes.Value(which[i]))
				if err != nil {
					failed = err
					return false
				}
				told = t
				known.Store(key, told)
			}
			return is(w, i, told.(T))
		})
		return failed
	}
}

func (c *Wording) stateOf(subject, class string) (record.State, error) {
	s, err := record.ParseSubject(subject)
	if err != nil {
		return record.Lost, fmt.Errorf("read subject: %w", err)
	}
	return c.reader.StateOf(s, class)
}

// Unworded returns the condition that a record's text cannot be read any more,
// or belongs to a hidden subject.
func Unworded(reader Reader, hidden func(record.Subject) bool, kept func(class string) bool) Condition {
	return &unworded{Wording{nil, reader, hidden, kept}}
}

type unworded struct{ words Wording }

// Holds decides for a record.
func (c *unworded) Holds(r *record.Record) bool {
	return r.State == record.Erased || r.State == record.Expired || c.words.hidden != nil && c.words.hidden(r.Subject)
}

func (c *unworded) narrow(v *View, n *narrowing) error {
	kept, err := c.words.keeps(v)
	if err != nil {
		return err
	}
	of := func(subject, class string) (unreadness, error) { return c.of(subject, class, kept) }
	n.tests = append(n.tests, byState(of, func(w *Window, _ int, is unreadness) bool {
		w.Unsure = w.Unsure || is == perhapsUnread
		return is != notUnread
	}))
	return nil
}

// An unreadness says whether a text cannot be read any more, or is hidden.
type unreadness uint8

const (
	notUnread unreadness = iota
	surelyUnread
	perhapsUnread // a hold may keep it
)

func (c *unworded) of(subject, class string, kept bool) (unreadness, error) {
	s, err := record.ParseSubject(subject)
	if err != nil {
		return notUnread, fmt.Errorf("read subject: %w", err)
	}
	if c.words.hidden != nil && c.words.hidden(s) {
		return surelyUnread, nil
	}
	state, err := c.words.reader.StateOf(s, class)
	switch {
	case err != nil:
		return notUnread, err
	case state == record.Expired && kept:
		return perhapsUnread, nil
	case state == record.Erased || state == record.Expired:
		return surelyUnread, nil
	}
	return notUnread, nil
}
