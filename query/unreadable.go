package query

import (
	"context"
	"fmt"

	"audittrail"
	"audittrail/record"
)

// CountUnreadable returns how many records may or may not match, since the
// query depends on their content and it cannot be read: the log is open without
// its keyring, or keys of it are lost. Content that was erased or has expired
// is not counted. The count is 0 if q does not depend on encrypted content.
func (e *Engine) CountUnreadable(ctx context.Context, q Query) (uint64, error) {
	unknown := false // a user whose name may have been lost
	for _, user := range q.Users {
		_, known, err := e.log.Subject(user)
		if err != nil {
			return 0, fmt.Errorf("query: find records about a user: %w", err)
		}
		unknown = unknown || !known
	}
	if q.Text == "" && !unknown {
		return 0, nil
	}
	q.Text = ""
	if unknown {
		q.Users = nil
	}
	n := uint64(0)
	err := e.total(ctx, &q, func() (sink, error) { return newUnread(e.log) }, func(s sink) error {
		n += s.(*unread).n
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("query: %w", err)
	}
	return n, nil
}

// An unread counts the records whose content cannot be read although it was not
// destroyed. It belongs to one goroutine.
type unread struct {
	log              *audittrail.Log
	subjects, months *coder
	states           map[[2]uint32]record.State
	n                uint64
}

func newUnread(log *audittrail.Log) (*unread, error) {
	u := &unread{log: log, states: make(map[[2]uint32]record.State)}
	for name, c := range map[string]**coder{"subject": &u.subjects, "class": &u.months} {
		d, err := newDimension("unread", name, nil, nil)
		if err != nil {
			return nil, err
		}
		*c = newCoder(d)
	}
	return u, nil
}

func (u *unread) add(b batch) error {
	subjects, months := make([]uint32, b.size()), make([]uint32, b.size())
	if err := b.codes(u.subjects, subjects); err != nil {
		return err
	}
	if err := b.codes(u.months, months); err != nil {
		return err
	}
	for i := range subjects {
		key := [2]uint32{subjects[i], months[i]}
		state, ok := u.states[key]
		if !ok {
			s, err := record.ParseSubject(u.subjects.values[key[0]])
			if err != nil {
				return fmt.Errorf("read subject: %w", err)
			}
			if state, err = u.log.StateOf(s, u.months.values[key[1]]); err != nil {
				return err
			}
			u.states[key] = state
		}
		if state == record.Lost || state == record.Sealed {
			u.n++
		}
	}
	return nil
}
