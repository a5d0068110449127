package query

import (
	"crypto/sha256"
	"encoding/binary"
	"sort"
	"strings"
	"time"

	"audittrail"
	"audittrail/query/internal/predicate"
	"audittrail/query/internal/timebucket"
	"audittrail/record"
)

// A dimension gives each record a value: what the records of a row of a table
// can have in common.
type dimension struct {
	name  string
	field *predicate.Field // nil: a label
	label string
	user  bool             // the field is subject, and the value is its user
	users map[string]Value // of the subjects that were looked up, since a lookup is slow
	span  string
	zone  *time.Location
	cuts  []time.Time // of the span "cut", sorted, from the first instant on to after the last
}

func newDimension(part, name string, zone *time.Location, cuts []time.Time) (*dimension, error) {
	d := &dimension{name: name, zone: zone, cuts: cuts, users: map[string]Value{}}
	if key, ok := strings.CutPrefix(name, "label:"); ok {
		if key == "" {
			return nil, problem(part, "label: the key is missing; write label:KEY")
		}
		d.label = key
		return d, nil
	}
	switch name {
	case "user", "user_id":
		d.user, name = true, "subject"
	case "hour", "day", "week", "month":
		d.span, name = name, "time"
	case "cut":
		if len(cuts) == 0 {
			return nil, problem(part, "cut: there are no boundaries; give Boundaries to divide time by")
		}
		d.span, name = name, "time"
	}
	f, err := fieldNamed(part, name)
	if err != nil {
		e := err.(*Error)
		e.Problem += ", user, label:KEY, hour, day, week or month"
		return nil, e
	}
	d.field = f
	return d, nil
}

// text is the value of a record, where it is a text; "" is absent.
func (d *dimension) text(r *record.Record) string {
	if d.field == nil {
		return r.Event.Labels[d.label]
	}
	return d.field.Text(r)
}

// isText tells whether values are texts, and not numbers.
func (d *dimension) isText() bool { return d.field == nil || d.field.Text != nil }

// number is the value of a record, where it is a number.
func (d *dimension) number(r *record.Record) (int64, bool) { return d.field.Number(r) }

// texts are the values of the rows of a window, where they are texts.
func (d *dimension) texts(w *predicate.Window) (predicate.Dictionary, []uint32, error) {
	if d.field == nil {
		return w.Labels(d.label)
	}
	return w.Texts(d.field)
}

// bucket returns the time bucket that contains a time.
func (d *dimension) bucket(nano int64) (start, end time.Time) {
	t := instant(nano).In(d.zone)
	if d.span == "cut" {
		i := sort.Search(len(d.cuts), func(i int) bool { return d.cuts[i].After(t) })
		return d.cuts[i-1], d.cuts[i]
	}
	return timebucket.Span(d.span, t)
}

// labelOf names a time bucket by its beginning.
func (d *dimension) labelOf(start time.Time) string {
	if d.span == "cut" {
		return start.Format(time.RFC3339Nano)
	}
	return timebucket.Label(d.span, start)
}

// textValue is the value that a text represents.
func (d *dimension) textValue(log *audittrail.Log, text string) (Value, error) {
	if !d.user || text == "" {
		return TextValue(text), nil
	}
	if v, ok := d.users[text]; ok {
		return v, nil
	}
	s, err := record.ParseSubject(text)
	if err != nil {
		return Value{}, err
	}
	user, state, err := log.User(s)
	if err != nil {
		return Value{}, err
	}
	if state != record.Readable {
		user = text
	}
	d.users[text] = TextValue(user) // the system's subject is nobody
	return d.users[text], nil
}

// numberValue is the value that a number represents.
func (d *dimension) numberValue(n int64) Value {
	switch {
	case d.span != "":
		return Value{kind: Bucket, t: instant(n).In(d.zone), s: d.labelOf(instant(n).In(d.zone))}
	case d.field.Time:
		return InstantValue(instant(n).In(d.zone))
	}
	return decimalValue(n, d.field.Scale)
}

// fingerprint represents a text where distinct texts are counted: 64 bits of
// its hash.
func fingerprint(text string) int64 {
	sum := sha256.Sum256([]byte(text))
	return int64(binary.BigEndian.Uint64(sum[:]))
}
