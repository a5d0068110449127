package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"audittrail/lineage"
	"audittrail/query"
)

// An Engine counts records, as a *[query.Engine] does.
type Engine interface {
	Group(context.Context, query.Query, query.Grouping) (*query.Table, error)
}

// A CallGroup is the calls that carry the same names and were answered by the
// same model version. event.Call defines a call.
type CallGroup struct {
	ModelID      string
	ModelVersion string
	DeploymentID string
	// From (inclusive) and To (exclusive) bound the group if calls of its names
	// were answered by different entities at different times.
	From, To time.Time

	Calls       uint64
	Types       map[string]uint64 // the number of calls, by type of event
	First, Last time.Time
	Match       Match
}

// names are the names that the calls of a group carry.
type names struct{ model, version, deployment string }

func (n names) at(t time.Time) Call { return Call{n.model, n.version, n.deployment, t} }

// A Usage tells which model versions and deployments answered the calls of a
// log.
type Usage struct {
	graph   *lineage.Graph
	engine  Engine
	query   query.Query
	Groups  []CallGroup // sorted by their names, then by time; none of them Unnamed
	Unnamed uint64      // calls that name neither model nor deployment
}

// Compute finds the model versions and deployments that answered the calls
// which match a query.
func Compute(ctx context.Context, g *lineage.Graph, e Engine, q query.Query) (*Usage, error) {
	q.Calls = true
	u := &Usage{graph: g, engine: e, query: q}
	all, err := u.count(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("count calls: %w", err)
	}
	divided := make(map[names][]CallGroup)
	for n, s := range all {
		if n.model == "" && n.deployment == "" {
			u.Unnamed += s.Calls
			continue
		}
		parts := pieces(g, n, s.First, s.Last)
		if len(parts) > 1 {
			divided[n] = parts
			continue
		}
		s.Match = parts[0].Match
		u.Groups = append(u.Groups, *s)
	}
	if err := u.divide(ctx, divided); err != nil {
		return nil, fmt.Errorf("count calls: %w", err)
	}
	slices.SortFunc(u.Groups, func(a, b CallGroup) int {
		return cmp.Or(cmp.Compare(a.ModelID, b.ModelID), cmp.Compare(a.ModelVersion, b.ModelVersion),
			cmp.Compare(a.DeploymentID, b.DeploymentID), a.From.Compare(b.From))
	})
	return u, nil
}

// count counts calls by the names that they carry.
func (u *Usage) count(ctx context.Context, q query.Query) (map[names]*CallGroup, error) {
	table, err := u.engine.Group(ctx, q, query.Grouping{By: byNames, Aggregates: ofCalls})
	if err != nil {
		return nil, err
	}
	all := make(map[names]*CallGroup)
	for _, row := range table.Rows {
		n := names{row[0].String(), row[1].String(), row[2].String()}
		if all[n] == nil {
			all[n] = &CallGroup{ModelID: n.model, ModelVersion: n.version, DeploymentID: n.deployment}
		}
		all[n].add(row[3], row[4:])
	}
	return all, nil
}

// These are the groupings for counting calls.
var (
	byNames = []string{"model_id", "model_version", "deployment_id", "type"}
	ofCalls = []string{"count", "min(time)", "max(time)"}
)

// add adds calls of a type: their number, and the times of the first and the
// last.
func (s *CallGroup) add(kind query.Value, calls []query.Value) {
	n, first, last := uint64(calls[0].Int()), calls[1].Time(), calls[2].Time()
	if s.Types == nil {
		s.Types = make(map[string]uint64)
	}
	s.Calls += n
	s.Types[kind.String()] += n
	if s.First.IsZero() || first.Before(s.First) {
		s.First = first
	}
	if last.After(s.Last) {
		s.Last = last
	}
}

// pieces returns the periods between two times, both included, in which all
// calls of the same names match the same entities.
func pieces(g *lineage.Graph, n names, first, last time.Time) []CallGroup {
	out := []CallGroup{{Match: MatchCall(g, n.at(first))}}
	for _, turn := range turns(g, n.at(first)) {
		if !turn.After(first) || turn.After(last) {
			continue
		}
		m := MatchCall(g, n.at(turn))
		before := &out[len(out)-1]
		if before.Match.Model == m.Model && before.Match.Deployment == m.Deployment &&
			before.Match.Certainty == m.Certainty && slices.Equal(before.Match.Candidates, m.Candidates) {
			continue
		}
		before.To = turn
		out = append(out, CallGroup{From: turn, Match: m})
	}
	return out
}

// within narrows a query to a period and to a model or, without one, to a
// deployment. It reports whether anything can match.
func within(q query.Query, n names, p CallGroup) (query.Query, bool) {
	if p.From.After(q.Start) {
		q.Start = p.From
	}
	if !p.To.IsZero() && (q.End.IsZero() || p.To.Before(q.End)) {
		q.End = p.To
	}
	if n.model != "" {
		q.Models = []string{n.model}
	} else {
		q.Deployments = []string{n.deployment}
	}
	return q, q.Start.IsZero() || q.End.IsZero() || q.Start.Before(q.End)
}

// Unregistered returns the call groups without a model version, because it is
// not registered, or because it may be one of several.
func (u *Usage) Unregistered() []CallGroup {
	var out []CallGroup
	for _, s := range u.Groups {
		if s.Match.Model == nil {
			out = append(out, s)
		}
	}
	return out
}
