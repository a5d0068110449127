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

// A portion is calls that one query counts.
type portion struct {
	query query.Query
	// only are the names of the calls that count, if the query finds others, too.
	only map[names]bool
}

// mostAsked is how many models one query asks for, which has a limit.
const mostAsked = 50_000

// spread counts the calls of some streams by user or by day. Calls that are
// about nobody count for no user.
func (u *Usage) spread(ctx context.Context, streams []Stream, by string) (map[string]uint64, error) {
	out := make(map[string]uint64)
	for _, p := range u.portions(streams) {
		grouping := query.Grouping{By: []string{by}}
		if p.only != nil {
			grouping.By = append(grouping.By, "model_id", "model_version", "deployment_id")
		}
		table, err := u.engine.Group(ctx, p.query, grouping)
		if err != nil {
			return nil, err
		}
		for _, row := range table.Rows {
			if p.only != nil && !p.only[names{row[1].String(), row[2].String(), row[3].String()}] {
				continue
			}
			if of := row[0].String(); of != "" {
				out[of] += uint64(row[len(row)-1].Int())
			}
		}
	}
	return out, nil
}

// portions divides streams into as few queries as find nothing else. To tell a
// user's name costs more than to count their calls, so that rows are few is what
// makes them fast: first what can be asked for as all calls of some models, then
// as all calls of some versions of them, and only then one by one.
func (u *Usage) portions(streams []Stream) []portion {
	q := u.query
	if q.Types = u.types(streams); len(q.Types) == 0 {
		return nil
	}
	var out []portion
	whole, rest := u.whole(streams, func(s Stream) string { return s.ModelID })
	for models := range slices.Chunk(whole, mostAsked) {
		p := portion{query: q}
		p.query.Models = models
		out = append(out, p)
	}
	// Versions that are whole, of the models that have the same such ones.
	label := func(s Stream) string {
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
	return append(out, portionsByName(q, rest)...)
}

// types are the types of the calls of some streams.
func (u *Usage) types(streams []Stream) []event.Type {
	some := make(map[event.Type]bool)
	for _, s := range streams {
		for t := range s.Types {
			some[event.Type(t)] = true
		}
	}
	return slices.Sorted(maps.Keys(some))
}

// whole returns the labels all of whose calls are in streams, sorted, and the
// streams of others. An empty label is that of no other.
func (u *Usage) whole(streams []Stream, label func(Stream) string) (labels []string, rest []Stream) {
	total, mine := make(map[string]uint64), make(map[string]uint64)
	for _, s := range u.Streams {
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

// portionsByName asks for streams by their names: those of one model in one
// stretch of time together.
func portionsByName(q query.Query, streams []Stream) []portion {
	type stretch struct {
		model, deployment string
		from, to          time.Time
	}
	var order []stretch
	parts := make(map[stretch]map[names]bool)
	for _, s := range streams {
		n := names{s.ModelID, s.ModelVersion, s.DeploymentID}
		at := stretch{model: n.model, from: s.From, to: s.To}
		if n.model == "" {
			at.deployment = n.deployment
		}
		if parts[at] == nil {
			parts[at] = make(map[names]bool)
			order = append(order, at)
		}
		parts[at][n] = true
	}
	var out []portion
	for _, at := range order {
		p := portion{only: parts[at]}
		p.query, _ = within(q, names{model: at.model, deployment: at.deployment}, Stream{From: at.from, To: at.to})
		var versions, deployments []string
		for n := range p.only {
			versions, deployments = append(versions, n.version), append(deployments, n.deployment)
		}
		// A query can ask for names, but not for their absence.
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
