package query_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"audittrail/query"
)

// A cell is a value as it is shown, and what it is sorted by.
type cell struct {
	kind  query.Kind
	shown string
	n     int64
}

func (c cell) compare(d cell) int {
	if c.kind == query.Absent || d.kind == query.Absent {
		return cmp.Compare(truthOf(c.kind == query.Absent), truthOf(d.kind == query.Absent))
	}
	if c.kind == query.Text {
		return cmp.Compare(c.shown, d.shown)
	}
	return cmp.Compare(c.n, d.n)
}

func (c cell) String() string { return fmt.Sprintf("%d:%s", c.kind, c.shown) }

// shown writes a row of an answer as the cells of the model are written.
func shown(row []query.Value) string {
	var cells []string
	for _, v := range row {
		c := cell{kind: v.Kind(), shown: v.String()}
		if c.kind == query.Float {
			c.shown = rounded(v.Float())
		}
		cells = append(cells, c.String())
	}
	return strings.Join(cells, " | ")
}

// rounded is a number without what depends on the order of computing it.
func rounded(f float64) string { return strconv.FormatFloat(f, 'g', 12, 64) }

// decimal is n / 10^places, exactly.
func decimal(n int64, places int) cell {
	if places == 0 {
		return cell{query.Integer, strconv.FormatInt(n, 10), n}
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	s := new(big.Rat).SetFrac(big.NewInt(n), unit).FloatString(places)
	return cell{query.Decimal, strings.TrimSuffix(strings.TrimRight(s, "0"), "."), n}
}

// A grouping is a random one.
type grouping struct{ query.Grouping }

var zones = []string{"", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"}

func (w *world) grouping() *grouping {
	g := new(grouping)
	if name := pick(w, zones); name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			w.Fatal(err)
		}
		g.Zone = zone
	}
	for range w.rng.IntN(3) {
		g.By = append(g.By, w.dimension())
	}
	for range w.rng.IntN(5) {
		g.Aggregates = append(g.Aggregates, w.aggregate())
	}
	return g
}

func (w *world) dimension() string {
	switch w.rng.IntN(4) {
	case 0:
		return pick(w, []string{"hour", "day", "week", "month"})
	case 1:
		return pick(w, []string{"user", "user_id", "label:team", "label:env"})
	case 2:
		return pick(w, numberFields).name
	}
	return pick(w, textFields).name
}

func (w *world) aggregate() string {
	switch w.rng.IntN(5) {
	case 0:
		return pick(w, []string{"count", "count(tool)", "count(model_id)", "count(latency_ms)", "count(cost)", "count(time)"})
	case 1:
		return "distinct(" + w.dimension() + ")"
	}
	kind, field := pick(w, []string{"sum", "avg", "min", "max", "p50", "p95", "p99"}), pick(w, numberFields)
	if field.time {
		kind = pick(w, []string{"min", "max"})
	}
	return kind + "(" + field.name + ")"
}

// zone is that in which times are shown.
func (g *grouping) zone() *time.Location {
	if g.Zone == nil {
		return time.UTC
	}
	return g.Zone
}

// value is what a record has of a dimension.
func (g *grouping) value(name string, f *fact) cell {
	switch name {
	case "user", "user_id":
		switch {
		case f.user == "":
			return cell{}
		case f.erased:
			return cell{kind: query.Text, shown: f.Subject.String()}
		}
		return cell{kind: query.Text, shown: f.user}
	case "hour", "day", "week", "month":
		return g.bucket(name, time.Unix(0, nanoseconds(f.Event.Time)).In(g.zone()))
	}
	text := ""
	if label, ok := strings.CutPrefix(name, "label:"); ok {
		text = f.Event.Labels[label]
	} else if field := numberNamed(name); field != nil {
		n, known := field.of(f)
		switch {
		case !known:
			return cell{}
		case field.time:
			return g.instant(n)
		}
		return decimal(n, field.places)
	} else {
		text = textNamed(name)(f)
	}
	if text == "" {
		return cell{}
	}
	return cell{kind: query.Text, shown: text}
}

func (g *grouping) instant(n int64) cell {
	return cell{query.Instant, time.Unix(0, n).In(g.zone()).Format(time.RFC3339Nano), n}
}

// bucket is the span of time that t is in.
func (g *grouping) bucket(span string, t time.Time) cell {
	year, month, day := t.Date()
	c := cell{kind: query.Bucket, n: int64(year*10000 + int(month)*100 + day)}
	switch span {
	case "month":
		c.shown = t.Format("2006-01")
		c.n = int64(year*100 + int(month))
	case "week":
		year, week := t.ISOWeek()
		c.shown = fmt.Sprintf("%04d-W%02d", year, week)
		c.n = int64(year*100 + week)
	case "day":
		c.shown = t.Format("2006-01-02")
	default:
		minutes := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
		c.n = nanoseconds(t.Add(-minutes))
		c.shown = time.Unix(0, c.n).In(g.zone()).Format("2006-01-02T15:04Z07:00")
	}
	return c
}

// A group is records that have something in common.
type group struct {
	key   []cell
	facts []*fact
}

// table works out what the facts come to, a line for each row, or an error.
func (g *grouping) table(facts []*fact) []string {
	groups := make(map[string]*group)
	if len(g.By) == 0 {
		groups[""] = new(group)
	}
	for _, f := range facts {
		var key []cell
		for _, name := range g.By {
			key = append(key, g.value(name, f))
		}
		name := fmt.Sprint(key)
		if len(key) == 0 {
			name = ""
		}
		if groups[name] == nil {
			groups[name] = &group{key: key}
		}
		groups[name].facts = append(groups[name].facts, f)
	}
	sorted := slices.SortedFunc(maps.Values(groups), func(a, b *group) int {
		return slices.CompareFunc(a.key, b.key, cell.compare)
	})
	aggregates := g.Aggregates
	if len(aggregates) == 0 {
		aggregates = []string{"count"}
	}
	lines := []string{}
	for _, of := range sorted {
		var cells []string
		for _, c := range of.key {
			cells = append(cells, c.String())
		}
		for _, a := range aggregates {
			if g.mixes(a, of.facts) {
				return []string{"query: aggregate: the costs of a row are in more than one currency; group by currency as well"}
			}
			cells = append(cells, g.cameTo(a, of.facts).String())
		}
		lines = append(lines, strings.Join(cells, " | "))
	}
	return lines
}

// mixes tells whether an aggregate would add up different currencies.
func (g *grouping) mixes(a string, facts []*fact) bool {
	kind, field, _ := strings.Cut(strings.TrimSuffix(a, ")"), "(")
	if field != "cost" || kind == "count" || kind == "distinct" || slices.Contains(g.By, "currency") {
		return false
	}
	some := make(map[string]bool)
	for _, f := range facts {
		if f.Event.Cost != nil {
			some[f.Event.Cost.Currency] = true
		}
	}
	return len(some) > 1
}

// cameTo is an aggregate of facts.
func (g *grouping) cameTo(a string, facts []*fact) cell {
	if a == "count" {
		return decimal(int64(len(facts)), 0)
	}
	kind, name, _ := strings.Cut(strings.TrimSuffix(a, ")"), "(")
	different := make(map[string]bool)
	there := 0
	var numbers []int64
	field := numberNamed(name)
	for _, f := range facts {
		v := g.value(name, f)
		if v.kind == query.Absent {
			continue
		}
		there++
		different[v.shown] = true
		if field != nil {
			n, _ := field.of(f)
			numbers = append(numbers, n)
		}
	}
	switch kind {
	case "count":
		return decimal(int64(there), 0)
	case "distinct":
		return decimal(int64(len(different)), 0)
	}
	if there == 0 {
		return cell{}
	}
	slices.Sort(numbers)
	n := int64(0)
	switch kind {
	case "sum":
		for _, m := range numbers {
			n += m
		}
	case "avg":
		sum := new(big.Rat)
		for _, m := range numbers {
			sum.Add(sum, new(big.Rat).SetInt64(m))
		}
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(field.places)), nil)
		sum.Quo(sum, new(big.Rat).SetInt(unit.Mul(unit, big.NewInt(int64(len(numbers))))))
		f, _ := sum.Float64()
		return cell{kind: query.Float, shown: rounded(f)}
	case "min":
		n = numbers[0]
	case "max":
		n = numbers[len(numbers)-1]
	default:
		percent, err := strconv.Atoi(kind[1:])
		if err != nil {
			panic(err)
		}
		n = numbers[(len(numbers)*percent+99)/100-1]
	}
	if field.time {
		return g.instant(n)
	}
	return decimal(n, field.places)
}
