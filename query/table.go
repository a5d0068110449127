package query

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"audittrail/query/internal/aggregate"
	"audittrail/query/internal/predicate"
)

// A Grouping tells Group how to aggregate the matching records.
type Grouping struct {
	// By names what the records of a row have in common: cleartext fields
	// ("model_id", "outcome", "input_tokens", …), "label:KEY", "user" (an
	// erased user counts under the id of the subject), or a time bucket of the
	// event's time: "hour", "day", "week" (from Monday on, numbered as in ISO
	// 8601), "month", or "cut", which is the time between two of Boundaries. If
	// By is empty, there is one row, of all records.
	By []string
	// Aggregates are "count", or one of count, sum, avg, min, max, p50, p95,
	// p99 and distinct of a field: "sum(input_tokens)", "p95(latency_ms)",
	// "min(time)", "distinct(user)". If Aggregates is empty, the table has the
	// count. Records without the field do not count; where no record has it,
	// the count is 0 and any other aggregate absent.
	//
	// Percentiles are by the nearest rank: exact up to 4,096 records of a row,
	// off by at most 0.2 % beyond. Distinct is exact up to 131,072, and beyond
	// an estimate whose standard error is 0.8 %.
	Aggregates []string
	// Zone is the time zone of hours, days, weeks and months; if nil, UTC.
	Zone *time.Location
	// Boundaries divide time for "cut": each boundary ends one bucket and
	// begins the next. Times before the first boundary are in a bucket of their
	// own.
	Boundaries []time.Time
}

// A Table is the result of Group: a row for each group that has records, sorted
// by what its records have in common.
type Table struct {
	Columns []string // By and Aggregates, as the Grouping has them
	Rows    [][]Value
}

// The limits of a Grouping.
const (
	maxBy         = 8
	maxAggregates = 32
	maxGroups     = 1_000_000
)

// An askedFor is an aggregate that a Grouping asks for.
type askedFor struct {
	kind  string           // count, sum, …
	field *predicate.Field // nil: every record counts
	over  *dimension       // for distinct: the dimension whose values are counted

	prints *printer // of over
}

// parseAggregate reads "kind" or "kind(field)".
func parseAggregate(text string, zone *time.Location) (askedFor, error) {
	const part = "aggregate"
	kind, rest, of := strings.Cut(text, "(")
	name, closed := strings.CutSuffix(rest, ")")
	if of != closed || of && name == "" {
		return askedFor{}, problem(part, "%q is not of the form sum(input_tokens)", text)
	}
	if _, err := aggregate.New(kind); err != nil {
		return askedFor{}, problem(part, "%v", err)
	}
	a := askedFor{kind: kind}
	switch {
	case !of && kind == "count":
		return a, nil
	case !of:
		return a, problem(part, "%s of which field? Write %s(input_tokens), for example", kind, kind)
	case kind == "distinct":
		var err error
		a.over, err = newDimension(part, name, zone, nil)
		return a, err
	}
	f, err := fieldNamed(part, name)
	switch {
	case err != nil:
		return a, err
	case f.Number == nil && kind != "count":
		return a, problem(part, "%s is not a number; use count(%[1]s) or distinct(%[1]s)", name)
	case f.Time && kind != "count" && kind != "min" && kind != "max":
		return a, problem(part, "%s of a time is not defined; use min, max, count or distinct of %s", kind, name)
	}
	a.field = f
	return a, nil
}

// value returns an aggregate's result in the field's unit.
func (a *askedFor) value(r aggregate.Result, zone *time.Location) Value {
	switch {
	case !r.Known:
		return Value{}
	case a.kind == "count" || a.kind == "distinct":
		return IntegerValue(r.N)
	case a.field.Time:
		return InstantValue(instant(r.N).In(zone))
	case r.Whole:
		return decimalValue(r.N, a.field.Scale)
	}
	return FloatValue(r.F / float64(pow10(uint8(a.field.Scale))))
}

// sortRows sorts by the first columns.
func sortRows(rows [][]Value, columns int) {
	slices.SortFunc(rows, func(a, b []Value) int {
		for i := range columns {
			if c := a[i].Compare(b[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a), len(b))
	})
}
