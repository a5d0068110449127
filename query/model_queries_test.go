package query_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"audittrail/event"
	"audittrail/query"
	"audittrail/record"
)

// conditions are those of a query.
type conditions struct {
	said []string
	all  []func(*fact) bool
	text *wording // nil: any
}

func (c *conditions) String() string { return strings.Join(c.said, "\n") }

func (c *conditions) add(holds func(*fact) bool, format string, args ...any) {
	c.said, c.all = append(c.said, fmt.Sprintf(format, args...)), append(c.all, holds)
}

func (c *conditions) hold(f *fact, hidden map[record.Subject]bool) bool {
	for _, holds := range c.all {
		if !holds(f) {
			return false
		}
	}
	if c.text == nil {
		return true
	}
	return f.State == record.Readable && !hidden[f.Subject] && c.text.holds(f.cut)
}

// places are where the text that is asked for stands, or nil if the wording
// does not say.
func (c *conditions) places(f *fact) []place {
	if c.text == nil {
		return []place{}
	}
	return c.text.places(f.cut)
}

// query makes one up.
func (w *world) query() *asked {
	q := &asked{}
	q.OldestFirst, q.Limit = w.rng.IntN(2) == 0, pick(w, []int{0, 0, 1, 5, 20})
	q.said = append(q.said, fmt.Sprintf("oldest first %v, limit %d", q.OldestFirst, q.Limit))
	size := len(w.facts)
	if w.rng.IntN(6) == 0 {
		q.From = w.rng.Uint64N(uint64(size) + 3)
		q.said = append(q.said, fmt.Sprintf("from %d", q.From))
	}
	if w.rng.IntN(6) == 0 {
		q.Size = 1 + w.rng.Uint64N(uint64(size)+3)
		q.said = append(q.said, fmt.Sprintf("size %d", q.Size))
	}
	kinds := []func(*asked){w.anyOf, w.people, w.sessions, w.types, w.within, w.times, w.labels, w.filter, w.anyOf, w.filter}
	w.rng.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, add := range kinds[:w.rng.IntN(3)] {
		add(q)
	}
	if w.rng.IntN(2) == 0 {
		x := w.either(2, "")
		q.Text, q.text = x.text, &x
		q.said = append(q.said, "text "+x.text)
		if w.rng.IntN(4) == 0 {
			q.hidden = map[record.Subject]bool{w.any().Subject: true, w.any().Subject: true}
			q.said = append(q.said, fmt.Sprintf("hidden %v", q.hidden))
		}
	}
	return q
}

func (w *world) any() *fact { return pick(w, w.facts) }

// valuesOf are one or two that a field has, and sometimes one that it has not.
func (w *world) valuesOf(of func(*fact) string) []string {
	var list []string
	for range 20 {
		if v := of(w.any()); v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
		if len(list) > w.rng.IntN(3) {
			break
		}
	}
	return list
}

// anyOf asks for values of one field.
func (w *world) anyOf(q *asked) {
	kinds := []struct {
		name string
		to   *[]string
	}{
		{"model_id", &q.Models},
		{"model_version", &q.Versions},
		{"provider", &q.Providers},
		{"deployment_id", &q.Deployments},
		{"trace_id", &q.Traces},
		{"producer", &q.Producers},
		{"outcome", &q.Outcomes},
		{"severity", &q.Severities},
		{"category", &q.Categories},
		{"tool", &q.Tools},
		{"class", &q.Classes},
		{"retention_class", &q.Classes},
	}
	k := pick(w, kinds)
	of := textNamed(k.name)
	values := w.valuesOf(of)
	if closed := k.name == "outcome" || k.name == "severity" || k.name == "trace_id" || strings.HasSuffix(k.name, "class"); !closed && w.rng.IntN(4) == 0 {
		values = append(values, "unheard of")
	}
	if len(values) == 0 || len(*k.to) > 0 {
		return
	}
	*k.to = values
	q.add(func(f *fact) bool { return slices.Contains(values, of(f)) }, "%s is one of %q", k.name, values)
}

// people asks for users and subjects: one of either.
func (w *world) people(q *asked) {
	q.Users = []string{pick(w, append(users, "nobody"))}
	if w.rng.IntN(3) == 0 {
		q.Users = append(q.Users, pick(w, users))
	}
	if w.rng.IntN(3) == 0 {
		q.Subjects = []record.Subject{w.any().Subject}
	}
	q.add(func(f *fact) bool {
		return f.user != "" && !f.erased && slices.Contains(q.Users, f.user) || slices.Contains(q.Subjects, f.Subject)
	}, "user is one of %q or %v", q.Users, q.Subjects)
}

func (w *world) sessions(q *asked) {
	q.Sessions = []string{pick(w, append(sessions, "unheard of"))}
	q.add(func(f *fact) bool { return slices.Contains(q.Sessions, f.session) }, "session is one of %q", q.Sessions)
}

func (w *world) types(q *asked) {
	for _, name := range w.valuesOf(textNamed("type")) {
		q.Types = append(q.Types, event.Type(name))
	}
	q.add(func(f *fact) bool { return slices.Contains(q.Types, f.Event.Type) }, "type is one of %q", q.Types)
}

// near returns a number that some record has, or an adjacent one.
func (w *world) near(field *numberField) int64 {
	for range 20 {
		if n, known := field.of(w.any()); known {
			return min(max(0, n+w.rng.Int64N(3)-1), event.MaxInt)
		}
	}
	return w.rng.Int64N(100)
}

func (w *world) within(q *asked) {
	k := pick(w, []struct {
		name string
		to   *query.Range
	}{
		{"input_tokens", &q.InputTokens},
		{"output_tokens", &q.OutputTokens},
		{"cached_tokens", &q.CachedTokens},
		{"reasoning_tokens", &q.ReasoningTokens},
		{"latency_ms", &q.Latency},
		{"cost", &q.Cost},
	})
	field := numberNamed(k.name)
	a, b := w.near(field), w.near(field)
	a, b = min(a, b), max(a, b)
	low, high := w.rng.IntN(3) > 0, w.rng.IntN(3) > 0
	if low {
		k.to.Min = &a
	}
	if high {
		k.to.Max = &b
	}
	q.add(func(f *fact) bool {
		n, known := field.of(f)
		return !low && !high || known && (!low || n >= a) && (!high || n <= b)
	}, "%s from %d (%v) to %d (%v)", k.name, a, low, b, high)
}

func (w *world) times(q *asked) {
	start, end := w.any().Event.Time, w.any().Event.Time
	if !start.Before(end) {
		start, end = end, start.Add(1)
	}
	if w.rng.IntN(3) > 0 {
		q.Start = start
		q.add(func(f *fact) bool { return nanoseconds(f.Event.Time) >= nanoseconds(start) }, "time from %v", start)
	}
	if w.rng.IntN(3) > 0 {
		q.End = end
		q.add(func(f *fact) bool { return nanoseconds(f.Event.Time) < nanoseconds(end) }, "time before %v", end)
	}
}

func (w *world) labels(q *asked) {
	q.Labels = map[string]string{"team": pick(w, append(teams, "unheard of"))}
	if w.rng.IntN(3) == 0 {
		q.Labels = map[string]string{"env": "é0", "team": pick(w, teams)}
	}
	q.add(func(f *fact) bool {
		for k, v := range q.Labels {
			if got, ok := f.Event.Labels[k]; !ok || got != v {
				return false
			}
		}
		return true
	}, "labels have %q", q.Labels)
}

// A truth is true, false, or neither.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// A filter is an expression in CEL, and what it comes to.
type filter struct {
	text string
	of   func(*fact) truth
}

func (w *world) filter(q *asked) {
	if q.Filter != "" {
		return
	}
	x := w.expression(3)
	q.Filter = x.text
	q.add(func(f *fact) bool { return x.of(f) == yes }, "filter %s", x.text)
}

// expression makes a random expression of Kleene's logic: a condition on an
// absent value is neither true nor false, and so is its negation.
func (w *world) expression(depth int) filter {
	if depth == 0 || w.rng.IntN(3) == 0 {
		return pick(w, []func() filter{w.textIs, w.textIs, w.numberIs, w.numberIs, w.timeIs, w.labelIs, w.isThere})()
	}
	a := w.expression(depth - 1)
	if w.rng.IntN(4) == 0 {
		return filter{"!(" + a.text + ")", func(f *fact) truth { return yes - a.of(f) }}
	}
	b := w.expression(depth - 1)
	if w.rng.IntN(2) == 0 {
		return filter{"(" + a.text + " && " + b.text + ")", func(f *fact) truth { return min(a.of(f), b.of(f)) }}
	}
	return filter{"(" + a.text + " || " + b.text + ")", func(f *fact) truth { return max(a.of(f), b.of(f)) }}
}

func (w *world) textIs() filter {
	field := pick(w, textFields)
	values := append(w.valuesOf(field.of), "x")
	v := values[0]
	switch w.rng.IntN(4) {
	case 0:
		return filter{fmt.Sprintf("%s != %q", field.name, v), func(f *fact) truth { return truthOf(field.of(f) != v) }}
	case 1:
		return filter{fmt.Sprintf("%s in [%q, %q]", field.name, v, "x"), func(f *fact) truth { return truthOf(field.of(f) == v || field.of(f) == "x") }}
	case 2:
		return filter{fmt.Sprintf("%s.startsWith(%q)", field.name, v[:1]), func(f *fact) truth { return truthOf(strings.HasPrefix(field.of(f), v[:1])) }}
	}
	return filter{fmt.Sprintf("%s == %q", field.name, v), func(f *fact) truth { return truthOf(field.of(f) == v) }}
}

func (w *world) numberIs() filter {
	field := numberNamed(pick(w, []string{
		"input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "delay_ms", "latency_ms", "cost", "producer_seq", "size",
	}))
	n := w.near(field)
	unit := 1.0
	for range field.places {
		unit *= 10
	}
	bound, said := float64(n)/unit, fmt.Sprint(n)
	if field.places > 0 {
		said = fmt.Sprintf("%.*f", field.places, bound)
		if _, err := fmt.Sscan(said, &bound); err != nil {
			w.Fatal(err)
		}
	}
	op := pick(w, []string{"<", "<=", "==", "!=", ">=", ">"})
	return filter{fmt.Sprintf("%s %s %s", field.name, op, said), func(f *fact) truth {
		n, known := field.of(f)
		if !known {
			return unknown
		}
		v := float64(n) / unit
		return truthOf(map[string]bool{"<": v < bound, "<=": v <= bound, "==": v == bound, "!=": v != bound, ">=": v >= bound, ">": v > bound}[op])
	}}
}

func (w *world) timeIs() filter {
	field := numberNamed(pick(w, []string{"time", "logged"}))
	n, _ := field.of(w.any())
	return filter{fmt.Sprintf("%s < timestamp(%q)", field.name, time.Unix(0, n).UTC().Format(time.RFC3339Nano)), func(f *fact) truth {
		m, _ := field.of(f)
		return truthOf(m < n)
	}}
}

func (w *world) labelIs() filter {
	v := pick(w, teams)
	if w.rng.IntN(2) == 0 {
		return filter{`"team" in labels`, func(f *fact) truth { return truthOf(f.Event.Labels["team"] != "") }}
	}
	return filter{fmt.Sprintf("labels[%q] == %q", "team", v), func(f *fact) truth {
		got, ok := f.Event.Labels["team"]
		if !ok {
			return unknown
		}
		return truthOf(got == v)
	}}
}

func (w *world) isThere() filter {
	if w.rng.IntN(2) == 0 {
		field := pick(w, textFields)
		return filter{fmt.Sprintf("present(%s)", field.name), func(f *fact) truth { return truthOf(field.of(f) != "") }}
	}
	field := pick(w, numberFields)
	return filter{fmt.Sprintf("present(%s)", field.name), func(f *fact) truth {
		_, known := field.of(f)
		return truthOf(known)
	}}
}
