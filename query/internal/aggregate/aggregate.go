// Package aggregate aggregates numbers by group: counts, sums, extremes,
// averages, percentiles, and counts of distinct numbers.
//
// The results depend on the numbers of a group alone, not on their order nor on
// how they were split among aggregates that were merged. Percentiles are exact
// up to [Exact] numbers of a group, and within one part in [Precision] beyond;
// counts of distinct values are exact up to [ExactDistinct] of a group, and
// beyond have a standard error of 1.04 / sqrt(2^14), 0.8 %.
package aggregate

import (
	"fmt"
	"math"
	"math/bits"
)

// An Aggregate is one aggregate of many groups. Groups are numbered from 0.
type Aggregate interface {
	// Add adds values[i] to the group groups[i].
	Add(groups []int32, values []int64)
	// Merge adds a group of another Aggregate of the same kind.
	Merge(group int32, from Aggregate, other int32)
	// Result returns the aggregate of a group.
	Result(group int32) Result
}

// A Result is the aggregate of a group's numbers.
type Result struct {
	Known bool // there is a result: no numbers have no maximum
	Whole bool // the result is in N; otherwise in F
	N     int64
	F     float64
}

func whole(n int64) Result { return Result{Known: true, Whole: true, N: n} }

// New makes an Aggregate: count, sum, avg, min, max, p50 to p99, or distinct.
// For distinct, equal numbers must represent equal values.
func New(name string) (Aggregate, error) {
	switch name {
	case "count":
		return new(count), nil
	case "sum", "avg":
		return &sums{average: name == "avg"}, nil
	case "min", "max":
		return &extremes{max: name == "max"}, nil
	case "distinct":
		return new(distinct), nil
	case "p50", "p95", "p99":
		return &percentile{percent: map[string]int64{"p50": 50, "p95": 95, "p99": 99}[name]}, nil
	}
	return nil, fmt.Errorf("%q is none of count, sum, avg, min, max, p50, p95, p99, distinct", name)
}

// extended returns s with space for the group n.
func extended[E any](s []E, n int32) []E {
	if missing := int(n) + 1 - len(s); missing > 0 {
		s = append(s, make([]E, missing)...)
	}
	return s
}

// at returns the element of a group that may never have been added to.
func at[E any](s []E, n int32) (e E) {
	if int(n) < len(s) {
		e = s[n]
	}
	return e
}

type count struct{ n []int64 }

func (c *count) Add(groups []int32, _ []int64) {
	for _, g := range groups {
		if int(g) >= len(c.n) {
			c.n = extended(c.n, g)
		}
		c.n[g]++
	}
}

func (c *count) Merge(group int32, from Aggregate, other int32) {
	c.n = extended(c.n, group)
	c.n[group] += at(from.(*count).n, other)
}

func (c *count) Result(group int32) Result { return whole(at(c.n, group)) }

// A sum has 128 bits, which no number of records can overflow.
type sum struct {
	hi int64
	lo uint64
	n  int64
}

func (s *sum) plus(hi int64, lo uint64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi += hi + int64(carry)
}

type sums struct {
	average bool
	s       []sum
}

func (t *sums) Add(groups []int32, values []int64) {
	for i, g := range groups {
		if int(g) >= len(t.s) {
			t.s = extended(t.s, g)
		}
		v := values[i]
		t.s[g].plus(v>>63, uint64(v))
		t.s[g].n++
	}
}

func (t *sums) Merge(group int32, from Aggregate, other int32) {
	t.s = extended(t.s, group)
	o := at(from.(*sums).s, other)
	t.s[group].plus(o.hi, o.lo)
	t.s[group].n += o.n
}

func (t *sums) Result(group int32) Result {
	s := at(t.s, group)
	if s.n == 0 {
		return Result{}
	}
	total := math.Ldexp(float64(s.hi), 64) + float64(s.lo)
	if s.hi == int64(s.lo)>>63 { // it fits an int64
		if !t.average {
			return whole(int64(s.lo))
		}
		total = float64(int64(s.lo))
	}
	if t.average {
		total /= float64(s.n)
	}
	return Result{Known: true, F: total}
}

type extreme struct {
	known bool
	v     int64
}

type extremes struct {
	max bool
	e   []extreme
}

func (t *extremes) put(group int32, v int64) {
	e := &t.e[group]
	if !e.known || t.max && v > e.v || !t.max && v < e.v {
		*e = extreme{true, v}
	}
}

func (t *extremes) Add(groups []int32, values []int64) {
	for i, g := range groups {
		if int(g) >= len(t.e) {
			t.e = extended(t.e, g)
		}
		t.put(g, values[i])
	}
}

func (t *extremes) Merge(group int32, from Aggregate, other int32) {
	t.e = extended(t.e, group)
	if o := at(from.(*extremes).e, other); o.known {
		t.put(group, o.v)
	}
}

func (t *extremes) Result(group int32) Result {
	e := at(t.e, group)
	return Result{Known: e.known, Whole: true, N: e.v}
}
