package usage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"audittrail/lineage"
	"audittrail/record"
)

// An Impact lists what depends on some entities.
type Impact struct {
	Roots       []*lineage.Node
	Descendants []lineage.NodeDepth // all entities downstream of them, nearest first

	Groups   []CallGroup // the calls that versions and deployments among them answered
	Calls    uint64
	Possible uint64 // further calls that one of several versions may have answered
	Users    []UserCalls
	Days     []DayCalls

	Unregistered []CallGroup // calls whose model version is not registered
}

// A UserCalls counts the calls about a person. An erased one is named by the
// subject id.
type UserCalls struct {
	User  string `json:"user"`
	Calls uint64 `json:"calls"`
}

// A DayCalls counts the calls on a day, in UTC.
type DayCalls struct {
	Day   string `json:"day"`
	Calls uint64 `json:"calls"`
}

// Impact finds what depends on some entities of the graph: the entities
// downstream of them, and the calls that these answered.
func (u *Usage) Impact(ctx context.Context, of []*lineage.Node) (*Impact, error) {
	im := &Impact{Roots: of, Descendants: u.graph.Walk(of, lineage.Downstream, 0), Unregistered: u.Unregistered()}
	reached := make(map[*lineage.Node]bool, len(im.Descendants))
	for _, r := range im.Descendants {
		reached[r.Node] = true
	}
	// For a deployment or a template, only the calls that went through it
	// count.
	for _, s := range u.Groups {
		switch m := s.Match; {
		case m.Model != nil && (reached[m.Model] || m.Deployment != nil && reached[m.Deployment]):
			im.Calls += s.Calls
			im.Groups = append(im.Groups, s)
		case m.Certainty == Ambiguous && slices.ContainsFunc(m.Candidates, func(n *lineage.Node) bool { return reached[n] }):
			if !slices.ContainsFunc(m.Candidates, func(n *lineage.Node) bool { return !reached[n] }) {
				im.Calls += s.Calls
				im.Groups = append(im.Groups, s)
				continue
			}
			im.Possible += s.Calls
		case m.Model != nil && m.Deployment == nil && slices.ContainsFunc(deployments(u.graph, m.Model), func(n *lineage.Node) bool { return reached[n] }):
			im.Possible += s.Calls
		}
	}
	users, err := u.spread(ctx, im.Groups, "user")
	if err != nil {
		return nil, fmt.Errorf("count the users concerned: %w", err)
	}
	for _, user := range slices.Sorted(maps.Keys(users)) {
		im.Users = append(im.Users, UserCalls{user, users[user]})
	}
	slices.SortStableFunc(im.Users, func(a, b UserCalls) int { return cmp.Compare(b.Calls, a.Calls) })
	days, err := u.spread(ctx, im.Groups, "day")
	if err != nil {
		return nil, fmt.Errorf("count the days concerned: %w", err)
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		im.Days = append(im.Days, DayCalls{day, days[day]})
	}
	return im, nil
}

// An Explanation is the lineage of one recorded answer.
type Explanation struct {
	Seq      uint64
	Call     Call
	Match    Match
	Upstream []lineage.NodeDepth // the entities upstream of the model version and the deployment
}

// Explain returns the lineage of a record's answer.
func Explain(g *lineage.Graph, r *record.Record) Explanation {
	x := Explanation{Seq: r.Seq, Call: Call{r.Event.ModelID, r.Event.ModelVersion, r.Event.DeploymentID, r.Event.Time}}
	x.Match = MatchCall(g, x.Call)
	from := slices.Clone(x.Match.Candidates)
	for _, n := range []*lineage.Node{x.Match.Deployment, x.Match.Model} {
		if n != nil {
			from = append(from, n)
		}
	}
	x.Upstream = g.Walk(from, lineage.Upstream, 0)
	return x
}
