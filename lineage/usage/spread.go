package usage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"audittrail/event"
	"audittrail/query"
)

// A portion is a set of calls that one query counts.
type portion struct {
	query query.Query
	// only lists the names of the calls that count, and when these happened, if
	// the query also finds other calls. A query that groups by boundaries also
	// finds other times.
	only map[names][]CallGroup
	cuts []time.Time
}

// counts reports whether a row counts. The row has the grouping value first,
// then, if needed, the names of the calls and when they happened.
func (p *portion) counts(row []query.Value) bool {
	if p.only == nil {
		return true
	}
	stretches, ok := p.only[names{row[1].String(), row[2].String(), row[3].String()}]
	if !ok || p.cuts == nil {
		return ok
	}
	at := row[4].Time()
	return slices.ContainsFunc(stretches, func(s CallGroup) bool {
		return !at.Before(s.From) && (s.To.IsZero() || at.Before(s.To))
	})
}

// mostAsked is how many models one query may name, which has a limit.
const mostAsked = 50_000

// spread counts the calls of some call groups by user or by day. Calls that are
// about nobody count for no user.
func (u *Usage) spread(ctx context.Context, streams []CallGroup, by string) (map[string]uint64, error) {
	out := make(map[string]uint64)
	for _, p := range u.portions(streams) {
		grouping := query.Grouping{By: []string{by}}
		if p.only != nil {
			grouping.By = append(grouping.By, "model_id", "model_version", "deployment_id")
		}
		if p.cuts != nil {
			grouping.By, grouping.Boundaries = append(grouping.By, "cut"), p.cuts
		}
		table, err := u.engine.Group(ctx, p.query, grouping)
		if err != nil {
			return nil, err
		}
		for _, row := range table.Rows {
			if of := row[0].String(); of != "" && p.counts(row) {
				out[of] += uint64(row[len(row)-1].Int())
			}
		}
	}
	return out, nil
}

// portions divides call groups into as few queries as possible that find no
// other calls. Looking up a user's name takes longer than counting calls, so
// the fewer rows, the faster: first it takes the models all of whose calls
// count, then the versions all of whose calls count, and then single groups.
func (u *Usage) portions(streams []CallGroup) []portion {
	q := u.query
	if q.Types = u.types(streams); len(q.Types) == 0 {
		return nil
	}
	var out []portion
	whole, rest := u.whole(streams, func(s CallGroup) string { return s.ModelID })
	for models := range slices.Chunk(whole, mostAsked) {
		p := portion{query: q}
		p.query.Models = models
		out = append(out, p)
	}
	// These versions count as a whole; models with the same set of them share a
	// query.
	label := func(s CallGroup) string {
		if s.ModelID == "" || s.ModelVersion == "" {
			return ""
		}
		return fmt.Sprintf("%q %q", s.ModelID, s.ModelVersion)
	}
	labels, rest := u.whole(rest, label)
	of := make(map[string]map[string]bool) // the versions of a model
	for _, s := range streams {
		if _, ok := slices.BinarySearch(labels, label(s)); ok {
			if of[s.ModelID] == nil {
				of[s.ModelID] = make(map[string]bool)
			}
			of[s.ModelID][s.ModelVersion] = true
		}
	}
	same := make(map[string]*portion)
	for _, model := range slices.Sorted(maps.Keys(of)) {
		versions := slices.Sorted(maps.Keys(of[model]))
		key := fmt.Sprintf("%q", versions)
		if same[key] == nil {
			same[key] = &portion{query: q}
			same[key].query.Versions = versions
		}
		same[key].query.Models = append(same[key].query.Models, model)
	}
	for _, key := range slices.Sorted(maps.Keys(same)) {
		out = append(out, *same[key])
	}
	return append(out, u.portionsByName(q, rest)...)
}

// types returns the types of the calls of some call groups.
func (u *Usage) types(streams []CallGroup) []event.Type {
	some := make(map[event.Type]bool)
	for _, s := range streams {
		for t := range s.Types {
			some[event.Type(t)] = true
		}
	}
	return slices.Sorted(maps.Keys(some))
}

// whole returns the labels all of whose calls are in the call groups, sorted,
// and the groups with other labels. An empty label counts as incomplete.
func (u *Usage) whole(streams []CallGroup, label func(CallGroup) string) (labels []string, rest []CallGroup) {
	total, mine := make(map[string]uint64), make(map[string]uint64)
	for _, s := range u.Groups {
		total[label(s)] += s.Calls
	}
	for _, s := range streams {
		mine[label(s)] += s.Calls
	}
	for _, s := range streams {
		if l := label(s); l == "" || mine[l] != total[l] {
			rest = append(rest, s)
		}
	}
	for l, n := range mine {
		if l != "" && n == total[l] {
			labels = append(labels, l)
		}
	}
	slices.Sort(labels)
	return labels, rest
}

// fewStretches is the largest number of periods that are queried one by one.
const fewStretches = 4

// mostRows bounds the rows of a query that counts many periods at once: there
// can be as many rows as calls.
const mostRows = 300_000

// portionsByName queries call groups by their names. If there are many periods,
// models with few enough calls are queried at once.
func (u *Usage) portionsByName(q query.Query, streams []CallGroup) []portion {
	few := portionsByStretch(q, streams)
	if len(few) <= fewStretches {
		return few
	}
	total := make(map[names]uint64)
	asked := func(s CallGroup) names {
		if s.ModelID == "" {
			return names{deployment: s.DeploymentID}
		}
		return names{model: s.ModelID}
	}
	for _, s := range u.Groups {
		total[asked(s)] += s.Calls
	}
	var out []portion
	var large, batch []CallGroup
	rows, last := uint64(0), names{}
	flush := func() {
		if len(batch) > 0 {
			out = append(out, portionByCuts(q, batch))
		}
		batch, rows = nil, 0
	}
	for _, s := range streams { // groups of the same names are adjacent
		n := asked(s)
		if total[n] > mostRows {
			large = append(large, s)
			continue
		}
		if n != last {
			if rows+total[n] > mostRows || len(batch) >= mostAsked || (n.model == "") != (last.model == "") {
				flush()
			}
			rows, last = rows+total[n], n
		}
		batch = append(batch, s)
	}
	flush()
	return append(out, portionsByStretch(q, large)...)
}

// portionByCuts queries several call groups at once, which either all have a
// model or all have none.
func portionByCuts(q query.Query, streams []CallGroup) portion {
	p := portion{query: q, only: make(map[names][]CallGroup), cuts: []time.Time{}}
	var models, deployments []string
	for _, s := range streams {
		n := names{s.ModelID, s.ModelVersion, s.DeploymentID}
		p.only[n] = append(p.only[n], s)
		if models = append(models, n.model); n.model == "" {
			deployments = append(deployments, n.deployment)
		}
		for _, cut := range []time.Time{s.From, s.To} {
			if !cut.IsZero() {
				p.cuts = append(p.cuts, cut)
			}
		}
	}
	p.cuts = slices.CompactFunc(slices.SortedFunc(slices.Values(p.cuts), time.Time.Compare), time.Time.Equal)
	if deployments != nil {
		p.query.Deployments = distinct(deployments)
	} else {
		p.query.Models = distinct(models)
	}
	if len(p.cuts) == 0 { // no group is divided by time
		p.cuts = nil
	}
	return p
}

// portionsByStretch queries the call groups of one model in one period
// together.
func portionsByStretch(q query.Query, streams []CallGroup) []portion {
	type stretch struct {
		model, deployment string
		from, to          time.Time
	}
	var order []stretch
	parts := make(map[stretch]map[names][]CallGroup)
	for _, s := range streams {
		n := names{s.ModelID, s.ModelVersion, s.DeploymentID}
		at := stretch{model: n.model, from: s.From, to: s.To}
		if n.model == "" {
			at.deployment = n.deployment
		}
		if parts[at] == nil {
			parts[at] = make(map[names][]CallGroup)
			order = append(order, at)
		}
		parts[at][n] = append(parts[at][n], s)
	}
	var out []portion
	for _, at := range order {
		p := portion{only: parts[at]}
		p.query, _ = within(q, names{model: at.model, deployment: at.deployment}, CallGroup{From: at.from, To: at.to})
		var versions, deployments []string
		for n := range p.only {
			versions, deployments = append(versions, n.version), append(deployments, n.deployment)
		}
		// A query can select names, but not their absence.
		if !slices.Contains(versions, "") {
			p.query.Versions = distinct(versions)
		}
		if !slices.Contains(deployments, "") {
			p.query.Deployments = distinct(deployments)
		}
		out = append(out, p)
	}
	return out
}

func distinct(some []string) []string {
	slices.Sort(some)
	return slices.Compact(some)
}
