package usage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"audittrail/query"
)

const (
	// fewPieces is the largest number of periods whose calls are counted by a
	// query for each, which a user can repeat on the command line.
	fewPieces = 16
	// mostCells bounds the rows of one query over many periods: one for each
	// name and each time that divides the calls of another.
	mostCells = 50_000
)

// divide counts the calls of names that different entities answered at
// different times.
func (u *Usage) divide(ctx context.Context, divided map[names][]CallGroup) error {
	order := slices.SortedFunc(maps.Keys(divided), func(a, b names) int {
		return cmp.Or(cmp.Compare(a.model, b.model), cmp.Compare(a.version, b.version), cmp.Compare(a.deployment, b.deployment))
	})
	total := 0
	for _, parts := range divided {
		total += len(parts)
	}
	if total <= fewPieces {
		return u.pieceByPiece(ctx, order, divided)
	}
	// Names without a model are queried by their deployments, and separately.
	nameless := slices.IndexFunc(order, func(n names) bool { return n.model != "" })
	if nameless < 0 {
		nameless = len(order)
	}
	for _, some := range [][]names{order[:nameless], order[nameless:]} {
		begin, pieces := 0, 0
		for i, n := range some {
			pieces += len(divided[n])
			last := i == len(some)-1
			if !last && (i+1-begin)*pieces < mostCells && i+1-begin < mostAsked {
				continue
			}
			if err := u.together(ctx, some[begin:i+1], divided); err != nil {
				return err
			}
			begin, pieces = i+1, 0
		}
	}
	return nil
}

// together counts the calls of some names in all their periods. The names
// either all have a model or all have none.
func (u *Usage) together(ctx context.Context, some []names, divided map[names][]CallGroup) error {
	q, g := u.query, query.Grouping{By: append(slices.Clone(byNames), "cut"), Aggregates: ofCalls}
	var models, deployments []string
	wanted := make(map[names]bool, len(some))
	for _, n := range some {
		wanted[n] = true
		if n.model != "" {
			models = append(models, n.model)
		} else {
			deployments = append(deployments, n.deployment)
		}
		for _, p := range divided[n][1:] {
			g.Boundaries = append(g.Boundaries, p.From)
		}
	}
	g.Boundaries = slices.CompactFunc(slices.SortedFunc(slices.Values(g.Boundaries), time.Time.Compare), time.Time.Equal)
	if models != nil {
		q.Models = distinct(models)
	} else {
		q.Deployments = distinct(deployments)
	}
	table, err := u.engine.Group(ctx, q, g)
	if err != nil {
		return err
	}
	for _, row := range table.Rows {
		n := names{row[0].String(), row[1].String(), row[2].String()}
		if !wanted[n] {
			continue
		}
		parts := divided[n]
		at := len(parts) - 1
		for at > 0 && parts[at].From.After(row[4].Time()) {
			at--
		}
		parts[at].ModelID, parts[at].ModelVersion, parts[at].DeploymentID = n.model, n.version, n.deployment
		parts[at].add(row[3], row[5:])
	}
	for _, n := range some {
		for _, p := range divided[n] {
			if p.Calls > 0 {
				u.Groups = append(u.Groups, p)
			}
		}
	}
	return nil
}

// pieceByPiece counts the calls of some names by a query for each period.
func (u *Usage) pieceByPiece(ctx context.Context, order []names, divided map[names][]CallGroup) error {
	cache := make(map[string]map[names]*CallGroup)
	for _, n := range order {
		for _, p := range divided[n] {
			q, ok := within(u.query, n, p)
			if !ok {
				continue
			}
			key := fmt.Sprintf("%q %q %s %s", q.Models, q.Deployments, q.Start, q.End)
			counted, ok := cache[key]
			if !ok {
				var err error
				if counted, err = u.count(ctx, q); err != nil {
					return err
				}
				cache[key] = counted
			}
			if s := counted[n]; s != nil {
				part := *s
				part.From, part.To, part.Match = p.From, p.To, p.Match
				u.Groups = append(u.Groups, part)
			}
		}
	}
	return nil
}
