package usage

import (
	"fmt"
	"slices"
	"time"

	"audittrail/lineage"
)

// A Call is what a recorded call says about where it went.
type Call struct {
	ModelID      string
	ModelVersion string
	DeploymentID string
	Time         time.Time
}

// A Certainty says how well a call found its model version.
type Certainty string

const (
	// Exact is a version, or a deployment, that the call names.
	Exact Certainty = "exact"
	// Inferred is the one version of the model that answered at the time, or
	// the only one that there is.
	Inferred Certainty = "inferred"
	// Ambiguous is one of several versions, of which nothing says which.
	Ambiguous Certainty = "ambiguous"
	// Unregistered is a model, a version or a deployment that nobody has
	// registered.
	Unregistered Certainty = "unregistered"
	// Unnamed is a record that names no model.
	Unnamed Certainty = "unnamed"
)

// A Match is what a call was answered by.
type Match struct {
	Certainty  Certainty
	Model      *lineage.Node   // nil unless Exact or Inferred
	Deployment *lineage.Node   // nil where it is not known
	Candidates []*lineage.Node // the versions that an Ambiguous call may have gone to
	Reason     string          // in words
}

// live reports whether a deployment is known to answer at a time.
func live(g *lineage.Graph, n *lineage.Node, t time.Time) bool {
	from, to, _ := g.ActivePeriod(n)
	return !t.Before(from) && (to.IsZero() || t.Before(to))
}

// maybe reports whether a deployment can have answered at a time: it has not
// ended, and nobody said when it began.
func maybe(g *lineage.Graph, n *lineage.Node, t time.Time) bool {
	from, to, given := g.ActivePeriod(n)
	return (!given || !t.Before(from)) && (to.IsZero() || t.Before(to))
}

// deployments are those of a model version.
func deployments(g *lineage.Graph, model *lineage.Node) []*lineage.Node {
	var out []*lineage.Node
	for e := range g.Downstream(model) {
		if e.To.Kind == lineage.KindDeployment {
			out = append(out, e.To)
		}
	}
	return out
}

// modelOf is the model version of a deployment.
func modelOf(g *lineage.Graph, deployment *lineage.Node) *lineage.Node {
	n, _ := g.Node(deployment.Entity.(*lineage.Deployment).Model)
	return n
}

// MatchCall finds what a call was answered by.
//
//  1. A deployment id that is registered leads to its model version, unless the
//     call names another model or version beside it, or the deployment had
//     ended, or had not begun, at the time of the call.
//  2. Otherwise model and version lead to the model version of that name and
//     version, also without a deployment that was live.
//  3. Without a version, the model's one version with a deployment that was live
//     at the time is inferred; if none was, the one that may have been, since
//     nobody said when it began; if there is but one version, that.
//
// A model may also be named by its version's id, or as NAME@VERSION. Where the
// version is found and the deployment is not, it is the one whose environment
// the deployment id names, or else the only one of that version that was live.
func MatchCall(g *lineage.Graph, c Call) Match {
	if c.ModelID == "" && c.DeploymentID == "" {
		return Match{Certainty: Unnamed, Reason: "the record names neither a model nor a deployment"}
	}
	reason := ""
	if n, ok := g.Node(c.DeploymentID); ok && n.Kind == lineage.KindDeployment {
		model := modelOf(g, n)
		switch {
		case !agrees(model, c):
			reason = fmt.Sprintf("deployment %s is one of %s, not of what the call names; ", n.ID, model.ID)
		case !maybe(g, n, c.Time):
			reason = fmt.Sprintf("deployment %s did not answer at that time; ", n.ID)
		default:
			return Match{Certainty: Exact, Model: model, Deployment: n, Reason: "the call names the deployment"}
		}
	} else if c.DeploymentID != "" && c.ModelID == "" {
		return Match{Certainty: Unregistered, Reason: "nobody has registered the deployment"}
	}
	if c.ModelID == "" {
		return Match{Certainty: Unregistered, Reason: reason + "and the call names no model"}
	}
	m := findModel(g, c)
	m.Reason = reason + m.Reason
	if m.Model != nil {
		m.Deployment = guessDeployment(g, m.Model, c)
	}
	return m
}

// agrees reports whether a call that names a deployment names its model, or no
// other.
func agrees(model *lineage.Node, c Call) bool {
	m := model.Entity.(*lineage.ModelVersion)
	if c.ModelID != "" && c.ModelID != m.Name && c.ModelID != model.ID && c.ModelID != m.Label() {
		return false
	}
	return c.ModelVersion == "" || c.ModelVersion == m.Version
}

func findModel(g *lineage.Graph, c Call) Match {
	versions := g.Versions(c.ModelID)
	if len(versions) == 0 {
		for _, id := range []string{c.ModelID, "model:" + c.ModelID} {
			if n, ok := g.Node(id); ok && n.Kind == lineage.KindModel && agrees(n, c) {
				return Match{Certainty: Exact, Model: n, Reason: "the call names the version"}
			}
		}
		return Match{Certainty: Unregistered, Reason: "nobody has registered the model"}
	}
	if c.ModelVersion != "" {
		for _, n := range versions {
			if n.Entity.(*lineage.ModelVersion).Version == c.ModelVersion {
				return Match{Certainty: Exact, Model: n, Reason: "the call names model and version"}
			}
		}
		return Match{Certainty: Unregistered, Reason: "nobody has registered this version of the model"}
	}
	for _, way := range []struct {
		test   func(*lineage.Graph, *lineage.Node, time.Time) bool
		reason string
	}{
		{live, "the version that answered at that time"},
		{maybe, "the version whose deployment has no known beginning"},
	} {
		some := slices.DeleteFunc(slices.Clone(versions), func(n *lineage.Node) bool {
			return !slices.ContainsFunc(deployments(g, n), func(d *lineage.Node) bool { return way.test(g, d, c.Time) })
		})
		if len(some) == 1 {
			return Match{Certainty: Inferred, Model: some[0], Reason: way.reason}
		}
		if len(some) > 1 {
			return Match{Certainty: Ambiguous, Candidates: some, Reason: "several versions answered at that time, and the call names none"}
		}
	}
	if len(versions) == 1 {
		return Match{Certainty: Inferred, Model: versions[0], Reason: "the only version of the model"}
	}
	return Match{Certainty: Ambiguous, Candidates: versions, Reason: "the model has several versions, and the call names none"}
}

// guessDeployment finds the deployment of a model version that a call went to,
// if there is but one.
func guessDeployment(g *lineage.Graph, model *lineage.Node, c Call) *lineage.Node {
	var found []*lineage.Node
	for _, d := range deployments(g, model) {
		if !maybe(g, d, c.Time) {
			continue
		}
		if c.DeploymentID == "" || c.DeploymentID == d.Entity.(*lineage.Deployment).Environment {
			found = append(found, d)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return nil
}

// turns are the times, in order, at which a call of these names may begin to
// match something else.
func turns(g *lineage.Graph, c Call) []time.Time {
	var out []time.Time
	note := func(n *lineage.Node) {
		from, to, _ := g.ActivePeriod(n)
		out = append(out, from)
		if !to.IsZero() {
			out = append(out, to)
		}
	}
	if n, ok := g.Node(c.DeploymentID); ok && n.Kind == lineage.KindDeployment {
		note(n)
	}
	models := g.Versions(c.ModelID)
	for _, id := range []string{c.ModelID, "model:" + c.ModelID} {
		if n, ok := g.Node(id); ok && n.Kind == lineage.KindModel {
			models = append(models, n)
		}
	}
	for _, n := range models {
		if v := n.Entity.(*lineage.ModelVersion).Version; c.ModelVersion != "" && v != c.ModelVersion {
			continue
		}
		for _, d := range deployments(g, n) {
			note(d)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}
