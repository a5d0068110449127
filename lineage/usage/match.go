package usage

import (
	"fmt"
	"slices"
	"time"

	"audittrail/lineage"
)

// A Call contains the names that a recorded call carries.
type Call struct {
	ModelID      string
	ModelVersion string
	DeploymentID string
	Time         time.Time
}

// A Certainty says how reliably a call's model version is known.
type Certainty string

const (
	// Exact means a version or a deployment that the call names.
	Exact Certainty = "exact"
	// Inferred means the one version of the model that was active at the time,
	// or its only version.
	Inferred Certainty = "inferred"
	// Ambiguous means one of several versions, with nothing to tell which.
	Ambiguous Certainty = "ambiguous"
	// Unregistered means a model, version or deployment that is not registered.
	Unregistered Certainty = "unregistered"
	// Unnamed means a record that names no model.
	Unnamed Certainty = "unnamed"
)

// A Match is the model version and deployment that answered a call.
type Match struct {
	Certainty  Certainty
	Model      *lineage.Node   // nil unless Exact or Inferred
	Deployment *lineage.Node   // nil if it is not known
	Candidates []*lineage.Node // the versions that may have answered an Ambiguous call
	Reason     string          // in words
}

// live reports whether a deployment is known to be active at a time.
func live(g *lineage.Graph, n *lineage.Node, t time.Time) bool {
	from, to, _ := g.ActivePeriod(n)
	return !t.Before(from) && (to.IsZero() || t.Before(to))
}

// maybe reports whether a deployment may have been active at a time: it had not
// ended, and its beginning is not known.
func maybe(g *lineage.Graph, n *lineage.Node, t time.Time) bool {
	from, to, given := g.ActivePeriod(n)
	return (!given || !t.Before(from)) && (to.IsZero() || t.Before(to))
}

// deployments returns the deployments of a model version.
func deployments(g *lineage.Graph, model *lineage.Node) []*lineage.Node {
	var out []*lineage.Node
	for e := range g.Downstream(model) {
		if e.To.Kind == lineage.KindDeployment {
			out = append(out, e.To)
		}
	}
	return out
}

// modelOf returns the model version of a deployment.
func modelOf(g *lineage.Graph, deployment *lineage.Node) *lineage.Node {
	n, _ := g.Node(deployment.Entity.(*lineage.Deployment).Model)
	return n
}

// MatchCall finds the model version and deployment that answered a call.
//
//  1. A registered deployment id leads to its model version, unless the call
//     also names another model or version, or the deployment was not active at
//     the time of the call.
//  2. Otherwise model and version lead to the model version of that name and
//     version, even if none of its deployments was active.
//  3. Without a version, the model's one version with a deployment that was
//     active at the time is inferred; without one, the version whose deployment
//     may have been active, since its beginning is not known; without one, the
//     only version of the model.
//
// A model may also be named by its version's id, or as NAME@VERSION. If the
// version is found and the deployment is not, the deployment is the one whose
// environment the deployment id names, or the only one of that version that was
// active.
func MatchCall(g *lineage.Graph, c Call) Match {
	if c.ModelID == "" && c.DeploymentID == "" {
		return Match{Certainty: Unnamed, Reason: "the record names neither a model nor a deployment"}
	}
	reason := ""
	if n, ok := g.Node(c.DeploymentID); ok && n.Kind == lineage.KindDeployment {
		model := modelOf(g, n)
		switch {
		case !agrees(model, c):
			reason = fmt.Sprintf("deployment %s belongs to %s, not to the model that the call names; ", n.ID, model.ID)
		case !maybe(g, n, c.Time):
			reason = fmt.Sprintf("deployment %s did not answer at that time; ", n.ID)
		default:
			return Match{Certainty: Exact, Model: model, Deployment: n, Reason: "the call names the deployment"}
		}
	} else if c.DeploymentID != "" && c.ModelID == "" {
		return Match{Certainty: Unregistered, Reason: "the deployment is not registered"}
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

// agrees reports whether a call that names a deployment names the deployment's
// model, or no model.
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
		return Match{Certainty: Unregistered, Reason: "the model is not registered"}
	}
	if c.ModelVersion != "" {
		for _, n := range versions {
			if n.Entity.(*lineage.ModelVersion).Version == c.ModelVersion {
				return Match{Certainty: Exact, Model: n, Reason: "the call names model and version"}
			}
		}
		return Match{Certainty: Unregistered, Reason: "this version of the model is not registered"}
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

// guessDeployment finds the deployment of a model version that answered a call,
// if only one can have.
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

// turns returns the times, in order, at which a call of these names may begin
// to match another version.
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
