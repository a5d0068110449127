package query

import (
	"audittrail"
	"audittrail/query/internal/filter"
)

// filterFields are what an expression can name.
var filterFields = func() []filter.Field {
	var list []filter.Field
	for _, f := range fields {
		t := filter.Whole
		switch {
		case f.text != nil:
			t = filter.Text
		case f.time:
			t = filter.Instant
		case f.scale > 0:
			t = filter.Real
		}
		list = append(list, filter.Field{Name: f.name, Type: t})
	}
	return append(list, filter.Field{Name: "labels", Type: filter.Labels})
}()

// An expression is the condition that a filter holds.
type expression struct{ *filter.Node }

func (c *expression) holds(r *audittrail.Record) bool {
	holds, known := c.Holds(func(name string) any {
		if name == "labels" {
			return r.Event.Labels
		}
		f := byName[name]
		if f.text != nil {
			return f.text(r)
		}
		n, ok := f.number(r)
		if !ok {
			return nil
		}
		return f.celValue(n)
	})
	return holds && known
}

// celValue is a number as expressions see it.
func (f *field) celValue(n int64) any {
	switch {
	case f.time:
		return instant(n)
	case f.scale > 0:
		return float64(n) / float64(pow10(uint8(f.scale)))
	}
	return n
}
